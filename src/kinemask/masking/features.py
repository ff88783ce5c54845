"""What a model leans on is taken away: channels, entries or joints (METHOD_MTMC B5).

The map that decides is a constant of the step: no gradient passes through it, and it is float32. Every clip
has its own, over its seen frames only.
"""

import math
from typing import Literal

import torch
from einops import rearrange, reduce
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor

from kinemask.masking.draws import highest, rounded_share
from kinemask.masking.motion_topology import joint_speeds
from kinemask.section import Section
from kinemask.skeleton.batch import Batch
from kinemask.skeleton.layout import Layout

ENERGY_EPSILON = 1e-4  # AimCLR's lambda: a constant channel is not divided by zero
SPEED_EPSILON = 1e-6  # metres a frame: frames of a body at rest count alike
LEAST_ENERGY = 1 / (1 + math.exp(-0.5))  # 0.622459, that of an entry at its channel's mean


class DropConfig(Section):
    """Which features of the extreme view are dropped, and how many.

    Channels of the pooled feature: with the most energy where the body moves (trajectory), that change most
    where features change (gate), with the most energy (energy), or any (random). Entries of the sequence:
    whose energy reaches `threshold`, as AimCLR. Joints of the input: whose gradient times input is largest
    (input), or some of every frame (frame_joints, as HiCLR).
    """

    kind: Literal["trajectory", "gate", "random", "energy", "threshold", "input", "frame_joints"]
    ratio: float = Field(gt=0, lt=1)  # of the channels or joints; .5 is rounded up
    # Of `threshold` only. No energy is below 0.622459: such a threshold would drop everything (trap E8).
    threshold: float = Field(gt=LEAST_ENERGY, lt=1)

    @property
    def drops_joints(self) -> bool:
        """Whether joints are dropped, and no features."""
        return self.kind in ("input", "frame_joints")

    @property
    def drops_channels(self) -> bool:
        """Whether whole channels of the pooled feature are dropped."""
        return not self.drops_joints and self.kind != "threshold"

    def misfit(self, width: int) -> str | None:
        """Why this cannot drop features of that width, or None if it can."""
        return _why_not(self.ratio, width, "channels") if self.drops_channels else None

    def misfit_body(self, layout: Layout) -> str | None:
        """Why this cannot drop joints of that body, or None if it can."""
        return _why_not(self.ratio, layout.num_joints, "joints") if self.drops_joints else None


def keep_channels(
    sequence: Float[Tensor, "N T D"],
    seen: Bool[Tensor, "N T"],
    speed: Float[Tensor, "N T"],
    *,
    config: DropConfig,
    generator: torch.Generator,
) -> Float[Tensor, "N D"]:
    """The factor of the pooled feature: 0 for the dropped channels, D / kept for the others.

    `speed` is `frame_speed` of the view. Of channels that score alike the first are dropped. Raises
    ValueError if no channel would be left, or for a kind that drops no channels.
    """
    scores = channel_scores(sequence, seen, speed, kind=config.kind, generator=generator)
    width = scores.shape[1]
    num_dropped = _num_dropped(config.ratio, width, "channels")
    return (~highest(scores, num_dropped)).float() * (width / (width - num_dropped))


@torch.no_grad()
def channel_scores(
    sequence: Float[Tensor, "N T D"],
    seen: Bool[Tensor, "N T"],
    speed: Float[Tensor, "N T"],
    *,
    kind: str,
    generator: torch.Generator,
) -> Float[Tensor, "N D"]:
    """g of B5: how much a model leans on each channel of a clip."""
    if kind == "random":
        return torch.rand(len(sequence), sequence.shape[2], generator=generator, device=sequence.device)
    if kind == "gate":
        return _gated_change(sequence.float(), seen)
    if kind == "trajectory":
        weight = (speed.float() + SPEED_EPSILON) * seen
    elif kind == "energy":
        weight = seen.float()
    else:
        raise ValueError(f"{kind!r} drops no channels; trajectory, gate, random and energy do")
    weight = weight / weight.sum(dim=1, keepdim=True).clamp(min=SPEED_EPSILON)
    return (rearrange(weight, "N T -> N T 1") * feature_energy(sequence, seen)).sum(dim=1)


def keep_entries(
    sequence: Float[Tensor, "N T D"], seen: Bool[Tensor, "N T"], *, threshold: float
) -> Float[Tensor, "N T D"]:
    """The factor of the sequence before it is pooled: 0 where the energy reaches `threshold`.

    The others of a clip are scaled up by how many of its seen entries are kept. Unlike AimCLR's, which share
    one scale and divide by zero (trap E8), a clip that would lose every entry keeps all of them.
    """
    shown = rearrange(seen, "N T -> N T 1")
    kept = (feature_energy(sequence, seen) < threshold) & shown
    kept = torch.where(reduce(kept, "N T D -> N 1 1", "any"), kept, shown)
    num_shown = reduce(shown.float(), "N T 1 -> N 1 1", "sum") * sequence.shape[2]
    num_kept = reduce(kept.float(), "N T D -> N 1 1", "sum")
    return kept * (num_shown / num_kept.clamp(min=1))


