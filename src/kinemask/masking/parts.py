"""Hide whole body parts for stretches of time (METHOD_MTMC B3; here the parts are drawn uniformly)."""

from typing import Literal

import torch
from einops import rearrange, repeat
from jaxtyping import Bool
from pydantic import Field
from torch import Tensor

from kinemask.section import Section
from kinemask.skeleton.batch import Batch
from kinemask.skeleton.layout import Layout


class PartMaskConfig(Section):
    """In each of `num_segments` stretches `num_parts` parts are hidden, of one person or of all."""

    num_segments: int = Field(ge=1)
    num_parts: int = Field(ge=1)
    persons: Literal["first", "all"]


def part_mask(
    batch: Batch, *, config: PartMaskConfig, layout: Layout, generator: torch.Generator
) -> Bool[Tensor, "N T M V"]:
    """True where a joint of a present person is hidden; every clip has its own draw.

    Raises ValueError if the frames cannot be cut into equal segments or if no part would stay visible.
    """
    num_clips, num_frames, num_persons = batch.present.shape
    if num_frames % config.num_segments:
        raise ValueError(f"{num_frames} frames cannot be cut into {config.num_segments} equal segments")
    if config.num_parts >= len(layout.parts):
        raise ValueError(
            f"cannot hide {config.num_parts} of {len(layout.parts)} parts: one must stay visible"
        )
    device = batch.joints.device
    draws = torch.rand(
        num_clips, config.num_segments, len(layout.parts), generator=generator, device=generator.device
    )
    hidden_parts = draws.argsort(dim=-1).argsort(dim=-1) < config.num_parts  # (N, segments, parts)
    hidden_joints = hidden_parts[..., part_of_joint(layout).to(device)]  # (N, segments, V)
    hidden = repeat(
        hidden_joints, "N S V -> N (S frames) M V", frames=num_frames // config.num_segments, M=num_persons
    )
    if config.persons == "first":
        hidden = hidden & rearrange(torch.arange(num_persons, device=device) == 0, "M -> 1 1 M 1")
    return hidden & rearrange(batch.present, "N T M -> N T M 1")


def part_of_joint(layout: Layout) -> Tensor:
    """For each joint the number of its part."""
    numbers = torch.empty(layout.num_joints, dtype=torch.long)
    for number, joints in enumerate(layout.parts.values()):
        numbers[list(joints)] = number
    return numbers


def hide(batch: Batch, hidden: Bool[Tensor, "N T M V"]) -> Batch:
    """The batch with hidden joints at zero. Presence stays: hidden is not absent."""
    return Batch(torch.where(rearrange(hidden, "N T M V -> N T M V 1"), 0.0, batch.joints), batch.present)
