"""What is hidden of a clip, and how its parts move."""

from collections.abc import Sequence

from kinemask.looks import ABSENT, HIDDEN, SHOWN, Looks, MaskLook
from kinemask.pictures.marks import (
    BLUE,
    BOLD,
    CELL,
    DARKEST,
    END,
    GRID,
    LEFT,
    MIDDLE,
    MIN_TEXT_CELL,
    ORANGE,
    PLOT,
    Picture,
    cell,
    filled,
    group,
    label,
    short,
    stretches,
    tick_places,
    trimmed,
)

_ROW = 9.0  # height of a joint


def hidden_picture(looks: Looks, clip: str, mask: MaskLook) -> Picture:
    """Joints x frames, the joints by part."""
    num_frames = len(mask.hidden[0])
    unit = PLOT / num_frames
    y = 0.0
    parts: list[str] = []
    names: list[str] = []
    cells: dict[str, list[str]] = {HIDDEN: [], SHOWN: []}
    for part, joints in looks.parts.items():
        parts.append(label(0.0, y + 8, short(part)))
        y += _ROW + 2
        for joint in joints:
            names.append(label(LEFT - 4, y + 7, short(looks.joints[joint])))
            for state, start, end in stretches(mask.hidden[joint]):
                if state != ABSENT:
                    cells[state].append(cell(LEFT + unit * start, y, unit * (end - start), _ROW - 1))
            y += _ROW
        y += 3
    length = num_frames // len(mask.intensity)
    ticks = [label(LEFT + unit * frame, y + 8, str(frame)) for frame in tick_places(num_frames, length)]
    marks = [
        filled(cells[SHOWN], GRID),
        filled(cells[HIDDEN], BLUE),
        group(parts, BOLD),
        group(names, END),
        group(ticks, MIDDLE),
        label(0.0, y + 8, "frame"),
    ]
    shares = (f"{name} {_share(mask.hidden, joints):.0%}" for name, joints in looks.parts.items())
    return Picture(
        "".join(marks),
        y + 12,
        f"Hidden joints of {clip} over {num_frames} frames. Share of each part: {', '.join(shares)}.",
        "Hidden joints: a row is a joint, a column a frame. Blue: hidden; grey: shown; blank: the person is "
        "not seen.",
    )


def intensity_picture(looks: Looks, clip: str, mask: MaskLook) -> Picture:
    """Parts x segments, with the weights as numbers."""
    num_segments = len(mask.intensity)
    width = PLOT / num_segments
    cells: list[str] = []
    numbers: list[str] = []
    names: list[str] = []
    for number, part in enumerate(looks.parts):
        y = CELL * number
        names.append(label(LEFT - 4, y + 12, short(part)))
        for segment in range(num_segments):
            x, shade = LEFT + width * segment, DARKEST * mask.intensity[segment][number]
            box = cell(x, y, width - 1, CELL - 1)
            cells.append(f'<path d="{box}" fill-opacity="{trimmed(shade)}"/>')
            if width >= MIN_TEXT_CELL:
                weight = f"{100 * mask.weight[segment][number]:.0f}"
                numbers.append(label(x + width / 2, y + 12, weight))
    y = CELL * len(looks.parts) + 8
    for segment in tick_places(num_segments, 1)[1:]:
        numbers.append(label(LEFT + width * (segment - 0.5), y, str(segment)))
    marks = [
        group(cells, f'style="fill:{ORANGE}"'),
        group(names, END),
        group(numbers, MIDDLE),
        label(0.0, y, "segment"),
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


def _share(hidden: Sequence[str], joints: Sequence[int]) -> float:
    """Of the places where the person is seen, how many are hidden."""
    text = "".join(hidden[joint] for joint in joints)
    return text.count(HIDDEN) / max(1, len(text) - text.count(ABSENT))
