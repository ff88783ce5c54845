"""The section of params.yaml that says what mtmc is; its ancestors are other settings (METHOD_MTMC (c))."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from kinemask.augment.mix import MixConfig
from kinemask.augment.views import ViewConfig
from kinemask.encoders import EncoderConfig
from kinemask.masking.features import DropConfig
from kinemask.masking.motion_topology import MaskConfig
from kinemask.methods.decoder import DecoderConfig
from kinemask.section import Section
from kinemask.skeleton.inputs import InputConfig
from kinemask.skeleton.layout import Layout


class SimilarityConfig(Section):
    """The student's similarities to the queue follow the teacher's; `top` of them, or all."""

    student_temperature: float = Field(gt=0)
    teacher_temperature: float = Field(gt=0)
    top: int | None = Field(ge=1)


class CascadeConfig(Section):
    """All views from the first step on."""

    name: Literal["cascade"]


class CurriculumConfig(Section):
    """The extreme view, then the dropped one, join at these shares of the training."""

    name: Literal["curriculum"]
    extreme_from: float = Field(ge=0, lt=1)
    dropped_from: float = Field(ge=0, lt=1)

    @model_validator(mode="after")
    def _in_order(self) -> "CurriculumConfig":
        if self.dropped_from < self.extreme_from:
            raise ValueError(
                f"dropped_from {self.dropped_from:g} comes before extreme_from {self.extreme_from:g}: it is "
                "the extreme view whose features are dropped"
            )
        return self


class MiningConfig(Section):
    """From this share of the training on, the nearest neighbours in the queue are positives too."""

    from_ratio: float = Field(ge=0, lt=1)
    top: int = Field(ge=1)  # for each view


class WeightsConfig(Section):
    """Weights of the terms of the loss. A view whose terms all have weight 0 is not made."""

    contrast: float = Field(ge=0)  # of the normal view
    extreme: float = Field(ge=0)  # it follows the normal view's distribution over the queue
    dropped: float = Field(ge=0)  # the same with the critical features dropped
    masked_contrast: float = Field(ge=0)
    predicted_contrast: float = Field(ge=0)  # what was masked is filled by the prediction
    mixed_contrast: float = Field(ge=0)  # two clips in one
    similarity: float = Field(ge=0)  # of every view that is contrasted
    prediction: float = Field(ge=0)

    @property
    def masked(self) -> float:
        """What depends on the masked view."""
        return self.masked_contrast + self.predicted_contrast + self.prediction


class MtmcConfig(Section):
    """Views, mask, feature drop, teacher, queue and weights."""

    name: Literal["mtmc"]
    pooling: Literal["mean", "last", "max"]  # of the feature that is contrasted
    normal_view: ViewConfig
    masked_view: ViewConfig
    extreme_view: ViewConfig
    mix: MixConfig | None
    mask: MaskConfig
    drop: DropConfig
    target: Literal["coordinates", "motion"]  # of the stream that the encoder is fed
    error_unit: Literal["metres", "relative"]  # relative: predicting nothing has error 1, whatever the target
    decoder: DecoderConfig
    predicted_gradient: Literal["decoder", "none"]  # where the gradient of the predicted view ends
    prompts: bool
    projector_width: int = Field(ge=1)
    temperature: float = Field(gt=0)
    similarity: SimilarityConfig
    teaching: Literal["star", "chain"]  # the dropped view follows the normal one, or the extreme one (HiCLR)
    schedule: Annotated[CascadeConfig | CurriculumConfig, Field(discriminator="name")]
    mining: MiningConfig | None
    teacher_momentum: float = Field(ge=0, lt=1)
    queue_length: int = Field(ge=1)
    weights: WeightsConfig

    @model_validator(mode="after")
    def _consistent(self) -> "MtmcConfig":
        weights = self.weights
        if weights.mixed_contrast and self.mix is None:
            raise ValueError(
                f"weights.mixed_contrast is {weights.mixed_contrast:g}, but mix is null: say how to mix"
            )
        if weights.predicted_contrast and self.target == "motion":
            raise ValueError(
                "the predicted view is made of coordinates: target motion needs weights.predicted_contrast 0"
            )
        largest = max(self.similarity.top or 0, self.mining.top if self.mining else 0)
        if largest > self.queue_length:
            raise ValueError(f"the {largest} nearest of a queue of {self.queue_length} keys do not exist")
        contrasted = (
            weights.contrast, weights.masked_contrast, weights.predicted_contrast, weights.mixed_contrast,
        )  # fmt: skip
        if weights.similarity and not any(contrasted):
            raise ValueError(f"weights.similarity is {weights.similarity:g}, but no view is contrasted")
        from_the_start = (*contrasted, weights.prediction)
        if not any((*from_the_start, weights.extreme, weights.dropped)):
            raise ValueError("all weights are 0: nothing would be learned")
        if isinstance(self.schedule, CurriculumConfig) and not any(from_the_start):
            raise ValueError("nothing would be learned until the curriculum brings in the extreme view")
        return self

    def misfit(self, inputs: InputConfig, encoder: EncoderConfig) -> str | None:
        """Why this method cannot run on that input or encoder, or None if it can."""
        if encoder.name == "coordinates":
            return (
                f"mtmc trains an encoder, and {encoder.name!r} has nothing to train: use gru or transformer"
            )
        if encoder.name == "transformer" and self.pooling == "last":
            return "a transformer reads no frame last: use pooling mean or max, or the encoder gru"
        if encoder.name == "transformer" and self.prompts:
            return "a transformer takes no prompts: use prompts false, or the encoder gru"
        if self.target == "motion" and inputs.stream == "motion":
            return "the motion stream holds motion already: predict its coordinates (target: coordinates)"
        weights, num_frames = self.weights, inputs.num_frames
        problems = (
            self.mask.misfit(num_frames) if weights.masked else None,
            self.mix.misfit(num_frames) if self.mix and weights.mixed_contrast else None,
            self.drop.misfit(encoder.features) if weights.dropped else None,
        )
        return next(filter(None, problems), None)

    def misfit_body(self, layout: Layout) -> str | None:
        """Why this method cannot run on that body, or None if it can."""
        weights = self.weights
        problems = (
            self.mask.misfit_body(layout) if weights.masked else None,
            self.mix.misfit_body(layout) if self.mix and weights.mixed_contrast else None,
            self.drop.misfit_body(layout) if weights.dropped else None,
        )
        return next(filter(None, problems), None)
