"""The labels of the clips to test on, for scoring and reporting alone: pyproject.toml forbids who learns."""

from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Int

from kinemask.skeleton.benchmark import TEST_LABELS, read_split
from kinemask.skeleton.packed import PackedError


def read_test_labels(folder: Path) -> Int[np.ndarray, " E"]:
    """The label of each test clip, in their order. Raises PackedError if they are absent or of others."""
    path = folder / TEST_LABELS
    try:
        table = pd.read_parquet(path, columns=["name", "label"])
    except (OSError, ValueError) as error:
        raise PackedError(f"{path} is missing or damaged: run split again") from error
    if table["name"].tolist() != read_split(folder, "test", with_labels=False)["name"].tolist():
        raise PackedError(f"{path} is not of the clips of {folder}/test.parquet: run split again")
    return table["label"].to_numpy(np.int64)
