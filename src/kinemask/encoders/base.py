"""What every encoder offers: a sequence of features and named ways to pool it."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from kinemask.encoders.precision import Network
from kinemask.skeleton.batch import Batch


@dataclass(frozen=True)
class Encoded:
    """Features, float32, per frame or per `Encoder.stride` frames: T counts those.

    `seen` is True where at least one person was present.
    """

    sequence: Float[Tensor, "N T D"]
    seen: Bool[Tensor, "N T"]


class Encoder(Network, ABC):
    """Maps a batch of clips to features; features of frames without anyone are never pooled."""

    poolings: ClassVar[tuple[str, ...]]
    stride: int = 1  # frames that an element of the sequence stands for

    @abstractmethod
    def forward(self, batch: Batch) -> Encoded:
        """Features of all frames. In training the batch counts as clean, see `encode_views`."""

    @abstractmethod
    def pool(self, encoded: Encoded, pooling: str) -> Float[Tensor, "N P"]:
        """One vector a clip. `pooling` is one of `poolings`."""

    @abstractmethod
    def pooled_width(self, pooling: str) -> int:
        """P of that pooling."""

    def layer_groups(self) -> list[list[nn.Parameter]]:
        """The parameters by layer, from input to output; what is in no group counts as behind the last."""
        return [list(self.parameters())]

    def encode_views(
        self, views: Sequence[Batch], *, prompts: Sequence[Float[Tensor, "M V C"] | None], clean: int
    ) -> Sequence[Encoded]:
        """Features of several views in one pass; views may differ in their number of clips.

        A prompt is learned and added to what all clips of its view are fed; this encoder takes none. `clean`
        is the number of the view that is not damaged: running statistics move by that one only (trap E3), and
        by none if it is -1. This encoder has no such statistics.
        """
        self.refuse_prompts(prompts)
        check_views(views, prompts=prompts, clean=clean)
        joined: Encoded = self(
            Batch(torch.cat([view.joints for view in views]), torch.cat([view.present for view in views]))
        )
        counts = [len(view.joints) for view in views]
        parts = zip(torch.split(joined.sequence, counts), torch.split(joined.seen, counts), strict=True)
        return [Encoded(sequence, seen) for sequence, seen in parts]

    def refuse_prompts(self, prompts: Sequence[Tensor | None]) -> None:
        """Raises ValueError if there is one, for encoders that take none."""
        if any(prompt is not None for prompt in prompts):
            raise ValueError(f"{type(self).__name__} takes no prompts")


def mean_of_seen(encoded: Encoded) -> Float[Tensor, "N D"]:
    """The mean of the sequence where someone is seen; zero for clips without anyone."""
    seen = rearrange(encoded.seen, "N T -> N T 1")
    return (encoded.sequence * seen).sum(dim=1) / seen.sum(dim=1).clamp(min=1)


def max_of_seen(encoded: Encoded) -> Float[Tensor, "N D"]:
    """The largest value of each channel where someone is seen; zero for clips without anyone."""
    seen = rearrange(encoded.seen, "N T -> N T 1")
    largest = torch.where(seen, encoded.sequence, -torch.inf).amax(dim=1)
    return torch.where(seen.any(dim=1), largest, 0.0)


def check_views(views: Sequence[Batch], *, prompts: Sequence[Tensor | None], clean: int) -> None:
    """Raises ValueError if there is not one prompt or None a view, or no view of number `clean`."""
    if len(prompts) != len(views):
        raise ValueError(f"every view has a prompt or None: found {len(prompts)} for {len(views)} view(s)")
    if not -1 <= clean < len(views):
        raise ValueError(f"clean is the number of a view or -1: found {clean} for {len(views)} view(s)")
