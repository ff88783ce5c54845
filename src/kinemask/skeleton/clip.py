"""One recording as read, before it becomes part of a packed dataset."""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float32

# Changes of a clip that may keep its class: left and right exchanged, or played backwards.
Symmetry = Literal["mirror", "reversal"]

_MINUS_ZERO = np.iinfo(np.int32).min  # the bits of -0.0, below those of all other numbers


@dataclass(frozen=True)
class Clip:
    """A recording. `joints` are metres in camera space (y up, z away from it); absent persons are zero."""

    name: str
    label: int
    subject: int
    joints: Float32[np.ndarray, "T M V C"]
    present: Bool[np.ndarray, "T M"]
    camera: int = 1
    setup: int = 1
    replication: int = 1
    traits: dict[str, str] = field(default_factory=dict)  # what a protocol of this dataset needs beyond these
    cleaned: dict[str, int] = field(default_factory=dict)  # what cleaning took out: kind -> how many

    def __post_init__(self) -> None:
        # -0.0 becomes 0.0: clips of equal numbers are equal bytes, and have one hash.
        if self.joints.size and self.joints.view(np.int32).min() == _MINUS_ZERO:
            object.__setattr__(self, "joints", self.joints + np.float32(0))

    def why_unfit(self, persons: int, num_joints: int) -> str | None:
        """What is wrong with the arrays, for a data set of so many persons and joints; None if nothing is."""
        expected = (len(self.joints), persons, num_joints, 3)
        if self.joints.shape != expected or self.present.shape != expected[:2]:
            found = f"{self.joints.shape} and {self.present.shape}"
            return f"joints and present are {found}, expected (T, M, V, C) = {expected}"
        if len(self.joints) == 0:
            return "a clip needs at least one frame"
        if not np.isfinite(self.joints).all():
            return "coordinates must be finite"
        if not self.present.all() and self.joints[~self.present].any():
            return "joints of absent persons must be zero"
        return None

    @cached_property
    def content_sha256(self) -> str:
        """What the clip shows, whatever it is called: over its shape, who is present and their joints."""
        return content_sha256(self.joints, self.present)


def content_sha256(joints: Float32[np.ndarray, "T M V C"], present: Bool[np.ndarray, "T M"]) -> str:
    """The hash behind `Clip.content_sha256`, for arrays that are on disk."""
    digest = hashlib.sha256(repr(joints.shape).encode())
    digest.update(np.ascontiguousarray(present).data)
    # Joints of absent persons are zero, which `present` has said.
    held = joints if present.all() else joints[present]
    digest.update(np.ascontiguousarray(held, dtype="<f4").data)
    return digest.hexdigest()
