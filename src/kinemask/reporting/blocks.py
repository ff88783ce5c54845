"""The tables as people read them: one block a benchmark and evaluation, shared by markdown and HTML."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from kinemask.reporting.collect import Collected
from kinemask.reporting.tables import CONTROL, Key, apart_from_pooling, chosen_settings

REFERENCES = Path(__file__).with_name("reference.csv")
BETTER, WORSE = "▲", "▼"
CHOSEN = "†"

Line = dict[str, Any]  # one row of a table, by column


@dataclass(frozen=True)
class Row:
    """A method in a setting. `chosen`: its pooling is the best on folds of the training part."""

    method: str
    setting: str
    chosen: bool
    values: dict[str, str]  # metric -> "86.1 ± 0.3 [84.0, 88.2]"
    verdict: dict[str, str]  # metric -> BETTER, WORSE or nothing
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
    rows: tuple[Row, ...]
    references: tuple[Reference, ...]


def blocks(
    results: pd.DataFrame, comparisons: pd.DataFrame, collected: Collected, level: float
) -> tuple[Block, ...]:
    """Rows as in the table; a verdict where p against the control with its best pooling is below `level`."""
    chosen = chosen_settings(collected.records)
    verdicts = _verdicts(comparisons, chosen, level)
    found: dict[tuple[str, str], dict[tuple[str, str], dict[str, Line]]] = {}
    for line in _lines(results):
        block = found.setdefault((line["benchmark"], line["evaluation"]), {})
        block.setdefault((line["method"], line["setting"]), {})[line["metric"]] = line
    return tuple(
        Block(
            benchmark,
            evaluation,
            tuple(_row(by_metric, chosen, verdicts) for by_metric in block.values()),
            references(benchmark, evaluation),
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
    return "-" if pd.isna(share) else f"{100 * share + 0.0:.1f}"


def row_label(row: Row) -> str:
    """`mtmc mean k=20 †`: a row in few letters."""
    return " ".join(
        filter(None, (row.method, row.setting.replace("pooling=", ""), CHOSEN if row.chosen else ""))
    )


def spread(line: Line) -> str:
    """A row of results.csv as `86.1 ± 0.3 [84.0, 88.2]`, in percent."""
    interval = f"[{percent(line['ci_low'])}, {percent(line['ci_high'])}]"
    return f"{percent(line['mean'])} ± {percent(line['std'])} {interval}"


def gain(line: Line) -> str:
    """A row of comparisons.csv as `+2.1 [0.4, 3.9]`, in points."""
    points = f"{100 * line['difference']:+.1f}".replace("-0.0", "+0.0")
    return f"{points} [{percent(line['ci_low'])}, {percent(line['ci_high'])}]"


def _lines(table: pd.DataFrame) -> list[Line]:
    return [{str(name): value for name, value in line.items()} for line in table.to_dict("records")]


def _row(by_metric: dict[str, Line], chosen: dict[Key, str], verdicts: dict[tuple[str, ...], str]) -> Row:
    first = next(iter(by_metric.values()))
    names = (first["benchmark"], first["method"], first["evaluation"])
    setting = first["setting"]
    return Row(
        method=first["method"],
        setting=setting,
        chosen=chosen.get((*names, apart_from_pooling(setting))) == setting,
        values={metric: spread(line) for metric, line in by_metric.items()},
        verdict={metric: verdicts.get((*names, setting, metric), "") for metric in by_metric},
        num_seeds=int(first["num_seeds"]),
        scored_epoch=str(first["scored_epoch"]),
    )


def _verdicts(comparisons: pd.DataFrame, chosen: dict[Key, str], level: float) -> dict[tuple[str, ...], str]:
    found: dict[tuple[str, ...], str] = {}
    for line in _lines(comparisons):
        key = (line["benchmark"], CONTROL, line["evaluation"], apart_from_pooling(line["setting"]))
        if line["control_setting"] == chosen.get(key) and line["p_holm"] < level:
            place = (line["benchmark"], line["method"], line["evaluation"], line["setting"], line["metric"])
            found[place] = BETTER if line["difference"] > 0 else WORSE
    return found