@torch.no_grad()
def feature_energy(sequence: Float[Tensor, "N T D"], seen: Bool[Tensor, "N T"]) -> Float[Tensor, "N T D"]:
    """E of B5, in [0.622, 1): how far an entry is from its channel's mean, in the channel's variance."""
    sequence, shown = sequence.float(), rearrange(seen, "N T -> N T 1")
    num_seen = shown.sum(dim=1, keepdim=True)
    mean = (sequence * shown).sum(dim=1, keepdim=True) / num_seen.clamp(min=1)
    square = (sequence - mean) ** 2 * shown
    variance = square.sum(dim=1, keepdim=True) / (num_seen - 1).clamp(min=1)
    return torch.sigmoid(square / (4 * (variance + ENERGY_EPSILON)) + 0.5)


@torch.no_grad()
def frame_speed(batch: Batch, *, stride: int) -> Float[Tensor, "N P"]:
    """m of B5: mean speed of the joints of a frame's first present person, metres a frame; 0 without anyone.

    To the next frame; in the last frame in which the person is there, from the one before. P = T / stride:
    the mean over every `stride` frames, of those in which someone is present.
    """
    speed = joint_speeds(batch)[0].mean(dim=-1)
    first = rearrange(batch.present.to(torch.int8).argmax(dim=2), "N T -> N T 1")
    of_frames = rearrange(speed.gather(2, first), "N T 1 -> N T")
    seen = reduce(batch.present, "N T M -> N T", "any").float()
    total, count = (reduce(one, "N (P S) -> N P", "sum", S=stride) for one in (of_frames, seen))
    return total / count.clamp(min=1)


def drop_joints(batch: Batch, scores: Float[Tensor, "N V"], *, ratio: float) -> Batch:
    """The joints with the largest scores at zero, round(ratio V) of them, in all persons and frames."""
    num_dropped = _num_dropped(ratio, scores.shape[1], "joints")
    dropped = highest(scores.detach(), num_dropped)
    return Batch(torch.where(rearrange(dropped, "N V -> N 1 1 V 1"), 0.0, batch.joints), batch.present)


def replace_frame_joints(
    batch: Batch, *, ratio: float, fill: Float[Tensor, " C"], generator: torch.Generator
) -> Batch:
    """round(ratio V) joints of every frame become `fill`, as in HiCLR's third view.

    They are drawn anew for every frame and clip; the persons of a frame lose the same ones. The gradient
    reaches `fill`.
    """
    num_clips, num_frames, _, num_joints, _ = batch.joints.shape
    num_replaced = _num_dropped(ratio, num_joints, "joints")
    draws = torch.rand(num_clips, num_frames, num_joints, generator=generator, device=batch.joints.device)
    replaced = rearrange(highest(draws, num_replaced), "N T V -> N T 1 V 1")
    replaced = replaced & rearrange(batch.present, "N T M -> N T M 1 1")
    return Batch(torch.where(replaced, fill, batch.joints), batch.present)


def _gated_change(sequence: Float[Tensor, "N T D"], seen: Bool[Tensor, "N T"]) -> Float[Tensor, "N D"]:
    """How much a channel changes from frame to frame, most in those in which all features change."""
    change = (sequence[:, 1:] - sequence[:, :-1]).abs()
    both = seen[:, 1:] & seen[:, :-1]
    size = change.norm(dim=-1) * both  # (N, T - 1)
    mean = size.sum(dim=1, keepdim=True) / both.sum(dim=1, keepdim=True).clamp(min=1)
    relative = size / mean.clamp(min=torch.finfo(size.dtype).tiny)
    # Not -inf: a clip without two seen frames in a row has a finite gate, which counts nothing.
    gate = torch.where(both, relative, torch.finfo(size.dtype).min).softmax(dim=1) * both
    return (rearrange(gate, "N T -> N T 1") * change).sum(dim=1)


def _num_dropped(ratio: float, count: int, what: str) -> int:
    if problem := _why_not(ratio, count, what):
        raise ValueError(problem)
    return rounded_share(ratio, count)


def _why_not(ratio: float, count: int, what: str) -> str | None:
    dropped = rounded_share(ratio, count)
    if 0 < dropped < count:
        return None
    return f"drop.ratio {ratio} drops {dropped} of {count} {what}: at least one must go and one stay"
