"""What the looks of all methods share: the masked view of a clip, and numbers short enough to be shown."""

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor

from kinemask.looks import ABSENT, HIDDEN, SHOWN, MaskLook
from kinemask.masking.motion_topology import STILL, motion_intensity, unit_joints
from kinemask.skeleton.batch import Batch
from kinemask.skeleton.layout import Layout

_DIGITS = 4  # significant ones: more cannot be seen


@torch.no_grad()
def mask_looks(
    view: Batch, hidden: Bool[Tensor, "N T V"], weights: Float[Tensor, "N S P"], *, layout: Layout
) -> list[MaskLook]:
    """The first person of each clip: what is hidden, what moves, and what the parts weigh in the draw.

    Motion is relative to the largest of the clip; 0 for who stands still.
    """
    parts = unit_joints(layout, "parts").to(view.joints.device)
    moving = motion_intensity(view, num_segments=weights.shape[1], units=parts)[:, 0]
    largest = moving.amax(dim=(1, 2), keepdim=True)
    intensity = torch.where(largest < STILL, 0.0, moving / largest.clamp(min=STILL))
    return [
        MaskLook(
            hidden=_letters(hidden[clip], view.present[clip, :, 0]),
            intensity=rounded_rows(intensity[clip]),
            weight=rounded_rows(weights[clip]),
        )
        for clip in range(len(view.joints))
    ]


def rounded_rows(values: Float[Tensor, "R K"]) -> tuple[tuple[float, ...], ...]:
    """The rows as plain numbers."""
    return tuple(tuple(map(rounded, row)) for row in values.tolist())


def rounded(value: float) -> float:
    """The number with no more digits than can be seen."""
    return float(f"{value:.{_DIGITS}g}")


def _letters(hidden: Bool[Tensor, "T V"], present: Bool[Tensor, " T"]) -> tuple[str, ...]:
    there = present.tolist()
    return tuple(
        "".join(
            (HIDDEN if is_hidden else SHOWN) if is_there else ABSENT
            for is_hidden, is_there in zip(row, there, strict=True)
        )
        for row in rearrange(hidden, "T V -> V T").tolist()
    )
