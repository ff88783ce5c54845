"""Pre-norm attention blocks (METHOD_JMM_TGT section 1)."""

import math
from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

EPSILON = 1e-5  # of every layer norm
_ALIGNED = 8  # GPUs' fused kernels want heads of a multiple of it in 16 bits


@dataclass(frozen=True)
class SplitBias:
    """A bias of the logits as a product: of a query and a key the dot product of their vectors here."""

    queries: Float[Tensor, "#R #H K E"]
    keys: Float[Tensor, "#R #H K E"]


class Attention(nn.Module):
    """Self-attention of several heads. Raises ValueError if they do not divide the width."""

    def __init__(self, *, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"{heads} heads do not divide a width of {width}")
        self.heads = heads
        self.queries_keys_values = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(
        self,
        tokens: Float[Tensor, "R K D"],
        bias: Float[Tensor, "#R #H #K K"] | None = None,
        factor: Float[Tensor, "#R #H K K"] | None = None,
        split: SplitBias | None = None,
    ) -> Float[Tensor, "R K D"]:
        """`bias` is added to the logits, -inf where a key is not to be seen; `factor` multiplies them first.

        A factor costs the fused kernel, and so does a bias that learns; a `split` one, added too, does not.
        Rows and columns are queries and keys.
        """
        query, key, value = self._project(tokens)
        if split is not None:
            assert factor is None, "a factor would multiply the split bias as well"
            mixed = _attend_split(query, key, value, bias, split)
        elif factor is None:
            mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        else:
            mixed = _shares(query, key, bias, factor).to(value.dtype) @ value
        attended: Tensor = self.out(rearrange(mixed, "R H K D -> R K (H D)"))
        return attended

    def shares(
        self,
        tokens: Float[Tensor, "R K D"],
        bias: Float[Tensor, "#R #H #K K"] | None = None,
        factor: Float[Tensor, "#R #H K K"] | None = None,
    ) -> Float[Tensor, "R H K K"]:
        """What `forward` mixes the values by: the share of each query (row) that a key (column) has.

        The fused kernel never writes them down, so they are for looking at, not for training.
        """
        query, key, _ = self._project(tokens)
        return _shares(query, key, bias, factor)

    def _project(self, tokens: Float[Tensor, "R K D"]) -> Float[Tensor, "3 R H K W"]:
        """Queries, keys and values."""
        projected: Tensor = self.queries_keys_values(tokens)
        return rearrange(projected, "R K (S H W) -> S R H K W", S=3, H=self.heads)


def _shares(
    query: Float[Tensor, "R H K W"],
    key: Float[Tensor, "R H K W"],
    bias: Float[Tensor, "#R #H #K K"] | None,
    factor: Float[Tensor, "#R #H K K"] | None,
) -> Float[Tensor, "R H K K"]:
    logits = torch.einsum("rhqd,rhkd->rhqk", query, key) / math.sqrt(query.shape[-1])
    logits = logits if factor is None else logits * factor
    return torch.softmax(logits if bias is None else logits + bias, dim=-1)


def _attend_split(
    query: Float[Tensor, "R H K D"],
    key: Float[Tensor, "R H K D"],
    value: Float[Tensor, "R H K D"],
    bias: Float[Tensor, "#R #H #K K"] | None,
    split: SplitBias,
) -> Float[Tensor, "R H K D"]:
    """The fused kernel on queries and keys made wider by the split bias: it passes that bias its gradient."""
    *shape, size = query.shape
    root = math.sqrt(size)
    wider = torch.cat([query, (split.queries * root).expand(*shape, -1)], dim=-1)
    keys = torch.cat([key, split.keys.expand(*shape, -1)], dim=-1)
    unused = -wider.shape[-1] % _ALIGNED
    mixed = functional.scaled_dot_product_attention(
        functional.pad(wider, (0, unused)),
        functional.pad(keys, (0, unused)),
        functional.pad(value, (0, wider.shape[-1] + unused - size)),  # the kernel wants all three as wide
        attn_mask=bias,
        scale=1 / root,
    )
    return mixed[..., :size]


class Block(nn.Module):
    """Attention, then two layers with a GELU, each behind a norm and added to what it was fed.

    `drop_path` is the probability that one of the two is left out for a row, in training only. It is drawn
    from torch's global generator.
    """

    def __init__(self, *, width: int, heads: int, mlp_ratio: int) -> None:
        super().__init__()
        self.drop_path = 0.0
        self.attention_norm = nn.LayerNorm(width, eps=EPSILON)
        self.attention = Attention(width=width, heads=heads)
        self.mlp_norm = nn.LayerNorm(width, eps=EPSILON)
        self.mlp = nn.Sequential(
            nn.Linear(width, mlp_ratio * width), nn.GELU(), nn.Linear(mlp_ratio * width, width)
        )

    def forward(
        self,
        tokens: Float[Tensor, "R K D"],
        bias: Float[Tensor, "#R #H #K K"] | None = None,
        factor: Float[Tensor, "#R #H K K"] | None = None,
        split: SplitBias | None = None,
    ) -> Float[Tensor, "R K D"]:
        """The tokens after the block; `bias`, `factor` and `split` as in `Attention`."""
        tokens = tokens + self._kept(self.attention(self.attention_norm(tokens), bias, factor, split))
        return tokens + self._kept(self.mlp(self.mlp_norm(tokens)))

    def _kept(self, change: Float[Tensor, "R K D"]) -> Float[Tensor, "R K D"]:
        if not self.training or self.drop_path == 0:
            return change
        kept = torch.rand(len(change), 1, 1, device=change.device) >= self.drop_path
        return change * kept / (1 - self.drop_path)


def compile_blocks(module: nn.Module, *, backend: str = "inductor") -> None:
    """Have every block in `module` compiled when it first runs; names and values of weights stay as they are.

    One block at a time, as they are alike: the whole step would compile for longer, and break at the draws.
    """
    for block in module.modules():
        if isinstance(block, Block):
            block.compile(backend=backend)


def init_linear(module: nn.Module) -> None:
    """Xavier-uniform weights and zero biases for every linear layer in it; q, k and v count as one layer."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
