"""Views: a random crop and changes in space, drawn anew for every view of a clip (METHOD_MTMC B2)."""

import torch
from pydantic import Field

from kinemask.augment.spatial import (
    chosen,
    chosen_or_identity,
    corrupt_joints,
    jitter,
    rotation_matrices,
    scale_matrices,
    shear_matrices,
)
from kinemask.augment.temporal import CropConfig, random_crop
from kinemask.section import Section
from kinemask.skeleton.batch import Batch, RaggedClips
from kinemask.skeleton.geometry import transform


class SpatialConfig(Section):
    """Strength and probability of every spatial change. A probability of 0 leaves the change out."""

    rotate_degrees: tuple[float, float, float]  # about x, y (up), z
    rotate_probability: float = Field(ge=0, le=1)
    scale_amount: float = Field(ge=0, lt=1)
    scale_probability: float = Field(ge=0, le=1)
    shear_amplitude: float = Field(ge=0)
    shear_probability: float = Field(ge=0, le=1)
    corrupt_share: float = Field(ge=0, le=1)  # of the joints; applied to the clips that were not sheared
    corrupt_probability: float = Field(ge=0, le=1)
    noise_std: float = Field(ge=0)  # metres
    noise_probability: float = Field(ge=0, le=1)


class ViewConfig(Section):
    """A view: how it is cropped and how it is changed in space."""

    crop: CropConfig
    spatial: SpatialConfig


def make_view(
    clips: RaggedClips, *, config: ViewConfig, num_frames: int, generator: torch.Generator
) -> Batch:
    """One view of every clip; absent persons stay absent."""
    batch = random_crop(clips, config=config.crop, num_frames=num_frames, generator=generator)
    return change_shape(batch, config=config.spatial, generator=generator)


def change_shape(batch: Batch, *, config: SpatialConfig, generator: torch.Generator) -> Batch:
    """Turn, size, then shear or damaged joints, then noise."""
    count = len(batch.joints)
    turn = rotation_matrices(count, degrees=config.rotate_degrees, generator=generator)
    turn = chosen_or_identity(turn, probability=config.rotate_probability, generator=generator)
    size = scale_matrices(count, amount=config.scale_amount, generator=generator)
    size = chosen_or_identity(size, probability=config.scale_probability, generator=generator)
    slant = shear_matrices(count, amplitude=config.shear_amplitude, generator=generator)
    sheared = chosen(count, config.shear_probability, generator)
    slant = torch.where(sheared[:, None, None], slant, torch.eye(3, device=slant.device))
    batch = Batch(transform(batch.joints, slant @ size @ turn), batch.present)
    if config.corrupt_probability > 0:
        damaged = ~sheared & chosen(count, config.corrupt_probability, generator)
        batch = corrupt_joints(batch, share=config.corrupt_share, clips=damaged, generator=generator)
    if config.noise_probability > 0:
        batch = jitter(batch, std=config.noise_std, probability=config.noise_probability, generator=generator)
    return batch
