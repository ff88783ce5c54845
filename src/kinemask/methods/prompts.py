"""Prompts at the output of an encoder: they tell the task, as in PCM3 (METHOD_MTMC B4)."""

import math

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

SHARE = 16  # of the feature's channels, the part that a prompt changes in each half of it


class OutputPrompt(nn.Module):
    """A learned vector added to a stretch of consecutive channels, which lies elsewhere for each clip.

    The feature has two halves, one of each direction or twin of the encoder. A sixteenth of its width,
    rounded up, is changed in each half, at the same place, by a vector of its own: 2 x 128 of 2048 channels.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        if width % 2:
            raise ValueError(f"a feature with a prompt has two halves of one width: found width {width}")
        stretch = math.ceil(width / SHARE)
        self.vectors = nn.Parameter(torch.empty(2, stretch))
        # Xavier's bound for a matrix of one row, as PCM3 starts it.
        bound = math.sqrt(6 / (1 + 2 * stretch))
        nn.init.uniform_(self.vectors, -bound, bound)

    def forward(
        self, features: Float[Tensor, "N *frames D"], generator: torch.Generator
    ) -> Float[Tensor, "N *frames D"]:
        """The features with the prompt: one draw a clip, the same place in all of its frames."""
        count, width = len(features), features.shape[-1]
        half, stretch = width // 2, self.vectors.shape[1]
        first = torch.randint(half - stretch + 1, (count, 1), generator=generator, device=features.device)
        channels = first + torch.arange(stretch, device=features.device)  # (N, stretch), of either half
        channels = torch.cat([channels, channels + half], dim=1)
        values = rearrange(self.vectors, "H S -> 1 (H S)").expand(count, -1)
        added = features.new_zeros(count, width).scatter(1, channels, values)
        return features + rearrange(added, "N D -> N 1 D" if features.ndim == 3 else "N D -> N D")
