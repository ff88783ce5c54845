"""What jmm_tgt hides of a few clips, as numbers to be shown; nothing of it enters the training."""

from collections.abc import Sequence

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor

from kinemask.looks import ABSENT, HIDDEN, SHOWN, ClipLook, MaskLook
from kinemask.masking.motion_topology import STILL, motion_intensity, unit_joints
from kinemask.skeleton.batch import Batch
from kinemask.skeleton.layout import Layout

_DIGITS = 4  # significant ones: more cannot be seen


@torch.no_grad()
def look_at(
    view: Batch,
    hidden: Bool[Tensor, "N T V"],
    odds: Float[Tensor, "N P V"],
    *,
    names: Sequence[str],
    layout: Layout,
) -> tuple[ClipLook, ...]:
    """The first person of each clip: what is hidden, what moves, and what that weighs in the draw.

    `odds` are relative, of each token, 0 for who is absent; a segment of the look is the time of one token.
    """
    parts = unit_joints(layout, "parts").to(odds.device)
    moving = motion_intensity(view, num_segments=odds.shape[1], units=parts)[:, 0]
    largest = moving.amax(dim=(1, 2), keepdim=True)
    intensity = torch.where(largest < STILL, 0.0, moving / largest.clamp(min=STILL))
    of_parts = odds @ parts.mT.to(odds.dtype)
    total = of_parts.sum(dim=-1, keepdim=True)
    weight = torch.where(total > 0, of_parts / total, 0.0)
    return tuple(
        ClipLook(
            clip=name,
            mask=MaskLook(
                hidden=_letters(hidden[clip], view.present[clip, :, 0]),
                intensity=_rounded_rows(intensity[clip]),
                weight=_rounded_rows(weight[clip]),
            ),
            drop=None,
        )
        for clip, name in enumerate(names)
    )


def _letters(hidden: Bool[Tensor, "T V"], present: Bool[Tensor, " T"]) -> tuple[str, ...]:
    there = present.tolist()
    return tuple(
        "".join(
            (HIDDEN if is_hidden else SHOWN) if is_there else ABSENT
            for is_hidden, is_there in zip(row, there, strict=True)
        )
        for row in rearrange(hidden, "T V -> V T").tolist()
    )


def _rounded_rows(values: Float[Tensor, "S P"]) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(float(f"{value:.{_DIGITS}g}") for value in row) for row in values.tolist())
