"""The section of params.yaml that says what twins is: who is simulated, what is contrasted, and what else."""

from typing import Literal

from pydantic import Field, model_validator

from kinemask.augment.views import ViewConfig
from kinemask.encoders import EncoderConfig
from kinemask.masking.features import DropConfig
from kinemask.masking.motion_topology import MaskConfig
from kinemask.methods.decoder import DecoderConfig
from kinemask.section import Section
from kinemask.simulation.config import PeopleConfig
from kinemask.skeleton.inputs import InputConfig
from kinemask.skeleton.layout import Layout, repeated


class PoolConfig(Section):
    """Only so many simulated clips, the same ones again and again, to ask what more of them are worth."""

    clips: int = Field(ge=2)
    seed: int = Field(ge=0)


class SimulatedTwinsConfig(Section):
    """Each step simulates so many programmes, each performed twice. `pool` null: new ones in every step."""

    programmes: int = Field(ge=1)
    people: PeopleConfig
    pool: PoolConfig | None
    until: float = Field(gt=0, le=1)  # share of the training after which no more are seen

    @model_validator(mode="after")
    def _pool_of_whole_steps(self) -> "SimulatedTwinsConfig":
        if self.pool is not None and self.pool.clips % (2 * self.programmes):
            raise ValueError(
                f"pool.clips {self.pool.clips} is no multiple of the {2 * self.programmes} clips of a step "
                "(two performances of each of the programmes)"
            )
        return self

    @property
    def num_blocks(self) -> int | None:
        """How many steps' worth of clips the pool holds; None for no limit."""
        return None if self.pool is None else self.pool.clips // (2 * self.programmes)


class RealTwinsConfig(Section):
    """Two views of each training clip of a batch are twins too, from a share of the training on."""

    view: ViewConfig
    since: float = Field(ge=0, lt=1)


class TwinPredictionConfig(Section):
    """One of two twins is shown with joints hidden, and those are predicted; the loss is relative."""

    weight: float = Field(gt=0)
    mask: MaskConfig
    decoder: DecoderConfig


class TwinsConfig(Section):
    """Twins are told apart from all other clips of the step, and from those of a queue of earlier ones."""

    name: Literal["twins"]
    poolings: tuple[Literal["mean", "last", "max"], ...] = Field(min_length=1)  # of the features contrasted
    simulated: SimulatedTwinsConfig | None
    real: RealTwinsConfig | None
    view: ViewConfig | None  # a further change of simulated clips
    prediction: TwinPredictionConfig | None
    drop: DropConfig | None  # of channels of the feature, before it is contrasted
    projector_hidden: int = Field(ge=1)
    projector_width: int = Field(ge=1)
    temperature: float = Field(gt=0)
    queue_length: int = Field(ge=0)  # 0: the other clips of the step are all there is to be told from
    teacher_momentum: float = Field(ge=0, lt=1)  # of the encoder that makes the keys of the queue

    @model_validator(mode="after")
    def _each_once(self) -> "TwinsConfig":
        if repeated(self.poolings):
            raise ValueError(f"poolings {', '.join(self.poolings)} name one twice")
        return self

    @model_validator(mode="after")
    def _consistent(self) -> "TwinsConfig":
        if self.simulated is None and self.real is None:
            raise ValueError("simulated and real are both null: there would be no twins")
        begins = 0.0 if self.real is None else self.real.since
        ends = 0.0 if self.simulated is None else self.simulated.until
        if begins > ends or (self.real is None and ends < 1):
            raise ValueError(
                f"simulated twins end at {ends:g} of the training and real ones begin at {begins:g}: there "
                "must be twins at any time"
            )
        if self.drop is not None and not self.drop.drops_channels:
            raise ValueError(
                f"drop.kind {self.drop.kind!r} drops no channels: use trajectory, gate, energy or random"
            )
        return self

    @property
    def sees_recordings(self) -> bool:
        """Whether clips of the benchmark have a part in the training."""
        return self.real is not None

    @property
    def heeds_symmetries(self) -> bool:
        """Whether anything is done to a clip only where it keeps the label."""
        mirrors = self.simulated is not None and self.simulated.people.manner.mirror_share > 0
        return mirrors or self.view is not None or self.real is not None

    def misfit(self, inputs: InputConfig, encoder: EncoderConfig) -> str | None:
        """Why this method cannot run on that input or encoder, or None if it can."""
        if encoder.name == "coordinates":
            return (
                f"twins trains an encoder, and {encoder.name!r} has nothing to train: use gru or transformer"
            )
        if encoder.name == "transformer" and "last" in self.poolings:
            return "a transformer reads no frame last: use poolings mean or max, or the encoder gru"
        if encoder.name == "gru" and encoder.input_norm == "batch":
            return "twins has no view that is cleaner than another for encoder.input_norm 'batch': use none"
        problems = (
            self.prediction.mask.misfit(inputs.num_frames) if self.prediction else None,
            self.drop.misfit(encoder.features) if self.drop else None,
        )
        return next(filter(None, problems), None)

    def misfit_body(self, layout: Layout) -> str | None:
        """Why this method cannot run on that body, or None if it can."""
        return self.prediction.mask.misfit_body(layout) if self.prediction else None
