"""What one joint attends to, on the body."""

import math

from kinemask.looks import AttentionLook, Looks
from kinemask.pictures.marks import (
    BLUE,
    BOLD,
    CARD,
    MIDDLE,
    MUTED,
    ORANGE,
    WIDTH,
    Picture,
    group,
    label,
    short,
    trimmed,
)

_TOP, _TALL = 28.0, 130.0  # where the body begins, and how tall it may be
_WIDE = 110.0  # how wide it may be
_EQUAL = 3.5  # radius of a joint's circle if all joints had the same share
_NAMED = 3  # joints with the largest shares that are named below the body
_LINE = 10.0


def attention_picture(looks: Looks, clip: str, attention: AttentionLook) -> Picture:
    """The body of one frame, once with the shares of the first block and once with those of the last."""
    assert looks.bones is not None, "Looks refuses attention without bones"
    last = len(attention.shares) - 1
    blocks = sorted({0, last})
    width = WIDTH / len(blocks)
    marks: list[str] = []
    for place, block in enumerate(blocks):
        middle = width * (place + 0.5)
        places = _on_paper(attention.pose, middle)
        marks += [
            group([label(middle, 8.0, f"block {block + 1}")], f"{MIDDLE} {BOLD}"),
            _bones(looks.bones, places),
            *_circles(attention, block, places),
            group(_largest(looks, attention, block, middle), MIDDLE),
        ]
    y = _TOP + _TALL + 20 + _LINE * _NAMED + 12
    asks = looks.joints[attention.joint]
    equal = 1 / len(looks.joints)
    marks += [
        _circle(6.0, y - 3, _EQUAL, ORANGE),
        label(13.0, y, f"{short(asks)} asks"),
        _circle(WIDTH / 2 + 6, y - 3, _EQUAL, BLUE),
        label(WIDTH / 2 + 13, y, f"{equal:.1%}, an equal share"),
    ]
    which = "the first and the last block" if last else "the only block"
    return Picture(
        "".join(marks),
        y + 6,
        f"Attention of {asks} in {clip}. " + " ".join(_told(looks, attention, block) for block in blocks),
        f"Attention in {clip}: what {asks}, the joint whose place varies most, gives to each joint in "
        f"{which}, a mean over heads and times. The area of a circle is the share. The pose is that of frame "
        f"{attention.frame}, in which that joint is farthest from its mean place.",
    )


def _on_paper(pose: tuple[tuple[float, float], ...], middle: float) -> list[tuple[float, float]]:
    """Joints from the front, as large as fits; y is up in the room and down on paper."""
    xs, ys = zip(*pose, strict=True)
    wide, tall = max(xs) - min(xs), max(ys) - min(ys)
    scale = min(_WIDE / wide if wide else math.inf, _TALL / tall if tall else math.inf)
    scale = scale if math.isfinite(scale) else 0.0
    centre, foot = (max(xs) + min(xs)) / 2, _TOP + (_TALL + scale * tall) / 2
    return [(middle + scale * (x - centre), foot - scale * (y - min(ys))) for x, y in pose]


def _bones(bones: tuple[tuple[int, int], ...], places: list[tuple[float, float]]) -> str:
    lines = "".join(
        f"M{trimmed(places[one][0])} {trimmed(places[one][1])}"
        f"L{trimmed(places[other][0])} {trimmed(places[other][1])}"
        for one, other in bones
    )
    return f'<path d="{lines}" style="stroke:{MUTED}" fill="none"/>'


def _circles(attention: AttentionLook, block: int, places: list[tuple[float, float]]) -> list[str]:
    """The largest first, so that none is hidden behind another, and last the joint that asks."""
    shares = attention.shares[block]
    order = sorted(range(len(shares)), key=lambda joint: (joint == attention.joint, -shares[joint]))
    return [
        _circle(
            *places[joint],
            _EQUAL * math.sqrt(shares[joint] * len(shares)),
            ORANGE if joint == attention.joint else BLUE,
        )
        for joint in order
    ]


def _circle(x: float, y: float, radius: float, colour: str) -> str:
    look = f'style="fill:{colour};stroke:{CARD}" stroke-width=".7" fill-opacity=".8"'
    return f'<circle cx="{trimmed(x)}" cy="{trimmed(y)}" r="{trimmed(radius)}" {look}/>'


def _ranked(looks: Looks, attention: AttentionLook, block: int) -> list[str]:
    shares = attention.shares[block]
    order = sorted(range(len(shares)), key=lambda joint: -shares[joint])
    return [f"{looks.joints[joint]} {shares[joint]:.1%}" for joint in order]


def _largest(looks: Looks, attention: AttentionLook, block: int, middle: float) -> list[str]:
    top = _TOP + _TALL + 20
    named = _ranked(looks, attention, block)[:_NAMED]
    return [label(middle, top + _LINE * line, text) for line, text in enumerate(named)]


def _told(looks: Looks, attention: AttentionLook, block: int) -> str:
    """What it gives itself, the most, and by part."""
    shares = attention.shares[block]
    parts = ", ".join(
        f"{name} {sum(shares[joint] for joint in joints):.1%}" for name, joints in looks.parts.items()
    )
    most = ", ".join(_ranked(looks, attention, block)[:_NAMED])
    return f"Block {block + 1}: itself {shares[attention.joint]:.1%}; most {most}; by part {parts}."
