"""How long to train, and which clips make the batch of a step: functions of seed and step alone."""

import json

import torch
from jaxtyping import Int64
from pydantic import Field, model_validator
from torch import Tensor

from kinemask.section import Section
from kinemask.seeding import derive_seed


class BudgetConfig(Section):
    """How long to train: `steps: 800`, or `epochs: 100`."""

    steps: int | None = Field(default=None, ge=1)
    epochs: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _one_of_both(self) -> "BudgetConfig":
        if (self.steps is None) == (self.epochs is None):
            steps, epochs = (json.dumps(value) for value in (self.steps, self.epochs))
            cure = "" if self.steps is None else ": set one to null (a preset inherits what its base gives)"
            raise ValueError(
                f"give exactly one of steps and epochs, found steps {steps} and epochs {epochs}{cure}"
            )
        return self


def steps_per_epoch(*, num_clips: int, batch_size: int) -> int:
    """Full batches in a pass over the clips; the clips left over wait for the next epoch's order.

    Fewer clips than a batch are one batch of all of them. Raises ValueError if there are no clips.
    """
    if num_clips == 0:
        raise ValueError("there are no clips to train on: found 0")
    return max(1, num_clips // batch_size)


def num_steps(budget: BudgetConfig, *, num_clips: int, batch_size: int) -> int:
    """The budget in optimiser steps."""
    if budget.steps is not None:
        return budget.steps
    assert budget.epochs is not None, "BudgetConfig admits exactly one"
    return budget.epochs * steps_per_epoch(num_clips=num_clips, batch_size=batch_size)


class BatchOrder:
    """The clips of each step. It has no state but a memo, so it needs no place in a checkpoint."""

    def __init__(self, *, seed: int, num_clips: int, batch_size: int) -> None:
        self.seed = seed
        self.num_clips = num_clips
        self.batch_size = min(batch_size, num_clips)
        self.steps_per_epoch = steps_per_epoch(num_clips=num_clips, batch_size=batch_size)
        self._epoch = -1
        self._order = torch.empty(0, dtype=torch.int64)

    def at(self, step: int) -> Int64[Tensor, " K"]:
        """Numbers of the clips of a step, on the CPU; the same on every device."""
        epoch, position = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            generator = torch.Generator().manual_seed(derive_seed(self.seed, "order", epoch))
            self._order = torch.randperm(self.num_clips, generator=generator)
            self._epoch = epoch
        return self._order[position * self.batch_size : (position + 1) * self.batch_size]
