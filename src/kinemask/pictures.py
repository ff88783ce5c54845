"""Pictures of what a method does with a clip: small SVG drawings for the report and for MLflow.

Drawn by hand and not by Matplotlib, whose heat maps take a path of a hundred bytes for every cell. Colours
are variables of the page, with the light ones beside them for who has no page.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby

from kinemask.looks import ABSENT, HIDDEN, SHOWN, ClipLook, DropLook, Looks, MaskLook

WIDTH = 300.0  # of every drawing, in units of which a letter has 8: readable on a phone
MAX_BARS = 200  # of the dropped features: more cannot be told apart
_LEFT, _PLOT = 72.0, 224.0  # where the cells begin, and how wide they are together
_ROW, _CELL, _BARS = 9.0, 18.0, 56.0  # heights of a joint, of a part and of the tallest bar
_MARGIN = 6.0  # around a file of its own
_MIN_TEXT_CELL = 16.0  # a narrower cell holds no number
_MAX_NAME = 16  # letters of a joint or part that fit beside the cells
_DARKEST = 0.5  # of a cell, so that its number can be read in light and dark
_INK, _GRID = "var(--ink,#1b1d21)", "var(--grid,#e3e5e8)"
_BLUE, _ORANGE, _CARD = "var(--series-0,#1666b0)", "var(--series-1,#b3480b)", "var(--card,#ffffff)"
_LOOK = f'font-size="8" style="fill:{_INK}"'
_MIDDLE, _END = 'text-anchor="middle"', 'text-anchor="end"'
_HOW_DROPPED = {
    "trajectory": "energy where the body moves",
    "gate": "change where all features change",
    "energy": "energy",
}


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
        return f'<svg aria-hidden="true" focusable="false" {size} {_LOOK}>{self.marks}</svg>'


def pictures(looks: Looks, clip: ClipLook) -> list[Picture]:
    """One for each thing that the method does with the clip."""
    found = []
    if clip.mask is not None:
        found += [_hidden(looks, clip.clip, clip.mask), _intensity(looks, clip.clip, clip.mask)]
    if clip.drop is not None:
        found.append(_dropped(clip.clip, clip.drop))
    return found


def standalone_svg(looks: Looks, clip: ClipLook) -> str:
    """All pictures of a clip in one file that needs no page: each under its caption."""
    marks, top = [_group([_text(0.0, 8.0, clip.clip)], 'font-weight="600"')], 16.0
    for picture in pictures(looks, clip):
        lines = _lines(picture.caption)
        marks += [_text(0.0, top + 9 * number, line) for number, line in enumerate(lines, 1)]
        top += 9 * len(lines) + 6
        marks.append(_group([picture.marks], f'transform="translate(0 {_number(top)})"'))
        top += picture.height + 8
    wide, tall = WIDTH + 2 * _MARGIN, top + 2 * _MARGIN
    box = f'x="-{_MARGIN:g}" y="-{_MARGIN:g}" width="{wide:g}" height="{tall:g}"'
    size = f'width="{2 * wide:g}" height="{2 * tall:g}" viewBox="-{_MARGIN:g} -{_MARGIN:g} {wide:g} {tall:g}"'
    look = f'font-family="sans-serif" {_LOOK}'
    text = (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} {look}><title>{escape(clip.clip)}</title>'
        f'<rect {box} style="fill:{_CARD}"/>{"".join(marks)}</svg>\n'
    )
    return re.sub(r"var\(--[\w-]+,(#\w+)\)", r"\1", text)


def _hidden(looks: Looks, clip: str, mask: MaskLook) -> Picture:
    """Joints x frames, the joints by part."""
    num_frames = len(mask.hidden[0])
    unit = _PLOT / num_frames
    y = 0.0
    parts: list[str] = []
    names: list[str] = []
    cells: dict[str, list[str]] = {HIDDEN: [], SHOWN: []}
    for part, joints in looks.parts.items():
        parts.append(_text(0.0, y + 8, _short(part)))
        y += _ROW + 2
        for joint in joints:
            names.append(_text(_LEFT - 4, y + 7, _short(looks.joints[joint])))
            for state, start, end in _stretches(mask.hidden[joint]):
                if state != ABSENT:
                    cells[state].append(_box(_LEFT + unit * start, y, unit * (end - start), _ROW - 1))
            y += _ROW
        y += 3
    length = num_frames // len(mask.intensity)
    ticks = [_text(_LEFT + unit * frame, y + 8, str(frame)) for frame in _ticks(num_frames, length)]
    marks = [
        _path(cells[SHOWN], _GRID),
        _path(cells[HIDDEN], _BLUE),
        _group(parts, 'font-weight="600"'),
        _group(names, _END),
        _group(ticks, _MIDDLE),
        _text(0.0, y + 8, "frame"),
    ]
    shares = (f"{name} {_share(mask.hidden, joints):.0%}" for name, joints in looks.parts.items())
    return Picture(
        "".join(marks),
        y + 12,
        f"Hidden joints of {clip} over {num_frames} frames. Share of each part: {', '.join(shares)}.",
        "Hidden joints: a row is a joint, a column a frame. Blue: hidden; grey: shown; blank: the person is "
        "not seen.",
    )


def _intensity(looks: Looks, clip: str, mask: MaskLook) -> Picture:
    """Parts x segments, with the weights as numbers."""
    num_segments = len(mask.intensity)
    width = _PLOT / num_segments
    cells: list[str] = []
    numbers: list[str] = []
    names: list[str] = []
    for number, part in enumerate(looks.parts):
        y = _CELL * number
        names.append(_text(_LEFT - 4, y + 12, _short(part)))
        for segment in range(num_segments):
            x, shade = _LEFT + width * segment, _DARKEST * mask.intensity[segment][number]
            box = _box(x, y, width - 1, _CELL - 1)
            cells.append(f'<path d="{box}" fill-opacity="{_number(shade)}"/>')
            if width >= _MIN_TEXT_CELL:
                weight = f"{100 * mask.weight[segment][number]:.0f}"
                numbers.append(_text(x + width / 2, y + 12, weight))
    y = _CELL * len(looks.parts) + 8
    for segment in _ticks(num_segments, 1)[1:]:
        numbers.append(_text(_LEFT + width * (segment - 0.5), y, str(segment)))
    marks = [
        _group(cells, f'style="fill:{_ORANGE}"'),
        _group(names, _END),
        _group(numbers, _MIDDLE),
        _text(0.0, y, "segment"),
    ]
    means = [sum(column) / num_segments for column in zip(*mask.intensity, strict=True)]
    told = ", ".join(f"{name} {mean:.2f}" for name, mean in zip(looks.parts, means, strict=True))
    return Picture(
        "".join(marks),
        y + 4,
        f"Motion of the parts of {clip} in {num_segments} segments. Mean of each part, where the largest "
        f"value is 1: {told}.",
        "Motion: the stronger the colour, the faster the part moves in that segment. The number is its "
        "weight in the draw of what is hidden, in percent.",
    )


def _dropped(clip: str, drop: DropLook) -> Picture:
    """Channels as bars by falling score, or a strip where chance drops them."""
    told = f"{sum(drop.dropped)} of {len(drop.dropped)} channels of the extreme view's feature"
    if drop.score is None:
        by_chance = f"{told}, by chance."
        return Picture(_strip(drop), _CELL + 2, f"Dropped of {clip}: {by_chance}", f"Dropped: {by_chance}")
    return _bars(clip, drop, drop.score, told)


def _strip(drop: DropLook) -> str:
    """Channels in their order, from end to end."""
    unit = WIDTH / len(drop.dropped)
    boxes: dict[str, list[str]] = {HIDDEN: [], SHOWN: []}
    for state, start, end in _stretches("".join(HIDDEN if gone else SHOWN for gone in drop.dropped)):
        boxes[state].append(_box(unit * start, 0.0, unit * (end - start), _CELL))
    return _path(boxes[SHOWN], _GRID) + _path(boxes[HIDDEN], _BLUE)


def _bars(clip: str, drop: DropLook, found: Sequence[float], told: str) -> Picture:
    """The dropped channels first, each kind by falling score."""
    num_dropped, width = sum(drop.dropped), len(drop.dropped)
    order = sorted(range(width), key=lambda channel: (not drop.dropped[channel], -found[channel]))
    scores = [found[channel] for channel in order]
    # From the lowest score on: the energy of no channel is near 0, and all bars would look alike.
    high, low = max(scores), min(scores)
    span = (high - low) or 1.0
    stride = max(1, -(-width // MAX_BARS))
    unit = _PLOT / width
    bars = {True: "", False: ""}
    for place in range(0, width, stride):
        top = (_BARS - 2) * (high - scores[place]) / span
        right = _LEFT + unit * min(place + stride, width)
        bars[drop.dropped[order[place]]] += f"V{_number(top)}H{_number(right)}"
    edge = _LEFT + unit * stride * -(-num_dropped // stride)
    texts = [
        _group([_text(_LEFT - 4, 8.0, f"{high:.3g}"), _text(_LEFT - 4, _BARS, f"{low:.3g}")], _END),
        _text(0.0, _BARS / 2 + 4, "score"),
        _text(_LEFT, _BARS + 10, "dropped"),
        _text(max(edge, _LEFT + 40), _BARS + 10, "kept"),
    ]
    how = _HOW_DROPPED.get(drop.kind, drop.kind)
    return Picture(
        _outline(_LEFT, bars[True], _BLUE) + _outline(edge, bars[False], _GRID) + "".join(texts),
        _BARS + 14,
        f"Dropped of {clip}: {told}; scores from {high:.3g} to {low:.3g}.",
        f"Dropped: {told}. A bar is a channel, by its score ({how}); blue ones are dropped. Bars begin at "
        "the lowest score, not at 0.",
    )


def _stretches(states: str) -> Iterable[tuple[str, int, int]]:
    """(state, first, after the last) of characters that stay the same."""
    start = 0
    for state, run in groupby(states):
        length = sum(1 for _ in run)
        yield state, start, start + length
        start += length


def _share(hidden: Sequence[str], joints: Sequence[int]) -> float:
    """Of the places where the person is seen, how many are hidden."""
    text = "".join(hidden[joint] for joint in joints)
    return text.count(HIDDEN) / max(1, len(text) - text.count(ABSENT))


def _ticks(count: int, step: int) -> range:
    """0, step, ... to count, at most nine of them."""
    return range(0, count + 1, step * max(1, -(-count // (8 * step))))


def _short(name: str) -> str:
    return name if len(name) <= _MAX_NAME else f"{name[: _MAX_NAME - 1]}…"


def _lines(text: str) -> list[str]:
    """The text in lines that fit the width."""
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) > WIDTH / 4.4:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def _box(x: float, y: float, width: float, height: float) -> str:
    return f"M{_number(x)} {_number(y)}h{_number(width)}v{_number(height)}h-{_number(width)}z"


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _path(boxes: Sequence[str], colour: str) -> str:
    return f'<path d="{"".join(boxes)}" style="fill:{colour}"/>' if boxes else ""


def _outline(left: float, tops: str, colour: str) -> str:
    """Bars side by side that stand on one line."""
    return f'<path d="M{_number(left)} {_number(_BARS)}{tops}V{_number(_BARS)}z" style="fill:{colour}"/>'


def _group(marks: Sequence[str], look: str) -> str:
    return f"<g {look}>{''.join(marks)}</g>"


def _text(x: float, y: float, text: str) -> str:
    return f'<text x="{_number(x)}" y="{_number(y)}">{escape(text)}</text>'
