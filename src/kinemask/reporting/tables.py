"""The numbers of the reports: one row a result, one row a comparison with the untrained control."""

from collections.abc import Callable, Iterable, Mapping
from itertools import product
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from jaxtyping import Bool

from kinemask.evaluation.ensemble import EnsembleConfig
from kinemask.evaluation.frozen import apart_from_step
from kinemask.evaluation.statistics import (
    Comparison,
    Estimate,
    StatisticsConfig,
    compare,
    holm,
)
from kinemask.record import Record
from kinemask.reporting.collect import Cell, Collected
from kinemask.reporting.estimates import correct, estimated, of_seeds
from kinemask.reporting.scores import ScoredPart
from kinemask.run import scored_on

CONTROL = "random"  # the encoder with its first weights, which every method has to beat
CHOOSES = "validation_top1"  # from folds of the training part: all that may choose a setting
COMPARED = ("top1", "top5", "mean_recall")  # means over clips, which a paired test can compare
METRICS = (*COMPARED, "macro_f1", "calibration_error")
SOURCE = "kinemask"  # of every figure in results.csv: those of others stand in published.csv
UNLEAKED = "unleaked_"  # before the name of a column: the same, over the test clips that are not leaked
_ESTIMATE = ("mean", "std", "ci_low", "ci_high")
_COMPARISON = ("difference", "ci_low", "ci_high", "p", "p_holm")
RESULT_COLUMNS = (
    *("benchmark", "method", "evaluation", "setting", "stream", "metric"),
    *_ESTIMATE,
    *(UNLEAKED + name for name in _ESTIMATE),
    *("num_test", "num_leaked", "num_seeds", "scored_epoch", "commit"),
    *("best_epoch_upper_bound", "source", "chosen"),
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
    """RESULT_COLUMNS, a row for each cell and metric; accuracies are shares in [0, 1].

    `best_epoch_upper_bound` is what choosing each seed's epoch by its test score would give, as some papers
    do: the mean over seeds of the best score among the snapshots and the last weights. It chooses nothing,
    and is empty where there are no snapshots. `chosen`: folds of the training part chose this pooling, or it
    is the only one.
    """
    chosen = chosen_of(collected)
    rows = [
        {
            **origin(collected, cell),
            **result_line(collected.tests[cell.benchmark], cell, metric, config),
            "best_epoch_upper_bound": _best_of_steps(collected, cell, metric),
            "source": SOURCE,
            "chosen": is_chosen(cell, chosen),
        }
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
    chosen = chosen_of(collected)
    by_key = {(cell.benchmark, cell.method, cell.evaluation, cell.setting): cell for cell in collected.cells}
    rows: list[dict[str, Any]] = []
    for cell in collected.cells:
        if cell.method == CONTROL:
            continue
        best = chosen.get((cell.benchmark, CONTROL, cell.evaluation, apart_from_pooling(cell.setting)))
        for setting in dict.fromkeys((cell.setting, best)):
            control = by_key.get((cell.benchmark, CONTROL, cell.evaluation, str(setting)))
            if control is not None and set(cell.seeds) & set(control.seeds):
                rows += [_against_control(collected, cell, control, metric, config) for metric in COMPARED]
    for family in product(collected.tests, COMPARED):
        correct_by_holm([row for row in rows if (row["benchmark"], row["metric"]) == family])
    return rounded(rows, COMPARISON_COLUMNS)


def correct_by_holm(rows: list[dict[str, Any]]) -> None:
    """Write p_holm into rows that are read as one table, with and without leaked clips."""
    for prefix in ("", UNLEAKED):
        for row, p in zip(rows, holm(np.array([row[f"{prefix}p"] for row in rows])), strict=True):
            row[f"{prefix}p_holm"] = float(p)


def chosen_of(collected: Collected) -> dict[Key, str]:
    """`chosen_settings` of all methods and ensembles of a run."""
    return chosen_settings(collected.records, collected.ensembles)


def is_chosen(cell: Cell, chosen: Mapping[Key, str]) -> bool:
    """Whether a result has the pooling that is best on folds of the training part, or the only one."""
    key = (cell.benchmark, cell.method, cell.evaluation, apart_from_pooling(cell.setting))
    return chosen.get(key) == cell.setting


def chosen_settings(
    records: Iterable[Record], ensembles: Mapping[str, EnsembleConfig] | None = None
) -> dict[Key, str]:
    """(benchmark, method, evaluation, setting without its pooling) -> the setting with the best pooling.

    Best by the mean over seeds of CHOOSES, never by a test score; the first in alphabetical order if equal.
    A setting with one pooling alone is its own choice. Of several, without that metric in every record, none
    is chosen and there is no entry. Snapshots choose nothing. That of an ensemble is best by the mean over
    its members.
    """
    values: dict[Key, dict[str, list[float]]] = {}
    for record in records:
        for setting, metrics in record.metrics.items():
            is_last = apart_from_step(setting)[1] is None
            if record.method is not None and "pooling=" in setting and is_last:
                names = (scored_on(record.subject), record.method, record.stage)
                key = (*names, apart_from_pooling(setting))
                values.setdefault(key, {}).setdefault(setting, []).append(metrics.get(CHOOSES, float("nan")))
    for name, ensemble in (ensembles or {}).items():
        _add_ensemble(values, name, ensemble)
    chosen = {}
    for key, by_setting in values.items():
        means = {setting: float(np.mean(by_setting[setting])) for setting in sorted(by_setting)}
        if len(means) == 1 or not np.isnan(list(means.values())).any():
            chosen[key] = max(means, key=lambda setting: means[setting])
    return chosen


def _add_ensemble(values: dict[Key, dict[str, list[float]]], name: str, ensemble: EnsembleConfig) -> None:
    """What chooses among the settings that all members of an ensemble have: the values of all of them."""
    for benchmark, method, evaluation, apart in list(values):
        if method == ensemble.methods[0]:
            of_members = [values.get((benchmark, one, evaluation, apart), {}) for one in ensemble.methods]
            shared = [setting for setting in of_members[0] if all(setting in one for one in of_members)]
            if shared:
                values[benchmark, name, evaluation, apart] = {
                    setting: [value for one in of_members for value in one[setting]] for setting in shared
                }


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


def _best_of_steps(collected: Collected, cell: Cell, metric: str) -> float:
    names = (cell.benchmark, cell.method, cell.evaluation, cell.setting)
    points = [
        one
        for one in collected.snapshots
        if (one.benchmark, one.method, one.evaluation, one.setting) == names
    ]
    if not points or metric == "calibration_error":  # by which nobody picks an epoch
        return float("nan")
    test = collected.tests[cell.benchmark]
    best: dict[int, float] = {}
    for point in (cell, *points):
        for seed, value in zip(point.seeds, of_seeds(test, point, metric), strict=True):
            best[seed] = max(best.get(seed, 0.0), value)
    return float(np.mean([best[seed] for seed in cell.seeds]))


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

    def score(clips: Bool[np.ndarray, " N"]) -> Estimate:
        return estimated(test, cell, metric, clips, config)

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
        correct(one.ranks[[one.seeds.index(seed) for seed in seeds]], metric) for one in (cell, other)
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
    members = collected.members_of(cell.method)
    runs = {
        stage: [
            record
            for member in members
            for record in collected.of_run(stage, subject, member)
            if record.seed in cell.seeds
        ]
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
