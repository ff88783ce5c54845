"""Simulated people to train on: other bodies and performances at no cost, without labels."""

import torch
from pydantic import Field
from torch.nn import functional

from kinemask.section import Section
from kinemask.skeleton.batch import RaggedClips


class SimulatedConfig(Section):
    """The clips that a simulated dataset of params.yaml would have with this seed and so many people."""

    dataset: str
    seed: int = Field(ge=0)
    subjects: int = Field(ge=2, le=999)
    with_real: bool  # the training clips of the benchmark are trained on too


def add_clips(clips: RaggedClips | None, more: RaggedClips, *, persons: int) -> RaggedClips:
    """`clips`, if any, then `more` with as many persons: its first ones, or absent ones added."""
    missing = max(0, persons - more.present.shape[1])
    joints = functional.pad(more.joints[:, :persons], (0, 0, 0, 0, 0, missing))
    present = functional.pad(more.present[:, :persons], (0, missing))
    if clips is None:
        return RaggedClips(joints, present, more.offsets, more.lengths)
    return RaggedClips(
        torch.cat([clips.joints, joints]),
        torch.cat([clips.present, present]),
        torch.cat([clips.offsets, more.offsets + len(clips.joints)]),
        torch.cat([clips.lengths, more.lengths]),
    )
