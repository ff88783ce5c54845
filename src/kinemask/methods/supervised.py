"""Training with all labels: the ceiling that methods without labels are measured against."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Int
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from kinemask.augment.views import ViewConfig, make_view
from kinemask.encoders import EncoderConfig
from kinemask.encoders.base import Encoder
from kinemask.methods.base import Domain, Method, StepOutput
from kinemask.section import Section
from kinemask.skeleton.batch import RaggedClips
from kinemask.skeleton.inputs import InputConfig, as_input
from kinemask.skeleton.layout import Layout

HEAD_STD = 0.01  # of the head's first weights, as in a linear probe (METHOD_MTMC B8)


@dataclass(frozen=True)
class LabelledClips(RaggedClips):
    """Clips with their classes. Other methods get RaggedClips, which have none (trap E12)."""

    labels: Int[Tensor, " N"]

    @classmethod
    def of(cls, clips: RaggedClips, labels: Int[Tensor, " N"]) -> "LabelledClips":
        """The clips with labels, on the device of the clips."""
        return cls(clips.joints, clips.present, clips.offsets, clips.lengths, labels.to(clips.offsets.device))

    def select(self, clips: Int[Tensor, " K"]) -> "LabelledClips":
        """The named clips with their labels, without copying frames."""
        return LabelledClips.of(super().select(clips), self.labels[clips])


class SupervisedConfig(Section):
    """What is classified, how clips are changed in training, and how far labels are softened."""

    name: Literal["supervised"]
    pooling: Literal["mean", "last", "max"]
    normal_view: ViewConfig
    label_smoothing: float = Field(ge=0, lt=1)  # the share of the target that all classes have alike

    def misfit(self, inputs: InputConfig, encoder: EncoderConfig) -> str | None:
        """Why this method cannot run on that input or encoder, or None if it can."""
        if encoder.name != "gru":
            return f"supervised trains an encoder, and {encoder.name!r} has nothing to train: use gru"
        return None

    def misfit_body(self, layout: Layout) -> str | None:
        """Every body will do."""
        return None


class Supervised(Method):
    """The encoder and a linear head, which is thrown away: evaluations are fed by the encoder alone."""

    def __init__(self, *, config: SupervisedConfig, encoder: Encoder, inputs: InputConfig, domain: Domain):
        super().__init__()
        if domain.num_classes is None:
            raise ValueError("supervised training wants the number of classes: found none in the domain")
        self.config, self.inputs, self.domain = config, inputs, domain
        self.encoder = encoder
        self.head = nn.Linear(encoder.pooled_width(config.pooling), domain.num_classes)
        nn.init.normal_(self.head.weight, std=HEAD_STD)
        nn.init.zeros_(self.head.bias)

    def training_step(self, clips: RaggedClips, generator: torch.Generator, done: float) -> StepOutput:
        """The cross-entropy of one view of each clip, in nats. Raises TypeError for clips without labels."""
        if not isinstance(clips, LabelledClips):
            raise TypeError("supervised training wants LabelledClips, found clips without labels")
        view = make_view(
            clips,
            config=self.config.normal_view,
            layout=self.domain.layout,
            symmetries=self.domain.symmetries,
            num_frames=self.inputs.num_frames,
            generator=generator,
        )
        encoded = self.encoder(as_input(view, config=self.inputs, layout=self.domain.layout))
        scores = self.head(self.encoder.pool(encoded, self.config.pooling))
        loss = functional.cross_entropy(scores, clips.labels, label_smoothing=self.config.label_smoothing)
        top1 = (scores.argmax(dim=1) == clips.labels).double().mean()
        return StepOutput(loss, {"cross_entropy": loss.detach(), "top1": top1})
