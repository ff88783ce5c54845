"""A dataset made of numbers, for the tests of `prepare`: importable, so that processes can read it."""

import os
import signal
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from kinemask.datasets.archives.fetch import write_source
from kinemask.datasets.protocols import odd_subjects
from kinemask.datasets.reader import AnyReader, DatasetReader, Expected, Reading, RecordedSection, Verdict
from kinemask.skeleton.clip import Clip
from kinemask.skeleton.layout import KINECT25
from kinemask.skeleton.packed import Dropped

STARTS: list[int] = []  # from which recordings was read, in this process


class GeneratedConfig(RecordedSection):
    """So many recordings: every third holds two clips, the others one."""

    recordings: int = 4
    damaged: tuple[int, ...] = ()  # recordings of which the first clip cannot be read
    same_name: dict[int, int] = {}  # noqa: RUF012 - pydantic copies it; recording -> the one it is named for
    same_content: dict[int, int] = {}  # noqa: RUF012 - recording -> the one it shows
    left_out: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    killer: int | None = None  # reading this recording kills the process
    seconds: float = 0.0  # that reading one takes
    frames: int | None = None  # of each clip; None is a few


def clips_of(number: int, config: GeneratedConfig) -> list[Clip | Dropped]:
    """The clips of a recording; they belong to subject `number`."""
    if number == config.killer:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(config.seconds)
    found: list[Clip | Dropped] = []
    for place in "ab" if number % 3 == 2 else "a":
        name = f"R{config.same_name.get(number, number):05}{place}"
        if number in config.damaged and place == "a":
            found.append(Dropped(name, f"reason{number}"))
            continue
        rng = np.random.default_rng([config.same_content.get(number, number), ord(place)])
        present = np.ones((config.frames or int(rng.integers(3, 9)), 2), np.bool_)
        present[::2, 1] = False
        joints = rng.normal(size=(len(present), 2, 25, 3)).astype(np.float32)
        joints[~present] = 0
        found.append(Clip(name, number % 2, number, joints, present, cleaned={"empty_frames": number % 2}))
    return found


def _recordings(config: GeneratedConfig, start: int) -> Iterator[int]:
    STARTS.append(start)
    return iter(range(start, config.recordings))


def _open(config: GeneratedConfig, name: str, raw: Path) -> Reading:
    return Reading(
        num_recordings=config.recordings,
        num_clips=config.recordings + config.recordings // 3,
        recordings=partial(_recordings, config),
        read=partial(clips_of, config=config),
        left_out=tuple(Dropped(name, "on the list", damaged=False) for name in config.left_out),
        missing=config.missing,
    )


def _fetch(config: GeneratedConfig, name: str, raw: Path, mirrors: Sequence[str]) -> None:
    raw.mkdir(parents=True, exist_ok=True)
    write_source(raw, content_sha256="12ab", files=[])


EXPECTED = Expected(clips=5, frames=None, parts={"xsub": (2, 3)})  # of four recordings

READER: AnyReader = DatasetReader(
    config=GeneratedConfig,
    layout=lambda config: KINECT25,
    persons=lambda config: 2,
    symmetries=lambda config: ("mirror",),
    class_names=lambda config, raw: ("sit", "stand"),
    protocols=lambda config: {"xsub": odd_subjects},
    expected=lambda config: EXPECTED if config.complete else None,
    fetch=_fetch,
    open=_open,
    check=lambda config, name, mirrors: Verdict("made here", ()),
)


def make_config(*, share: float = 0.0, one_clip_in: int = 2, **changes: object) -> GeneratedConfig:
    """A slice, so that counts are not asserted."""
    return GeneratedConfig(max_damaged_share=share, one_clip_in=one_clip_in, **changes)  # type: ignore[arg-type]
