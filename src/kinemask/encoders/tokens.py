"""Persons as sequences of tokens: a few frames of one joint each (METHOD_JMM_TGT section 1)."""

from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from kinemask.skeleton.batch import Batch


def to_tokens(joints: Float[Tensor, "R T V C"], *, frames: int) -> Float[Tensor, "R P V F"]:
    """P = T / frames times; the F = frames x C numbers of a token are frame after frame, in each x, y, z."""
    return rearrange(joints, "R (P frames) V C -> R P V (frames C)", frames=frames)


def from_tokens(tokens: Float[Tensor, "R P V F"], *, frames: int) -> Float[Tensor, "R T V C"]:
    """The frames of which `to_tokens` made the tokens."""
    return rearrange(tokens, "R P V (frames C) -> R (P frames) V C", frames=frames)


@dataclass(frozen=True)
class PersonRows:
    """The persons of a batch as R rows, each a sequence of its own.

    On the CPU they are those who are present in some frame. Elsewhere they are all N x M, as finding out who
    is there would wait for the device: whoever is absent must be kept out by `present`.
    """

    index: Int[Tensor, " R"]  # number of the clip x M + number of the person
    joints: Float[Tensor, "R T V C"]  # what the encoder is fed
    present: Bool[Tensor, "R P"]  # in any of the frames of that time
    complete: Bool[Tensor, "R P"]  # in all of them: where not, frames without a place are zero
    num_clips: int  # N
    num_persons: int  # M

    def spread(self, values: Shaped[Tensor, "R ..."]) -> Shaped[Tensor, "N M ..."]:
        """What was computed for each row, by clip and person; zero or False for persons without a row."""
        whole = values.new_zeros(self.num_clips * self.num_persons, *values.shape[1:])
        whole = whole.index_copy(0, self.index, values)
        return rearrange(whole, "(N M) ... -> N M ...", M=self.num_persons)


def person_rows(batch: Batch, *, frames: int) -> PersonRows:
    """The rows of a batch, `frames` frames to a time. Raises ValueError if they do not divide the clips."""
    num_clips, num_frames, num_persons = batch.present.shape
    if num_frames % frames:
        raise ValueError(f"clips of {num_frames} frames do not divide into tokens of {frames}")
    joints = rearrange(batch.joints, "N T M V C -> (N M) T V C")
    of_times = rearrange(batch.present, "N (P frames) M -> (N M) P frames", frames=frames)
    present, complete = of_times.any(dim=-1), of_times.all(dim=-1)
    index = torch.arange(len(present), device=present.device)
    if present.device.type == "cpu":
        index = index[present.any(dim=1)]
        joints, present, complete = joints[index], present[index], complete[index]
    return PersonRows(index, joints, present, complete, num_clips, num_persons)
