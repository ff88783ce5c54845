"""Damage that a clip's action survives: lost joints, noise, blur in time, a lost axis (METHOD_MTMC B2).

`clips` is True for the clips that are damaged. Absent persons and frames stay zero and damage nothing.
"""

import torch
from einops import einsum, rearrange
from jaxtyping import Bool, Float
from pydantic import Field, model_validator
from torch import Tensor

from kinemask.augment.draws import Chance, chosen, shuffled, uniform, within
from kinemask.skeleton.batch import Batch
from kinemask.skeleton.geometry import transform


class CorruptConfig(Chance):
    """Damage to round(share V) joints; the probability is of the clips that were not sheared."""

    share: float = Field(ge=0, le=1)


class NoiseConfig(Chance):
    """Gaussian noise."""

    std: float = Field(ge=0)  # metres


class BlurConfig(Chance):
    """A Gaussian in time over `taps` frames; its standard deviation is U(std_low, std_high) frames."""

    taps: int = Field(ge=1)
    std_low: float = Field(gt=0)
    std_high: float = Field(gt=0)

    @model_validator(mode="after")
    def _fits(self) -> "BlurConfig":
        if self.taps % 2 == 0:
            raise ValueError("taps must be odd, so that a frame stays where it is")
        if self.std_low > self.std_high:
            raise ValueError(f"std_low must not exceed std_high {self.std_high}")
        return self


class AxisMaskConfig(Chance):
    """One of x, y and z is zero in the whole clip."""


def corrupt_joints(
    batch: Batch, *, clips: Bool[Tensor, " N"], share: float, generator: torch.Generator
) -> Batch:
    """Damage round(share V) joints in all frames and persons (METHOD B2, normal view, ii).

    Half the time they are set to zero, half the time multiplied by one random matrix with entries U(-1, 1).
    """
    joints = batch.joints
    num_clips, num_joints = joints.shape[0], joints.shape[3]
    hit = shuffled(num_clips, num_joints, generator) < round(share * num_joints)
    hit = hit & rearrange(clips, "N -> N 1")
    matrix = uniform(num_clips, 3, 3, generator=generator)
    zeroed = rearrange(chosen(num_clips, 0.5, generator), "N -> N 1 1")
    damaged = transform(joints, torch.where(zeroed, 0.0, matrix))
    return Batch(torch.where(rearrange(hit, "N V -> N 1 1 V 1"), damaged, joints), batch.present)


def jitter(batch: Batch, *, clips: Bool[Tensor, " N"], std: float, generator: torch.Generator) -> Batch:
    """Gaussian noise of `std` metres on every coordinate of the present persons."""
    joints = batch.joints
    noise = torch.randn(joints.shape, generator=generator, device=joints.device) * std
    noisy = rearrange(clips, "N -> N 1 1 1 1") & rearrange(batch.present, "N T M -> N T M 1 1")
    return Batch(torch.where(noisy, joints + noise, joints), batch.present)


def blur(
    batch: Batch,
    *,
    clips: Bool[Tensor, " N"],
    taps: int,
    std_low: float,
    std_high: float,
    generator: torch.Generator,
) -> Batch:
    """A weighted mean over neighbouring present frames; beyond the ends the first and last frame repeat."""
    device, num_frames = batch.joints.device, batch.joints.shape[1]
    std = within(len(clips), std_low, std_high, generator)
    steps = torch.arange(taps, device=device) - taps // 2
    kernels = torch.where(rearrange(clips, "N -> N 1"), gaussian_kernels(std, taps=taps), steps == 0)
    frames = torch.arange(num_frames, device=device)
    source = (rearrange(frames, "T -> T 1") + steps).clamp(0, num_frames - 1)
    reached = (rearrange(source, "T taps -> T taps 1") == frames).to(kernels.dtype)
    weight = einsum(kernels, reached, "N taps, T taps source -> N T source")
    # Absent frames are zero, so only the sum of the weights must leave them out.
    total = einsum(weight, batch.present.to(weight.dtype), "N T source, N source M -> N T M")
    mean = einsum(weight, batch.joints, "N T source, N source M V C -> N T M V C")
    mean = mean / rearrange(torch.where(batch.present, total, 1.0), "N T M -> N T M 1 1")
    return Batch(torch.where(rearrange(batch.present, "N T M -> N T M 1 1"), mean, 0.0), batch.present)


def gaussian_kernels(std: Float[Tensor, " N"], *, taps: int) -> Float[Tensor, "N taps"]:
    """Weights exp(-d^2 / 2 std^2) at distance d from the middle, with sum 1 (not so in AimCLR, trap E6)."""
    distance = torch.arange(taps, device=std.device) - taps // 2
    weight = torch.exp(-0.5 * (distance / rearrange(std, "N -> N 1")) ** 2)
    return weight / weight.sum(dim=1, keepdim=True)


def mask_axis(batch: Batch, *, clips: Bool[Tensor, " N"], generator: torch.Generator) -> Batch:
    """One of x, y and z, drawn for each clip, is zero in all its frames."""
    axis = torch.randint(3, (len(clips), 1), generator=generator, device=clips.device)
    masked = (axis == torch.arange(3, device=clips.device)) & rearrange(clips, "N -> N 1")
    return Batch(torch.where(rearrange(masked, "N C -> N 1 1 1 C"), 0.0, batch.joints), batch.present)
