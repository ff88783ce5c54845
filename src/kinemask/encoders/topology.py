"""What the skeleton tells attention: how many bones lie between two joints (METHOD_JMM_TGT section 3)."""

from typing import Literal

import torch
from einops import rearrange, repeat
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from kinemask.encoders.attention import SplitBias
from kinemask.encoders.table import Table

Topology = Literal["hops", "off", "adjacency"]
Hops = tuple[tuple[int, ...], ...]  # V x V, of `Layout.hops`


class HopBias(nn.Module):
    """A learned number for each head and number of hops, zero at the start.

    More hops than `max_hops` count as so many.
    """

    def __init__(self, *, hops: Hops, heads: int, max_hops: int) -> None:
        super().__init__()
        self.table = Table(torch.zeros(heads, max_hops + 1))
        self.hops: Tensor
        self.register_buffer("hops", torch.tensor(hops).clamp(max=max_hops), persistent=False)

    def forward(self) -> Float[Tensor, "H V V"]:
        """What a query at one joint adds to the logit of a key at another."""
        return self.table[:, self.hops]


def neighbours(hops: Hops) -> Float[Tensor, "1 V V"]:
    """A + A^T + I: 1 between the ends of a bone and for a joint and itself, 0 elsewhere."""
    return (torch.tensor([hops]) <= 1).float()


def shown_joints(places: Int[Tensor, "R K"], *, num_joints: int) -> Float[Tensor, "R K V"]:
    """1 at the joint of each token; a place is time x V + joint."""
    # Matrix products with it are gathers whose gradient is not a race for a few numbers.
    return functional.one_hot(places % num_joints, num_joints).float()


def between_tokens(
    values: Float[Tensor, "H V V"], shown: Float[Tensor, "R K V"] | None, *, num_times: int
) -> Float[Tensor, "#R H L L"]:
    """Values between joints as values between tokens: those shown in each row, or all, the same for all rows.

    L is K of the tokens that are shown, or P x V.
    """
    if shown is None:
        return repeat(values, "H V W -> 1 H (P V) (Q W)", P=num_times, Q=num_times)
    of_queries = rearrange(shown, "R K V -> R 1 K V") @ values
    return of_queries @ rearrange(shown, "R K V -> R 1 V K")


def split_between_tokens(values: Float[Tensor, "H V V"], *, num_times: int) -> SplitBias:
    """The same between all L = P x V tokens as a product: a token's row of values, and 1 at its joint."""
    at_joint = torch.eye(values.shape[-1], dtype=values.dtype, device=values.device)
    return SplitBias(
        repeat(values, "H V W -> 1 H (P V) W", P=num_times),
        repeat(at_joint, "V W -> 1 1 (P V) W", P=num_times),
    )
