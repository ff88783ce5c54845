"""Learning rates as pure functions of the step, in shares of the peak rate."""

import math
from typing import Annotated, Literal

from pydantic import Field, field_validator

from kinemask.section import Section

Ratio = Annotated[float, Field(gt=0, lt=1)]


class CosineConfig(Section):
    """Linear warm-up for a share of all steps, then half a cosine down to a share of the peak rate."""

    name: Literal["cosine"]
    warmup_ratio: float = Field(ge=0, lt=1)
    minimum_ratio: float = Field(ge=0, le=1)


class DropsConfig(Section):
    """The rate is multiplied by `factor` at each of `at_ratios`, shares of all steps."""

    name: Literal["drops"]
    factor: float = Field(gt=0, le=1)
    at_ratios: tuple[Ratio, ...]

    @field_validator("at_ratios")
    @classmethod
    def _must_rise(cls, ratios: tuple[float, ...]) -> tuple[float, ...]:
        if list(ratios) != sorted(set(ratios)):
            raise ValueError("the drops must be in order, each once")
        return ratios


ScheduleConfig = Annotated[CosineConfig | DropsConfig, Field(discriminator="name")]


def rate_share(schedule: CosineConfig | DropsConfig, *, step: int, num_steps: int) -> float:
    """The share of the peak rate at `step`, counted from 0 to `num_steps - 1`."""
    if isinstance(schedule, CosineConfig):
        return warmup_cosine(
            step,
            num_steps=num_steps,
            warmup_steps=round(schedule.warmup_ratio * num_steps),
            minimum=schedule.minimum_ratio,
        )
    return drops(step, num_steps=num_steps, factor=schedule.factor, at_ratios=schedule.at_ratios)


def warmup_cosine(step: int, *, num_steps: int, warmup_steps: int, minimum: float) -> float:
    """From 1/warmup_steps up to 1, then down half a cosine that would reach `minimum` at `num_steps`."""
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    done = (step - warmup_steps) / (num_steps - warmup_steps)
    return minimum + (1 - minimum) * 0.5 * (1 + math.cos(math.pi * done))


def drops(step: int, *, num_steps: int, factor: float, at_ratios: tuple[float, ...]) -> float:
    """`factor` to the power of the drops passed; the step at a ratio is already the lower one."""
    passed = sum(step >= ratio * num_steps for ratio in at_ratios)
    return float(factor**passed)
