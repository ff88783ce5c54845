"""Features with zero mean and unit variance, measured on the training clips alone."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64

# A column that varies by some ten roundings of float32 beside its mean carries no information.
_RELATIVE_RESOLUTION = 1e-6


@dataclass(frozen=True)
class Standardiser:
    """Subtracts `mean` and divides by `scale`, which is 1 for a constant column."""

    mean: Float64[np.ndarray, " D"]
    scale: Float64[np.ndarray, " D"]

    def __call__(self, features: Float32[np.ndarray, "N D"]) -> Float32[np.ndarray, "N D"]:
        """The features, standardised."""
        standard: np.ndarray = (features - self.mean) / self.scale
        return standard.astype(np.float32)


def measure_standardiser(features: Float32[np.ndarray, "N D"]) -> Standardiser:
    """Mean and spread of each column of the training clips."""
    mean = features.mean(axis=0, dtype=np.float64)
    spread = features.std(axis=0, dtype=np.float64)
    constant = spread <= _RELATIVE_RESOLUTION * np.abs(mean)
    return Standardiser(mean, np.where(constant, 1.0, spread))
