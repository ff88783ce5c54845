"""Occlusion: recordings damaged as a sensor would, in the camera's coordinates (EVALUATION section 2).

What is damaged is drawn for each clip from the seed and the clip's name alone: every method, in every order
and batch, meets the same damage. The levels of a kind share their draws, so a curve compares amounts, not
luck. `present` stays as it is: a person of whom nothing is seen is still there, as a sensor still says.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from pydantic import Field, model_validator
from torch import Tensor

from kinemask.evaluation.frozen import Pooling
from kinemask.evaluation.kept import KINDS, NEVER_SEEN, Fill, Kind
from kinemask.section import ASCENDING, Section
from kinemask.seeding import numpy_generator
from kinemask.skeleton.batch import RaggedClips
from kinemask.skeleton.layout import Layout, repeated

UNDRAWN: tuple[Kind, ...] = ("part", "frames_absolute")
MIDDLE_FRAME = 50  # of RA-GCN's rule, whatever the length of the clip

Groups = Mapping[str, tuple[int, ...]]  # name -> joints
Shares = Annotated[tuple[Annotated[float, Field(gt=0, le=1)], ...], ASCENDING]


class LevelsConfig(Section):
    """How much is damaged, by kind. An empty list, or false, leaves a kind out.

    `part` takes every group of joints of the body in turn; `joints`, `frames` and `flicker` are shares,
    `frames_absolute` counts frames, `noise` is a standard deviation in metres.
    """

    part: bool
    joints: Shares
    frames: Shares
    frames_absolute: Annotated[tuple[Annotated[int, Field(ge=2, multiple_of=2)], ...], ASCENDING]
    flicker: Shares
    noise: Annotated[tuple[Annotated[float, Field(gt=0)], ...], ASCENDING]

    def of(self, kind: Kind, groups: Iterable[str]) -> tuple[str | float, ...]:
        """The levels of a kind, on a body with those groups of joints."""
        if kind == "part":
            return tuple(groups) if self.part else ()
        return tuple(float(level) for level in getattr(self, kind))


class OcclusionConfig(Section):
    """What is damaged, and which probes meet it.

    The probe fitted on clean clips meets all `levels`; for those of `adapted` another is fitted on clips with
    the same damage. `draws` are drawings of the damage of each clip, beside the seeds. Of `poolings` all that
    the encoder offers are probed. `groups` names joints by layout; other bodies have their parts as groups.
    """

    levels: LevelsConfig
    adapted: LevelsConfig
    fills: tuple[Fill, ...] = Field(min_length=1)
    draws: int = Field(ge=1)
    poolings: tuple[Pooling, ...] = Field(min_length=1)
    groups: dict[str, dict[str, tuple[str, ...]]]

    @model_validator(mode="after")
    def _consistent(self) -> "OcclusionConfig":
        problems = [
            f"adapted.{kind} has {', '.join(f'{one:g}' for one in beyond)}, which levels.{kind} lacks"
            for kind in KINDS[1:]
            if (beyond := sorted(set(getattr(self.adapted, kind)) - set(getattr(self.levels, kind))))
        ]
        if self.adapted.part and not self.levels.part:
            problems.append("adapted.part is true and levels.part false")
        if not any(self.levels.of(kind, ["all"]) for kind in KINDS):
            problems.append("levels names nothing: give at least one level of a kind")
        for name in ("fills", "poolings"):
            if twice := repeated(getattr(self, name)):
                problems.append(f"{name} names {', '.join(twice)} twice")
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def misfit_body(self, layout: Layout) -> str | None:
        """Which joints of the groups a body lacks, or None."""
        named = {joint for joints in self.groups.get(layout.name, {}).values() for joint in joints}
        if lacking := sorted(named - set(layout.joints)):
            return (
                f"evaluation.occlusion.groups.{layout.name} names {', '.join(lacking)}, "
                f"{layout.name} has {', '.join(layout.joints)}"
            )
        return None

    def groups_of(self, layout: Layout) -> Groups:
        """The groups of joints that are missing together: those named for the body, or its parts."""
        named = self.groups.get(layout.name)
        if named is None:
            return {"_".join(name.split()): joints for name, joints in layout.parts.items()}
        return {name: tuple(layout.index(joint) for joint in joints) for name, joints in named.items()}


@dataclass(frozen=True)
class Damage:
    """One way to damage clips. `fill` says what stands for what is missing; noise replaces nothing."""

    kind: Kind
    level: str | float
    fill: Fill | None
    draw: int = 0  # number of the drawing

    @property
    def words(self) -> tuple[str, ...]:
        """As the name of a setting says it: `kind=frames level=0.3 fill=zero`; a draw is named from 1 on."""
        level = self.level if isinstance(self.level, str) else f"{self.level:g}"
        fill = () if self.fill is None else (f"fill={self.fill}",)
        draw = () if self.draw == 0 else (f"draw={self.draw}",)
        return (f"kind={self.kind}", f"level={level}", *fill, *draw)


def fills_of(kind: Kind, fills: Sequence[Fill]) -> tuple[Fill | None, ...]:
    """The fills that are different damage: a joint that is never seen is zero under `hold` too."""
    if kind == "noise":
        return (None,)
    return ("zero",) if kind in NEVER_SEEN else tuple(fills)


def all_damage(levels: LevelsConfig, config: OcclusionConfig, groups: Groups) -> tuple[Damage, ...]:
    """Every level under every fill, as often as it is drawn."""
    return tuple(
        Damage(kind, level, fill, draw)
        for kind in KINDS
        for fill in fills_of(kind, config.fills)
        for level in levels.of(kind, groups)
        for draw in range(1 if kind in UNDRAWN else config.draws)
    )


class Draws:
    """The random numbers of some clips, by the seed and their names; each is drawn when it is asked for."""

    def __init__(self, clips: RaggedClips, names: Sequence[str], *, seed: int, draw: int) -> None:
        """`clips` is a whole storage: the frames of all its clips, in order."""
        assert len(clips) == len(names), "every clip has a name"
        self.clips, self._names, self._seed, self._draw = clips, names, seed, draw

    @cached_property
    def joint_ranks(self) -> Int[Tensor, "N M V"]:
        """An order of the joints, for each person anew: those with low numbers are lost first."""
        persons, joints = self.clips.joints.shape[1:3]
        return torch.stack(self._each("joints", lambda one, _: one.random((persons, joints)))).argsort(dim=2)

    @cached_property
    def starts(self) -> Float[Tensor, " N"]:
        """Where a block of frames begins: 0 at its first possible frame, almost 1 at its last."""
        return torch.stack(self._each("frames", lambda one, _: one.random(1)))[:, 0]

    @cached_property
    def chances(self) -> Float[Tensor, "F M V"]:
        """U(0, 1) for each joint in each frame, which is lost at a probability above that."""
        shape = self.clips.joints.shape[1:3]
        return torch.cat(self._each("flicker", lambda one, length: one.random((length, *shape), np.float32)))

    @cached_property
    def noise(self) -> Float[Tensor, "F M V C"]:
        """N(0, 1) for each coordinate."""
        shape = self.clips.joints.shape[1:]
        return torch.cat(
            self._each("noise", lambda one, length: one.standard_normal((length, *shape), np.float32))
        )

    def _each(self, kind: Kind, numbers: Callable[[np.random.Generator, int], np.ndarray]) -> list[Tensor]:
        return [
            torch.from_numpy(
                numbers(numpy_generator(self._seed, "occlusion", kind, self._draw, name), length)
            )
            for name, length in zip(self._names, self.clips.lengths.tolist(), strict=True)
        ]


@dataclass(frozen=True)
class Damaged:
    """Clips after damage, and how many joints were lost in all frames and present persons together."""

    clips: RaggedClips
    num_missing: int


def damage_clips(damage: Damage, draws: Draws, groups: Groups) -> Damaged:
    """The clips of the draws, damaged. Absent persons stay zero."""
    clips = draws.clips
    if damage.kind == "noise":
        assert isinstance(damage.level, float), "noise has a standard deviation"
        noisy = clips.joints + damage.level * draws.noise
        joints = torch.where(rearrange(clips.present, "F M -> F M 1 1"), noisy, clips.joints)
        num_missing = 0
    else:
        missing = missing_joints(damage, draws, groups)
        filled = last_seen(clips, missing) if damage.fill == "hold" else torch.zeros_like(clips.joints)
        joints = torch.where(rearrange(missing, "F M V -> F M V 1"), filled, clips.joints)
        num_missing = int(missing.sum())
    return Damaged(RaggedClips(joints, clips.present, clips.offsets, clips.lengths), num_missing)


def missing_joints(damage: Damage, draws: Draws, groups: Groups) -> Bool[Tensor, "F M V"]:
    """True where a joint of a present person is lost. Noise loses none: do not ask."""
    if damage.kind == "part":
        lost = torch.zeros(draws.clips.joints.shape[2], dtype=torch.bool)
        lost[list(groups[str(damage.level)])] = True
        lost = rearrange(lost, "V -> 1 1 V")
    else:
        assert not isinstance(damage.level, str), "only parts have names as levels"
        lost = _DRAWN[damage.kind](draws, damage.level)
    lost = lost & rearrange(draws.clips.present, "F M -> F M 1")
    return lost.expand(draws.clips.joints.shape[:3])


def last_seen(clips: RaggedClips, missing: Bool[Tensor, "F M V"]) -> Float[Tensor, "F M V C"]:
    """Where each joint was seen last in its clip, this frame included, however long ago; else zero.

    A sensor that has not seen a joint yet holds nothing: the origin of the camera, as under `zero`.
    """
    seen = rearrange(clips.present, "F M -> F M 1") & ~missing
    frames = torch.arange(len(seen))
    marked = torch.where(seen, rearrange(frames, "F -> F 1 1"), -1)
    latest = torch.cummax(marked, dim=0).values
    first = rearrange(clips.offsets[_clip_of_frame(clips)], "F -> F 1 1")
    persons, joints = (torch.arange(count) for count in seen.shape[1:])
    held = clips.joints[latest.clamp(min=0), rearrange(persons, "M -> M 1"), joints]
    return torch.where(rearrange(latest >= first, "F M V -> F M V 1"), held, 0.0)


def _lost_joints(draws: Draws, level: float) -> Bool[Tensor, "F M V"]:
    """round(level V) joints of each person, a half to even."""
    ranks = draws.joint_ranks
    return (ranks < round(level * ranks.shape[2]))[_clip_of_frame(draws.clips)]


def _lost_block(draws: Draws, level: float) -> Bool[Tensor, "F 1 1"]:
    """One block of round(level T) frames, a half to even: none of a clip of one frame below level 1."""
    lengths = draws.clips.lengths.double()
    count = (level * lengths).round()
    start = (draws.starts * (lengths - count + 1)).floor()
    return _frames_within(draws.clips, start, start + count)


def _lost_in_the_middle(draws: Draws, level: float) -> Bool[Tensor, "F 1 1"]:
    """`level` frames about the 50th, of clips that are so long: RA-GCN's rule, which spares short ones."""
    start = torch.full_like(draws.clips.lengths, MIDDLE_FRAME - int(level) // 2)
    return _frames_within(draws.clips, start, start + int(level))


def _flickering(draws: Draws, level: float) -> Bool[Tensor, "F M V"]:
    return draws.chances < level


_DRAWN: dict[Kind, Callable[[Draws, float], Bool[Tensor, "F M V"]]] = {
    "joints": _lost_joints,
    "frames": _lost_block,
    "frames_absolute": _lost_in_the_middle,
    "flicker": _flickering,
}


def _frames_within(clips: RaggedClips, start: Tensor, stop: Tensor) -> Bool[Tensor, "F 1 1"]:
    """The frames start .. stop - 1 of each clip, counted from its first."""
    of_frame = _clip_of_frame(clips)
    inside = torch.arange(len(of_frame)) - clips.offsets[of_frame]
    return rearrange((inside >= start[of_frame]) & (inside < stop[of_frame]), "F -> F 1 1")


def _clip_of_frame(clips: RaggedClips) -> Int[Tensor, " F"]:
    return torch.repeat_interleave(torch.arange(len(clips)), clips.lengths)
