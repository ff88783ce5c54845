"""Pictures of what a method does with a clip: small SVG drawings for the report and for MLflow.

Drawn by hand and not by Matplotlib, whose heat maps take a path of a hundred bytes for every cell.
"""

import re
from collections.abc import Sequence
from html import escape

from kinemask.looks import ClipLook, Looks
from kinemask.pictures.attention import attention_picture
from kinemask.pictures.drop import dropped_picture
from kinemask.pictures.hop_bias import hop_bias_picture
from kinemask.pictures.marks import BOLD, CARD, LOOK, WIDTH, Picture, group, label, trimmed, wrapped
from kinemask.pictures.mask import hidden_picture, intensity_picture
from kinemask.pictures.twins import twins_picture

_MARGIN = 6.0  # around a file of its own


def step_pictures(looks: Looks, clip: ClipLook) -> list[Picture]:
    """One for each thing that the method does with the clip in a step."""
    found = []
    if clip.mask is not None:
        found += [hidden_picture(looks, clip.clip, clip.mask), intensity_picture(looks, clip.clip, clip.mask)]
    if clip.drop is not None:
        found.append(dropped_picture(clip.clip, clip.drop))
    if clip.twins is not None:
        found.append(twins_picture(looks, clip.clip, clip.twins))
    return found


def attention_pictures(looks: Looks, clip: ClipLook) -> list[Picture]:
    """What the encoder attends to in the clip, if it attends."""
    return [] if clip.attention is None else [attention_picture(looks, clip.clip, clip.attention)]


def encoder_pictures(looks: Looks) -> list[Picture]:
    """What the encoder has learned whatever the clip."""
    return [] if looks.hop_bias is None else [hop_bias_picture(looks.hop_bias)]


def standalone_svg(title: str, pictures: Sequence[Picture]) -> str:
    """The pictures in one file that needs no page: each under its caption."""
    marks, top = [group([label(0.0, 8.0, title)], BOLD)], 16.0
    for picture in pictures:
        lines = wrapped(picture.caption)
        marks += [label(0.0, top + 9 * number, line) for number, line in enumerate(lines, 1)]
        top += 9 * len(lines) + 6
        marks.append(group([picture.marks], f'transform="translate(0 {trimmed(top)})"'))
        top += picture.height + 8
    wide, tall = WIDTH + 2 * _MARGIN, top + 2 * _MARGIN
    box = f'x="-{_MARGIN:g}" y="-{_MARGIN:g}" width="{wide:g}" height="{tall:g}"'
    size = f'width="{2 * wide:g}" height="{2 * tall:g}" viewBox="-{_MARGIN:g} -{_MARGIN:g} {wide:g} {tall:g}"'
    look = f'font-family="sans-serif" {LOOK}'
    text = (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} {look}><title>{escape(title)}</title>'
        f'<rect {box} style="fill:{CARD}"/>{"".join(marks)}</svg>\n'
    )
    return re.sub(r"var\(--[\w-]+,(#\w+)\)", r"\1", text)
