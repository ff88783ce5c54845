"""Which classes a method knows, and what it takes the others for."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float64, Int64

from kinemask.evaluation.metrics import count_answers, per_class_accuracy
from kinemask.reporting.collect import Cell, Collected
from kinemask.reporting.tables import chosen_of, is_chosen, rounded

CLASS_COLUMNS = (
    *("benchmark", "method", "evaluation", "setting", "class", "num_clips", "recall_mean", "recall_std"),
    *("confused_with", "confused_share", "num_seeds"),
)


def classes_table(collected: Collected) -> pd.DataFrame:
    """CLASS_COLUMNS, a row for each class of each result with the chosen pooling, or with its only one.

    `confused_with` is the wrong answer that the clips of the class got most often, all seeds together, and
    `confused_share` its share of them; both are empty where there is no mistake.
    """
    rows: list[dict[str, Any]] = []
    for cell in chosen_cells(collected):
        names = collected.tests[cell.benchmark].info.class_names
        counts = confusions(collected, cell)
        place = {
            **{"benchmark": cell.benchmark, "method": cell.method},
            **{"evaluation": cell.evaluation, "setting": cell.setting, "num_seeds": len(cell.seeds)},
        }
        recalls = np.stack([per_class_accuracy(of_seed) for of_seed in counts])
        spread = recalls.std(axis=0, ddof=1) if len(recalls) > 1 else np.full(len(names), np.nan)
        wrong = counts.sum(axis=0) * (1 - np.eye(len(names), dtype=np.int64))
        for number, name in enumerate(names):
            clips, most = int(counts[0, number].sum()), int(wrong[number].argmax())
            row = {"class": name, "num_clips": clips, "recall_mean": recalls[:, number].mean()}
            row |= {"recall_std": spread[number], "confused_with": "", "confused_share": np.nan}
            if wrong[number, most] > 0:
                share = wrong[number, most] / (clips * len(counts))
                row |= {"confused_with": names[most], "confused_share": share}
            rows.append({**place, **row})
    return rounded(rows, CLASS_COLUMNS)


def chosen_cells(collected: Collected) -> Iterator[Cell]:
    """The results whose pooling is the best on folds of the training part, or the only one there is."""
    chosen = chosen_of(collected)
    return (cell for cell in collected.cells if is_chosen(cell, chosen))


def confusions(collected: Collected, cell: Cell) -> Int64[np.ndarray, "S K K"]:
    """For each seed, counts of clips by true class (rows) and answer (columns)."""
    test = collected.tests[cell.benchmark]
    num_classes = len(test.info.class_names)
    return np.stack([count_answers(answers, test.labels, num_classes) for answers in cell.outcome.answers])


def confusion_shares(collected: Collected, cell: Cell) -> Float64[np.ndarray, "K K"]:
    """Shares of the clips of each class by answer, all seeds together; NaN for a class without clips."""
    counts = confusions(collected, cell).sum(axis=0)
    clips = counts.sum(axis=1, keepdims=True)
    shares: np.ndarray = np.divide(counts, clips, out=np.full(counts.shape, np.nan), where=clips > 0)
    return shares
