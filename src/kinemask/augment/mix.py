"""Mixed clips: body parts of one clip in another, or both blended (METHOD_MTMC B2, mix view, after PCM3)."""

from dataclasses import dataclass

import torch
from einops import rearrange, reduce
from jaxtyping import Bool, Float, Int
from pydantic import Field, model_validator
from torch import Tensor

from kinemask.augment.draws import shuffled
from kinemask.augment.temporal import end_to_end, sample
from kinemask.section import Section
from kinemask.skeleton.batch import Batch
from kinemask.skeleton.layout import Layout

# Of the clips: these are blended, these get a block at double speed, the rest a block as it is (METHOD B2).
BLENDED, SPED_UP = 0.25, 0.25


class MixConfig(Section):
    """The pasted block: of `num_groups` equal groups of frames and of the body's parts so many, at random."""

    num_groups: int = Field(ge=2)
    groups_low: int = Field(ge=1)
    groups_high: int = Field(ge=1)
    parts_low: int = Field(ge=1)
    parts_high: int = Field(ge=1)

    @model_validator(mode="after")
    def _ordered(self) -> "MixConfig":
        if not self.groups_low <= self.groups_high <= self.num_groups:
            raise ValueError(f"groups_low, groups_high and num_groups {self.num_groups} must not fall")
        if self.groups_low > self.num_groups // 2:
            half = self.num_groups // 2
            raise ValueError(f"a block at double speed takes twice its groups: groups_low is at most {half}")
        if self.parts_low > self.parts_high:
            raise ValueError(f"parts_low must not exceed parts_high {self.parts_high}")
        return self

    def misfit(self, num_frames: int) -> str | None:
        """Why clips of that many frames cannot be mixed, or None if they can."""
        if num_frames % self.num_groups:
            return f"num_frames {num_frames} is no multiple of mix.num_groups {self.num_groups}"
        return None

    def misfit_body(self, layout: Layout) -> str | None:
        """Why clips of that body cannot be mixed, or None if they can."""
        most = len(layout.parts)
        if self.parts_high > most:
            return f"mix.parts_high {self.parts_high} is more parts than {layout.name} has: at most {most}"
        return None


@dataclass(frozen=True)
class Mixed:
    """Clips with something of another in each; the presence is their own."""

    batch: Batch
    partner: Int[Tensor, " N"]  # the clip that it comes from
    share: Float[Tensor, " N"]  # the partner's weight, mean over the clip's own present joints; in [0, 1]


@dataclass(frozen=True)
class Stretch:
    """Frames start .. start + length - 1 of each clip."""

    start: Int[Tensor, " N"]
    length: Int[Tensor, " N"]

    def frames(self, num_frames: int) -> Bool[Tensor, "N T"]:
        """True inside."""
        offset = self.offset(num_frames)
        return (offset >= 0) & (offset < rearrange(self.length, "N -> N 1"))

    def offset(self, num_frames: int) -> Int[Tensor, "N T"]:
        """How far each frame is behind the start."""
        return torch.arange(num_frames, device=self.start.device) - rearrange(self.start, "N -> N 1")


