"""Which channels of a pooled feature are dropped."""

from collections.abc import Sequence

from kinemask.looks import HIDDEN, SHOWN, DropLook
from kinemask.pictures.marks import (
    BLUE,
    CELL,
    END,
    GRID,
    LEFT,
    PLOT,
    WIDTH,
    Picture,
    cell,
    filled,
    group,
    label,
    stretches,
    trimmed,
)

MAX_BARS = 200  # of the dropped features: more cannot be told apart
_BARS = 56.0  # height of the tallest bar
_HOW_DROPPED = {
    "trajectory": "energy where the body moves",
    "gate": "change where all features change",
    "energy": "energy",
}


def dropped_picture(clip: str, drop: DropLook) -> Picture:
    """Channels as bars by falling score, or a strip where chance drops them."""
    told = f"{sum(drop.dropped)} of {len(drop.dropped)} channels of the extreme view's feature"
    if drop.score is None:
        by_chance = f"{told}, by chance."
        return Picture(_strip(drop), CELL + 2, f"Dropped of {clip}: {by_chance}", f"Dropped: {by_chance}")
    return _bars(clip, drop, drop.score, told)


def _strip(drop: DropLook) -> str:
    """Channels in their order, from end to end."""
    unit = WIDTH / len(drop.dropped)
    boxes: dict[str, list[str]] = {HIDDEN: [], SHOWN: []}
    for state, start, end in stretches("".join(HIDDEN if gone else SHOWN for gone in drop.dropped)):
        boxes[state].append(cell(unit * start, 0.0, unit * (end - start), CELL))
    return filled(boxes[SHOWN], GRID) + filled(boxes[HIDDEN], BLUE)


def _bars(clip: str, drop: DropLook, found: Sequence[float], told: str) -> Picture:
    """The dropped channels first, each kind by falling score."""
    num_dropped, width = sum(drop.dropped), len(drop.dropped)
    order = sorted(range(width), key=lambda channel: (not drop.dropped[channel], -found[channel]))
    scores = [found[channel] for channel in order]
    # From the lowest score on: the energy of no channel is near 0, and all bars would look alike.
    high, low = max(scores), min(scores)
    span = (high - low) or 1.0
    stride = max(1, -(-width // MAX_BARS))
    unit = PLOT / width
    bars = {True: "", False: ""}
    for place in range(0, width, stride):
        top = (_BARS - 2) * (high - scores[place]) / span
        right = LEFT + unit * min(place + stride, width)
        bars[drop.dropped[order[place]]] += f"V{trimmed(top)}H{trimmed(right)}"
    edge = LEFT + unit * stride * -(-num_dropped // stride)
    texts = [
        group([label(LEFT - 4, 8.0, f"{high:.3g}"), label(LEFT - 4, _BARS, f"{low:.3g}")], END),
        label(0.0, _BARS / 2 + 4, "score"),
        label(LEFT, _BARS + 10, "dropped"),
        label(max(edge, LEFT + 40), _BARS + 10, "kept"),
    ]
    how = _HOW_DROPPED.get(drop.kind, drop.kind)
    return Picture(
        _outline(LEFT, bars[True], BLUE) + _outline(edge, bars[False], GRID) + "".join(texts),
        _BARS + 14,
        f"Dropped of {clip}: {told}; scores from {high:.3g} to {low:.3g}.",
        f"Dropped: {told}. A bar is a channel, by its score ({how}); blue ones are dropped. Bars begin at "
        "the lowest score, not at 0.",
    )


def _outline(left: float, tops: str, colour: str) -> str:
    """Bars side by side that stand on one line."""
    return f'<path d="M{trimmed(left)} {trimmed(_BARS)}{tops}V{trimmed(_BARS)}z" style="fill:{colour}"/>'
