"""Random draws for a batch of clips: every clip has its own, on the generator's device."""

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor

from kinemask.section import Section


class Chance(Section):
    """A change that is done to each clip with a probability."""

    probability: float = Field(ge=0, le=1)


def chosen(count: int, probability: float, generator: torch.Generator) -> Bool[Tensor, " N"]:
    """True for each clip with the given probability."""
    return torch.rand(count, generator=generator, device=generator.device) < probability


def uniform(*shape: int, generator: torch.Generator) -> Float[Tensor, "..."]:
    """Numbers from U(-1, 1)."""
    return torch.rand(shape, generator=generator, device=generator.device) * 2 - 1


def within(count: int, low: float, high: float, generator: torch.Generator) -> Float[Tensor, " N"]:
    """Numbers from U(low, high)."""
    return low + torch.rand(count, generator=generator, device=generator.device) * (high - low)


def shuffled(rows: int, columns: int, generator: torch.Generator) -> Int[Tensor, "rows columns"]:
    """The numbers 0 .. columns - 1 in each row, in an order of its own."""
    return torch.rand(rows, columns, generator=generator, device=generator.device).argsort(dim=1)
