"""Changes of a clip's time: crops of any length to one length, shifts, warps and reversal (METHOD_MTMC B2).

A shift, a warp and a reversal are positions: for each frame of the result the frame, or a place between two,
that it is taken from. So several of them cost one pass over the frames.
"""

from typing import Literal

import torch
from einops import einsum, rearrange, repeat
from jaxtyping import Bool, Float, Int
from pydantic import Field, model_validator
from torch import Tensor
from torch.nn import functional

from kinemask.augment.draws import Chance
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


class ShiftConfig(Section):
    """Reflect floor(pad_ratio T) frames at each end, take a random window of T of them (AimCLR)."""

    pad_ratio: float = Field(gt=0, lt=1)


class WarpConfig(Chance):
    """A speed that changes along the clip: `knots` values 1 + N(0, std), held between `low` and `high`."""

    knots: int = Field(ge=2)
    std: float = Field(ge=0)
    low: float = Field(gt=0, le=1)
    high: float = Field(ge=1)


class ReverseConfig(Chance):
    """The clip runs backwards."""


def crop_resize(
    clips: RaggedClips, start: Float[Tensor, " N"], length: Float[Tensor, " N"], num_frames: int
) -> Batch:
    """Frames start .. start + length - 1 of each clip, resampled to `num_frames` (half-pixel centres)."""
    steps = (torch.arange(num_frames, device=start.device) + 0.5) / num_frames
    inside = rearrange(steps, "T -> 1 T") * rearrange(length, "N -> N 1") - 0.5
    last = rearrange(length, "N -> N 1") - 1
    position = rearrange(start, "N -> N 1") + torch.minimum(inside.clamp(min=0), last)
    return sample(clips, position)


def sample(clips: RaggedClips, position: Float[Tensor, "N T"]) -> Batch:
    """Each clip at fractional frames, linearly interpolated.

    Between a present and an absent frame a sample takes the present one; between two absent ones it is
    absent.
    """
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


def every_frame(num_clips: int, num_frames: int, device: torch.device) -> Float[Tensor, "N T"]:
    """The positions that change nothing."""
    return repeat(torch.arange(num_frames, device=device, dtype=torch.float32), "T -> N T", N=num_clips)


def warp_positions(
    clips: Bool[Tensor, " N"], num_frames: int, *, config: WarpConfig, generator: torch.Generator
) -> Float[Tensor, "N T"]:
    """A clip that is faster here and slower there; first and last frame stay. `clips`: True where it is done.

    The speed between two frames is that of the line through the knots, read half-way between them.
    """
    device = clips.device
    draws = torch.randn(len(clips), config.knots, generator=generator, device=device)
    knots = (1 + draws * config.std).clamp(config.low, config.high)
    place = (torch.arange(num_frames - 1, device=device) + 0.5) * (
        (config.knots - 1) / max(num_frames - 1, 1)
    )
    distance = rearrange(place, "step -> step 1") - torch.arange(config.knots, device=device)
    speed = einsum(knots, (1 - distance.abs()).clamp(min=0), "N knot, step knot -> N step")
    gone = functional.pad(speed.cumsum(dim=1), (1, 0))
    warped = gone / gone[:, -1:].clamp(min=config.low) * (num_frames - 1)
    return torch.where(rearrange(clips, "N -> N 1"), warped, every_frame(len(clips), num_frames, device))


def shift_positions(
    position: Float[Tensor, "N T"], *, pad_ratio: float, generator: torch.Generator
) -> Float[Tensor, "N T"]:
    """The same positions in a window of each clip that begins up to floor(pad_ratio T) frames off.

    Beyond its ends the clip is reflected; the end frames themselves do not repeat.
    """
    num_clips, num_frames = position.shape
    most, last = int(pad_ratio * num_frames), num_frames - 1
    offset = torch.randint(-most, most + 1, (num_clips, 1), generator=generator, device=position.device)
    return last - (last - (position + offset).abs()).abs()


def reverse_positions(position: Float[Tensor, "N T"], *, clips: Bool[Tensor, " N"]) -> Float[Tensor, "N T"]:
    """The named clips backwards."""
    return torch.where(rearrange(clips, "N -> N 1"), position.flip(1), position)


def resample(batch: Batch, position: Float[Tensor, "N T"]) -> Batch:
    """Every clip at fractional frames, as `sample`; presence moves with the frames."""
    return sample(end_to_end(batch), position)


def end_to_end(batch: Batch) -> RaggedClips:
    """The clips of a batch as clips that happen to be of one length."""
    num_clips, num_frames = batch.present.shape[:2]
    start = torch.arange(num_clips, device=batch.joints.device) * num_frames
    return RaggedClips(
        rearrange(batch.joints, "N T M V C -> (N T) M V C"),
        rearrange(batch.present, "N T M -> (N T) M"),
        start,
        torch.full_like(start, num_frames),
    )
