"""Few labels: a linear probe that sees the labels of a small share of the training clips."""

import logging
from decimal import Decimal
from typing import Annotated

import numpy as np
from jaxtyping import Int
from pydantic import Field

from kinemask.evaluation.frozen import Pooling, Probed, ProbeTask, Subset, read_probe_data
from kinemask.evaluation.regression import RegressionConfig, prepare_inputs, regression_path
from kinemask.section import ASCENDING
from kinemask.seeding import numpy_generator

_LOG = logging.getLogger(__name__)


class FewConfig(RegressionConfig):
    """`shares` of the training labels. With one label a class nothing can choose `c` or a pooling.

    `c` is the inverse strength of the L2 penalty; of `poolings` the first that features offer is probed.
    """

    shares: Annotated[tuple[Annotated[float, Field(gt=0, le=1)], ...], ASCENDING] = Field(min_length=1)
    poolings: tuple[Pooling, ...] = Field(min_length=1)
    c: float = Field(gt=0)


def probe_few(task: ProbeTask, config: FewConfig) -> list[Probed]:
    """One setting a share, with the number of labelled clips and converged (0 or 1, and 0 is logged).

    Standardisation and principal components are measured on all training clips, which takes no label.
    """
    data = read_probe_data(task)
    prepare = prepare_inputs(data.train_features, config.components)
    train, test = prepare(data.train_features), prepare(data.test_features)
    names = np.array(data.train_names)
    probed = []
    for share in config.shares:
        rows = draw_labelled(
            names, data.train_labels, share=share, seed=task.seed, benchmark=task.benchmark.name
        )
        (regression,) = regression_path(train[rows], data.train_labels[rows], [config.c], config)
        percent = percent_text(share)
        if not regression.converged:
            _LOG.warning(
                "%s: the fit on %s %% of the labels did not converge in %d iterations: raise "
                "evaluation.few.max_iterations or lower c",
                task.features,
                percent,
                config.max_iterations,
            )
        probed.append(
            Probed(
                task.seed,
                task.setting(f"labels={percent}%"),
                regression.scores(test, data.num_classes),
                {"num_labelled": float(len(rows)), "converged": float(regression.converged)},
                Subset(percent, tuple(names[rows].tolist())),
            )
        )
    return probed


def draw_labelled(
    names: np.ndarray, labels: Int[np.ndarray, " N"], *, share: float, seed: int, benchmark: str
) -> Int[np.ndarray, " L"]:
    """Rows of max(1, round(share n)) of the n clips of each class, by class and name; a half goes to even.

    The clips drawn depend on names and labels alone, neither on the order of the clips nor on the method.
    """
    generator = numpy_generator(seed, "few", benchmark, percent_text(share))
    by_name = np.argsort(names)
    drawn = []
    for label in np.unique(labels):
        rows = by_name[labels[by_name] == label]
        count = max(1, round(share * len(rows)))
        drawn.append(rows[np.sort(generator.choice(len(rows), count, replace=False))])
    return np.concatenate(drawn)


def percent_text(share: float) -> str:
    """`0.01` -> `1`: the share in percent, exactly, so that two shares never give the same text."""
    return f"{(100 * Decimal(str(share))).normalize():f}"
