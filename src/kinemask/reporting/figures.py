"""Charts as SVG that takes its colours from the page, so that one drawing serves light and dark."""

import io
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK, MUTED, GRID = "#000101", "#000102", "#000103"
SERIES = tuple(f"#0002{number:02d}" for number in range(6))
_VARIABLES = {INK: "--ink", MUTED: "--muted", GRID: "--grid"} | {
    colour: f"--series-{number}" for number, colour in enumerate(SERIES)
}
DASHES = ("solid", "dashed", "dotted", "dashdot")
MAX_POINTS = 300  # of a curve: more cannot be seen at this size
_SHORT = 5  # letters of a tick that lies level
_WIDTH_INCHES = 3.9  # narrow, so that the text can be read on a phone
_LABEL_LETTERS = 26  # in a line of a label beside bars: the bars need half of the width
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: it can be read aloud, searched and copied
    "svg.hashsalt": "kinemask",
    "text.parse_math": False,  # a dollar in a name is a dollar
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
}


@dataclass(frozen=True)
class Bar:
    """A row of the interval chart, in percent. `series` picks the colour."""

    label: str
    series: int
    seeds: tuple[float, ...]
    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Curve:
    """One line of a training chart."""

    label: str
    steps: tuple[float, ...]
    values: tuple[float, ...]


@dataclass(frozen=True)
class LevelLine:
    """A method over levels of damage, in percent. `seeds`: the value of each seed at each place."""

    label: str
    series: int
    places: tuple[float, ...]
    means: tuple[float, ...]
    seeds: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class StepLine:
    """One line of a chart over steps or shares, in percent. `seeds`: the values of the seeds at each."""

    label: str
    series: int
    steps: tuple[float, ...]
    means: tuple[float, ...]
    seeds: tuple[tuple[float, ...], ...]


