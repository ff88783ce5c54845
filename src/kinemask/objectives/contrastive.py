"""Contrast of a query with its key against a queue of other clips' keys (METHOD_MTMC B6)."""

import torch
from einops import einsum
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


def info_nce(
    query: Float[Tensor, "N D"], key: Float[Tensor, "N D"], queue: Float[Tensor, "Q D"], *, temperature: float
) -> Float[Tensor, ""]:
    """-log of the key's share among key and queue, mean over the batch. All vectors have length one."""
    positive = einsum(query, key, "N D, N D -> N")
    negative = einsum(query, queue, "N D, Q D -> N Q")
    logits = torch.cat([positive[:, None], negative], dim=1) / temperature
    target = torch.zeros(len(query), dtype=torch.long, device=query.device)
    return functional.cross_entropy(logits, target)
