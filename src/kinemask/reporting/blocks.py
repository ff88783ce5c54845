"""The tables as people read them: one block a benchmark and evaluation, shared by markdown and HTML."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from kinemask.reporting.collect import Collected
from kinemask.reporting.gaps import absences
from kinemask.reporting.published import Figure, figures_of
from kinemask.reporting.tables import CONTROL, UNLEAKED, Key, apart_from_pooling, chosen_of
from kinemask.run import EVALUATIONS

REFERENCES = Path(__file__).with_name("reference.csv")
BETTER, WORSE = "▲", "▼"
CHOSEN = "†"
NOTHING = "-"
WITHOUT_LEAKS = "without leaked clips"

Line = dict[str, Any]  # one row of a table, by column


@dataclass(frozen=True)
class Row:
    """A method in a setting. `chosen`: its pooling is the best on training folds, or the only one."""

    method: str
    setting: str
    chosen: bool
    values: dict[str, str]  # metric -> "86.1 ± 0.3 [84.0, 88.2]"
    verdict: dict[str, str]  # metric -> BETTER, WORSE or nothing
    unleaked_values: dict[str, str]  # the same two over the test clips that are not leaked
    unleaked_verdict: dict[str, str]
    upper_bound: str  # top1 of the best epoch by the test part; a dash without snapshots
    num_seeds: int
    scored_epoch: str


@dataclass(frozen=True)
class Reference:
    """A figure from elsewhere: never made by this run, never in results.csv."""

    what: str
    values: dict[str, str]  # metric -> "86.1"
    source: str


@dataclass(frozen=True)
class Block:
    """One benchmark and evaluation."""

    benchmark: str
    evaluation: str
    num_leaked: int  # of the test clips
    rows: tuple[Row, ...]
    gaps: tuple[tuple[str, str], ...]  # methods without a result, and why, in a word of WHY
    references: tuple[Reference, ...]
    published: tuple[Figure, ...]  # of others, on this very benchmark

    @property
    def has_snapshots(self) -> bool:
        """Whether any row has an upper bound."""
        return any(row.upper_bound != NOTHING for row in self.rows)


def blocks(
    results: pd.DataFrame, comparisons: pd.DataFrame, collected: Collected, level: float
) -> tuple[Block, ...]:
    """Rows as in the table; a verdict where p against the control with its best pooling is below `level`."""
    chosen = chosen_of(collected)
    verdicts = {prefix: _verdicts(comparisons, chosen, level, prefix) for prefix in ("", UNLEAKED)}
    gaps = absences(collected)
    found: dict[tuple[str, str], dict[tuple[str, str], dict[str, Line]]] = {
        (benchmark, one.name): {}
        for benchmark in collected.tests
        for one in EVALUATIONS
        if any(gap[:2] == (benchmark, one.name) for gap in gaps)
        or any((cell.benchmark, cell.evaluation) == (benchmark, one.name) for cell in collected.cells)
    }
    for line in _lines(results):
        block = found.setdefault((line["benchmark"], line["evaluation"]), {})
        block.setdefault((line["method"], line["setting"]), {})[line["metric"]] = line
    return tuple(
        Block(
            benchmark,
            evaluation,
            collected.tests[benchmark].num_leaked,
            tuple(_row(by_metric, verdicts) for by_metric in block.values()),
            tuple((gap[2], word) for gap, word in gaps.items() if gap[:2] == (benchmark, evaluation)),
            references(benchmark, evaluation),
            figures_of(collected.tests[benchmark].info, evaluation),
        )
        for (benchmark, evaluation), block in found.items()
    )


def references(benchmark: str, evaluation: str) -> tuple[Reference, ...]:
    """The figures of reference.csv for a benchmark, one entry a method of making them."""
    with REFERENCES.open(newline="", encoding="utf-8") as file:
        lines = [
            row
            for row in csv.DictReader(file)
            if (row["benchmark"], row["evaluation"]) == (benchmark, evaluation)
        ]
    made: dict[tuple[str, str], dict[str, str]] = {}
    for line in lines:
        made.setdefault((line["what"], line["source"]), {})[line["metric"]] = percent(float(line["value"]))
    return tuple(Reference(what, values, source) for (what, source), values in made.items())


def percent(share: float) -> str:
    """`0.8612` -> `86.1`; what does not exist is a dash."""
    return NOTHING if pd.isna(share) else f"{100 * share + 0.0:.1f}"


def row_label(row: Row) -> str:
    """`mtmc mean k=20 †`: a row in few letters."""
    return " ".join(
        filter(None, (row.method, row.setting.replace("pooling=", ""), CHOSEN if row.chosen else ""))
    )


def spread(line: Line, prefix: str = "") -> str:
    """A row of results.csv as `86.1 ± 0.3 [84.0, 88.2]`, in percent; a dash if there was nothing to score.

    A metric without interval has no brackets.

    `prefix`: UNLEAKED for the score without leaked clips.
    """
    mean, std, low, high = (percent(line[prefix + name]) for name in ("mean", "std", "ci_low", "ci_high"))
    interval = "" if low == NOTHING else f" [{low}, {high}]"
    return NOTHING if mean == NOTHING else f"{mean} ± {std}{interval}"


def gain(line: Line, prefix: str = "") -> str:
    """A row of comparisons.csv or ablation.csv as `+2.1 [0.4, 3.9]`, in points; `prefix` as in `spread`."""
    beside_a_mean = f"{prefix}difference_low" in line  # whose interval has the shorter name
    low_name, high_name = ("difference_low", "difference_high") if beside_a_mean else ("ci_low", "ci_high")
    difference, low, high = (line[prefix + name] for name in ("difference", low_name, high_name))
    if pd.isna(difference):
        return NOTHING
    points = f"{100 * difference:+.1f}".replace("-0.0", "+0.0")
    return f"{points} [{percent(low)}, {percent(high)}]"


def mark(line: Line, level: float, prefix: str = "") -> str:
    """BETTER or WORSE where a comparison is so after Holm's correction; `prefix` as in `spread`."""
    if not line[f"{prefix}p_holm"] < level:  # also where there is no p
        return ""
    return BETTER if line[f"{prefix}difference"] > 0 else WORSE


