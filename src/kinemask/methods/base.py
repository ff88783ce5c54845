"""What the trainer and the evaluations ask of a method."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kinemask.encoders.base import Encoder
from kinemask.looks import ClipLook
from kinemask.skeleton.batch import RaggedClips
from kinemask.skeleton.clip import Symmetry
from kinemask.skeleton.layout import Layout


@dataclass(frozen=True)
class Domain:
    """What the clips of a benchmark are like."""

    layout: Layout
    num_persons: int  # M
    symmetries: frozenset[Symmetry]  # changes of a clip that keep its label, whichever it is
    num_classes: int | None = None  # told to methods that learn from labels, and to no other
    # Metres and direction of the median bone to each joint; told to methods that simulate unknown bodies.
    rest: tuple[tuple[float, float, float], ...] | None = None


@dataclass(frozen=True)
class StepOutput:
    """The loss to minimise and what to log; metrics stay on the device until they are logged."""

    loss: Float[Tensor, ""]
    metrics: dict[str, Tensor]


class Method(nn.Module, ABC):
    """A way to train `encoder`."""

    encoder: Encoder

    @abstractmethod
    def training_step(self, clips: RaggedClips, generator: torch.Generator, done: float) -> StepOutput:
        """The loss of one batch. All chance comes from `generator`.

        `done`, in [0, 1), is the share of all steps that lie behind, for what changes as training goes on.
        """

    def after_optimizer_step(self, step: int) -> None:
        """What must follow an accepted update, such as moving a teacher."""

    def look(
        self, clips: RaggedClips, names: Sequence[str], generator: torch.Generator
    ) -> tuple[ClipLook, ...]:
        """What it would do with each of these clips in a step; empty if there is nothing to show.

        It changes nothing of the method, and all chance comes from `generator`.
        """
        return ()
