"""What jmm_tgt hides of a few clips, as numbers to be shown; nothing of it enters the training."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kinemask.looks import ClipLook
from kinemask.masking.motion_topology import unit_joints
from kinemask.methods.look_numbers import mask_looks
from kinemask.skeleton.batch import Batch
from kinemask.skeleton.layout import Layout


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
    of_parts = odds @ unit_joints(layout, "parts").to(odds).mT
    total = of_parts.sum(dim=-1, keepdim=True)
    weights = torch.where(total > 0, of_parts / total, 0.0)
    masks = mask_looks(view, hidden, weights, layout=layout)
    return tuple(ClipLook(clip=name, mask=mask, drop=None) for name, mask in zip(names, masks, strict=True))
