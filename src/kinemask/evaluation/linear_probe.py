"""Linear probe: multinomial logistic regression on frozen features, its strength chosen on unseen people."""

import logging
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int
from pydantic import Field, field_validator

from kinemask.evaluation.frozen import ABSENT_SCORE, Probed, ProbeTask, read_probe_data
from kinemask.evaluation.standardise import Standardiser, measure_standardiser
from kinemask.section import Section

_LOG = logging.getLogger(__name__)


class LinearConfig(Section):
    """`c_grid` are inverse strengths of the L2 penalty; `tolerance` bounds the gradient of the mean loss."""

    components: int | None = Field(
        ge=1
    )  # principal components kept of wider features; null keeps all columns
    c_grid: tuple[float, ...] = Field(min_length=1)
    folds: int = Field(ge=2)
    max_iterations: int = Field(ge=1)
    tolerance: float = Field(gt=0)

    @field_validator("c_grid")
    @classmethod
    def _ascending(cls, grid: tuple[float, ...]) -> tuple[float, ...]:
        if grid[0] <= 0 or any(left >= right for left, right in pairwise(grid)):
            raise ValueError("must be positive and ascending, each value once")
        return grid


@dataclass(frozen=True)
class _Preparation:
    """Features to inputs of the regression: standardised, then onto principal axes where there are any."""

    standardiser: Standardiser
    axes: Float32[np.ndarray, "D P"] | None

    def __call__(self, features: Float32[np.ndarray, "N D"]) -> Float64[np.ndarray, "N P"]:
        standard = self.standardiser(features)
        return (standard if self.axes is None else standard @ self.axes).astype(np.float64)


@dataclass(frozen=True)
class _Regression:
    """Weights of the classes that had training clips."""

    classes: Int[np.ndarray, " Q"]
    weights: Float64[np.ndarray, "P Q"]
    bias: Float64[np.ndarray, " Q"]
    converged: bool

    def log_probabilities(self, inputs: Float64[np.ndarray, "N P"]) -> Float64[np.ndarray, "N Q"]:
        logits: np.ndarray = inputs @ self.weights + self.bias
        logits -= logits.max(axis=1, keepdims=True)
        logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return logits

    def accuracy(self, inputs: Float64[np.ndarray, "N P"], labels: Int[np.ndarray, " N"]) -> float:
        answers = self.classes[self.log_probabilities(inputs).argmax(axis=1)]
        return float((answers == labels).mean())


@dataclass(frozen=True)
class LinearProbe:
    """A fitted probe. `validation_top1` is the mean over folds at `c`; `converged` speaks of all fits."""

    preparation: _Preparation
    regression: _Regression
    num_classes: int
    c: float
    validation_top1: float
    converged: bool

    def scores(self, features: Float32[np.ndarray, "N D"]) -> Float32[np.ndarray, "N K"]:
        """Log-probability of each class; ABSENT_SCORE for a class that had no training clip."""
        scores = np.full((len(features), self.num_classes), ABSENT_SCORE, dtype=np.float32)
        scores[:, self.regression.classes] = self.regression.log_probabilities(self.preparation(features))
        return scores


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
        prepare = _prepare(features[~held_out], config.components)
        train, held = prepare(features[~held_out]), prepare(features[held_out])
        path = list(_regression_path(train, labels[~held_out], config.c_grid, config))
        accuracies.append([regression.accuracy(held, labels[held_out]) for regression in path])
        converged &= all(regression.converged for regression in path)
    by_c = np.mean(accuracies, axis=0)
    best = int(by_c.argmax())
    prepare = _prepare(features, config.components)
    (regression,) = _regression_path(prepare(features), labels, config.c_grid[best : best + 1], config)
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

    from sklearn.model_selection import GroupKFold  # 1 to 3 seconds, and only this module needs it

    splits = GroupKFold(n_splits=min(folds, num_subjects)).split(labels, groups=subjects)
    return [np.isin(np.arange(len(labels)), held_out) for _, held_out in splits]


def _prepare(features: Float32[np.ndarray, "N D"], components: int | None) -> _Preparation:
    standardiser = measure_standardiser(features)
    if components is None or features.shape[1] <= components:
        return _Preparation(standardiser, None)
    return _Preparation(standardiser, _principal_axes(standardiser(features), components))


def _principal_axes(standard: Float32[np.ndarray, "N D"], components: int) -> Float32[np.ndarray, "D P"]:
    """The directions of largest variance, fewer than `components` where the features span fewer.

    From the smaller of the two matrices of inner products: exact, and the same on every run.
    """
    num_clips, width = standard.shape
    inner = standard.T @ standard if width <= num_clips else standard @ standard.T
    values, vectors = np.linalg.eigh(inner.astype(np.float64))
    spanned = values > values[-1] * max(num_clips, width) * np.finfo(np.float32).eps
    spanned[-1] = True  # collapsed features span nothing, and keep one axis of zeros
    values = np.maximum(values, np.finfo(np.float32).tiny)
    kept = np.flatnonzero(spanned)[::-1][:components]
    axes: np.ndarray = vectors[:, kept]
    if width > num_clips:
        axes = standard.T @ (axes / np.sqrt(values[kept]))
    return axes.astype(np.float32)


def _regression_path(
    inputs: Float64[np.ndarray, "N P"],
    labels: Int[np.ndarray, " N"],
    grid: Sequence[float],
    config: LinearConfig,
) -> Iterator[_Regression]:
    """One regression a C, each started where the one before ended."""
    classes = np.unique(labels)
    if len(classes) == 1:
        for _ in grid:
            yield _Regression(classes, np.zeros((inputs.shape[1], 1)), np.zeros(1), converged=True)
        return

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(max_iter=config.max_iterations, tol=config.tolerance, warm_start=True)
    for c in grid:
        model.set_params(C=c)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ConvergenceWarning)
            model.fit(inputs, labels)
        others = [warning for warning in caught if not issubclass(warning.category, ConvergenceWarning)]
        for other in others:
            warnings.warn_explicit(other.message, other.category, other.filename, other.lineno)
        weights, bias = model.coef_.T.copy(), model.intercept_.copy()
        if len(classes) == 2:  # scikit-learn keeps only the difference of the two
            weights, bias = np.hstack([0 * weights, weights]), np.append(0.0, bias)
        yield _Regression(classes, weights, bias, converged=len(others) == len(caught))


def probe_linear(task: ProbeTask, config: LinearConfig) -> list[Probed]:
    """The one setting of a linear probe, with c, validation_top1 and converged (0 or 1, and 0 is logged)."""
    data = read_probe_data(task)
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
