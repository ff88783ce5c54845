"""Recurrent encoders over whole frames: all joints of all persons are one input vector (METHOD_MTMC B4)."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar, Literal

import torch
from einops import rearrange, repeat
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor, nn

from kinemask.encoders.base import Encoded, Encoder
from kinemask.section import Section
from kinemask.skeleton.batch import Batch


class GRUConfig(Section):
    """`bigru` reads both ways; `causal_twin` is two forward GRUs a layer, as the ancestors run it (E1)."""

    name: Literal["gru"]
    form: Literal["bigru", "causal_twin"]
    hidden: int = Field(ge=1)
    depth: int = Field(ge=1)
    input_norm: Literal["none", "batch"]


class MaskedBatchNorm(nn.Module):
    """Standardises every coordinate by statistics of present persons only; absent ones stay zero.

    In training the statistics are the batch's. The running ones, used in evaluation, move only while
    `updates_statistics` is True, so that damaged views leave no trace in them (trap E3).
    """

    def __init__(self, *, width: int, momentum: float = 0.1, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.momentum, self.epsilon = momentum, epsilon
        self.updates_statistics = True
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))
        self.mean: Tensor
        self.variance: Tensor
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("variance", torch.ones(width))

    def forward(
        self, frames: Float[Tensor, "N T D"], present: Bool[Tensor, "N T D"]
    ) -> Float[Tensor, "N T D"]:
        """The standardised frames."""
        mean, variance = self.mean, self.variance
        if self.training:
            count = present.sum(dim=(0, 1)).clamp(min=1)
            mean = (frames * present).sum(dim=(0, 1)) / count
            variance = (((frames - mean) ** 2) * present).sum(dim=(0, 1)) / count
            if self.updates_statistics:
                with torch.no_grad():
                    self.mean.lerp_(mean, self.momentum)
                    self.variance.lerp_(variance, self.momentum)
        scaled = (frames - mean) * torch.rsqrt(variance + self.epsilon) * self.weight + self.bias
        return torch.where(present, scaled, 0.0)


@contextmanager
def statistics_frozen(module: nn.Module) -> Iterator[None]:
    """Within, no running statistics of `module` move, though it is in training."""
    norms = [norm for norm in module.modules() if isinstance(norm, MaskedBatchNorm)]
    for norm in norms:
        norm.updates_statistics = False
    try:
        yield
    finally:
        for norm in norms:
            norm.updates_statistics = True


class GRUEncoder(Encoder):
    """Features of width 2 x hidden a frame."""

    poolings: ClassVar[tuple[str, ...]] = ("mean", "last", "max")

    def __init__(
        self, *, config: GRUConfig, num_persons: int, num_joints: int, num_coordinates: int = 3
    ) -> None:
        super().__init__()
        self.num_persons = num_persons
        self.both_ways = config.form == "bigru"
        self.width = 2 * config.hidden
        frame_width = num_persons * num_joints * num_coordinates
        self.norm = MaskedBatchNorm(width=frame_width) if config.input_norm == "batch" else None
        widths = [frame_width] + [self.width] * (config.depth - 1)
        branches = 1 if self.both_ways else 2
        self.layers = nn.ModuleList(
            nn.ModuleList(
                nn.GRU(width, config.hidden, batch_first=True, bidirectional=self.both_ways)
                for _ in range(branches)
            )
            for width in widths
        )
        for name, weight in self.layers.named_parameters():
            if weight.ndim == 2 and "weight" in name:
                nn.init.xavier_uniform_(weight)

    def forward(self, batch: Batch) -> Encoded:
        """Features of every frame, (N, T, 2 x hidden). Raises ValueError for more persons than built for."""
        persons, num_joints, num_coordinates = batch.joints.shape[2:]
        if persons > self.num_persons:
            raise ValueError(
                f"this encoder takes {self.num_persons} person(s) a clip, the batch has {persons}"
            )
        missing = (self.num_persons - persons) * num_joints * num_coordinates
        frames = nn.functional.pad(rearrange(batch.joints, "N T M V C -> N T (M V C)"), (0, missing))
        if self.norm is not None:
            shown = repeat(batch.present, "N T M -> N T (M V C)", V=num_joints, C=num_coordinates)
            frames = self.norm(frames, nn.functional.pad(shown, (0, missing)))
        for layer in self.layers:
            assert isinstance(layer, nn.ModuleList)
            frames = torch.cat([gru(frames)[0] for gru in layer], dim=-1)
        return Encoded(frames, batch.present.any(dim=2))

    def pool(self, encoded: Encoded, pooling: str) -> Float[Tensor, "N P"]:
        """`mean` or `max` over seen frames; `last` seen frame (for the backward half the first one, E1)."""
        sequence, seen = encoded.sequence, rearrange(encoded.seen, "N T -> N T 1")
        if pooling == "mean":
            return (sequence * seen).sum(dim=1) / seen.sum(dim=1).clamp(min=1)
        if pooling == "max":
            largest = torch.where(seen, sequence, -torch.inf).amax(dim=1)
            return torch.where(seen.any(dim=1), largest, 0.0)
        if pooling == "last":
            return self._ends(encoded)
        raise ValueError(f"a GRU has no pooling {pooling!r}; it has {', '.join(self.poolings)}")

    def pooled_width(self, pooling: str) -> int:
        """2 x hidden for every pooling."""
        return self.width

    def _ends(self, encoded: Encoded) -> Float[Tensor, "N P"]:
        num_frames = encoded.seen.shape[1]
        order = torch.arange(num_frames, device=encoded.seen.device)
        clips = torch.arange(len(encoded.seen), device=encoded.seen.device)
        last = torch.where(encoded.seen, order, 0).amax(dim=1)
        if not self.both_ways:
            return encoded.sequence[clips, last]
        first = torch.where(encoded.seen, order, num_frames - 1).amin(dim=1)
        half = self.width // 2
        forward, backward = encoded.sequence[..., :half], encoded.sequence[..., half:]
        return torch.cat([forward[clips, last], backward[clips, first]], dim=-1)