@rc_context(_STYLE)
def interval_chart(bars: Sequence[Bar], references: Sequence[tuple[str, float]], *, name: str) -> str:
    """Seeds as dots, the mean as a bar, the interval as a line; references as dashed lines named below."""
    labels = [textwrap.fill(bar.label, _LABEL_LETTERS) for bar in bars]
    row = 0.11 + 0.14 * max((1 + label.count("\n") for label in labels), default=1)
    figure, axes = _figure(height=0.55 + row * len(bars) + 0.17 * len(references))
    for place, bar in enumerate(bars):
        colour = SERIES[bar.series % len(SERIES)]
        axes.plot([bar.low, bar.high], [place, place], color=colour, linewidth=1.6, solid_capstyle="butt")
        axes.plot([bar.mean, bar.mean], [place - 0.3, place + 0.3], color=colour, linewidth=2.2)
        dots = axes.scatter(bar.seeds, [place] * len(bar.seeds), s=14, zorder=3)
        dots.set(facecolor="none", edgecolor=INK, linewidth=0.9)
    for number, (label, value) in enumerate(references):
        dashes = DASHES[1 + number % (len(DASHES) - 1)]
        axes.axvline(value, color=MUTED, linestyle=dashes, linewidth=1.1, label=f"{label}: {value:.1f}")
    axes.set_yticks(range(len(bars)), labels)
    axes.set_ylim(len(bars) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("top1, %")
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    if references:
        _name_below(figure)
    return _svg(figure, name)


@rc_context(_STYLE)
def curve_chart(curves: Sequence[Curve], *, title: str, name: str) -> str:
    """Values over steps, each curve in a colour and a dash of its own."""
    figure, axes = _figure(height=2.1)
    for number, curve in enumerate(curves):
        stride = max(1, -(-len(curve.steps) // MAX_POINTS))
        kept = sorted({*range(0, len(curve.steps), stride), len(curve.steps) - 1})
        axes.plot(
            [curve.steps[index] for index in kept],
            [curve.values[index] for index in kept],
            color=SERIES[number % len(SERIES)],
            linestyle=DASHES[number % len(DASHES)],
            linewidth=1.4,
            marker="o" if len(kept) == 1 else None,
        )
    axes.set_title(title, loc="left", fontsize=10, color=INK)
    axes.set_xlabel("step")
    axes.grid()
    axes.set_axisbelow(True)
    return _svg(figure, name)


@rc_context(_STYLE)
def step_chart(
    lines: Sequence[StepLine], references: Sequence[tuple[str, float]], *, title: str, name: str
) -> str:
    """Top1 over steps, which stand in the distances of their logarithms; seeds as dots, means joined.

    References are level lines; everything is named below.
    """
    figure, axes = _line_figure(lines, title=title, more=len(references))
    for label, value in references:
        axes.axhline(value, color=MUTED, linestyle="dotted", linewidth=1.4, label=f"{label}: {value:.1f}")
    first = min(step for line in lines for step in line.steps if step > 0)
    axes.set_xscale("symlog", linthresh=first)  # of step 0 there is no logarithm
    axes.set_xlim(left=-0.15 * first)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.xaxis.set_minor_formatter("")
    axes.set_xlabel("step")
    _name_below(figure)
    return _svg(figure, name)


@rc_context(_STYLE)
def label_chart(lines: Sequence[StepLine], *, title: str, name: str) -> str:
    """Top1 over the share of the labels in percent, in the distances of their logarithms; named below."""
    figure, axes = _line_figure(lines, title=title)
    shares = sorted({share for line in lines for share in line.steps})
    axes.set_xscale("log")
    axes.set_xticks(shares, [f"{share:g}" for share in shares])
    axes.xaxis.set_minor_formatter("")
    axes.set_xlabel("labels, % of the training clips")
    _name_below(figure)
    return _svg(figure, name)


def _line_figure(lines: Sequence[StepLine], *, title: str, more: int = 0) -> tuple[Figure, Axes]:
    """Lines through the means, with seeds as dots; room below for their names and for `more`."""
    figure, axes = _figure(height=2.3 + 0.17 * (len(lines) + more))
    for line in lines:
        colour, dashes = SERIES[line.series % len(SERIES)], DASHES[line.series % len(DASHES)]
        axes.plot(line.steps, line.means, color=colour, linestyle=dashes, linewidth=1.4, label=line.label)
        for step, values in zip(line.steps, line.seeds, strict=True):
            dots = axes.scatter([step] * len(values), values, s=10, zorder=3)
            dots.set(facecolor="none", edgecolor=colour, linewidth=0.9, clip_on=False)
    axes.set_title(title, loc="left", fontsize=10, color=INK)
    axes.set_ylabel("top1, %")
    axes.grid()
    axes.set_axisbelow(True)
    return figure, axes


@rc_context(_STYLE)
def level_chart(
    lines: Sequence[LevelLine],
    ticks: Sequence[tuple[float, str]],
    *,
    joined: bool,
    title: str,
    unit: str,
    name: str,
) -> str:
    """Top1 over levels of damage; seeds as dots, means joined, or as bars where levels are names."""
    longest = max(len(text) for _, text in ticks)
    figure, axes = _figure(height=2.3 + 0.17 * len(lines) + (0.05 * longest if longest > _SHORT else 0))
    apart = (
        0.0 if joined else min(0.14, 0.7 / len(lines))
    )  # beside one another, else they would lie in one place
    for number, line in enumerate(lines):
        colour, dashes = SERIES[line.series % len(SERIES)], DASHES[line.series % len(DASHES)]
        places = [place + apart * (number - (len(lines) - 1) / 2) for place in line.places]
        bars = {"linestyle": "none", "marker": "_", "markersize": 11, "markeredgewidth": 2.2}
        style: dict[str, Any] = {"linestyle": dashes} if joined else bars
        axes.plot(places, line.means, color=colour, linewidth=1.4, label=line.label, **style)
        for place, values in zip(places, line.seeds, strict=True):
            dots = axes.scatter([place] * len(values), values, s=10, zorder=3)
            dots.set(facecolor="none", edgecolor=colour, linewidth=0.9, clip_on=False)
    axes.set_xticks([place for place, _ in ticks], [text for _, text in ticks])
    if longest > _SHORT:
        axes.tick_params(axis="x", rotation=30)
    axes.set_ylim(bottom=0)
    axes.set_title(title, loc="left", fontsize=10, color=INK)
    axes.set_xlabel(unit)
    axes.set_ylabel("top1, %")
    axes.grid()
    axes.set_axisbelow(True)
    _name_below(figure)
    return _svg(figure, name)


def _name_below(figure: Figure) -> None:
    looks = {"frameon": False, "fontsize": 8, "labelcolor": INK, "handlelength": 2.4, "borderpad": 0.1}
    figure.legend(loc="outside lower left", **looks)


def _figure(*, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(_WIDTH_INCHES, height), layout="constrained")
    figure.patch.set_visible(False)
    axes = figure.subplots()
    axes.patch.set_visible(False)
    return figure, axes


def _svg(figure: Figure, name: str) -> str:
    """The figure as an element for inside HTML, with ids of its own. The same figure gives the same text."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<style.*?</style>", "", text, flags=re.DOTALL)  # it would speak of the whole page
    text = re.sub(r"font-family: [^;]*;", "", text)
    text = re.sub(r' (width|height|xmlns|xmlns:xlink|version)="[^"]*"', "", text, count=5)
    text = re.sub(r'( id="| xlink:href="#|url\(#)', rf"\g<1>{name}-", text)
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, f"var({variable})")
    return text.replace("<svg", '<svg aria-hidden="true" focusable="false"', 1)
