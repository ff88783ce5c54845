"""From the bodies a sensor tracked to the persons of a clip: spurious bodies and empty frames go away.

Lineage: get_raw_skes_data.py and get_raw_denoised_data.py of CTR-GCN and MAMP (DATASETS.md section 2).
"""

from collections import Counter
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float32
from pydantic import Field

from kinemask.datasets.raw_skeleton import Recording, Track
from kinemask.datasets.reader import DamagedError
from kinemask.section import Section


class Cleaning(Section):
    """How recordings with several tracked bodies are cleaned."""

    min_body_frames: int = Field(ge=0)  # a body seen in at most so many frames goes (the lineage takes 11)
    empty_frames: Literal["drop", "keep"]  # CTR-GCN, MAMP and pyskl drop them, ST-GCN keeps them


@dataclass(frozen=True)
class Cleaned:
    """A clip's arrays, and how many bodies and frames went away, by kind."""

    joints: Float32[np.ndarray, "T M V C"]
    present: Bool[np.ndarray, "T M"]
    removed: dict[str, int]


def clean(recording: Recording, config: Cleaning, *, persons: int) -> Cleaned:
    """The persons of a recording, at most `persons`, the one that moves most first. Absent ones are zero.

    Raises DamagedError if no body was seen at all.
    """
    if not recording.bodies:
        raise DamagedError("no body in any frame")
    lasting = drop_short_bodies(recording.bodies, config.min_body_frames)
    kept = most_moving(lasting, persons)
    num_joints = kept[0].joints.shape[1]
    joints = np.zeros((recording.num_frames, persons, num_joints, 3), np.float32)
    present = np.zeros((recording.num_frames, persons), np.bool_)
    for person, track in enumerate(kept):
        joints[track.frames, person] = track.joints
        present[track.frames, person] = True
    removed = Counter(
        short_bodies=len(recording.bodies) - len(lasting),
        still_bodies=len(lasting) - len(kept),
    )
    if config.empty_frames == "drop":
        seen = present.any(axis=1)
        removed["empty_frames"] = int((~seen).sum())
        joints, present = joints[seen], present[seen]
    return Cleaned(joints, present, {kind: num for kind, num in removed.items() if num})


def drop_short_bodies(bodies: dict[str, Track], min_body_frames: int) -> dict[str, Track]:
    """The bodies seen in more than `min_body_frames` frames; the one seen longest stays in any case."""
    longest = max(bodies, key=lambda body: len(bodies[body].frames))
    return {
        body: track
        for body, track in bodies.items()
        if body == longest or len(track.frames) > min_body_frames
    }


def most_moving(bodies: dict[str, Track], num: int) -> list[Track]:
    """At most `num` bodies, the one that moves most first; of equals, the one that came first in the file."""
    return sorted(bodies.values(), key=lambda track: -motion(track.joints))[:num]


def motion(joints: Float32[np.ndarray, "T V C"]) -> float:
    """How much a body moves: variance of its coordinates over time, summed over x y z, mean over joints, m^2.

    The lineage takes the variance over frames and joints together, which counts the size of a standing body,
    or of a piece of furniture, as motion; ours is zero for both.
    """
    return float(joints.astype(np.float64).var(axis=0).sum(axis=-1).mean())
