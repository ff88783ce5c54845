"""What every encoder offers: a sequence of features and named ways to pool it."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Bool, Float
from torch import Tensor, nn

from kinemask.skeleton.batch import Batch


@dataclass(frozen=True)
class Encoded:
    """Features per frame. `seen` is True where at least one person was present in the frame."""

    sequence: Float[Tensor, "N T D"]
    seen: Bool[Tensor, "N T"]


class Encoder(nn.Module, ABC):
    """Maps a batch of clips to features; features of frames without anyone are never pooled."""

    poolings: ClassVar[tuple[str, ...]]

    @abstractmethod
    def forward(self, batch: Batch) -> Encoded:
        """Features of every frame."""

    @abstractmethod
    def pool(self, encoded: Encoded, pooling: str) -> Float[Tensor, "N P"]:
        """One vector a clip. `pooling` is one of `poolings`."""

    @abstractmethod
    def pooled_width(self, pooling: str) -> int:
        """P of that pooling."""
