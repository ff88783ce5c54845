"""No encoder at all: positions and frame differences, the floor every learned feature must pass."""

from typing import ClassVar, Literal

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from kinemask.encoders.base import Encoded, Encoder
from kinemask.section import Section
from kinemask.skeleton.batch import Batch
from kinemask.skeleton.streams import motion


class CoordinatesConfig(Section):
    """Nothing to choose: the length comes with the clips."""

    name: Literal["coordinates"]

    def misfit(self, num_frames: int) -> str | None:
        """Clips of every length will do."""
        return None

    def most_persons(self, built_for: int) -> int | None:
        """Any number: nothing is trained, so it is built for whatever it is fed."""
        return None


class CoordinatesEncoder(Encoder):
    """Per frame, all coordinates and their change to the next frame; absent persons are zero."""

    poolings: ClassVar[tuple[str, ...]] = ("flat",)

    def __init__(
        self, *, num_persons: int, num_joints: int, num_frames: int, num_coordinates: int = 3
    ) -> None:
        super().__init__()
        self.width = 2 * num_persons * num_joints * num_coordinates * num_frames

    def forward(self, batch: Batch) -> Encoded:
        """(N, T, 2 M V C)."""
        both = torch.stack([batch.joints, motion(batch)])
        return Encoded(rearrange(both, "S N T M V C -> N T (S M V C)"), batch.present.any(dim=2))

    def pool(self, encoded: Encoded, pooling: str) -> Float[Tensor, "N P"]:
        """`flat`: all frames side by side."""
        if pooling != "flat":
            raise ValueError(f"coordinates have no pooling {pooling!r}; they have flat")
        return rearrange(encoded.sequence, "N T D -> N (T D)")

    def pooled_width(self, pooling: str) -> int:
        """2 T M V C."""
        return self.width
