"""The metrics of a cell: of each seed, and over all seeds with their interval."""

import numpy as np
from jaxtyping import Bool, Int

from kinemask.evaluation.metrics import calibration_gap, count_answers, macro_f1, per_class_accuracy
from kinemask.evaluation.statistics import Estimate, StatisticsConfig, estimate, estimate_f1
from kinemask.reporting.collect import Cell
from kinemask.reporting.scores import ScoredPart


def correct(ranks: Int[np.ndarray, "S N"], metric: str) -> Bool[np.ndarray, "S N"]:
    """Whether the true class is first, or among the first five for top5."""
    return ranks < (5 if metric == "top5" else 1)


def of_seeds(test: ScoredPart, cell: Cell, metric: str) -> list[float]:
    """The metric of each seed on all test clips."""
    return _of_seeds(test, cell, metric, np.ones_like(test.leaked))


def estimated(
    test: ScoredPart, cell: Cell, metric: str, clips: Bool[np.ndarray, " N"], config: StatisticsConfig
) -> Estimate:
    """A metric over some of the clips, with an interval where resampling gives one.

    The calibration error has none: it adds sizes of gaps up, which the noise of a resample enlarges, so that
    percentiles of resamples would lie beside the value itself.
    """
    labels, subjects = test.labels[clips], test.subjects[clips]
    if metric == "calibration_error":
        values = _of_seeds(test, cell, metric, clips)
        std = float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
        return Estimate(float(np.mean(values)), std, float("nan"), float("nan"), len(values))
    if metric == "macro_f1":
        answers = cell.outcome.answers[:, clips]
        return estimate_f1(answers, labels=labels, subjects=subjects, config=config)
    classes = labels if metric == "mean_recall" else None
    right = correct(cell.ranks[:, clips], metric)
    return estimate(right, subjects=subjects, classes=classes, config=config)


def _of_seeds(test: ScoredPart, cell: Cell, metric: str, clips: Bool[np.ndarray, " N"]) -> list[float]:
    labels, answers = test.labels[clips], cell.outcome.answers[:, clips]
    if metric in ("top1", "top5"):
        return [float(row.mean()) for row in correct(cell.ranks[:, clips], metric)]
    if metric == "calibration_error":
        pairs = zip(cell.outcome.confidences[:, clips], answers == labels, strict=True)
        return [calibration_gap(confidence, right) for confidence, right in pairs]
    counts = [count_answers(row, labels, len(test.info.class_names)) for row in answers]
    if metric == "mean_recall":
        return [float(np.nanmean(per_class_accuracy(one))) for one in counts]
    return [macro_f1(one) for one in counts]
