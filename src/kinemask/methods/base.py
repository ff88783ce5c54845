"""What the trainer and the evaluations ask of a method."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kinemask.encoders.base import Encoder
from kinemask.skeleton.batch import RaggedClips


@dataclass(frozen=True)
class StepOutput:
    """The loss to minimise and what to log; metrics stay on the device until they are logged."""

    loss: Float[Tensor, ""]
    metrics: dict[str, Tensor]


class Method(nn.Module, ABC):
    """A way to train `encoder` without labels."""

    encoder: Encoder

    @abstractmethod
    def training_step(self, clips: RaggedClips, generator: torch.Generator) -> StepOutput:
        """The loss of one batch. All chance comes from `generator`."""

    def after_optimizer_step(self, step: int) -> None:
        """What must follow an accepted update, such as moving a teacher."""
