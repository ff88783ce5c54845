"""Draw things without replacement, each by its weight: those with the highest Gumbel scores (METHOD B3.5)."""

from decimal import ROUND_HALF_UP, Decimal

import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

MARGIN = 1e-10  # uniform draws stay so far from 0 and 1; float32 has no number that near to 1


def rounded_share(ratio: float, count: int) -> int:
    """round(ratio count), .5 up, of the ratio as it is written: 0.58 of 25 is 14.5, in binary it is less."""
    return int((Decimal(str(ratio)) * count).quantize(Decimal(1), ROUND_HALF_UP))


def uniform_draws(*shape: int, generator: torch.Generator) -> Float64[Tensor, "..."]:
    """Numbers from U(0, 1), neither 0 nor 1, on the device of the generator."""
    draws = torch.rand(shape, dtype=torch.float64, generator=generator, device=generator.device)
    return draws.clamp(MARGIN, 1 - MARGIN)


def gumbel_scores(
    weights: Float[Tensor, "*batch U"], draws: Float64[Tensor, "*batch U"]
) -> Float64[Tensor, "*batch U"]:
    """log q + G with G = -log(-log U). Weights need not sum to one; those of 0 come last, in any order."""
    smallest = torch.finfo(torch.float64).tiny
    return weights.double().clamp(min=smallest).log() - torch.log(-torch.log(draws))


def highest(scores: Float[Tensor, "*batch U"], count: int) -> Bool[Tensor, "*batch U"]:
    """True for the `count` highest of each row; of equal ones the first, which `topk` does not promise."""
    order = scores.sort(dim=-1, descending=True, stable=True).indices
    return torch.zeros_like(scores, dtype=torch.bool).scatter_(-1, order[..., :count], True)


def draw_any(
    weights: Float[Tensor, "*batch U"], *, count: int, generator: torch.Generator
) -> Bool[Tensor, "*batch U"]:
    """True for `count` of each row, all different (trap E18)."""
    return highest(gumbel_scores(weights, uniform_draws(*weights.shape, generator=generator)), count)


def draw_connected(
    weights: Float[Tensor, "*batch U"],
    *,
    count: int,
    neighbours: Bool[Tensor, "U U"],
    generator: torch.Generator,
) -> Bool[Tensor, "*batch U"]:
    """True for `count` of each row; each after the first neighbours an earlier one, as long as one is left.

    Every turn has its own noise. With that of the turns before, what has just come into reach would be drawn
    more often than its weight says: what was in reach has lost already.
    """
    chosen = torch.zeros_like(weights, dtype=torch.bool)
    for _ in range(count):
        reached = (chosen[..., None, :] & neighbours).any(dim=-1) & ~chosen
        allowed = torch.where(reached.any(dim=-1, keepdim=True), reached, ~chosen)
        scores = gumbel_scores(weights, uniform_draws(*weights.shape, generator=generator))
        chosen = chosen | highest(scores.masked_fill(~allowed, -torch.inf), 1)
    return chosen
