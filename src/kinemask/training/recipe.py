"""A recipe: what is fed to which encoder, how it learns, and for how long."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from kinemask.encoders import EncoderConfig
from kinemask.errors import KinemaskError
from kinemask.methods import LEARN_FROM_LABELS, MethodConfig
from kinemask.section import ASCENDING, Section
from kinemask.skeleton.inputs import InputConfig
from kinemask.skeleton.layout import Layout
from kinemask.training.batches import BudgetConfig
from kinemask.training.optim import OptimConfig
from kinemask.training.simulated import SimulatedConfig


class RecipeError(KinemaskError):
    """A recipe that cannot run on a dataset: the message says what does not fit and what to change."""


class TrainingConfig(Section):
    """How steps are taken, and how often metrics are logged and checkpoints written.

    `snapshots` are numbers of steps after which the encoder's weights are kept besides the last ones; 0 are
    those it starts with.
    """

    batch_size: int = Field(ge=2)
    budget: BudgetConfig
    optimizer: OptimConfig
    log_every_steps: int = Field(ge=1)
    checkpoint_every_steps: int = Field(ge=1)
    simulated: SimulatedConfig | None  # who is trained on beside the people of the benchmark
    snapshots: Annotated[tuple[Annotated[int, Field(ge=0)], ...], ASCENDING]

    @model_validator(mode="after")
    def _snapshots_before_the_end(self) -> "TrainingConfig":
        problem = None if self.budget.steps is None else self.misfit_steps(self.budget.steps)
        if problem:
            raise ValueError(problem)
        return self

    def misfit_steps(self, num_steps: int) -> str | None:
        """Why the snapshots cannot be kept, or None if they can; of a budget in epochs only data says it."""
        if not self.snapshots or self.snapshots[-1] < num_steps:
            return None
        return (
            f"training.snapshots names step {self.snapshots[-1]} of {num_steps}: name steps before the last, "
            "whose weights are kept anyway"
        )


class Recipe(Section):
    """A method at one size. `training: null` leaves the encoder as it is initialised."""

    inputs: InputConfig
    encoder: EncoderConfig
    method: MethodConfig
    training: TrainingConfig | None

    @model_validator(mode="after")
    def _fits(self) -> "Recipe":
        if (self.training is None) != (self.method.name == "untrained"):
            raise ValueError(
                f"training must be {'null' if self.training else 'given'} for {self.method.name}"
            )
        if self.method.name in LEARN_FROM_LABELS and self.simulated is not None:
            raise ValueError(f"{self.method.name} learns from labels, and training.simulated has none")
        problem = self.encoder.misfit(self.inputs.num_frames) or self.method.misfit(self.inputs, self.encoder)
        if problem:
            raise ValueError(problem)
        return self

    @property
    def simulated(self) -> SimulatedConfig | None:
        """The simulated people to train on, None for nobody."""
        return self.training.simulated if self.training else None

    def misfit_body(self, layout: Layout) -> str | None:
        """Why the recipe cannot run on that body, or None if it can; only a dataset says which body it is."""
        return self.inputs.misfit(layout) or self.method.misfit_body(layout)


class Preset(Section):
    """An entry of `methods`: the recipe for two CPU cores and the published one for a GPU."""

    small: Recipe
    paper: Recipe

    def recipe(self, size: Literal["small", "paper"]) -> Recipe:
        """The recipe of that size."""
        return self.small if size == "small" else self.paper
