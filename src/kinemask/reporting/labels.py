"""Accuracy over the share of the labels: what a method needs few of them for."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from kinemask.evaluation.statistics import StatisticsConfig
from kinemask.reporting.classes import chosen_cells
from kinemask.reporting.collect import Cell, Collected
from kinemask.reporting.tables import UNLEAKED, apart_from_pooling, result_line, rounded

METRIC = "top1"
# Evaluations whose results are points of one curve, and what the curve is called.
FAMILIES = {"frozen encoder": ("few",), "encoder trained too": ("semi", "finetune")}
_ALL_LABELS = ("finetune",)
_LABELS = "labels="
_ESTIMATE = ("mean", "std", "ci_low", "ci_high")
LABEL_COLUMNS = (
    *("benchmark", "method", "family", "evaluation", "setting", "labels", "num_labelled", "metric"),
    *(*_ESTIMATE, *(UNLEAKED + name for name in _ESTIMATE)),
    *("num_test", "num_leaked", "num_seeds"),
)


@dataclass(frozen=True)
class LabelCurve:
    """A method over shares of the labels, ascending. `apart` is what else its settings say."""

    family: str
    apart: str
    shares: tuple[float, ...]
    points: tuple[Cell, ...]

    @property
    def benchmark(self) -> str:
        """Where all points were scored."""
        return self.points[0].benchmark

    @property
    def method(self) -> str:
        """The method of all points."""
        return self.points[0].method


def label_curves(collected: Collected) -> list[LabelCurve]:
    """A curve for each benchmark, family and method, each point with its chosen pooling or its only one."""
    found: dict[tuple[str, str, str, str], list[tuple[float, Cell]]] = {}
    for cell in chosen_cells(collected):
        for family, evaluations in FAMILIES.items():
            share = share_of_labels(cell)
            if cell.evaluation in evaluations and share is not None:
                words = apart_from_pooling(cell.setting).split()
                apart = " ".join(word for word in words if not word.startswith(_LABELS))
                found.setdefault((cell.benchmark, family, apart, cell.method), []).append((share, cell))
    curves = []
    for (_, family, apart, _), points in found.items():
        shares, cells = zip(*sorted(points, key=lambda point: point[0]), strict=True)
        curves.append(LabelCurve(family, apart, shares, cells))
    return sorted(curves, key=lambda curve: _order(collected, curve))


def labels_table(collected: Collected, config: StatisticsConfig) -> pd.DataFrame:
    """LABEL_COLUMNS: a row for each point of each curve; `labels` is a share in (0, 1]."""
    rows: list[dict[str, Any]] = []
    for curve in label_curves(collected):
        for share, cell in zip(curve.shares, curve.points, strict=True):
            names = {"benchmark": cell.benchmark, "method": cell.method, "family": curve.family}
            names |= {"evaluation": cell.evaluation, "setting": cell.setting}
            counts = {"labels": share, "num_labelled": _num_labelled(collected, cell, share)}
            line = result_line(collected.tests[cell.benchmark], cell, METRIC, config)
            rows.append({**names, **counts, **line})
    return rounded(rows, LABEL_COLUMNS)


def share_of_labels(cell: Cell) -> float | None:
    """`labels=10%` -> 0.1; 1 where an evaluation sees all of them, None where nothing says so."""
    for word in cell.setting.split():
        if word.startswith(_LABELS):
            return float(word.removeprefix(_LABELS).removesuffix("%")) / 100
    return 1.0 if cell.evaluation in _ALL_LABELS else None


def _num_labelled(collected: Collected, cell: Cell, share: float) -> float:
    """How many clips had a label, the mean over seeds; NaN where nobody wrote it down."""
    if share == 1:
        return float(collected.tests[cell.benchmark].info.num_train)
    member = collected.members_of(cell.method)[0]  # all of an ensemble were told the same
    records = collected.of_run(cell.evaluation, cell.benchmark, member)
    counts = [one.metrics.get(cell.setting, {}).get("num_labelled") for one in records]
    known = [count for count in counts if count is not None]
    return float(np.mean(known)) if known else float("nan")


def _order(collected: Collected, curve: LabelCurve) -> tuple[int, int]:
    return list(collected.tests).index(curve.benchmark), list(FAMILIES).index(curve.family)
