"""Multinomial logistic regression on prepared features: what all linear probes have in common."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int
from pydantic import Field

from kinemask.evaluation.frozen import ABSENT_SCORE
from kinemask.evaluation.standardise import Standardiser, measure_standardiser
from kinemask.section import Section


class RegressionConfig(Section):
    """`tolerance` bounds the gradient of the mean loss."""

    components: int | None = Field(
        ge=1
    )  # principal components kept of wider features; null keeps all columns
    max_iterations: int = Field(ge=1)
    tolerance: float = Field(gt=0)


@dataclass(frozen=True)
class Preparation:
    """Features to inputs of the regression: standardised, then onto principal axes where there are any."""

    standardiser: Standardiser
    axes: Float32[np.ndarray, "D P"] | None

    def __call__(self, features: Float32[np.ndarray, "N D"]) -> Float64[np.ndarray, "N P"]:
        """The inputs of the clips."""
        standard = self.standardiser(features)
        return (standard if self.axes is None else standard @ self.axes).astype(np.float64)


@dataclass(frozen=True)
class Regression:
    """Weights of the classes that had training clips."""

    classes: Int[np.ndarray, " Q"]
    weights: Float64[np.ndarray, "P Q"]
    bias: Float64[np.ndarray, " Q"]
    converged: bool

    def log_probabilities(self, inputs: Float64[np.ndarray, "N P"]) -> Float64[np.ndarray, "N Q"]:
        """Logarithms of the probabilities of the classes that had training clips."""
        logits: np.ndarray = inputs @ self.weights + self.bias
        logits -= logits.max(axis=1, keepdims=True)
        logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return logits

    def scores(self, inputs: Float64[np.ndarray, "N P"], num_classes: int) -> Float32[np.ndarray, "N K"]:
        """Log-probability of each of the K = `num_classes`; ABSENT_SCORE for one without training clips."""
        scores = np.full((len(inputs), num_classes), ABSENT_SCORE, dtype=np.float32)
        scores[:, self.classes] = self.log_probabilities(inputs)
        return scores

    def accuracy(self, inputs: Float64[np.ndarray, "N P"], labels: Int[np.ndarray, " N"]) -> float:
        """Share of clips whose likeliest class is their own."""
        answers = self.classes[self.log_probabilities(inputs).argmax(axis=1)]
        return float((answers == labels).mean())


def prepare_inputs(features: Float32[np.ndarray, "N D"], components: int | None) -> Preparation:
    """Standardisation and at most `components` principal axes of these clips; no label is looked at."""
    standardiser = measure_standardiser(features)
    if components is None or features.shape[1] <= components:
        return Preparation(standardiser, None)
    return Preparation(standardiser, principal_axes(standardiser(features), components))


def principal_axes(standard: Float32[np.ndarray, "N D"], components: int) -> Float32[np.ndarray, "D P"]:
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


def regression_path(
    inputs: Float64[np.ndarray, "N P"],
    labels: Int[np.ndarray, " N"],
    grid: Sequence[float],
    config: RegressionConfig,
) -> Iterator[Regression]:
    """One regression a C, each started where the one before ended. A single class is always the answer."""
    classes = np.unique(labels)
    if len(classes) == 1:
        for _ in grid:
            yield Regression(classes, np.zeros((inputs.shape[1], 1)), np.zeros(1), converged=True)
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
        yield Regression(classes, weights, bias, converged=len(others) == len(caught))
