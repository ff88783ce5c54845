"""What mtmc hides and drops of a few clips, as numbers to be shown; nothing of it enters the training."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from kinemask.encoders.base import Encoder
from kinemask.looks import ClipLook, DropLook, MaskLook
from kinemask.masking.features import DropConfig, channel_scores, keep_channels
from kinemask.masking.motion_topology import mask_weights, unit_joints
from kinemask.methods.look_numbers import mask_looks, rounded_rows
from kinemask.methods.mtmc_views import ExtremeView, ViewMaker
from kinemask.skeleton.batch import Batch, RaggedClips


def look_at(
    encoder: Encoder,
    views: ViewMaker,
    clips: RaggedClips,
    names: Sequence[str],
    generator: torch.Generator,
) -> tuple[ClipLook, ...]:
    """A look at each clip, with what the recipe has of mask and dropped channels; empty if it has neither."""
    weights, drop = views.config.weights, views.config.drop
    masks: Sequence[MaskLook | None] = [None] * len(names)
    drops: Sequence[DropLook | None] = [None] * len(names)
    if weights.masked:
        masks = look_at_mask(views, clips, generator)
    if weights.dropped and drop.drops_channels:
        view = views.draw_extreme(clips, generator, drops=False, fill=None)
        drops = look_at_drop(encoder, view, drop, generator)
    found = zip(names, masks, drops, strict=True)
    return tuple(ClipLook(clip=name, mask=mask, drop=drop) for name, mask, drop in found if mask or drop)


@torch.no_grad()
def look_at_mask(views: ViewMaker, clips: RaggedClips, generator: torch.Generator) -> list[MaskLook]:
    """The masked view of each clip: what is hidden, what moves, and what that weighs in the draw."""
    view, hidden = views.draw_masked(clips, generator)
    return mask_looks(view, hidden[:, :, 0], _part_weights(views, view), layout=views.domain.layout)


@torch.no_grad()
def look_at_drop(
    encoder: Encoder, view: ExtremeView, drop: DropConfig, generator: torch.Generator
) -> list[DropLook]:
    """The channels that each clip's extreme view loses, by the features of the encoder in evaluation."""
    was_training = encoder.training
    encoder.eval()
    (encoded,) = encoder.encode_views([view.shown], prompts=[None], clean=-1)
    encoder.train(was_training)
    scores: list[tuple[float, ...] | None] = [None] * len(encoded.sequence)
    seen = (encoded.sequence, encoded.seen, view.speed)
    if drop.kind != "random":
        scores = list(rounded_rows(channel_scores(*seen, kind=drop.kind, generator=generator)))
    dropped = keep_channels(*seen, config=drop, generator=generator) == 0
    return [
        DropLook(kind=drop.kind, dropped=tuple(row), score=score)
        for row, score in zip(dropped.tolist(), scores, strict=True)
    ]


def _part_weights(views: ViewMaker, view: Batch) -> Float[Tensor, "N S P"]:
    """q of the first person; where joints are drawn, the sum of a part's joints."""
    mask, layout = views.config.mask, views.domain.layout
    units, parts = (unit_joints(layout, one).to(view.joints.device) for one in (mask.topology, "parts"))
    weights = mask_weights(view, config=mask, layout=layout, units=units)[:, 0]
    of_parts = weights @ (units @ parts.mT > 0).float()
    return of_parts.expand(len(view.joints), -1, -1)
