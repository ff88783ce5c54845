"""Hide tokens by how their joints move and change their manner of moving (METHOD_JMM_TGT section 2).

A token holds the coordinates of one joint over some frames: frame-major, then xyz. A row is one person.
"""

from decimal import Decimal
from typing import Literal

import torch
from einops import rearrange, reduce
from jaxtyping import Bool, Float, Float64, Int
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from kinemask.masking.draws import gumbel_scores, rounded_share, uniform_draws
from kinemask.section import Section

NUM_COORDINATES = 3
TINY = 1e-10  # what section 2 adds to denominators


class JointMotionMaskConfig(Section):
    """A share of a person's tokens is hidden, those that move more often than others.

    `none`: displacement alone, as MAMP. `literal`: plus the published similarity, which depends on units and
    place. `correlation`: displacement and change of movement, each from 0 to 1. `uniform`: any tokens.
    """

    ratio: float = Field(gt=0, lt=1)  # hidden share of the tokens
    rounding: Literal["round", "floor"]  # of the visible: .5 up, or cut off in binary as published
    similarity: Literal["none", "literal", "correlation", "uniform"]
    similarity_share: float = Field(ge=0, le=1)  # g, of `correlation` only: the weight of displacement
    temperature: float = Field(gt=0)  # tau

    def num_visible(self, num_tokens: int) -> int:
        """K: how many of a person's tokens the encoder sees."""
        if self.rounding == "floor":
            return int(num_tokens * (1 - self.ratio))  # 74 of 750 at 0.9: in binary 1 - 0.9 is less than 0.1
        return rounded_share(float(1 - Decimal(str(self.ratio))), num_tokens)

    def misfit(self, num_tokens: int) -> str | None:
        """Why so many tokens cannot be masked, or None if they can."""
        visible = self.num_visible(num_tokens)
        if 0 < visible < num_tokens:
            return None
        return (
            f"mask.ratio {self.ratio} leaves {visible} of {num_tokens} tokens visible: "
            "at least one must be visible and one hidden"
        )


@torch.no_grad()
def hiding_weights(
    tokens: Float[Tensor, "R P V F"],
    *,
    config: JointMotionMaskConfig,
    present: Bool[Tensor, "R P"] | None = None,
) -> Float[Tensor, "R P V"]:
    """W: how much there is to guess at each token, from the one before. `tokens` in metres.

    Every person counts by itself. A time without a present one before it has the weight of the next: the
    first is a copy of the second. Absent times weigh nothing; without `present`, which is for all frames of
    a time, there are none. One time alone: ones, as for `uniform`.
    """
    if config.similarity == "uniform" or tokens.shape[1] == 1:
        return torch.ones_like(tokens[..., 0])
    if present is None:
        present = tokens.new_ones(tokens.shape[:2], dtype=torch.bool)
    both = rearrange(present[:, 1:] & present[:, :-1], "R P -> R P 1")
    # What is absent may hold anything: it is replaced before the largest displacement is looked for.
    change = torch.where(both, displacement(tokens), 0.0)
    if config.similarity == "literal":
        change = change + literal_similarity(tokens)
    elif config.similarity == "correlation":
        share = config.similarity_share
        largest = change.amax(dim=(1, 2), keepdim=True).clamp(min=torch.finfo(change.dtype).tiny)
        change = share * change / largest + (1 - share) * change_of_movement(tokens)
    change = torch.where(both, change, 0.0)
    from_last, to_next = functional.pad(change, (0, 0, 1, 0)), functional.pad(change, (0, 0, 0, 1))
    return torch.where(functional.pad(both, (0, 0, 1, 0)), from_last, to_next)


def displacement(tokens: Float[Tensor, "R P V F"]) -> Float[Tensor, "R P-1 V"]:
    """D: mean absolute difference from the token before, in metres."""
    return reduce((tokens[:, 1:] - tokens[:, :-1]).abs(), "R P V F -> R P V", "mean")


def literal_similarity(tokens: Float[Tensor, "R P V F"]) -> Float[Tensor, "R P-1 V"]:
    """Mean of S as published: at most 1 / F, reached where a token and the one before spread alike."""
    spread = tokens - tokens.mean(dim=-1, keepdim=True)
    size: Tensor = torch.linalg.vector_norm(spread, dim=-1)
    product = reduce((spread[:, 1:] * spread[:, :-1]).abs(), "R P V F -> R P V", "mean")
    return product / (size[:, 1:] * size[:, :-1] + TINY)


def change_of_movement(tokens: Float[Tensor, "R P V F"]) -> Float[Tensor, "R P-1 V"]:
    """(1 - r) / 2 with r the correlation of a token's path with that of the one before, place taken out.

    0: goes on as before; 1: goes back. 1/2 where a joint stands still: noise, however small, has r about 0.
    """
    places = rearrange(tokens, "R P V (frames C) -> R P V frames C", C=NUM_COORDINATES)
    # From the first frame, which makes the path of a joint at rest zero exactly, and not rounding.
    path = places - places[..., :1, :]
    path = rearrange(path - path.mean(dim=-2, keepdim=True), "R P V frames C -> R P V (frames C)")
    direction = functional.normalize(path, dim=-1)
    correlation = (direction[:, 1:] * direction[:, :-1]).sum(dim=-1)
    return (1 - correlation) / 2


def hiding_chances(weights: Float[Tensor, "R P V"], *, temperature: float) -> Float64[Tensor, "R L"]:
    """Softmax over a person's tokens of W / (tau max W): odds are at most e^(1/tau). Rows sum to one."""
    of_person = rearrange(weights.double(), "R P V -> R (P V)")
    return (of_person / (temperature * of_person.amax(dim=1, keepdim=True) + TINY)).softmax(dim=1)


@torch.no_grad()
def draw_visible(
    tokens: Float[Tensor, "R P V F"],
    *,
    config: JointMotionMaskConfig,
    generator: torch.Generator,
    present: Bool[Tensor, "R P"] | None = None,
) -> Int[Tensor, "R K"]:
    """Places p V + j of the tokens that stay visible, ascending: all but the hidden, drawn by their weights.

    The generator is on the device of the tokens. Raises ValueError if the mask does not fit them.
    """
    num_tokens = tokens.shape[1] * tokens.shape[2]
    if problem := config.misfit(num_tokens):
        raise ValueError(problem)
    weights = hiding_weights(tokens, config=config, present=present)
    chances = hiding_chances(weights, temperature=config.temperature)
    scores = gumbel_scores(chances, uniform_draws(*chances.shape, generator=generator))
    lowest = scores.topk(config.num_visible(num_tokens), dim=1, largest=False, sorted=False).indices
    return lowest.sort(dim=1).values
