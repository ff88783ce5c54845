"""The charts of the report: which numbers go into a drawing, and the words for who does not see it."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from markupsafe import Markup

from kinemask.pictures import pictures
from kinemask.record import Record
from kinemask.reporting import figures
from kinemask.reporting.blocks import Block, row_label
from kinemask.reporting.collect import Collected
from kinemask.reporting.figures import DASHES, Bar, Curve


@dataclass(frozen=True)
class Chart:
    """A drawing, and what it says to someone who does not see it."""

    svg: Markup
    alt: str
    caption: str


def interval_chart(block: Block, results: pd.DataFrame, collected: Collected, number: int) -> Chart:
    """Top1 of every row of a block, with its seeds, its interval and the references."""
    methods = list(collected.run.methods)
    cells = {(cell.benchmark, cell.evaluation, cell.method, cell.setting): cell for cell in collected.cells}
    lines = {
        (line["benchmark"], line["evaluation"], line["method"], line["setting"]): line
        for line in results[results["metric"] == "top1"].to_dict("records")
    }
    bars = []
    for row in block.rows:
        key = (block.benchmark, block.evaluation, row.method, row.setting)
        cell, line = cells[key], lines[key]
        seeds = tuple(100 * share for share in (cell.ranks == 0).mean(axis=1).tolist())
        numbers = (100 * line["mean"], 100 * line["ci_low"], 100 * line["ci_high"])
        bars.append(Bar(row_label(row), methods.index(row.method), seeds, *numbers))
    references = [(one.what, float(one.values["top1"])) for one in block.references if "top1" in one.values]
    alt = f"{block.evaluation} top1 on {block.benchmark}, percent. " + "; ".join(
        f"{row_label(row)} {row.values['top1']}" for row in block.rows
    )
    svg = Markup(figures.interval_chart(bars, references, name=f"i{number}"))
    caption = "Circles are seeds, the upright stroke their mean, the line the interval."
    return Chart(
        svg, alt, f"{caption} Leaked clips are among the test clips." if block.num_leaked else caption
    )


def training_charts(collected: Collected) -> list[tuple[str, str, list[Chart]]]:
    """(benchmark, method, a chart for each value of the history) of what was trained."""
    found: list[tuple[str, str, list[Chart]]] = []
    for benchmark in collected.tests:
        for method in collected.run.methods:
            records = [one for one in collected.of_run("pretrain", benchmark, method) if one.history]
            names = dict.fromkeys(
                name for one in records for row in one.history for name in row if name != "step"
            )
            charts = [
                _curve_chart(records, name, f"{method} on {benchmark}", f"c{len(found)}-{number}")
                for number, name in enumerate(names)
            ]
            if charts:
                found.append((benchmark, method, charts))
    return found


def look_charts(collected: Collected) -> list[tuple[str, str, int, list[tuple[str, list[Chart]]]]]:
    """(benchmark, method, seed, (clip, its pictures) of each clip) of what was looked at."""
    return [
        (
            benchmark,
            method,
            looks.seed,
            [
                (one.clip, [Chart(Markup(p.svg()), p.alt, p.caption) for p in pictures(looks, one)])
                for one in looks.clips
            ],
        )
        for (benchmark, method), looks in collected.looks.items()
    ]


def _curve_chart(records: Sequence[Record], value: str, what: str, name: str) -> Chart:
    curves = []
    for record in records:
        rows = [row for row in record.history if value in row]
        if rows:
            steps, values = tuple(row["step"] for row in rows), tuple(row[value] for row in rows)
            curves.append(Curve(f"seed {record.seed}", steps, values))
    ends = "; ".join(
        f"{one.label} from {one.values[0]:.4g} at step {one.steps[0]:g} "
        f"to {one.values[-1]:.4g} at step {one.steps[-1]:g}"
        for one in curves
    )
    lines = ", ".join(f"{one.label} {DASHES[number % len(DASHES)]}" for number, one in enumerate(curves))
    return Chart(
        Markup(figures.curve_chart(curves, title=value, name=name)), f"{value} of {what}: {ends}", lines
    )
