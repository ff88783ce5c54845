"""What attention learned to add to its logits, by the hops between two joints."""

import math
from collections.abc import Sequence

from kinemask.looks import HopBiasLook
from kinemask.pictures.marks import (
    BLUE,
    BOLD,
    DARKEST,
    END,
    LEFT,
    MIDDLE,
    MIN_TEXT_CELL,
    ORANGE,
    PLOT,
    Picture,
    cell,
    group,
    label,
    trimmed,
)

_ROW = 12.0  # height of a head
_SHADES = 20  # of a colour: cells of one shade are one path
_LEGEND = 24.0  # width of one of its cells
MINUS = "\N{MINUS SIGN}"


def hop_bias_picture(bias: HopBiasLook) -> Picture:
    """Heads x hops, block under block, with the numbers where they fit."""
    largest = max(abs(value) for block in bias.blocks for row in block for value in row)
    num_hops = len(bias.blocks[0][0])
    width = PLOT / num_hops
    blocks: list[str] = []
    heads: list[str] = []
    numbers: list[str] = []
    cells: list[tuple[str, float]] = []  # a box and its value
    y = 10.0
    for number, block in enumerate(bias.blocks, 1):
        blocks.append(label(0.0, y + 9, f"block {number}"))
        for head, row in enumerate(block, 1):
            heads.append(label(LEFT - 4, y + 9, f"head {head}"))
            for hops, value in enumerate(row):
                cells.append((cell(LEFT + width * hops, y, width - 1, _ROW - 1), value))
                if width >= MIN_TEXT_CELL:
                    numbers.append(label(LEFT + width * (hops + 0.5), y + 9, _signed(value)))
            y += _ROW
        y += 5
    names = _names(bias)
    header = [label(LEFT + width * (place + 0.5), 7.0, name) for place, name in enumerate(names)]
    for place, value in enumerate((-largest, -largest / 2, 0.0, largest / 2, largest)):
        x = LEFT + _LEGEND * place
        cells.append((cell(x, y + 3, _LEGEND - 1, _ROW - 1), value))
        numbers.append(label(x + _LEGEND / 2, y + 12, _signed(value)))
    marks = [
        *_shaded(cells, largest),
        group(blocks, BOLD),
        group(heads, END),
        group(header, MIDDLE),
        group(numbers, f'{MIDDLE} font-size="7"'),
        label(0.0, 7.0, "hops"),
        label(0.0, y + 12, "colours"),
    ]
    apart = max(max(row) - min(row) for block in bias.blocks for row in block)
    last = f" {names[-1]}: {num_hops - 1} to {bias.farthest}." if bias.farthest >= num_hops else ""
    return Picture(
        "".join(marks),
        y + 17,
        _told(bias, names),
        "Topology bias: what a head adds to the logit of attention between joints so many bones apart."
        f"{last} 0, where it starts, is no preference; blue is preferred, orange avoided. e to the power of "
        "a difference is the factor of the odds: between two distances of a head at most "
        f"{math.exp(apart):.3g}.",
    )


def _told(bias: HopBiasLook, names: Sequence[str]) -> str:
    """Means over heads, and the ends."""
    found = {
        (number, head, name): value
        for number, block in enumerate(bias.blocks, 1)
        for head, row in enumerate(block, 1)
        for name, value in zip(names, row, strict=True)
    }
    places = {"smallest": min(found, key=found.__getitem__), "largest": max(found, key=found.__getitem__)}
    ends = [
        f"{what} {found[place]:.2f} in block {place[0]}, head {place[1]}, at {place[2]} hops"
        for what, place in places.items()
    ]
    means = [
        f"block {number}: "
        + ", ".join(
            f"{name} hops {sum(column) / len(block):.2f}"
            for name, column in zip(names, zip(*block, strict=True), strict=True)
        )
        for number, block in enumerate(bias.blocks, 1)
    ]
    shape = f"{len(bias.blocks)} blocks with {len(bias.blocks[0])} heads"
    return f"Topology bias of {shape}: {'; '.join(ends)}. Means over heads: {'; '.join(means)}."


def _names(bias: HopBiasLook) -> list[str]:
    """Of the numbers of hops; the last may stand for more."""
    count = len(bias.blocks[0][0])
    names = [str(hops) for hops in range(count)]
    return names if bias.farthest < count else [*names[:-1], f"{names[-1]}+"]


def _shaded(cells: Sequence[tuple[str, float]], largest: float) -> list[str]:
    """A path for each colour and shade, from blank at 0."""
    by_shade: dict[int, str] = {}
    for box, value in cells:
        shade = round(_SHADES * value / largest) if largest else 0
        by_shade[shade] = by_shade.get(shade, "") + box
    return [
        f'<path d="{boxes}" style="fill:{BLUE if shade > 0 else ORANGE}" '
        f'fill-opacity="{trimmed(DARKEST * abs(shade) / _SHADES)}"/>'
        for shade, boxes in sorted(by_shade.items())
    ]


def _signed(value: float) -> str:
    text = f"{value:.2f}"
    return "0" if float(text) == 0 else text.replace("-", MINUS)
