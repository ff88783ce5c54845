"""Views: a crop, changes of time and of shape, damage, drawn anew for every view (METHOD_MTMC B2)."""

from functools import reduce

import torch
from jaxtyping import Bool
from torch import Tensor

from kinemask.augment.damage import (
    AxisMaskConfig,
    BlurConfig,
    CorruptConfig,
    NoiseConfig,
    blur,
    corrupt_joints,
    jitter,
    mask_axis,
)
from kinemask.augment.draws import chosen
from kinemask.augment.spatial import (
    MirrorConfig,
    RotateConfig,
    ScaleConfig,
    ShearConfig,
    TiltConfig,
    mirror_matrices,
    rotation_matrices,
    scale_matrices,
    shear_matrices,
    swap_sides,
    tilt_matrices,
)
from kinemask.augment.temporal import (
    CropConfig,
    ReverseConfig,
    ShiftConfig,
    WarpConfig,
    every_frame,
    random_crop,
    resample,
    reverse_positions,
    shift_positions,
    warp_positions,
)
from kinemask.section import Section
from kinemask.skeleton.batch import Batch, RaggedClips
from kinemask.skeleton.clip import Symmetry
from kinemask.skeleton.geometry import transform
from kinemask.skeleton.layout import Layout


class ViewConfig(Section):
    """A view: its crop and the changes after it, in this order. A change that is not named is not done."""

    crop: CropConfig
    shift: ShiftConfig | None = None
    warp: WarpConfig | None = None
    reverse: ReverseConfig | None = None  # only of clips that keep their label backwards
    shear: ShearConfig | None = None
    mirror: MirrorConfig | None = None  # only of clips that keep their label in a mirror
    rotate: RotateConfig | None = None
    tilt: TiltConfig | None = None
    scale: ScaleConfig | None = None
    corrupt: CorruptConfig | None = None
    noise: NoiseConfig | None = None
    blur: BlurConfig | None = None
    axis_mask: AxisMaskConfig | None = None


def make_view(
    clips: RaggedClips,
    *,
    config: ViewConfig,
    layout: Layout,
    symmetries: frozenset[Symmetry],
    num_frames: int,
    generator: torch.Generator,
) -> Batch:
    """One view of every clip; absent persons stay absent. Its arithmetic is 32-bit under autocast too."""
    with torch.autocast(clips.joints.device.type, enabled=False):  # a 16-bit coordinate is off by millimetres
        batch = random_crop(clips, config=config.crop, num_frames=num_frames, generator=generator)
        batch = change_time(batch, config=config, symmetries=symmetries, generator=generator)
        sheared = chosen(len(clips), config.shear.probability if config.shear else 0.0, generator)
        batch = change_shape(
            batch, sheared=sheared, config=config, layout=layout, symmetries=symmetries, generator=generator
        )
        return damage_joints(batch, sheared=sheared, config=config, generator=generator)


def change_time(
    batch: Batch, *, config: ViewConfig, symmetries: frozenset[Symmetry], generator: torch.Generator
) -> Batch:
    """Shift, warp, reverse. The positions name sources, so they are looked up from the last change back."""
    count, num_frames = batch.present.shape[:2]
    reverse = config.reverse if "reversal" in symmetries else None
    if config.shift is None and config.warp is None and reverse is None:
        return batch
    if config.warp is None:
        position = every_frame(count, num_frames, batch.joints.device)
    else:
        warped = chosen(count, config.warp.probability, generator)
        position = warp_positions(warped, num_frames, config=config.warp, generator=generator)
    if config.shift is not None:
        position = shift_positions(position, pad_ratio=config.shift.pad_ratio, generator=generator)
    if reverse is not None:
        position = reverse_positions(position, clips=chosen(count, reverse.probability, generator))
    return resample(batch, position)


def change_shape(
    batch: Batch,
    *,
    sheared: Bool[Tensor, " N"],
    config: ViewConfig,
    layout: Layout,
    symmetries: frozenset[Symmetry],
    generator: torch.Generator,
) -> Batch:
    """Shear, mirror, rotate, tilt, scale: the matrices are multiplied first."""
    count = len(batch.joints)
    changes: list[Tensor] = []
    if config.shear is not None:
        changes.append(shear_matrices(sheared, amplitude=config.shear.amplitude, generator=generator))
    if config.mirror is not None and "mirror" in symmetries:
        mirrored = chosen(count, config.mirror.probability, generator)
        batch = swap_sides(batch, clips=mirrored, layout=layout)
        if config.mirror.true_mirror:
            changes.append(mirror_matrices(mirrored))
    if config.rotate is not None:
        turned = chosen(count, config.rotate.probability, generator)
        changes.append(rotation_matrices(turned, degrees=config.rotate.degrees, generator=generator))
    if config.tilt is not None:
        tilted = chosen(count, config.tilt.probability, generator)
        limits = config.tilt.model_dump(exclude={"probability"})
        changes.append(tilt_matrices(tilted, **limits, generator=generator))
    if config.scale is not None:
        scaled = chosen(count, config.scale.probability, generator)
        changes.append(scale_matrices(scaled, amount=config.scale.amount, generator=generator))
    if not changes:
        return batch
    matrix = reduce(lambda before, change: change @ before, changes)
    return Batch(transform(batch.joints, matrix), batch.present)


def damage_joints(
    batch: Batch, *, sheared: Bool[Tensor, " N"], config: ViewConfig, generator: torch.Generator
) -> Batch:
    """Corrupted joints where the clip was not sheared, noise, blur, a lost axis."""
    count = len(batch.joints)
    if config.corrupt is not None:
        corrupted = ~sheared & chosen(count, config.corrupt.probability, generator)
        batch = corrupt_joints(batch, clips=corrupted, share=config.corrupt.share, generator=generator)
    if config.noise is not None:
        noisy = chosen(count, config.noise.probability, generator)
        batch = jitter(batch, clips=noisy, std=config.noise.std, generator=generator)
    if config.blur is not None:
        blurred = chosen(count, config.blur.probability, generator)
        widths = config.blur.model_dump(exclude={"probability"})
        batch = blur(batch, clips=blurred, **widths, generator=generator)
    if config.axis_mask is not None:
        flattened = chosen(count, config.axis_mask.probability, generator)
        batch = mask_axis(batch, clips=flattened, generator=generator)
    return batch
