"""Batch norm that knows who is there."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn


class MaskedBatchNorm(nn.Module):
    """Standardises every channel by statistics of present entries only; absent ones are zero.

    In training the statistics are the batch's. The running ones, used in evaluation, move only where the
    caller says so, so that damaged views leave no trace in them (trap E3).
    """

    def __init__(self, *, width: int, momentum: float = 0.1, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.momentum, self.epsilon = momentum, epsilon
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))
        self.mean: Tensor
        self.variance: Tensor
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("variance", torch.ones(width))

    def forward(
        self, frames: Float[Tensor, "N T D"], present: Bool[Tensor, "N T #D"], *, moves_statistics: bool
    ) -> Float[Tensor, "N T D"]:
        """The standardised frames, float32: in less, sums over a batch would lose what they add."""
        frames = frames.float()
        mean, variance = self.mean, self.variance
        if self.training:
            count = present.sum(dim=(0, 1)).clamp(min=1)
            mean = (frames * present).sum(dim=(0, 1)) / count
            variance = (((frames - mean) ** 2) * present).sum(dim=(0, 1)) / count
            if moves_statistics:
                self._move(mean, variance, present.any(dim=1).any(dim=0))
        scaled = (frames - mean) * torch.rsqrt(variance + self.epsilon) * self.weight + self.bias
        return torch.where(present, scaled, 0.0)

    @torch.no_grad()
    def _move(
        self, mean: Float[Tensor, " D"], variance: Float[Tensor, " D"], seen: Bool[Tensor, " #D"]
    ) -> None:
        """Towards the batch's statistics, but for channels of which the batch shows nothing."""
        for running, new in ((self.mean, mean), (self.variance, variance)):
            running.copy_(torch.where(seen, running.lerp(new, self.momentum), running))
