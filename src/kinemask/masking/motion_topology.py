"""Hide body parts or joints for stretches of time, by motion and by place in the body (METHOD_MTMC B3)."""

from typing import Literal

import torch
from einops import rearrange, reduce, repeat
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor

from kinemask.masking.draws import draw_any, draw_connected, rounded_share
from kinemask.section import Section
from kinemask.skeleton.batch import Batch
from kinemask.skeleton.layout import Layout

Topology = Literal["parts", "tree", "joints"]
TopologyWeight = Literal["degree", "uniform"]
Motion = Literal["guided", "uniform", "inverse"]

STILL = 1e-6  # metres a frame: who moves nowhere faster has no motion to be guided by
TINY = 1e-10  # what B3.3 adds to the largest intensity


class MaskConfig(Section):
    """In each of `num_segments` stretches a share of the units, which are body parts or joints, is hidden.

    `tree`: parts that hang together. `shared`: one draw for the whole batch, as PCM3 does (trap E4).
    `persons: all`: every person has a draw of its own, guided by its own motion.
    """

    num_segments: int = Field(ge=1)
    hidden_ratio: float = Field(gt=0, lt=1)  # of the units
    topology: Topology
    topology_weight: TopologyWeight  # omega
    motion: Motion
    motion_share: float = Field(ge=0, le=1)  # alpha
    motion_temperature: float = Field(gt=0)  # tau
    persons: Literal["first", "all"]
    shared: bool
    fill: Literal["zero", "learned"]

    def num_units(self, layout: Layout) -> int:
        """U: how many parts or joints that body has."""
        return layout.num_joints if self.topology == "joints" else len(layout.parts)

    def num_hidden(self, layout: Layout) -> int:
        """How many units a segment hides: rounded, a half upwards (trap E4: not cut off)."""
        return rounded_share(self.hidden_ratio, self.num_units(layout))

    def misfit(self, num_frames: int) -> str | None:
        """Why clips of that length cannot be masked, or None if they can."""
        if num_frames % self.num_segments:
            return f"num_frames {num_frames} is no multiple of mask.num_segments {self.num_segments}"
        return None

    def misfit_body(self, layout: Layout) -> str | None:
        """Why that body cannot be masked, or None if it can."""
        hidden, units = self.num_hidden(layout), self.num_units(layout)
        if 0 < hidden < units:
            return None
        kind = "joints" if self.topology == "joints" else "parts"
        return (
            f"mask.hidden_ratio {self.hidden_ratio} hides {hidden} of the {units} {kind} of {layout.name}: "
            "at least one must be hidden and one visible"
        )


def unit_joints(layout: Layout, topology: Topology) -> Float[Tensor, "U V"]:
    """1 where a joint belongs to a unit: a part, in the order of the layout, or the joint itself."""
    if topology == "joints":
        return torch.eye(layout.num_joints)
    joints = range(layout.num_joints)
    return torch.tensor([[float(joint in part) for joint in joints] for part in layout.parts.values()])


def joint_speeds(batch: Batch) -> tuple[Float[Tensor, "N T M V"], Bool[Tensor, "N T M"]]:
    """Metres to the next frame, and in which frames they are known; 0 where they are not.

    The last frame of each stretch in which a person is seen has the speed of the frame before (B3.1): with 0
    the last segment would come out calmer than it is (D1). A frame without one beside it has no speed.
    """
    to_next = torch.zeros_like(batch.present)
    to_next[:, :-1] = batch.present[:, 1:] & batch.present[:, :-1]
    from_last = to_next.roll(1, dims=1)  # to_next ends with False, so nothing comes round from the end
    step = batch.joints.new_zeros(batch.joints.shape[:-1])
    step[:, :-1] = torch.linalg.vector_norm(batch.joints[:, 1:] - batch.joints[:, :-1], dim=-1)
    speed = torch.where(rearrange(to_next, "N T M -> N T M 1"), step, step.roll(1, dims=1))
    known = to_next | from_last
    return torch.where(rearrange(known, "N T M -> N T M 1"), speed, 0.0), known


def motion_intensity(
    batch: Batch, *, num_segments: int, units: Float[Tensor, "U V"]
) -> Float[Tensor, "N M S U"]:
    """Mean speed of each unit in each segment, in metres a frame (B3.2); 0 where no speed is known."""
    speed, known = joint_speeds(batch)
    total = reduce(speed, "N (S frames) M V -> N M S V", "sum", S=num_segments)
    frames = reduce(known.to(speed.dtype), "N (S frames) M -> N M S 1", "sum", S=num_segments)
    # A product and a sum: inside autocast a matrix product would round to bfloat16.
    of_units = (rearrange(total, "N M S V -> N M S 1 V") * units).sum(dim=-1)
    return of_units / (frames.clamp(min=1) * units.sum(dim=-1))


def guidance(
    intensity: Float[Tensor, "N M S U"], *, motion: Motion, temperature: float
) -> Float[Tensor, "N M S U"]:
    """pi: what the motion says about hiding each unit (B3.3). Rows sum to one.

    Each person's intensity is taken relative to the largest of its clip. `inverse` hides the calm units.
    """
    if motion == "uniform":
        return torch.full_like(intensity, 1 / intensity.shape[-1])
    relative = intensity / (intensity.amax(dim=(-2, -1), keepdim=True) + TINY)
    return torch.softmax((relative if motion == "guided" else -relative) / temperature, dim=-1)


