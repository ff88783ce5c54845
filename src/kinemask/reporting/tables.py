"""The numbers of the reports: one row a result, one row a comparison with the untrained control."""

from collections.abc import Callable, Iterable
from itertools import product
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from jaxtyping import Bool, Int

from kinemask.evaluation.frozen import apart_from_step
from kinemask.evaluation.statistics import Comparison, Estimate, StatisticsConfig, compare, estimate, holm
from kinemask.record import Record
from kinemask.reporting.collect import Cell, Collected, ScoredPart
from kinemask.run import scored_on

CONTROL = "random"  # the encoder with its first weights, which every method has to beat
CHOOSES = "validation_top1"  # from folds of the training part: all that may choose a setting
METRICS = ("top1", "top5", "mean_recall")
UNLEAKED = "unleaked_"  # before the name of a column: the same, over the test clips that are not leaked
_ESTIMATE = ("mean", "std", "ci_low", "ci_high")
_COMPARISON = ("difference", "ci_low", "ci_high", "p", "p_holm")
RESULT_COLUMNS = (
    *("benchmark", "method", "evaluation", "setting", "stream", "metric"),
    *_ESTIMATE,
    *(UNLEAKED + name for name in _ESTIMATE),
    *("num_test", "num_leaked", "num_seeds", "scored_epoch", "commit"),
)
COMPARISON_COLUMNS = (
    *("benchmark", "evaluation", "metric", "method", "setting", "control", "control_setting"),
    *_COMPARISON,
    *(UNLEAKED + name for name in _COMPARISON),
    *("num_test", "num_leaked", "num_seeds"),
)
DECIMALS = 4
UNKNOWN = "unknown"

Key = tuple[str, str, str, str]  # benchmark, method, evaluation, setting
Found = TypeVar("Found", Estimate, Comparison)


def results_table(collected: Collected, config: StatisticsConfig) -> pd.DataFrame:
    """RESULT_COLUMNS, a row for each cell and metric; accuracies are shares in [0, 1]."""
    rows = [
        {**origin(collected, cell), **result_line(collected.tests[cell.benchmark], cell, metric, config)}
        for cell, metric in product(collected.cells, METRICS)
    ]
    return rounded(rows, RESULT_COLUMNS)


def comparisons_table(collected: Collected, config: StatisticsConfig) -> pd.DataFrame:
    """COMPARISON_COLUMNS: every method against the control, on the clips and seeds that both have.

    Each setting meets the control at the same setting and at the one with the pooling that is best for the
    control on folds of the training part. Holm's correction runs over all rows of a benchmark in a metric,
    which are read as one table: another benchmark is another question, and the metrics are views of the same
    predictions.
    """
    chosen = chosen_settings(collected.records)
    by_key = {(cell.benchmark, cell.method, cell.evaluation, cell.setting): cell for cell in collected.cells}
    rows: list[dict[str, Any]] = []
    for cell in collected.cells:
        if cell.method == CONTROL:
            continue
        best = chosen.get((cell.benchmark, CONTROL, cell.evaluation, apart_from_pooling(cell.setting)))
        for setting in dict.fromkeys((cell.setting, best)):
            control = by_key.get((cell.benchmark, CONTROL, cell.evaluation, str(setting)))
            if control is not None and set(cell.seeds) & set(control.seeds):
                rows += [_against_control(collected, cell, control, metric, config) for metric in METRICS]
    for family in product(collected.tests, METRICS):
        correct_by_holm([row for row in rows if (row["benchmark"], row["metric"]) == family])
    return rounded(rows, COMPARISON_COLUMNS)


def correct_by_holm(rows: list[dict[str, Any]]) -> None:
    """Write p_holm into rows that are read as one table, with and without leaked clips."""
    for prefix in ("", UNLEAKED):
        for row, p in zip(rows, holm(np.array([row[f"{prefix}p"] for row in rows])), strict=True):
            row[f"{prefix}p_holm"] = float(p)


def chosen_settings(records: Iterable[Record]) -> dict[Key, str]:
    """(benchmark, method, evaluation, setting without its pooling) -> the setting with the best pooling.

    Best by the mean over seeds of CHOOSES, never by a test score; the first in alphabetical order if equal.
    A setting with one pooling alone is its own choice. Of several, without that metric in every record, none
    is chosen and there is no entry. Snapshots choose nothing.
    """
    values: dict[Key, dict[str, list[float]]] = {}
    for record in records:
        for setting, metrics in record.metrics.items():
            is_last = apart_from_step(setting)[1] is None
            if record.method is not None and "pooling=" in setting and is_last:
                names = (scored_on(record.subject), record.method, record.stage)
                key = (*names, apart_from_pooling(setting))
                values.setdefault(key, {}).setdefault(setting, []).append(metrics.get(CHOOSES, float("nan")))
    chosen = {}
    for key, by_setting in values.items():
        means = {setting: float(np.mean(by_setting[setting])) for setting in sorted(by_setting)}
        if len(means) == 1 or not np.isnan(list(means.values())).any():
            chosen[key] = max(means, key=lambda setting: means[setting])
    return chosen


def apart_from_pooling(setting: str) -> str:
    """`pooling=mean k=20` -> `k=20`: settings that differ in the pooling only give the same text."""
    return " ".join(part for part in setting.split() if not part.startswith("pooling="))


