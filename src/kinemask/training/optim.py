"""Optimisers: their section of params.yaml and how one is built."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import nn

from kinemask.encoders.table import Table
from kinemask.section import Section
from kinemask.training.schedule import ScheduleConfig

ADAM_EPSILON = 1e-8


class _OptimConfig(Section):
    lr: float = Field(gt=0)  # the peak rate
    schedule: ScheduleConfig
    weight_decay: float = Field(ge=0)
    decay_vectors: (
        bool  # False: biases, norms, other parameters of at most one axis and tables are not decayed
    )
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
    parameters: Iterable[nn.Parameter],
    config: SgdConfig | AdamWConfig,
    *,
    layers: Sequence[Sequence[nn.Parameter]] = (),
    layer_decay: float = 1.0,
) -> torch.optim.Optimizer:
    """An optimiser of the parameters that require a gradient. Raises ValueError if there are none.

    `layers` run from input to output: layer i of n learns at `layer_decay` ** (n - i) of the rate, i from 0,
    and what is in no layer, such as a head, at all of it (METHOD_JMM_TGT section 6). A group of the optimiser
    says its share as "rate_share".
    """
    shares = {
        parameter: layer_decay ** (len(layers) - number)
        for number, layer in enumerate(layers)
        for parameter in layer
    }
    groups = _groups(parameters, shares, config)
    if not groups:
        raise ValueError(f"nothing to train: no parameter requires a gradient, so {config.name} has no work")
    if isinstance(config, SgdConfig):
        return torch.optim.SGD(groups, lr=config.lr, momentum=config.momentum)
    return torch.optim.AdamW(groups, lr=config.lr, betas=config.betas, eps=ADAM_EPSILON)


def _groups(
    parameters: Iterable[nn.Parameter],
    shares: Mapping[nn.Parameter, float],
    config: SgdConfig | AdamWConfig,
) -> list[dict[str, Any]]:
    """One group for each share of the rate and each weight decay, the smallest share first."""
    trainable = [parameter for parameter in parameters if parameter.requires_grad]
    groups: list[dict[str, Any]] = []
    for share in sorted({shares.get(parameter, 1.0) for parameter in trainable}):
        own = [parameter for parameter in trainable if shares.get(parameter, 1.0) == share]
        decayed = [parameter for parameter in own if config.decay_vectors or not _is_vector(parameter)]
        kept = [parameter for parameter in own if not config.decay_vectors and _is_vector(parameter)]
        groups += [
            {"params": decayed, "weight_decay": config.weight_decay, "rate_share": share},
            {"params": kept, "weight_decay": 0.0, "rate_share": share},
        ]
    return [group for group in groups if group["params"]]


def _is_vector(parameter: nn.Parameter) -> bool:
    return parameter.ndim <= 1 or isinstance(parameter, Table)
