"""Masked motion prediction and contrast with a recurrent encoder, after Hui et al. 2026 (METHOD_MTMC.md).

This is its trunk: two normal views, a momentum teacher with a queue, a masked view whose motion is predicted.
"""

from typing import Literal

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from kinemask.augment.views import ViewConfig, make_view
from kinemask.encoders import EncoderConfig
from kinemask.encoders.base import Encoded, Encoder
from kinemask.encoders.gru import statistics_frozen
from kinemask.masking.parts import PartMaskConfig, hide, part_mask
from kinemask.methods.base import Method, StepOutput
from kinemask.methods.ema import make_teacher, move_teacher
from kinemask.methods.queue import KeyQueue
from kinemask.objectives.contrastive import info_nce
from kinemask.objectives.reconstruction import masked_error
from kinemask.section import Section
from kinemask.skeleton.batch import Batch, RaggedClips
from kinemask.skeleton.inputs import InputConfig, as_input
from kinemask.skeleton.layout import Layout
from kinemask.skeleton.streams import motion

TINY_SQUARE = 1e-12  # a square micrometre: a body that does not move at all is not divided by zero


class DecoderConfig(Section):
    """The decoder of the masked prediction: a layer a frame, then a GRU in one direction."""

    hidden: int = Field(ge=1)
    depth: int = Field(ge=1)


class MtmcConfig(Section):
    """Views, mask, teacher, queue and the weights of the three loss terms."""

    name: Literal["mtmc"]
    pooling: Literal["mean", "last", "max"]  # of the feature that is contrasted
    normal_view: ViewConfig
    masked_view: ViewConfig
    mask: PartMaskConfig
    target: Literal["motion", "coordinates"]
    error_unit: Literal["metres", "relative"]  # relative: predicting nothing has error 1, whatever the target
    decoder: DecoderConfig
    projector_width: int = Field(ge=1)
    temperature: float = Field(gt=0)
    teacher_momentum: float = Field(ge=0, lt=1)
    queue_length: int = Field(ge=1)
    contrast_weight: float = Field(ge=0)
    masked_contrast_weight: float = Field(ge=0)
    prediction_weight: float = Field(ge=0)

    def misfit(self, inputs: InputConfig, encoder: EncoderConfig) -> str | None:
        """Why this method cannot run on that input or encoder, or None if it can."""
        if encoder.name != "gru":
            return f"mtmc predicts from features per frame, which {encoder.name!r} does not learn: use gru"
        if inputs.stream != "joint":  # a hidden joint would show in the bones beside it
            return f"mtmc hides joints, so its stream must be joint, not {inputs.stream}"
        if inputs.num_frames % self.mask.num_segments:
            segments = self.mask.num_segments
            return f"num_frames {inputs.num_frames} is no multiple of mask.num_segments {segments}"
        return None

    def misfit_body(self, layout: Layout) -> str | None:
        """Why this method cannot run on that body, or None if it can."""
        most = len(layout.parts) - 1
        if self.mask.num_parts > most:
            asked = f"mask.num_parts {self.mask.num_parts}"
            return f"{asked} leaves no part of {layout.name} visible: at most {most}"
        return None


class FrameDecoder(nn.Module):
    """From features per frame to a prediction per frame (METHOD B4)."""

    def __init__(self, *, width: int, config: DecoderConfig, num_outputs: int) -> None:
        super().__init__()
        self.per_frame = nn.Sequential(
            nn.Linear(width, config.hidden), nn.ReLU(), nn.Linear(config.hidden, config.hidden)
        )
        self.gru = nn.GRU(config.hidden, config.hidden, config.depth, batch_first=True)
        self.head = nn.Linear(config.hidden, num_outputs)

    def forward(self, sequence: Float[Tensor, "N T D"]) -> Float[Tensor, "N T P"]:
        """The prediction of every frame."""
        predicted: Tensor = self.head(self.gru(self.per_frame(sequence))[0])
        return predicted