def csv_text(table: pd.DataFrame) -> str:
    """The table as CSV, the same bytes for the same numbers; a number that does not exist is empty."""
    numbers = table.select_dtypes("float").columns
    table = table.assign(
        **{str(name): table[name].round(DECIMALS) + 0.0 for name in numbers}
    )  # no minus zero
    return table.to_csv(index=False, float_format=f"%.{DECIMALS}f", lineterminator="\n")


def _correct(ranks: Int[np.ndarray, "S N"], metric: str) -> Bool[np.ndarray, "S N"]:
    return ranks < (5 if metric == "top5" else 1)


def _with_and_without_leaks(
    test: ScoredPart, score: Callable[[Bool[np.ndarray, " N"]], Found]
) -> dict[str, Found | None]:
    """The score of all test clips, and under UNLEAKED of those not leaked; None where all are leaked."""
    found = score(np.ones_like(test.leaked))
    if not test.leaked.any():
        return {"": found, UNLEAKED: found}  # the same clips
    return {"": found, UNLEAKED: None if test.leaked.all() else score(~test.leaked)}


def result_line(test: ScoredPart, cell: Cell, metric: str, config: StatisticsConfig) -> dict[str, Any]:
    """Mean, std and interval of a cell, with and without leaked clips, and what they rest on."""
    correct = _correct(cell.ranks, metric)

    def score(clips: Bool[np.ndarray, " N"]) -> Estimate:
        classes = test.labels[clips] if metric == "mean_recall" else None
        return estimate(correct[:, clips], subjects=test.subjects[clips], classes=classes, config=config)

    line: dict[str, Any] = {"metric": metric, **_clips(test), "num_seeds": len(cell.seeds)}
    for prefix, found in _with_and_without_leaks(test, score).items():
        values = (found.mean, found.std, found.low, found.high) if found else [float("nan")] * 4
        line |= {prefix + name: value for name, value in zip(_ESTIMATE, values, strict=True)}
    return line


def comparison_line(
    test: ScoredPart, cell: Cell, other: Cell, metric: str, config: StatisticsConfig
) -> dict[str, Any]:
    """A cell minus another on the clips and seeds both have, with and without leaked clips; p as it is.

    Raises ValueError if they have no seed in common.
    """
    seeds = [seed for seed in cell.seeds if seed in other.seeds]
    first, second = (
        _correct(one.ranks[[one.seeds.index(seed) for seed in seeds]], metric) for one in (cell, other)
    )

    def score(clips: Bool[np.ndarray, " N"]) -> Comparison:
        pair, subjects = (first[:, clips], second[:, clips]), test.subjects[clips]
        classes = test.labels[clips] if metric == "mean_recall" else None
        return compare(*pair, subjects=subjects, classes=classes, config=config)

    line: dict[str, Any] = {"num_seeds": len(seeds)}
    for prefix, found in _with_and_without_leaks(test, score).items():
        values = (found.difference, found.low, found.high, found.p) if found else [float("nan")] * 4
        line |= {prefix + name: value for name, value in zip(_COMPARISON[:4], values, strict=True)}
    return line


def rounded(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> pd.DataFrame:
    """The rows as a table whose numbers are those that its CSV shows."""
    table = pd.DataFrame(rows, columns=list(columns))
    numbers = table.select_dtypes("float").columns
    table[numbers] = table[numbers].round(DECIMALS)
    return table


def _against_control(
    collected: Collected, cell: Cell, control: Cell, metric: str, config: StatisticsConfig
) -> dict[str, Any]:
    test = collected.tests[cell.benchmark]
    return {
        **{"benchmark": cell.benchmark, "evaluation": cell.evaluation, "metric": metric},
        **{"method": cell.method, "setting": cell.setting},
        **{"control": control.method, "control_setting": control.setting},
        **_clips(test),
        **comparison_line(test, cell, control, metric, config),
    }


def _clips(test: ScoredPart) -> dict[str, int]:
    return {"num_test": len(test.labels), "num_leaked": test.num_leaked}


def origin(collected: Collected, cell: Cell) -> dict[str, Any]:
    """Where a result comes from: names, stream and epoch of its encoders, and the commits that ran."""
    runs = {
        stage: [r for r in collected.of_run(stage, subject, cell.method) if r.seed in cell.seeds]
        for stage, subject in (
            ("pretrain", cell.trained_on),
            ("embed", cell.trained_on),
            (cell.evaluation, cell.subject),
        )
    }
    trained = runs["pretrain"]
    epochs = [value for one in trained if (value := one.metrics.get("all", {}).get("epochs")) is not None]
    streams = [stream for one in trained for stream in _values_of("stream", one.params)]
    return {
        **{"benchmark": cell.benchmark, "method": cell.method},
        **{"evaluation": cell.evaluation, "setting": cell.setting},
        "stream": _joined(streams),
        "scored_epoch": _joined(f"{round(epoch, 1):g}" for epoch in epochs),
        "commit": _joined(one.commit for records in runs.values() for one in records),
    }


def _values_of(name: str, params: Any) -> list[str]:
    """The values of every key called `name`, however deep."""
    if not isinstance(params, dict):
        return []
    here = [str(params[name])] if name in params else []
    return here + [value for key in params if key != name for value in _values_of(name, params[key])]


def _joined(values: Iterable[str]) -> str:
    return "+".join(sorted(set(values))) or UNKNOWN