def leak_sentence(num_leaked: int, num_test: int) -> str:
    """How many test clips a benchmark's training part gives away."""
    stand = "stands" if num_leaked == 1 else "stand"
    told = f"{num_leaked:,} of {num_test:,} test clips {stand} in the training part as well (same content)"
    if num_leaked == 0:
        return f"{told}."
    if num_leaked == num_test:
        return f"{told}: without leaked clips there is nothing to score."
    return f"{told}: every score is given with and without leaked clips."


def _lines(table: pd.DataFrame) -> list[Line]:
    return [{str(name): value for name, value in line.items()} for line in table.to_dict("records")]


def _row(by_metric: dict[str, Line], verdicts: dict[str, dict[tuple[str, ...], str]]) -> Row:
    first = next(iter(by_metric.values()))
    names = (first["benchmark"], first["method"], first["evaluation"])
    setting = first["setting"]
    return Row(
        method=first["method"],
        setting=setting,
        chosen=bool(first["chosen"]),
        values={metric: spread(line) for metric, line in by_metric.items()},
        verdict={metric: verdicts[""].get((*names, setting, metric), "") for metric in by_metric},
        unleaked_values={metric: spread(line, UNLEAKED) for metric, line in by_metric.items()},
        unleaked_verdict={
            metric: verdicts[UNLEAKED].get((*names, setting, metric), "") for metric in by_metric
        },
        upper_bound=percent(by_metric["top1"]["best_epoch_upper_bound"]),
        num_seeds=int(first["num_seeds"]),
        scored_epoch=str(first["scored_epoch"]),
    )


def _verdicts(
    comparisons: pd.DataFrame, chosen: dict[Key, str], level: float, prefix: str
) -> dict[tuple[str, ...], str]:
    found: dict[tuple[str, ...], str] = {}
    for line in _lines(comparisons):
        key = (line["benchmark"], CONTROL, line["evaluation"], apart_from_pooling(line["setting"]))
        if line["control_setting"] == chosen.get(key):
            place = (line["benchmark"], line["method"], line["evaluation"], line["setting"], line["metric"])
            found[place] = mark(line, level, prefix)
    return found