def topology_weights(
    units: Float[Tensor, "U V"], *, layout: Layout, kind: TopologyWeight
) -> Float[Tensor, " U"]:
    """omega: what the body says about hiding each unit, by its joints' mean degree (B3.4). Sums to one."""
    if kind == "uniform":
        return units.new_full((len(units),), 1 / len(units))
    degrees = torch.tensor(layout.degrees, dtype=units.dtype).to(units.device, non_blocking=True)
    mean = (units * degrees).sum(dim=-1) / units.sum(dim=-1)
    return mean / mean.sum()


def blend(
    motion: Float[Tensor, "N M S U"], topology: Float[Tensor, " U"], *, motion_share: float
) -> Float[Tensor, "N M S U"]:
    """q = alpha pi + (1 - alpha) omega (B3.4)."""
    return motion_share * motion + (1 - motion_share) * topology


def hiding_weights(
    batch: Batch, *, config: MaskConfig, layout: Layout, units: Float[Tensor, "U V"]
) -> Float[Tensor, "N M S U"]:
    """q of every clip and person; rows sum to one.

    It is uniform for who stands still or is never seen (B3.6). Without guidance by motion nobody is asked.
    """
    intensity = motion_intensity(batch, num_segments=config.num_segments, units=units)
    motion = guidance(intensity, motion=config.motion, temperature=config.motion_temperature)
    topology = topology_weights(units, layout=layout, kind=config.topology_weight)
    weights = blend(motion, topology, motion_share=config.motion_share)
    if config.motion == "uniform":
        return weights
    still = intensity.amax(dim=(-2, -1), keepdim=True) < STILL
    return torch.where(still, 1 / len(units), weights)


def mean_over_clips(
    weights: Float[Tensor, "N M S U"], present: Bool[Tensor, "N T M"]
) -> Float[Tensor, "1 M S U"]:
    """One q for all clips: the mean over those in which the person is seen in that segment, or 0."""
    seen = reduce(present, "N (S frames) M -> N M S 1", "any", S=weights.shape[2])
    count = seen.sum(dim=0, keepdim=True)
    return torch.where(seen, weights, 0.0).sum(dim=0, keepdim=True) / count.clamp(min=1)


def mask_weights(
    batch: Batch, *, config: MaskConfig, layout: Layout, units: Float[Tensor, "U V"]
) -> Float[Tensor, "K M S U"]:
    """The q by which is drawn: of the persons that are masked, and K = 1 if all clips share one draw."""
    persons = slice(1) if config.persons == "first" else slice(None)
    masked = Batch(batch.joints[:, :, persons], batch.present[:, :, persons])
    weights = hiding_weights(masked, config=config, layout=layout, units=units)
    return mean_over_clips(weights, masked.present) if config.shared else weights


def draw_units(
    weights: Float[Tensor, "N M S U"], *, config: MaskConfig, layout: Layout, generator: torch.Generator
) -> Bool[Tensor, "N M S U"]:
    """True for the units that are hidden (B3.5), equally many in each segment."""
    count = config.num_hidden(layout)
    if config.topology != "tree":
        return draw_any(weights, count=count, generator=generator)
    parts = range(len(layout.parts))
    rows = [[other in joined for other in parts] for joined in layout.part_neighbours]
    neighbours = torch.tensor(rows).to(weights.device, non_blocking=True)
    return draw_connected(weights, count=count, neighbours=neighbours, generator=generator)


def expand(
    hidden: Bool[Tensor, "N M S U"], units: Float[Tensor, "U V"], *, num_frames: int
) -> Bool[Tensor, "N T M V"]:
    """Hidden units of segments as hidden joints of frames."""
    joints = hidden.index_select(-1, units.argmax(dim=0))
    return repeat(joints, "N M S V -> N (S frames) M V", frames=num_frames // hidden.shape[2])


@torch.no_grad()
def draw_mask(
    batch: Batch, *, config: MaskConfig, layout: Layout, generator: torch.Generator
) -> Bool[Tensor, "N T M V"]:
    """True where a joint of a present person is hidden. `batch` is the joint stream, in metres.

    The generator is on the device of the batch. Raises ValueError if clips or body do not fit the mask.
    """
    num_frames = batch.present.shape[1]
    problem = config.misfit(num_frames) or config.misfit_body(layout)
    if problem:
        raise ValueError(problem)
    # Not waited for: the copies are queued before what needs them.
    units = unit_joints(layout, config.topology).to(batch.joints.device, non_blocking=True)
    weights = mask_weights(batch, config=config, layout=layout, units=units)
    units_hidden = draw_units(weights, config=config, layout=layout, generator=generator)
    hidden = batch.present.new_zeros(batch.joints.shape[:-1])
    hidden[:, :, : units_hidden.shape[1]] = expand(units_hidden, units, num_frames=num_frames)
    return hidden & rearrange(batch.present, "N T M -> N T M 1")


def hide(batch: Batch, hidden: Bool[Tensor, "N T M V"], fill: Float[Tensor, " C"] | None) -> Batch:
    """The batch with `fill` in place of hidden joints, zeros if None. Hidden is not absent (trap E21)."""
    places = rearrange(hidden, "N T M V -> N T M V 1")
    return Batch(torch.where(places, 0.0 if fill is None else fill, batch.joints), batch.present)
