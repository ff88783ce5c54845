"""The marks that pictures are made of. Colours are variables of the page, with the light ones beside them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby

WIDTH = 300.0  # of every drawing, in units of which a letter has 8: readable on a phone
LEFT, PLOT = 72.0, 224.0  # where the cells begin, and how wide they are together
CELL = 18.0  # height of a part
MIN_TEXT_CELL = 16.0  # a narrower cell holds no number
DARKEST = 0.5  # of a cell, so that its number can be read in light and dark
INK, MUTED = "var(--ink,#1b1d21)", "var(--muted,#5c626b)"
GRID, CARD = "var(--grid,#e3e5e8)", "var(--card,#ffffff)"
BLUE, ORANGE = "var(--series-0,#1666b0)", "var(--series-1,#b3480b)"
LOOK = f'font-size="8" style="fill:{INK}"'
MIDDLE, END, BOLD = 'text-anchor="middle"', 'text-anchor="end"', 'font-weight="600"'
_MAX_NAME = 16  # letters of a joint or part that fit beside the cells


@dataclass(frozen=True)
class Picture:
    """A drawing without its frame, `height` units tall. `alt` says what is seen, `caption` how to read it."""

    marks: str
    height: float
    alt: str
    caption: str

    def svg(self) -> str:
        """An element for inside HTML."""
        size = f'viewBox="0 0 {WIDTH:g} {self.height:g}"'
        return f'<svg aria-hidden="true" focusable="false" {size} {LOOK}>{self.marks}</svg>'


def stretches(states: str) -> Iterable[tuple[str, int, int]]:
    """(state, first, after the last) of characters that stay the same."""
    start = 0
    for state, run in groupby(states):
        length = sum(1 for _ in run)
        yield state, start, start + length
        start += length


def tick_places(count: int, step: int) -> range:
    """0, step, ... to count, at most nine of them."""
    return range(0, count + 1, step * max(1, -(-count // (8 * step))))


def short(name: str) -> str:
    """The name, cut to what fits beside the cells."""
    return name if len(name) <= _MAX_NAME else f"{name[: _MAX_NAME - 1]}…"


def wrapped(text: str) -> list[str]:
    """The text in lines that fit the width."""
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) > WIDTH / 4.4:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def cell(x: float, y: float, width: float, height: float) -> str:
    """A box, for `filled`."""
    return f"M{trimmed(x)} {trimmed(y)}h{trimmed(width)}v{trimmed(height)}h-{trimmed(width)}z"


def filled(boxes: Sequence[str], colour: str) -> str:
    """The boxes in one colour."""
    return f'<path d="{"".join(boxes)}" style="fill:{colour}"/>' if boxes else ""


def group(marks: Sequence[str], look: str) -> str:
    """The marks, which share attributes."""
    return f"<g {look}>{''.join(marks)}</g>"


def label(x: float, y: float, text: str) -> str:
    """A text at its left end, unless its group says otherwise."""
    return f'<text x="{trimmed(x)}" y="{trimmed(y)}">{escape(text)}</text>'


def trimmed(value: float) -> str:
    """At most two digits after the point."""
    return f"{value:.2f}".rstrip("0").rstrip(".")
