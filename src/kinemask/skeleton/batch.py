"""Clips as tensors: many of unequal length end to end, or a batch of equal length."""

from dataclasses import dataclass

from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Clips of one length. `present` is False for absent persons and frames; their joints are zero."""

    joints: Float[Tensor, "N T M V C"]  # metres
    present: Bool[Tensor, "N T M"]


@dataclass(frozen=True)
class RaggedClips:
    """Clips of any length, end to end along F; clip n is frames offsets[n] .. offsets[n] + lengths[n] - 1."""

    joints: Float[Tensor, "F M V C"]  # metres
    present: Bool[Tensor, "F M"]
    offsets: Int[Tensor, " N"]
    lengths: Int[Tensor, " N"]

    def __len__(self) -> int:
        return len(self.offsets)

    def select(self, clips: Int[Tensor, " K"]) -> "RaggedClips":
        """The named clips, without copying their frames."""
        return RaggedClips(self.joints, self.present, self.offsets[clips], self.lengths[clips])
