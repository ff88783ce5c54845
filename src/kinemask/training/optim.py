"""Optimisers: their section of params.yaml and how one is built."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import nn

from kinemask.section import Section
from kinemask.training.schedule import ScheduleConfig

ADAM_EPSILON = 1e-8


class _OptimConfig(Section):
    lr: float = Field(gt=0)  # the peak rate
    schedule: ScheduleConfig
    weight_decay: float = Field(ge=0)
    decay_vectors: bool  # False: biases, norms and other parameters of at most one axis keep their size
    clip_norm: float | None = Field(gt=0)  # the largest norm of all gradients together, or null for no limit


class SgdConfig(_OptimConfig):
    """Stochastic gradient descent with momentum."""

    name: Literal["sgd"]
    momentum: float = Field(ge=0, lt=1)


class AdamWConfig(_OptimConfig):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019)."""

    name: Literal["adamw"]
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]]


OptimConfig = Annotated[SgdConfig | AdamWConfig, Field(discriminator="name")]


def build_optimizer(
    parameters: Iterable[nn.Parameter], config: SgdConfig | AdamWConfig
) -> torch.optim.Optimizer:
    """An optimiser of the parameters that require a gradient. Raises ValueError if there are none."""
    groups = _groups(parameters, config)
    if not groups:
        raise ValueError(f"nothing to train: no parameter requires a gradient, so {config.name} has no work")
    if isinstance(config, SgdConfig):
        return torch.optim.SGD(groups, lr=config.lr, momentum=config.momentum)
    return torch.optim.AdamW(groups, lr=config.lr, betas=config.betas, eps=ADAM_EPSILON)


def _groups(parameters: Iterable[nn.Parameter], config: SgdConfig | AdamWConfig) -> list[dict[str, Any]]:
    trainable = [parameter for parameter in parameters if parameter.requires_grad]
    decayed = [parameter for parameter in trainable if config.decay_vectors or parameter.ndim > 1]
    kept = [parameter for parameter in trainable if not config.decay_vectors and parameter.ndim <= 1]
    groups = [
        {"params": decayed, "weight_decay": config.weight_decay},
        {"params": kept, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]
