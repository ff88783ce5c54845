"""Few labels: a linear probe that sees the labels of a small share of the training clips."""

import logging
from decimal import Decimal
from typing import Annotated, Literal

import numpy as np
from jaxtyping import Int
from pydantic import Field

from kinemask.evaluation.frozen import Pooling, Probed, ProbeTask, Subset, read_probe_data
from kinemask.evaluation.regression import RegressionConfig, prepare_inputs, regression_path
from kinemask.section import ASCENDING, Section
from kinemask.seeding import numpy_generator

_LOG = logging.getLogger(__name__)


Draw = Literal["by_class", "uniform"]
Shares = Annotated[tuple[Annotated[float, Field(gt=0, le=1)], ...], ASCENDING]


class LabelsConfig(Section):
    """How the training clips are drawn of which an evaluation with few labels is told the class.

    `by_class`: each class gives its share. `uniform`: the share is drawn from all clips alike, as parts of
    the field do. Both give at least one clip a class.
    """

    draw: Draw


class FewConfig(RegressionConfig):
    """`shares` of the training labels. With one label a class nothing can choose `c` or a pooling.

    `c` is the inverse strength of the L2 penalty; of `poolings` the first that features offer is probed.
    """

    shares: Shares = Field(min_length=1)
    poolings: tuple[Pooling, ...] = Field(min_length=1)
    c: float = Field(gt=0)


def probe_few(task: ProbeTask, config: FewConfig, draw: Draw) -> list[Probed]:
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
            names, data.train_labels, share=share, draw=draw, seed=task.seed, benchmark=task.benchmark.name
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
    names: np.ndarray, labels: Int[np.ndarray, " N"], *, share: float, draw: Draw, seed: int, benchmark: str
) -> Int[np.ndarray, " L"]:
    """Rows of the clips whose labels are seen, by class and name.

    `by_class`: max(1, round(share n)) of the n clips of each class; a half goes to even. `uniform`:
    max(1, round(share N)) of all N clips, and one more of each class that got none. The clips drawn depend on
    names and labels alone, neither on the order of the clips nor on the method.
    """
    generator = numpy_generator(seed, "few", benchmark, percent_text(share))
    by_name = np.argsort(names)
    chosen = np.zeros(len(names), dtype=bool)
    if draw == "uniform":
        chosen[generator.choice(by_name, max(1, round(share * len(names))), replace=False)] = True
    drawn = []
    for label in np.unique(labels):
        rows = by_name[labels[by_name] == label]
        wanted = max(1, round(share * len(rows))) if draw == "by_class" else int(not chosen[rows].any())
        chosen[rows[generator.choice(len(rows), wanted, replace=False)]] = True
        drawn.append(rows[chosen[rows]])
    return np.concatenate(drawn)


def percent_text(share: float) -> str:
    """`0.01` -> `1`: the share in percent, exactly, so that two shares never give the same text."""
    return f"{(100 * Decimal(str(share))).normalize():f}"
