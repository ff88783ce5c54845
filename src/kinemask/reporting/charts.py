"""The charts of the report: which numbers go into a drawing, and the words for who does not see it."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from markupsafe import Markup

from kinemask.pictures import attention_pictures, encoder_pictures, step_pictures
from kinemask.pictures.confusion import confusion_picture
from kinemask.pictures.marks import Picture
from kinemask.record import Record
from kinemask.reporting import figures
from kinemask.reporting.ablation import SHOWN
from kinemask.reporting.blocks import Block, row_label
from kinemask.reporting.classes import chosen_cells, confusion_shares
from kinemask.reporting.collect import Cell, Collected
from kinemask.reporting.curves import StepCurve, step_curves
from kinemask.reporting.figures import DASHES, Bar, Curve, StepLine
from kinemask.reporting.labels import LabelCurve, label_curves
from kinemask.reporting.tables import CONTROL, apart_from_pooling, chosen_of


@dataclass(frozen=True)
class Chart:
    """A drawing, and what it says to someone who does not see it."""

    svg: Markup
    alt: str
    caption: str


def interval_chart(block: Block, results: pd.DataFrame, collected: Collected, number: int) -> Chart:
    """Top1 of every row of a block, with its seeds, its interval and the references."""
    methods = list(collected.methods)
    cells = {(cell.benchmark, cell.evaluation, cell.method, cell.setting): cell for cell in collected.cells}
    lines = {
        (line["benchmark"], line["evaluation"], line["method"], line["setting"]): line
        for line in results[results["metric"] == "top1"].to_dict("records")
    }
    bars = []
    for row in block.rows:
        key = (block.benchmark, block.evaluation, row.method, row.setting)
        cell, line = cells[key], lines[key]
        seeds = _percent_of_seeds(cell)
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


def step_charts(collected: Collected) -> list[tuple[str, list[Chart]]]:
    """(benchmark, a chart for each evaluation of SHOWN) where methods were scored at snapshots.

    Every method has the pooling that folds of the training part chose at its last step; so has the control.
    """
    grouped: dict[tuple[str, str, str], list[StepCurve]] = {}
    for curve in step_curves(collected):
        apart = apart_from_pooling(curve.last.setting)
        if curve.chosen and apart in SHOWN:
            grouped.setdefault((curve.last.benchmark, curve.last.evaluation, apart), []).append(curve)
    charts: dict[str, list[Chart]] = {}
    all_chosen = chosen_of(collected)
    for number, ((benchmark, evaluation, apart), curves) in enumerate(grouped.items()):
        what = f"{evaluation} {apart}".strip()
        chosen = all_chosen.get((benchmark, CONTROL, evaluation, apart))
        controls = [
            cell
            for cell in collected.cells
            if (cell.benchmark, cell.method, cell.evaluation) == (benchmark, CONTROL, evaluation)
            and cell.setting == chosen
        ]
        chart = _step_chart(curves, controls, list(collected.methods), what, f"s{number}")
        charts.setdefault(benchmark, []).append(chart)
    return list(charts.items())


def _step_chart(
    curves: Sequence[StepCurve], controls: Sequence[Cell], methods: list[str], what: str, name: str
) -> Chart:
    lines = []
    for curve in curves:
        seeds = [_percent_of_seeds(cell) for cell in curve.points]
        label = f"{curve.last.method} {curve.last.setting}"
        means = tuple(sum(values) / len(values) for values in seeds)
        steps = tuple(float(cell.step or 0) for cell in curve.points)
        lines.append(StepLine(label, methods.index(curve.last.method), steps, means, tuple(seeds)))
    references = [(f"{one.method} {one.setting}", 100 * float((one.ranks == 0).mean())) for one in controls]
    told = [
        f"{line.label}: "
        + ", ".join(
            f"{mean:.1f} at step {step:.0f}" for step, mean in zip(line.steps, line.means, strict=True)
        )
        for line in lines
    ]
    told += [f"{label}: {value:.1f} at any step" for label, value in references]
    return Chart(
        Markup(figures.step_chart(lines, references, title=what, name=name)),
        f"{what}, top1 over steps on {curves[0].last.benchmark}, percent. " + "; ".join(told),
        "Circles are seeds, the line joins their means.",
    )


def label_charts(collected: Collected) -> list[tuple[str, list[Chart]]]:
    """(benchmark, a chart for each family) where methods were scored at two shares of the labels or more."""
    grouped: dict[tuple[str, str, str], list[LabelCurve]] = {}
    for curve in label_curves(collected):
        grouped.setdefault((curve.benchmark, curve.family, curve.apart), []).append(curve)
    charts: dict[str, list[Chart]] = {}
    for number, ((benchmark, family, apart), curves) in enumerate(grouped.items()):
        if any(len(curve.shares) > 1 for curve in curves):
            what = f"{family} {apart}".strip()
            charts.setdefault(benchmark, []).append(_label_chart(collected, curves, what, f"l{number}"))
    return list(charts.items())


def _label_chart(collected: Collected, curves: Sequence[LabelCurve], what: str, name: str) -> Chart:
    lines = []
    for curve in curves:
        seeds = tuple(_percent_of_seeds(cell) for cell in curve.points)
        means = tuple(sum(values) / len(values) for values in seeds)
        shares = tuple(100 * share for share in curve.shares)
        lines.append(StepLine(curve.method, collected.methods.index(curve.method), shares, means, seeds))
    told = [
        f"{line.label}: "
        + ", ".join(f"{mean:.1f} with {x:g} %" for x, mean in zip(line.steps, line.means, strict=True))
        for line in lines
    ]
    return Chart(
        Markup(figures.label_chart(lines, title=what, name=name)),
        f"{what}, top1 over the share of labels on {curves[0].benchmark}, percent. " + "; ".join(told),
        "Circles are seeds, the line joins their means.",
    )


def class_charts(collected: Collected) -> list[tuple[str, list[Chart]]]:
    """(benchmark, the confusions of each method's linear probe with its chosen pooling)."""
    charts: dict[str, list[Chart]] = {}
    for cell in chosen_cells(collected):
        if cell.evaluation == "linear":
            names = collected.tests[cell.benchmark].info.class_names
            what = f"{cell.method} {cell.setting}"
            picture = confusion_picture(
                confusion_shares(collected, cell),
                names,
                title=f"Confusions of {what} on {cell.benchmark}",
                caption=f"{what}, all seeds together",
            )
            charts.setdefault(cell.benchmark, []).extend(_drawn([picture]))
    return list(charts.items())


def _percent_of_seeds(cell: Cell) -> tuple[float, ...]:
    return tuple(100 * share for share in (cell.ranks == 0).mean(axis=1).tolist())


def look_charts(collected: Collected) -> list[tuple[str, str, int, list[tuple[str, list[Chart]]]]]:
    """(benchmark, method, seed, (clip, its pictures) of each clip) of what was looked at in a step."""
    found = [
        (*place, looks.seed, [(one.clip, _drawn(step_pictures(looks, one))) for one in looks.clips])
        for place, looks in collected.looks.items()
    ]
    return [one for one in found if any(charts for _, charts in one[-1])]


def attention_charts(collected: Collected) -> list[tuple[str, str, int, list[Chart]]]:
    """(benchmark, method, seed, its pictures) of every encoder that attends."""
    found = []
    for (benchmark, method), looks in collected.looks.items():
        pictures = encoder_pictures(looks)
        for one in looks.clips:
            pictures += attention_pictures(looks, one)
        if pictures:
            found.append((benchmark, method, looks.seed, _drawn(pictures)))
    return found


def _drawn(pictures: Sequence[Picture]) -> list[Chart]:
    return [Chart(Markup(one.svg()), one.alt, one.caption) for one in pictures]


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
