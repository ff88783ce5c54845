"""Numbers that say how good class scores are: accuracies, macro-F1, calibration."""

import numpy as np
from jaxtyping import Bool, Float, Float64, Int, Int64

TOP_K = 5
CALIBRATION_BINS = 15


def score_metrics(scores: Float[np.ndarray, "N K"], labels: Int[np.ndarray, " N"]) -> dict[str, float]:
    """top1, top5, mean_recall, macro_f1 and calibration_error, all in [0, 1].

    `scores` are log-probabilities up to a constant for each clip. Raises ValueError if a score is not a
    number or a label is no class.
    """
    _check(scores, labels)
    counts = confusion_matrix(scores, labels)
    return {
        "top1": top_accuracy(scores, labels, 1),
        "top5": top_accuracy(scores, labels, TOP_K),
        "mean_recall": float(np.nanmean(per_class_accuracy(counts))),
        "macro_f1": macro_f1(counts),
        "calibration_error": calibration_error(scores, labels),
    }


def top_accuracy(scores: Float[np.ndarray, "N K"], labels: Int[np.ndarray, " N"], k: int) -> float:
    """Share of clips whose class is among the min(k, K) best."""
    return float((rank_of_truth(scores, labels) < k).mean())


def rank_of_truth(scores: Float[np.ndarray, "N K"], labels: Int[np.ndarray, " N"]) -> Int64[np.ndarray, " N"]:
    """How many classes come before the true one. Of equal scores the smaller class is first, as in argmax."""
    own = np.take_along_axis(scores, labels[:, None], axis=1)
    smaller = np.arange(scores.shape[1]) < labels[:, None]
    ranks: np.ndarray = ((scores > own) | ((scores == own) & smaller)).sum(axis=1)
    return ranks


def confusion_matrix(
    scores: Float[np.ndarray, "N K"], labels: Int[np.ndarray, " N"]
) -> Int64[np.ndarray, "K K"]:
    """Counts of clips by true class (rows) and best-scored class (columns)."""
    return count_answers(scores.argmax(axis=1), labels, scores.shape[1])


def count_answers(
    answers: Int[np.ndarray, " N"], labels: Int[np.ndarray, " N"], num_classes: int
) -> Int64[np.ndarray, "K K"]:
    """Counts of clips by true class (rows) and answer (columns)."""
    cells = labels.astype(np.int64) * num_classes + answers
    counts: np.ndarray = np.bincount(cells, minlength=num_classes**2).reshape(num_classes, num_classes)
    return counts


def per_class_accuracy(counts: Int64[np.ndarray, "K K"]) -> Float64[np.ndarray, " K"]:
    """Recall of each class from a confusion matrix; NaN for a class without clips."""
    clips = counts.sum(axis=1)
    recalls: np.ndarray = np.divide(np.diag(counts), clips, out=np.full(len(counts), np.nan), where=clips > 0)
    return recalls


def macro_f1(counts: Int64[np.ndarray, "K K"]) -> float:
    """Mean F1 over the classes that occur as truth or as answer, as in scikit-learn."""
    occurrences = counts.sum(axis=0) + counts.sum(axis=1)  # F1 = 2 hits / (2 hits + misses + false alarms)
    occurs = occurrences > 0
    return float((2 * np.diag(counts)[occurs] / occurrences[occurs]).mean())


def calibration_error(scores: Float[np.ndarray, "N K"], labels: Int[np.ndarray, " N"]) -> float:
    """Mean gap between confidence and accuracy over 15 equal bins (Guo et al. 2017).

    Bin b holds confidences in (b/15, (b+1)/15].
    """
    return calibration_gap(confidences(scores), scores.argmax(axis=1) == labels)


def confidences(scores: Float[np.ndarray, "N K"]) -> Float64[np.ndarray, " N"]:
    """The largest softmax of the scores of each clip."""
    shifted = scores.astype(np.float64) - scores.max(axis=1, keepdims=True)
    largest: np.ndarray = 1 / np.exp(shifted).sum(axis=1)
    return largest


def calibration_gap(confidence: Float64[np.ndarray, " N"], correct: Bool[np.ndarray, " N"]) -> float:
    """`calibration_error` of answers with a confidence in (0, 1] each."""
    bins = np.ceil(confidence * CALIBRATION_BINS).astype(np.int64) - 1
    gaps = np.bincount(bins, weights=correct - confidence, minlength=CALIBRATION_BINS)
    return float(np.abs(gaps).sum() / len(confidence))


def _check(scores: np.ndarray, labels: np.ndarray) -> None:
    if len(labels) == 0:
        raise ValueError("there are no clips to score")
    if np.isnan(scores).any():
        clip, label = np.argwhere(np.isnan(scores))[0]
        raise ValueError(f"the score of clip {clip}, class {label} is not a number")
    if labels.min() < 0 or labels.max() >= scores.shape[1]:
        raise ValueError(
            f"labels run from {labels.min()} to {labels.max()}, but there are {scores.shape[1]} classes"
        )
