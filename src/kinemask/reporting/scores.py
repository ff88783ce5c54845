"""Stored class scores of a test part, and what the tables keep of them."""

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int

from kinemask.errors import KinemaskError
from kinemask.evaluation.metrics import confidences, rank_of_truth
from kinemask.record import Record
from kinemask.skeleton.benchmark import BenchmarkInfo

RESULTS = Path("results")
_SAME = 1e-6  # the record's accuracy and the one of the scores are the same number


class ReportError(KinemaskError):
    """The reports cannot be made from what is on disk: the message names the file and what to do."""


@dataclass(frozen=True)
class ScoredPart:
    """The test part of a benchmark. Labels are for scoring only."""

    info: BenchmarkInfo
    labels: Int[np.ndarray, " N"]
    subjects: Int[np.ndarray, " N"]
    leaked: Bool[np.ndarray, " N"]  # True: a training clip has the same content

    @property
    def num_leaked(self) -> int:
        """Test clips that stand in the training part as well."""
        return int(self.leaked.sum())


@dataclass(frozen=True)
class Outcome:
    """What class scores say of each test clip, of one seed or of several; K times smaller than the scores."""

    ranks: Int[np.ndarray, "*S N"]  # how many classes come before the true one
    answers: Int[np.ndarray, "*S N"]  # the class that comes first
    confidences: Float64[np.ndarray, "*S N"]  # its share of the softmax

    @classmethod
    def of_seeds(cls, outcomes: Sequence["Outcome"]) -> "Outcome":
        """One for all seeds."""
        return cls(
            np.stack([one.ranks for one in outcomes]),
            np.stack([one.answers for one in outcomes]),
            np.stack([one.confidences for one in outcomes]),
        )


def outcome(scores: Float[np.ndarray, "N K"], labels: Int[np.ndarray, " N"]) -> Outcome:
    """What the scores say of clips with these labels."""
    ranks, answers = rank_of_truth(scores, labels), scores.argmax(axis=1)
    return Outcome(ranks.astype(np.int32), answers.astype(np.int32), confidences(scores))


def read_outcomes(root: Path, path: Path, test: ScoredPart, record: Record) -> dict[str, Outcome]:
    """Setting -> what its scores say. Raises ReportError if they cannot be, or contradict the record."""
    found = {}
    for setting, scores in read_scores(root, path).items():
        shape = (len(test.labels), len(test.info.class_names))
        if scores.shape != shape or not np.isfinite(scores).all():
            wrong = f"shape {scores.shape}" if scores.shape != shape else "numbers that are not finite"
            raise ReportError(
                f"{path}: {setting!r} has {wrong}, expected {shape}: delete it, run `dvc repro`"
            )
        found[setting] = outcome(scores, test.labels)
        told = record.metrics.get(setting, {}).get("top1")
        counted = float((found[setting].ranks == 0).mean())
        if told is None or abs(told - counted) > _SAME:
            raise ReportError(
                f"{path} and {record.path} are of different runs: top1 of {setting!r} is {counted:.6f} there "
                f"and {told} here: delete both and run `dvc repro`"
            )
    return found


def read_scores(root: Path, path: Path) -> dict[str, Float32[np.ndarray, "N K"]]:
    """Setting -> class scores. Raises ReportError if the file below `root` cannot be read."""
    try:
        with np.load(root / path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
        raise ReportError(f"{path} cannot be read ({error}): delete it and run `dvc repro`") from error
