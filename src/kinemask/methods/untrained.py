"""No training at all: random weights, or none. The control that every method must beat."""

from typing import Literal

import torch

from kinemask.encoders import EncoderConfig
from kinemask.encoders.base import Encoder
from kinemask.methods.base import Method, StepOutput
from kinemask.section import Section
from kinemask.skeleton.batch import RaggedClips
from kinemask.skeleton.inputs import InputConfig
from kinemask.skeleton.layout import Layout


class UntrainedConfig(Section):
    """Nothing to choose."""

    name: Literal["untrained"]

    def misfit(self, inputs: InputConfig, encoder: EncoderConfig) -> str | None:
        """Every input and encoder will do."""
        return None

    def misfit_body(self, layout: Layout) -> str | None:
        """Every body will do."""
        return None


class Untrained(Method):
    """The encoder as it was initialised."""

    def __init__(self, *, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    def training_step(self, clips: RaggedClips, generator: torch.Generator, done: float) -> StepOutput:
        """Raises RuntimeError: an untrained encoder that takes a step is a mistake in the caller."""
        raise RuntimeError("an untrained control takes no training steps: its recipe has training: null")
