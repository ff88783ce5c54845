"""The three streams of the field: joints, bones (joint minus parent) and motion (next frame minus this)."""

from typing import Literal

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from kinemask.skeleton.batch import Batch
from kinemask.skeleton.layout import Layout

Stream = Literal["joint", "bone", "motion"]


def bones(joints: Float[Tensor, "*batch V C"], parents: tuple[int, ...]) -> Float[Tensor, "*batch V C"]:
    """Vector from each joint's parent to the joint; zero at the root."""
    return joints - joints[..., list(parents), :]


def motion(batch: Batch) -> Float[Tensor, "N T M V C"]:
    """Next frame minus this, in metres; zero in the last frame and where a person is absent in either."""
    difference = torch.zeros_like(batch.joints)
    difference[:, :-1] = batch.joints[:, 1:] - batch.joints[:, :-1]
    both = torch.zeros_like(batch.present)
    both[:, :-1] = batch.present[:, 1:] & batch.present[:, :-1]
    return torch.where(rearrange(both, "N T M -> N T M 1 1"), difference, 0.0)


def to_stream(batch: Batch, stream: Stream, layout: Layout) -> Batch:
    """The batch as one of the streams."""
    if stream == "joint":
        return batch
    values = bones(batch.joints, layout.parents) if stream == "bone" else motion(batch)
    return Batch(values, batch.present)
