"""Reading and cleaning against a slow reference, bit for bit, over recordings with all that sensors do."""

from dataclasses import dataclass
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from kinemask.datasets.kinect.cleaning import Cleaning, clean
from kinemask.datasets.kinect.raw_skeleton import read_skeleton
from tests.datasets.conftest import Body, skeleton_text
from tests.datasets.kinect import reference_skeleton
from tests.datasets.kinesim.kinesim_config import VALUES

JOINTS = 3
LINEAGE: dict[str, Any] = {
    "empty_frames": "drop",
    "gaps": "close",
    "min_body_frames": 11,
    "spread": {"ratio": 0.8, "share": 0.69754},
    "motion": "space_time",
    "motion_limits": None,
    "persons": "merge",
    "origin": "first_frame",
}
KINESIM: dict[str, Any] = VALUES["cleaning"]


@dataclass(frozen=True)
class Seen:
    """A body a sensor saw: when, and what it is."""

    frames: list[int]
    kind: str
    seed: int


def _joints(kind: str, frame: int, rng: np.random.Generator) -> np.ndarray:
    """A standing person is tall; furniture is wide and still, on a grid: sums and means are exact."""
    if kind == "furniture":
        return np.array([[-0.5, 0, 3], [0.5, 0.125, 3.25], [0, 0.25, 3.5]], np.float32)
    wide = kind == "stooping" and frame % 3 > 0
    size = [1.5, 0.3, 0.3] if wide else [0.2, 1.5, 0.3]
    return (np.linspace(-1, 1, JOINTS)[:, None] * size + rng.normal(0, 0.1, (JOINTS, 3)) + [0, 0, 3]).astype(
        np.float32
    )


@st.composite
def _bodies(draw: st.DrawFn) -> tuple[int, dict[str, Seen]]:
    """How many frames, and one to four bodies in spans of them, often end to end, with holes."""
    num_frames = draw(st.integers(1, 40))
    cuts = sorted(draw(st.lists(st.integers(0, num_frames - 1), min_size=2, max_size=3)))
    ids = draw(st.permutations(["72057594037931101", "72057594037931102", "7", "123456789012345678901"]))
    bodies = {}
    for body in ids[: draw(st.integers(1, 4))]:
        first, last = draw(
            st.sampled_from([(0, num_frames - 1), (cuts[0], cuts[1]), (cuts[1], num_frames - 1)])
        )
        holes = set(draw(st.lists(st.integers(0, num_frames - 1), max_size=4)))
        frames = [frame for frame in range(first, last + 1) if frame not in holes or frame == first]
        kind = draw(st.sampled_from(["standing", "stooping", "furniture"]))
        bodies[body] = Seen(frames, kind, draw(st.integers(0, 1000)))
    return num_frames, bodies


def _text(num_frames: int, bodies: dict[str, Seen]) -> bytes:
    rngs = {body: np.random.default_rng(seen.seed) for body, seen in bodies.items()}
    frames: list[list[Body]] = [
        [
            (body, _joints(seen.kind, frame, rngs[body]))
            for body, seen in bodies.items()
            if frame in seen.frames
        ]
        for frame in range(num_frames)
    ]
    return skeleton_text(frames)


def _agree(data: bytes, values: dict[str, Any]) -> None:
    recording = read_skeleton(data, num_joints=JOINTS)
    cleaned = clean(recording, Cleaning.model_validate(values, strict=False), persons=2)
    joints, present = reference_skeleton.clean(data, values)
    assert np.array_equal(cleaned.present, present)
    assert cleaned.joints.dtype == np.float32
    assert cleaned.joints.tobytes() == joints.tobytes()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"min_body_frames": 2},
        {"min_body_frames": 0, "spread": None},
        {"min_body_frames": 2, "gaps": "keep"},
        {"min_body_frames": 2, "empty_frames": "keep"},
        {"min_body_frames": 2, "motion_limits": [0.3, 0.8], "spread": None},
        {"min_body_frames": 2, "motion": "time", "persons": "most_moving"},
    ],
)
@settings(max_examples=60, deadline=None)
@given(drawn=_bodies())
def test_lineage_cleaning_is_that_of_the_reference(
    changes: dict[str, Any], drawn: tuple[int, dict[str, Seen]]
) -> None:
    _agree(_text(*drawn), LINEAGE | changes)


@settings(max_examples=100, deadline=None)
@given(drawn=_bodies())
def test_cleaning_of_simulated_people_is_that_of_the_reference(drawn: tuple[int, dict[str, Seen]]) -> None:
    _agree(_text(*drawn), KINESIM)


def test_the_recordings_drawn_here_reach_every_step() -> None:
    # One hand-made file with each oddity, so that agreement is about something.
    bodies = {
        "1": Seen(list(range(20)), "standing", 1),
        "72057594037931102": Seen(
            list(range(19, 38)), "standing", 2
        ),  # meets the first in one frame: the same
        "3": Seen(list(range(5, 30)), "stooping", 3),  # wide in two thirds of its frames: stays
        "4": Seen(list(range(40)), "furniture", 4),
        "5": Seen([2, 3, 4], "standing", 5),
        "6": Seen(list(range(8, 22)), "standing", 6),
        "7": Seen(list(range(7, 25)), "standing", 7),
    }
    data = _text(45, bodies)
    _agree(data, LINEAGE)
    cleaned = clean(
        read_skeleton(data, num_joints=JOINTS), Cleaning.model_validate(LINEAGE, strict=False), persons=2
    )
    assert cleaned.removed == {
        "short_bodies": 1, "spread_bodies": 1, "merged_bodies": 1, "surplus_bodies": 2, "empty_frames": 7
    }  # fmt: skip
