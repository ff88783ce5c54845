"""Cutting clips of any length to one length: random crops for training, one fixed cut for evaluation."""

from typing import Literal

import torch
from einops import rearrange
from jaxtyping import Float, Int
from pydantic import Field, model_validator
from torch import Tensor

from kinemask.section import Section
from kinemask.skeleton.batch import Batch, RaggedClips


class CropConfig(Section):
    """A random crop: a share of the clip, never under `min_length` frames or share (METHOD_MTMC B2)."""

    share_low: float = Field(gt=0, le=1)
    share_high: float = Field(gt=0, le=1)
    min_unit: Literal["frames", "share"]
    min_length: float = Field(gt=0)

    @model_validator(mode="after")
    def _ordered(self) -> "CropConfig":
        if self.share_low > self.share_high:
            raise ValueError(f"share_low must not exceed share_high {self.share_high}")
        if self.min_unit == "share" and self.min_length > 1:
            raise ValueError("min_length is a share of the clip, at most 1")
        return self


def crop_resize(
    clips: RaggedClips, start: Float[Tensor, " N"], length: Float[Tensor, " N"], num_frames: int
) -> Batch:
    """Frames start .. start + length - 1 of each clip, resampled to `num_frames` (half-pixel centres).

    Between a present and an absent frame a sample takes the present one; between two absent ones it is
    absent.
    """
    steps = (torch.arange(num_frames, device=start.device) + 0.5) / num_frames
    inside = rearrange(steps, "T -> 1 T") * rearrange(length, "N -> N 1") - 0.5
    last = rearrange(length, "N -> N 1") - 1
    position = rearrange(start, "N -> N 1") + torch.minimum(inside.clamp(min=0), last)
    before = position.floor().long()
    after = torch.minimum(before + 1, rearrange(clips.lengths - 1, "N -> N 1"))
    fraction = rearrange(position - before, "N T -> N T 1")
    offset = rearrange(clips.offsets, "N -> N 1")
    present_before, present_after = clips.present[offset + before], clips.present[offset + after]  # (N, T, M)
    weight_before = (1 - fraction) * present_before
    weight_after = fraction * present_after
    total = weight_before + weight_after
    scale = torch.where(total > 0, 1 / total, 0.0)
    weight_before = rearrange(weight_before * scale, "N T M -> N T M 1 1")
    weight_after = rearrange(weight_after * scale, "N T M -> N T M 1 1")
    joints = clips.joints[offset + before] * weight_before + clips.joints[offset + after] * weight_after
    return Batch(joints, total > 0)


def random_crop(
    clips: RaggedClips, *, config: CropConfig, num_frames: int, generator: torch.Generator
) -> Batch:
    """A random stretch of each clip, resized. Clips under the minimum are only stretched."""
    device = clips.lengths.device
    draws = torch.rand(2, len(clips), generator=generator, device=device)
    lengths = clips.lengths.to(draws.dtype)
    share = config.share_low + draws[0] * (config.share_high - config.share_low)
    least = (
        config.min_length * lengths
        if config.min_unit == "share"
        else torch.full_like(lengths, config.min_length)
    )
    length = torch.minimum(torch.maximum((share * lengths).floor(), least.floor().clamp(min=1)), lengths)
    start = (draws[1] * (lengths - length + 1)).floor().clamp(max=lengths - length)
    return crop_resize(clips, start, length, num_frames)


def centre_crop(clips: RaggedClips, *, share: float, num_frames: int) -> Batch:
    """The middle `share` of each clip, resized; floor((1 - share) n / 2) frames fall away at each end."""
    lengths: Int[Tensor, " N"] = clips.lengths
    start = ((1 - share) * lengths / 2).floor()
    return crop_resize(clips, start, lengths - 2 * start, num_frames)
