"""Accuracy over the steps of a pretraining: what the encoders of its snapshots and its last one are worth."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from kinemask.evaluation.statistics import StatisticsConfig
from kinemask.reporting.collect import Cell, Collected
from kinemask.reporting.tables import (
    UNLEAKED,
    chosen_of,
    is_chosen,
    origin,
    result_line,
    rounded,
)

METRIC = "top1"
_ESTIMATE = ("mean", "std", "ci_low", "ci_high")
CURVE_COLUMNS = (
    *("benchmark", "method", "evaluation", "setting", "pooling", "chosen", "step", "epochs", "metric"),
    *(*_ESTIMATE, *(UNLEAKED + name for name in _ESTIMATE)),
    *("num_test", "num_leaked", "num_seeds", "commit"),
)


@dataclass(frozen=True)
class StepCurve:
    """A method in one setting over its steps. `chosen`: folds of the training part chose this pooling."""

    points: tuple[Cell, ...]  # each with its step, the last one included
    epochs: float  # clips seen at the last step, as a multiple of the clips there are
    chosen: bool

    @property
    def last(self) -> Cell:
        """The result of the method."""
        return self.points[-1]


def step_curves(collected: Collected) -> list[StepCurve]:
    """A curve for each setting in which a method was scored at snapshots; none without its pretrain records.

    What chose a pooling for the last step chose it for the whole curve.
    """
    chosen = chosen_of(collected)
    curves = []
    for cell in collected.cells:
        names = (cell.benchmark, cell.method, cell.evaluation)
        snapshots = [
            one
            for one in collected.snapshots
            if (one.benchmark, one.method, one.evaluation, one.setting) == (*names, cell.setting)
        ]
        trained = _trained(collected, cell)
        if snapshots and trained:
            last = replace(cell, step=round(trained["steps"]))
            curves.append(StepCurve((*snapshots, last), trained["epochs"], is_chosen(cell, chosen)))
    return curves


def curves_table(collected: Collected, config: StatisticsConfig) -> pd.DataFrame:
    """CURVE_COLUMNS: a row for each point of each curve; `setting` is that of results.csv."""
    rows: list[dict[str, Any]] = []
    for curve in step_curves(collected):
        for cell in curve.points:
            assert cell.step is not None, "a point of a curve has a step"
            assert curve.last.step, "a method with snapshots took a step"
            epochs = curve.epochs * cell.step / curve.last.step
            names = {"pooling": _pooling(cell.setting), "chosen": curve.chosen}
            line = result_line(collected.tests[cell.benchmark], cell, METRIC, config)
            rows.append({**origin(collected, cell), **names, "step": cell.step, "epochs": epochs, **line})
    return rounded(rows, CURVE_COLUMNS)


def _trained(collected: Collected, cell: Cell) -> Mapping[str, float] | None:
    """How many steps and epochs the seeds of a method were trained for."""
    for record in collected.of_run("pretrain", cell.benchmark, cell.method):
        found = record.metrics.get("all", {})
        if found.get("steps") and "epochs" in found:
            return found
    return None


def _pooling(setting: str) -> str:
    return next(word.partition("=")[2] for word in setting.split() if word.startswith("pooling="))
