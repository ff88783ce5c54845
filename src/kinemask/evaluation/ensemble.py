"""Ensembles: the class scores of several methods, such as one a stream, added clip by clip."""

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from jaxtyping import Float, Float32
from pydantic import Field, model_validator

from kinemask.evaluation.frozen import ABSENT_SCORE
from kinemask.section import Section


class EnsembleConfig(Section):
    """Methods and the weight of each. Weights stand in the file: nothing fits them to scores."""

    methods: tuple[str, ...] = Field(min_length=2)
    weights: tuple[Annotated[float, Field(gt=0)], ...]

    @model_validator(mode="after")
    def _one_weight_each(self) -> "EnsembleConfig":
        if len(set(self.methods)) != len(self.methods):
            raise ValueError(f"each method may be named only once, found {', '.join(self.methods)}")
        if len(self.weights) != len(self.methods):
            raise ValueError(f"there are {len(self.weights)} weights for {len(self.methods)} methods")
        return self


def add_scores(
    scores: Sequence[Float[np.ndarray, "N K"]], weights: Sequence[float]
) -> Float32[np.ndarray, "N K"]:
    """Log of the weighted mean of the members' class probabilities.

    Probabilities are added, not their logs: in a sum of logs a class that one member rules out is ruled out,
    however sure the others are of it, and neighbours rule out every class that does not vote. Where no member
    gives a class any chance it has ABSENT_SCORE.
    """
    mean = sum(weight * _softmax(one) for one, weight in zip(scores, weights, strict=True)) / sum(weights)
    with np.errstate(divide="ignore"):
        logs = np.log(mean)
    return np.maximum(logs, ABSENT_SCORE).astype(np.float32)


def _softmax(scores: Float[np.ndarray, "N K"]) -> Float[np.ndarray, "N K"]:
    shares = np.exp(scores.astype(np.float64) - scores.max(axis=1, keepdims=True))
    normalised: np.ndarray = shares / shares.sum(axis=1, keepdims=True)
    return normalised
