"""Training with all labels: the ceiling that methods without labels are measured against."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from kinemask.augment.views import ViewConfig, make_view
from kinemask.encoders import EncoderConfig
from kinemask.encoders.base import Encoder
from kinemask.encoders.gru import GRUEncoder
from kinemask.encoders.transformer import TransformerEncoder
from kinemask.methods.base import Domain, Method, StepOutput
from kinemask.section import Section
from kinemask.skeleton.batch import Batch, RaggedClips
from kinemask.skeleton.inputs import InputConfig, as_input
from kinemask.skeleton.layout import Layout

HEAD_STD = 0.01  # of the first weights of the head's last layer, as in a linear probe (METHOD_MTMC B8)
TRAINABLE = {"gru": GRUEncoder.poolings, "transformer": TransformerEncoder.poolings}


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


class HeadConfig(Section):
    """From pooled features to class scores: one linear layer, or two with `hidden` units between them.

    `dropout` is the share of the pooled features lost in training. `batch_norm` is of the hidden units, or of
    the pooled features without any.
    """

    pooling: Literal["mean", "last", "max", "joints"]
    hidden: int | None = Field(ge=1)
    dropout: float = Field(ge=0, lt=1)
    batch_norm: bool


class SupervisedConfig(Section):
    """What is classified, how clips are changed in training, and how far labels are softened."""

    name: Literal["supervised"]
    head: HeadConfig
    normal_view: ViewConfig
    label_smoothing: float = Field(ge=0, lt=1)  # the share of the target that all classes have alike

    def misfit(self, inputs: InputConfig, encoder: EncoderConfig) -> str | None:
        """Why this method cannot run on that input or encoder, or None if it can."""
        return misfit_head(self.head, encoder)

    def misfit_body(self, layout: Layout) -> str | None:
        """Every body will do."""
        return None


def misfit_head(head: HeadConfig, encoder: EncoderConfig) -> str | None:
    """Why no encoder of that section can be trained under that head, or None if it can."""
    if encoder.name not in TRAINABLE:
        others = " or ".join(TRAINABLE)
        return f"labels train an encoder, and {encoder.name!r} has nothing to train: use {others}"
    offered = TRAINABLE[encoder.name]
    if head.pooling not in offered:
        return (
            f"head.pooling is {head.pooling!r}, and the encoder {encoder.name!r} offers {', '.join(offered)}"
        )
    return None


def build_head(config: HeadConfig, *, width: int, num_classes: int) -> nn.Sequential:
    """A head with fresh weights from torch's global generator; the last layer starts small, without bias."""
    layers: list[nn.Module] = [nn.Dropout(config.dropout)] if config.dropout else []
    if config.hidden is not None:
        layers.append(nn.Linear(width, config.hidden))
        width = config.hidden
    if config.batch_norm:
        layers.append(nn.BatchNorm1d(width))
    if config.hidden is not None:
        layers.append(nn.ReLU())
    classes = nn.Linear(width, num_classes)
    nn.init.normal_(classes.weight, std=HEAD_STD)
    nn.init.zeros_(classes.bias)
    return nn.Sequential(*layers, classes)


class Supervised(Method):
    """The encoder under a head.

    A pretraining throws the head away: its evaluations are fed by the encoder alone. A fine-tuning scores
    with both. An encoder that is `frozen` stays as it is, and the head alone is trained.
    """

    def __init__(
        self,
        *,
        config: SupervisedConfig,
        encoder: Encoder,
        inputs: InputConfig,
        domain: Domain,
        frozen: bool = False,
    ) -> None:
        super().__init__()
        if domain.num_classes is None:
            raise ValueError("supervised training wants the number of classes: found none in the domain")
        self.config, self.inputs, self.domain = config, inputs, domain
        self.encoder = encoder
        self.frozen = frozen
        self.head = build_head(
            config.head,
            width=encoder.pooled_width(config.head.pooling),
            num_classes=domain.num_classes,
        )
        if frozen:
            encoder.requires_grad_(False)

    def train(self, mode: bool = True) -> "Supervised":
        """As every module, but a frozen encoder stays in evaluation: nothing of it changes or drops out."""
        super().train(mode)
        if self.frozen:
            self.encoder.eval()
        return self

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
        scores = self.scores(view)
        loss = functional.cross_entropy(scores, clips.labels, label_smoothing=self.config.label_smoothing)
        top1 = (scores.argmax(dim=1) == clips.labels).double().mean()
        return StepOutput(loss, {"cross_entropy": loss.detach(), "top1": top1})

    def scores(self, view: Batch) -> Float[Tensor, "N K"]:
        """Of each class, log-probabilities up to a constant for each clip."""
        encoded = self.encoder(as_input(view, config=self.inputs, layout=self.domain.layout))
        scores: Tensor = self.head(self.encoder.pool(encoded, self.config.head.pooling))
        return scores
