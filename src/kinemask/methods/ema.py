"""A teacher that follows a student by averaging, weights and buffers alike (trap E2)."""

import copy
from typing import TypeVar

import torch
from torch import nn

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
