"""How encoders are trained on with labels: a recipe for each encoder and size, and what `semi` changes."""

from typing import Literal

from pydantic import Field

from kinemask.augment.views import ViewConfig
from kinemask.encoders import EncoderConfig
from kinemask.evaluation.few import Draw, Shares
from kinemask.methods.supervised import TRAINABLE, HeadConfig, misfit_head
from kinemask.section import Section
from kinemask.training.batches import BudgetConfig
from kinemask.training.optim import OptimConfig
from kinemask.training.recipe import RecipeError

Size = Literal["small", "paper"]


class FinetuneRecipe(Section):
    """How an encoder is trained on with labels. What it is fed comes from its pretraining.

    `num_frames`: the length to which clips are resized; null: as in the pretraining. `layer_decay`: each
    layer learns at this share of the rate of the one behind it, the head at the whole rate. `drop_path` is
    that of the last block of a transformer. `freeze`: the head alone is trained.
    """

    batch_size: int = Field(ge=2)
    budget: BudgetConfig
    optimizer: OptimConfig
    num_frames: int | None = Field(ge=2)
    layer_decay: float = Field(gt=0, le=1)
    view: ViewConfig
    head: HeadConfig
    drop_path: float = Field(ge=0, lt=1)
    label_smoothing: float = Field(ge=0, lt=1)
    freeze: bool
    log_every_steps: int = Field(ge=1)
    checkpoint_every_steps: int = Field(ge=1)

    def misfit(self, encoder: EncoderConfig) -> str | None:
        """Why no encoder of that section can be fine-tuned so, or None if it can."""
        if self.drop_path and encoder.name != "transformer":
            return f"drop_path is {self.drop_path:g}, and {encoder.name!r} has no blocks to drop: set it to 0"
        problem = None if self.num_frames is None else encoder.misfit(self.num_frames)
        return problem or misfit_head(self.head, encoder)


class FinetuneSizes(Section):
    """For two CPU cores and as published, as in a preset of `methods`."""

    small: FinetuneRecipe
    paper: FinetuneRecipe


class FinetuneConfig(Section):
    """A recipe for each encoder that has something to train."""

    gru: FinetuneSizes
    transformer: FinetuneSizes

    def recipe(self, encoder: EncoderConfig, size: Size) -> FinetuneRecipe:
        """The recipe for an encoder. Raises RecipeError if there is nothing to train, or it does not fit."""
        if encoder.name not in TRAINABLE:
            raise RecipeError(f"the encoder {encoder.name!r} has nothing to train")
        sizes: FinetuneSizes = getattr(self, encoder.name)
        recipe = sizes.small if size == "small" else sizes.paper
        if problem := recipe.misfit(encoder):
            raise RecipeError(f"evaluation.finetune.{encoder.name}.{size}: {problem}")
        return recipe


class SemiChanges(Section):
    """What fine-tuning with few labels does otherwise than with all; null: nothing."""

    budget: BudgetConfig | None
    batch_size: int | None = Field(ge=2)

    def changed(self, recipe: FinetuneRecipe) -> FinetuneRecipe:
        """The recipe of `evaluation.finetune` with the changes."""
        changes = {
            name: value for name in type(self).model_fields if (value := getattr(self, name)) is not None
        }
        return recipe.model_copy(update=changes)


class SemiConfig(Section):
    """`shares` of the training labels, and what changes in the recipes of `evaluation.finetune`."""

    shares: Shares = Field(min_length=1)
    small: SemiChanges
    paper: SemiChanges

    def changes(self, size: Size) -> SemiChanges:
        """Those of a size."""
        return self.small if size == "small" else self.paper


class FinetuneUsed(Section):
    """What a record says of the params."""

    finetune: FinetuneRecipe
    crop_share: float


class SemiUsed(FinetuneUsed):
    """The same with few labels; `finetune` has the changes in it."""

    shares: tuple[float, ...]
    draw: Draw
