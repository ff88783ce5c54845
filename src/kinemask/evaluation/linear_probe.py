"""Linear probe: multinomial logistic regression on frozen features, its strength chosen on unseen people."""

import logging
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from jaxtyping import Bool, Float32, Int
from pydantic import Field

from kinemask.evaluation.frozen import Probed, ProbeTask, read_probe_data
from kinemask.evaluation.regression import (
    Preparation,
    Regression,
    RegressionConfig,
    prepare_inputs,
    regression_path,
)
from kinemask.section import ASCENDING

_LOG = logging.getLogger(__name__)

MIN_CLIPS = 2  # one to fit and one to choose C by


class LinearConfig(RegressionConfig):
    """`c_grid` are inverse strengths of the L2 penalty."""

    c_grid: Annotated[tuple[Annotated[float, Field(gt=0)], ...], ASCENDING] = Field(min_length=1)
    folds: int = Field(ge=2)


@dataclass(frozen=True)
class LinearProbe:
    """A fitted probe. `validation_top1` is the mean over folds at `c`; `converged` speaks of all fits."""

    preparation: Preparation
    regression: Regression
    num_classes: int
    c: float
    validation_top1: float
    converged: bool

    def scores(self, features: Float32[np.ndarray, "N D"]) -> Float32[np.ndarray, "N K"]:
        """Log-probability of each class; ABSENT_SCORE for a class that had no training clip."""
        return self.regression.scores(self.preparation(features), self.num_classes)


def fit_linear(
    *,
    features: Float32[np.ndarray, "N D"],
    labels: Int[np.ndarray, " N"],
    subjects: Int[np.ndarray, " N"],
    num_classes: int,
    config: LinearConfig,
) -> LinearProbe:
    """Choose C by folds of the training subjects (the smaller C of equals), then fit on all training clips.

    Standardisation and principal components are measured anew on the training side of each fold. Raises
    ValueError if there are fewer than two clips.
    """
    accuracies = []
    converged = True
    for held_out in subject_folds(labels, subjects, config.folds):
        prepare = prepare_inputs(features[~held_out], config.components)
        train, held = prepare(features[~held_out]), prepare(features[held_out])
        path = list(regression_path(train, labels[~held_out], config.c_grid, config))
        accuracies.append([regression.accuracy(held, labels[held_out]) for regression in path])
        converged &= all(regression.converged for regression in path)
    by_c = np.mean(accuracies, axis=0)
    best = int(by_c.argmax())
    prepare = prepare_inputs(features, config.components)
    (regression,) = regression_path(prepare(features), labels, config.c_grid[best : best + 1], config)
    return LinearProbe(
        preparation=prepare,
        regression=regression,
        num_classes=num_classes,
        c=config.c_grid[best],
        validation_top1=float(by_c[best]),
        converged=converged and regression.converged,
    )


def subject_folds(
    labels: Int[np.ndarray, " N"], subjects: Int[np.ndarray, " N"], folds: int
) -> list[Bool[np.ndarray, " N"]]:
    """For each fold, which clips it holds out: all clips of some subjects, folds of near equal size.

    Fewer subjects than folds give one fold a subject. A single subject cannot be held out: its clips are
    dealt to the folds class by class, so that every fold holds a like share of each. Raises ValueError for
    one clip.
    """
    if len(labels) < 2:
        raise ValueError(f"choosing C needs at least 2 training clips, found {len(labels)}")
    num_subjects = len(np.unique(subjects))
    if num_subjects == 1:
        fold_of = np.empty(len(labels), dtype=np.int64)
        fold_of[np.argsort(labels, kind="stable")] = np.arange(len(labels)) % folds
        return [fold_of == fold for fold in range(min(folds, len(labels)))]

    from sklearn.model_selection import GroupKFold  # 1 to 3 seconds, and only folds need it

    splits = GroupKFold(n_splits=min(folds, num_subjects)).split(labels, groups=subjects)
    return [np.isin(np.arange(len(labels)), held_out) for _, held_out in splits]


def probe_linear(task: ProbeTask, config: LinearConfig) -> list[Probed]:
    """The one setting of a linear probe, with c, validation_top1 and converged (0 or 1, and 0 is logged)."""
    data = read_probe_data(task, min_train=MIN_CLIPS)
    probe = fit_linear(
        features=data.train_features,
        labels=data.train_labels,
        subjects=data.train_subjects,
        num_classes=data.num_classes,
        config=config,
    )
    if not probe.converged:
        _LOG.warning(
            "%s: a fit did not converge in %d iterations: raise evaluation.linear.max_iterations or take the "
            "largest values out of c_grid",
            task.features,
            config.max_iterations,
        )
    values = {
        "validation_top1": probe.validation_top1,
        "c": probe.c,
        "converged": float(probe.converged),
    }
    return [Probed(task.seed, task.setting(), probe.scores(data.test_features), values)]