class Mtmc(Method):
    """The student encoder learns; the teacher follows it and names the keys."""

    def __init__(
        self, *, config: MtmcConfig, encoder: Encoder, inputs: InputConfig, layout: Layout, num_persons: int
    ):
        super().__init__()
        self.config, self.inputs, self.layout = config, inputs, layout
        width = encoder.pooled_width(config.pooling)
        self.encoder = encoder
        self.projector = nn.Sequential(
            nn.Linear(width, width), nn.ReLU(), nn.Linear(width, config.projector_width)
        )
        self.decoder = FrameDecoder(
            width=width, config=config.decoder, num_outputs=num_persons * layout.num_joints * 3
        )
        self.teacher = make_teacher(nn.ModuleList([self.encoder, self.projector]))
        self.queue = KeyQueue(length=config.queue_length, width=config.projector_width)
        self._keys: Tensor | None = None

    def training_step(self, clips: RaggedClips, generator: torch.Generator) -> StepOutput:
        """Total of METHOD B6 without its extreme, dropped, predicted and mixed views."""
        config = self.config
        query = self._encode(self._view(clips, config.normal_view, generator))
        key = self._key(self._view(clips, config.normal_view, generator))
        whole = make_view(
            clips, config=config.masked_view, num_frames=self.inputs.num_frames, generator=generator
        )
        hidden = part_mask(whole, config=config.mask, layout=self.layout, generator=generator)
        with statistics_frozen(self.encoder):
            masked = self._encode(as_input(hide(whole, hidden), config=self.inputs, layout=self.layout))
        terms = {
            "contrast": self._contrast(query, key),
            "masked_contrast": self._contrast(masked, key),
            "masked_prediction": self._prediction_error(masked, whole, hidden),
        }
        loss = (
            config.contrast_weight * terms["contrast"]
            + config.masked_contrast_weight * terms["masked_contrast"]
            + config.prediction_weight * terms["masked_prediction"]
        )
        self._keys = key
        with torch.no_grad():
            spread = self.encoder.pool(query, config.pooling).std(dim=0).mean()
        return StepOutput(loss, {**{name: term.detach() for name, term in terms.items()}, "spread": spread})

    def after_optimizer_step(self, step: int) -> None:
        """Move the teacher and enqueue the keys, only once the update is accepted."""
        move_teacher(
            self.teacher, nn.ModuleList([self.encoder, self.projector]), momentum=self.config.teacher_momentum
        )
        assert self._keys is not None, "after_optimizer_step follows training_step"
        self.queue.push(self._keys)
        self._keys = None

    def _view(self, clips: RaggedClips, config: ViewConfig, generator: torch.Generator) -> Batch:
        view = make_view(clips, config=config, num_frames=self.inputs.num_frames, generator=generator)
        return as_input(view, config=self.inputs, layout=self.layout)

    def _encode(self, batch: Batch) -> Encoded:
        encoded: Encoded = self.encoder(batch)
        return encoded

    @torch.no_grad()
    def _key(self, batch: Batch) -> Float[Tensor, "N D"]:
        encoder, projector = self.teacher
        assert isinstance(encoder, Encoder)
        with statistics_frozen(encoder):  # they too move by averaging only
            pooled = encoder.pool(encoder(batch), self.config.pooling)
        return functional.normalize(projector(pooled), dim=1)

    def _contrast(self, encoded: Encoded, key: Float[Tensor, "N D"]) -> Float[Tensor, ""]:
        query = functional.normalize(self.projector(self.encoder.pool(encoded, self.config.pooling)), dim=1)
        return info_nce(query, key, self.queue.keys, temperature=self.config.temperature)

    def _prediction_error(
        self, encoded: Encoded, whole: Batch, hidden: Bool[Tensor, "N T M V"]
    ) -> Float[Tensor, ""]:
        """Mean squared error at hidden joints, in square metres or over the target's mean square there."""
        target = motion(whole) if self.config.target == "motion" else whole.joints
        hidden = rearrange(hidden, "N T M V -> N T M V 1").expand_as(target)
        if self.config.error_unit == "relative":
            mean_square = masked_error(torch.zeros_like(target), target, hidden)
            target = target * torch.rsqrt(mean_square + TINY_SQUARE)
        predicted = self.decoder(encoded.sequence)
        predicted = rearrange(predicted, "N T (M V C) -> N T M V C", V=target.shape[3], C=target.shape[4])
        return masked_error(predicted[:, :, : target.shape[2]], target, hidden)
