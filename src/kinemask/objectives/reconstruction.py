"""How far a prediction is off at what was hidden; what was visible never counts (METHOD_MTMC B6)."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def masked_error(
    predicted: Float[Tensor, "*shape"], target: Float[Tensor, "*shape"], hidden: Bool[Tensor, "*shape"]
) -> Float[Tensor, ""]:
    """Mean squared error over the hidden entries, in float32; zero if nothing is hidden."""
    squared = torch.where(hidden, (predicted.float() - target.float()) ** 2, 0.0)
    return squared.sum() / hidden.sum().clamp(min=1)
