"""A teacher that follows a student by averaging, weights and buffers alike (trap E2)."""

import copy
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from kinemask.encoders.base import Encoder
from kinemask.skeleton.batch import Batch

M = TypeVar("M", bound=nn.Module)


def make_teacher(student: M) -> M:
    """A copy that no gradient reaches."""
    return copy.deepcopy(student).requires_grad_(False)


@torch.no_grad()
def move_teacher(teacher: nn.Module, student: nn.Module, *, momentum: float) -> None:
    """teacher <- momentum teacher + (1 - momentum) student; buffers that are not floats are copied."""
    ours, theirs = teacher.state_dict(keep_vars=True), student.state_dict(keep_vars=True)
    for name, value in ours.items():
        if value.is_floating_point():
            value.lerp_(theirs[name], 1 - momentum)
        else:
            value.copy_(theirs[name])


@torch.no_grad()
def keys_of(teacher: nn.ModuleList, batch: Batch) -> dict[str, Float[Tensor, "N P"]]:
    """The keys of clips, of length one, by a teacher of an encoder and its projectors, by their poolings."""
    encoder, projectors = teacher
    assert isinstance(encoder, Encoder)
    assert isinstance(projectors, nn.ModuleDict)
    # Its running statistics move by averaging only (E2).
    (encoded,) = encoder.encode_views([batch], prompts=[None], clean=-1)
    return {
        pooling: functional.normalize(projector(encoder.pool(encoded, pooling)).float(), dim=1)
        for pooling, projector in projectors.items()
    }
