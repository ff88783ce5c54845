"""Recurrent encoders over whole frames: all joints of all persons are one input vector (METHOD_MTMC B4)."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from einops import rearrange, repeat
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from kinemask.encoders.base import Encoded, Encoder, check_views, max_of_seen, mean_of_seen
from kinemask.encoders.norm import MaskedBatchNorm
from kinemask.section import Section
from kinemask.skeleton.batch import Batch


class GRUConfig(Section):
    """`bigru` reads both ways; `causal_twin` is two forward GRUs a layer, as the ancestors run it (E1).

    `norm_statistics` says which views move the running statistics of the input norm, which evaluation uses:
    the clean one of a pass, or every view of a pass with a clean one, in turn: nearly as the ancestors do
    (E3), where the predicted view moves them too.
    """

    name: Literal["gru"]
    form: Literal["bigru", "causal_twin"]
    hidden: int = Field(ge=1)
    depth: int = Field(ge=1)
    input_norm: Literal["none", "batch"]
    norm_statistics: Literal["clean", "every_view"]

    @property
    def features(self) -> int:
        """The width of an element of the sequence."""
        return 2 * self.hidden

    def misfit(self, num_frames: int) -> str | None:
        """Clips of every length will do."""
        return None

    def most_persons(self, built_for: int) -> int | None:
        """A frame is one vector of all persons, in which those who are absent are zeros: fewer will do."""
        return built_for


class GRUEncoder(Encoder):
    """Features of width 2 x hidden a frame."""

    poolings: ClassVar[tuple[str, ...]] = ("mean", "last", "max")

    def __init__(
        self, *, config: GRUConfig, num_persons: int, num_joints: int, num_coordinates: int = 3
    ) -> None:
        super().__init__()
        self.num_persons = num_persons
        self.both_ways = config.form == "bigru"
        self.every_view_moves = config.norm_statistics == "every_view"
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
        for weight in self.layers.parameters():
            if weight.ndim == 2:  # the stacked matrices of the gates, each as one (METHOD B4)
                nn.init.xavier_uniform_(weight)

    def forward(self, batch: Batch) -> Encoded:
        """Features of every frame, (N, T, 2 x hidden). Raises ValueError for more persons than built for."""
        return self.encode_views([batch], prompts=[None], clean=0)[0]

    def encode_views(
        self, views: Sequence[Batch], *, prompts: Sequence[Float[Tensor, "M V C"] | None], clean: int
    ) -> list[Encoded]:
        """Features of several views: each normed by its own statistics, all through the layers at once.

        A prompt, of as many persons as the encoder is built for, is added to those who are present, behind
        the norm. In PCM3 it stands before the norm, whose batch mean takes away what is the same for all.
        """
        check_views(views, prompts=prompts, clean=clean)
        every = self.every_view_moves and clean >= 0
        fed = [
            self._frames(view, prompt, moves_statistics=every or number == clean)
            for number, (view, prompt) in enumerate(zip(views, prompts, strict=True))
        ]
        frames = torch.cat(fed)
        with self.autocast(frames.device):
            for layer in self.layers:
                assert isinstance(layer, nn.ModuleList)
                frames = torch.cat([gru(frames)[0] for gru in layer], dim=-1)
        sequences = torch.split(frames.float(), [len(view.joints) for view in views])
        return [
            Encoded(sequence, view.present.any(dim=2))
            for sequence, view in zip(sequences, views, strict=True)
        ]

    def pool(self, encoded: Encoded, pooling: str) -> Float[Tensor, "N P"]:
        """`mean` or `max` over seen frames; `last` seen frame (for the backward half the first one, E1)."""
        if pooling == "mean":
            return mean_of_seen(encoded)
        if pooling == "max":
            return max_of_seen(encoded)
        if pooling == "last":
            return self._ends(encoded)
        raise ValueError(f"a GRU has no pooling {pooling!r}; it has {', '.join(self.poolings)}")

    def pooled_width(self, pooling: str) -> int:
        """2 x hidden for every pooling."""
        return self.width

    def layer_groups(self) -> list[list[nn.Parameter]]:
        """The recurrent layers, the input norm with the first."""
        norm = [] if self.norm is None else list(self.norm.parameters())
        first, *others = (list(layer.parameters()) for layer in self.layers)
        return [norm + first, *others]

    def _frames(
        self, batch: Batch, prompt: Float[Tensor, "M V C"] | None, *, moves_statistics: bool
    ) -> Float[Tensor, "N T D"]:
        """What the first layer is fed: one vector a frame, of all persons that the encoder is built for."""
        persons, num_joints, num_coordinates = batch.joints.shape[2:]
        if persons > self.num_persons:
            raise ValueError(
                f"this encoder takes {self.num_persons} person(s) a clip, the batch has {persons}"
            )
        missing = (self.num_persons - persons) * num_joints * num_coordinates
        frames = nn.functional.pad(rearrange(batch.joints, "N T M V C -> N T (M V C)"), (0, missing))
        shown = repeat(batch.present, "N T M -> N T (M V C)", V=num_joints, C=num_coordinates)
        shown = nn.functional.pad(shown, (0, missing))
        if self.norm is not None:
            frames = self.norm(frames, shown, moves_statistics=moves_statistics)
        if prompt is not None:
            frames = torch.where(shown, frames + rearrange(prompt, "M V C -> (M V C)"), frames)
        return frames

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