def mix(batch: Batch, *, config: MixConfig, layout: Layout, generator: torch.Generator) -> Mixed:
    """Every clip with something of its partner: a block of parts and frames, or the whole in a blend.

    Partner, kind, block and weight are drawn for each clip (PCM3 draws one for the batch, trap E5). Only
    where both clips have the person does anything change. Raises ValueError for a single clip, or for frames
    or a body that do not fit the config.
    """
    num_clips, num_frames = batch.present.shape[:2]
    misfit = config.misfit(num_frames) or config.misfit_body(layout)
    if num_clips < 2 or misfit:
        raise ValueError(misfit or f"{num_clips} clip cannot be mixed with another: at least 2 needed")
    device = batch.joints.device
    partner = draw_partners(num_clips, generator)
    kind, blend = torch.rand(2, num_clips, generator=generator, device=device)
    sped_up = (kind >= BLENDED) & (kind < BLENDED + SPED_UP)
    stretch = draw_stretch(sped_up, config=config, num_frames=num_frames, generator=generator)
    inside = stretch.frames(num_frames)  # (N, T)
    # Frame i of a block at double speed is the mean of the partner's frames 2i and 2i + 1.
    position = torch.where(
        rearrange(sped_up, "N -> N 1") & inside,
        2 * stretch.offset(num_frames) + 0.5,
        torch.arange(num_frames, device=device),
    )
    other = sample(end_to_end(batch).select(partner), position)
    parts = draw_parts(num_clips, config=config, layout=layout, generator=generator)
    block = rearrange(inside, "N T -> N T 1 1") & rearrange(parts, "N V -> N 1 1 V")
    is_blend, blend = rearrange(kind < BLENDED, "N -> N 1 1 1"), rearrange(blend, "N -> N 1 1 1")
    both = rearrange(batch.present & other.present, "N T M -> N T M 1")
    weight = torch.where(is_blend, blend, block.to(blend.dtype)) * both  # (N, T, M, V)
    return Mixed(blended(batch, other, weight), partner, mean_over_present(weight, batch.present))


def draw_partners(num_clips: int, generator: torch.Generator) -> Int[Tensor, " N"]:
    """For each clip another one, all others equally likely."""
    offset = torch.randint(1, num_clips, (num_clips,), generator=generator, device=generator.device)
    return (torch.arange(num_clips, device=generator.device) + offset) % num_clips


def draw_stretch(
    sped_up: Bool[Tensor, " N"], *, config: MixConfig, num_frames: int, generator: torch.Generator
) -> Stretch:
    """groups_low .. groups_high groups at a random place.

    At double speed at most half of the groups: the partner has no more frames to take (PCM3 asks for up to 88
    of 64 and gets fewer, so that the speed varies, trap E5).
    """
    length, place = torch.rand(2, len(sped_up), generator=generator, device=sped_up.device)
    most = torch.where(sped_up, min(config.groups_high, config.num_groups // 2), config.groups_high)
    groups = config.groups_low + (length * (most - config.groups_low + 1)).long()
    first = (place * (config.num_groups - groups + 1)).long()
    frames = num_frames // config.num_groups
    return Stretch(first * frames, groups * frames)


def draw_parts(
    num_clips: int, *, config: MixConfig, layout: Layout, generator: torch.Generator
) -> Bool[Tensor, "N V"]:
    """True for the joints of parts_low .. parts_high parts of the body."""
    device = generator.device
    order = shuffled(num_clips, len(layout.parts), generator)
    count = torch.randint(
        config.parts_low, config.parts_high + 1, (num_clips, 1), generator=generator, device=device
    )
    part_of_joint = {joint: part for part, joints in enumerate(layout.parts.values()) for joint in joints}
    numbers = torch.tensor([part_of_joint[joint] for joint in range(layout.num_joints)], device=device)
    return (order < count)[:, numbers]


def blended(batch: Batch, other: Batch, weight: Float[Tensor, "N T M V"]) -> Batch:
    """(1 - weight) of the one and `weight` of the other; the presence is the one's."""
    weight = rearrange(weight, "N T M V -> N T M V 1")
    return Batch(batch.joints * (1 - weight) + other.joints * weight, batch.present)


def mean_over_present(
    values: Float[Tensor, "N T M V"], present: Bool[Tensor, "N T M"]
) -> Float[Tensor, " N"]:
    """The mean over the present joints of each clip; 0 for a clip without anyone."""
    num_present = reduce(present.to(values.dtype), "N T M -> N", "sum") * values.shape[-1]
    total = reduce(values * rearrange(present, "N T M -> N T M 1"), "N T M V -> N", "sum")
    return total / num_present.clamp(min=1)
