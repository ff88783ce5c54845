"""Which class the clips of each class are taken for."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from kinemask.pictures.marks import (
    BLUE,
    DARKEST,
    END,
    LEFT,
    MIDDLE,
    MIN_TEXT_CELL,
    MUTED,
    ORANGE,
    PLOT,
    Picture,
    cell,
    group,
    label,
    short,
    tick_places,
    trimmed,
)

_SEEN = 0.005  # a smaller share is not drawn: of many classes most cells hold a clip or two
_LEVELS = 10  # of colour: cells of one level are one path, however many classes there are
_MIN_NAME = 7.0  # a lower row has no name of its own
_TOLD = 3  # confusions in the words for who does not see the picture
_HALF_LETTER = 3.0


def confusion_picture(
    shares: Float[np.ndarray, "K K"], names: Sequence[str], *, title: str, caption: str
) -> Picture:
    """Shares of the clips of each class (rows) by answer (columns); a row of NaN is a class without clips."""
    unit = PLOT / len(names)
    right_share = np.nanmean(np.diag(shares))
    shares = np.nan_to_num(shares)
    right = np.eye(len(names), dtype=bool)
    marks = [
        *_layers(np.where(right, shares, 0), unit, BLUE),
        *_layers(np.where(right, 0, shares), unit, ORANGE),
    ]
    if unit >= MIN_TEXT_CELL:
        marks.append(group(_numbers(shares, unit), MIDDLE))
    middle = unit / 2 + _HALF_LETTER
    if unit >= _MIN_NAME:
        rows = [
            label(LEFT - 4, unit * number + middle, short(f"{number + 1} {name}"))
            for number, name in enumerate(names)
        ]
    else:
        rows = [label(LEFT - 4, unit * (one - 1) + middle, str(one)) for one in _ticks(len(names))]
    columns = [label(LEFT + unit * (one - 0.5), PLOT + 9, str(one)) for one in _ticks(len(names))]
    frame = f'<path d="{cell(LEFT, 0.0, PLOT, PLOT)}" style="fill:none;stroke:{MUTED};stroke-width:0.5"/>'
    marks += [frame, group(rows, END), group(columns, MIDDLE), label(0.0, PLOT + 9, "answer")]
    alt = f"{title}: {right_share:.0%} of a class right in the mean. {_told(shares, names)}"
    return Picture("".join(marks), PLOT + 13, alt, caption)


def _layers(shares: Float[np.ndarray, "K K"], unit: float, colour: str) -> list[str]:
    """A path for each level of colour; the strength is the share, rounded up."""
    levels = np.where(shares < _SEEN, 0, np.ceil(shares * _LEVELS)).astype(int)
    layers = []
    for level in np.unique(levels[levels > 0]):
        boxes = [cell(LEFT + unit * x, unit * y, unit, unit) for y, x in np.argwhere(levels == level)]
        opacity = trimmed(DARKEST * level / _LEVELS if unit >= MIN_TEXT_CELL else level / _LEVELS)
        layers.append(f'<path d="{"".join(boxes)}" fill-opacity="{opacity}" style="fill:{colour}"/>')
    return layers


def _numbers(shares: Float[np.ndarray, "K K"], unit: float) -> list[str]:
    return [
        label(LEFT + unit * (x + 0.5), unit * (y + 0.5) + _HALF_LETTER, f"{100 * shares[y, x]:.0f}")
        for y, x in np.argwhere(shares >= _SEEN)
    ]


def _ticks(count: int) -> list[int]:
    """Numbers of classes, from 1 on, that have a place on an axis."""
    return [1, *(one for one in tick_places(count, 1) if one > 1)] if count > 1 else [1]


def _told(shares: Float[np.ndarray, "K K"], names: Sequence[str]) -> str:
    wrong = np.where(np.eye(len(names), dtype=bool), 0, shares)
    order = np.argsort(-wrong, axis=None, kind="stable")[:_TOLD]
    pairs = [(*np.unravel_index(place, wrong.shape),) for place in order]
    told = [f"{names[y]} taken for {names[x]} {wrong[y, x]:.0%}" for y, x in pairs if wrong[y, x] > 0]
    return f"Most frequent mistakes: {', '.join(told)}." if told else "No mistakes."
