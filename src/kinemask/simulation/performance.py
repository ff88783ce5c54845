"""Performances: programmes done by a body of its own, in its own time and manner (room coordinates)."""

from dataclasses import dataclass

import torch
from einops import einsum, rearrange, repeat
from jaxtyping import Bool, Float, Int
from torch import Tensor

from kinemask.simulation.anatomy import Anatomy
from kinemask.simulation.config import BodyConfig, MannerConfig, PeopleConfig, PostureConfig
from kinemask.simulation.programme import Programmes, cut_off, mirrored_turns, shares, within_reach
from kinemask.skeleton.kinematics import forward_kinematics

TINY_ANGLE = 1e-6  # radians; below it the axis of a turn is not asked for


@dataclass(frozen=True)
class Draws:
    """Random numbers of N performances, all from one generator."""

    count: int
    generator: torch.Generator

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        """U(low, high), (N, *shape)."""
        drawn = torch.rand(self.count, *shape, generator=self.generator, device=self.generator.device)
        return low + (high - low) * drawn

    def normal(self, std: float, *shape: int) -> Tensor:
        """N(0, std), (N, *shape)."""
        drawn = torch.randn(self.count, *shape, generator=self.generator, device=self.generator.device)
        return std * drawn

    def chosen(self, share: float, *shape: int) -> Tensor:
        """True with that probability, (N, *shape)."""
        return self.uniform(0.0, 1.0, *shape) < share


def perform(
    programmes: Programmes,
    *,
    config: PeopleConfig,
    anatomy: Anatomy,
    num_frames: int,
    may_mirror: bool,
    generator: torch.Generator,
) -> Float[Tensor, "N T V 3"]:
    """Joints in metres in the room: y up, who stands has the lowest joint at 0, facing z.

    With `may_mirror` some do everything with the other hand.
    """
    draws = Draws(len(programmes.turns), generator)
    phase = draw_phase(num_frames, config=config.manner, draws=draws)
    turns = _turns_at(phase, programmes, config=config.manner, anatomy=anatomy, draws=draws)
    seated = draws.chosen(config.posture.seated_share if anatomy.can_sit else 0.0)
    turns = _held(turns, seated=seated, config=config.posture, anatomy=anatomy, draws=draws)
    turns = turns + _compensation(turns, config=config.manner, anatomy=anatomy, draws=draws)
    turns = cut_off(turns, anatomy)  # unlike key poses, which are reflected
    other_side = rearrange(draws.chosen(config.manner.mirror_share if may_mirror else 0.0), "N -> N 1 1 1")
    turns = torch.where(other_side, mirrored_turns(turns, anatomy), turns)
    joints = forward_kinematics(
        anatomy.tree,
        offsets=draw_bodies(config.body, anatomy=anatomy, draws=draws),
        turns=turns_about(turns),
        root=_root_at(phase, programmes, other_side=other_side[..., 0]),
    )
    return _on_the_floor(joints, seated=seated)


def draw_phase(num_frames: int, *, config: MannerConfig, draws: Draws) -> Float[Tensor, "N T"]:
    """How much of the programme lies behind at each frame, from 0 to 1.

    Still in the pauses before and after, uneven in between; who breaks off stays where that was.
    """
    pauses = draws.uniform(*config.pause, 2)
    time = torch.linspace(0.0, 1.0, num_frames, device=draws.generator.device)
    going = (1.0 - pauses.sum(dim=1, keepdim=True)).clamp(min=0.05)
    even = ((time - pauses[:, :1]) / going).clamp(0.0, 1.0)
    warp = draws.uniform(-config.warp, config.warp, 1)
    phase = even + warp * torch.sin(torch.pi * even) ** 2 / torch.pi  # monotone while |warp| < 1
    broken = torch.where(draws.chosen(config.broken_share, 1), draws.uniform(config.broken_from, 1.0, 1), 1.0)
    return torch.minimum(phase, broken)


def eased(share: Tensor) -> Tensor:
    """The way from 0 to 1 of least jerk, at rest at both ends."""
    return share**3 * (10.0 - 15.0 * share + 6.0 * share**2)


def _turns_at(
    phase: Float[Tensor, "N T"],
    programmes: Programmes,
    *,
    config: MannerConfig,
    anatomy: Anatomy,
    draws: Draws,
) -> Float[Tensor, "N T V 3"]:
    """Where the programme has each bone, as this person does it this time."""
    amplitude = draws.uniform(*config.amplitude, 1, 1, 1)
    num_keys, num_joints = programmes.turns.shape[1:3]
    moves = (programmes.turns != 0).any(dim=1, keepdim=True)
    missed = draws.normal(config.key_std, num_keys, num_joints, 3) * moves
    keys = amplitude * programmes.turns + missed
    late = torch.exp(draws.normal(config.timing_std, programmes.ways.shape[1]))
    ways = shares(programmes.ways * late)
    poses = pose_shares(programmes.stations, ways, phase, num_keys=num_keys)
    both = einsum(poses, keys, "N track T K, N K V C -> track N T V C")
    return torch.where(rearrange(anatomy.is_right, "V -> V 1"), both[1], both[0])


def pose_shares(
    stations: Int[Tensor, "N track S"],
    ways: Float[Tensor, "N W"],
    phase: Float[Tensor, "N T"],
    *,
    num_keys: int,
) -> Float[Tensor, "N track T K"]:
    """What share each key pose has in that of a frame: between stations by the smoothest way.

    A station is reached when the ways before it are gone. The shares of a frame sum to one.
    """
    arrived = torch.nn.functional.pad(ways.cumsum(dim=1), (1, 0))  # (N, S)
    behind = (rearrange(arrived[:, 1:-1], "N W -> N 1 W") <= rearrange(phase, "N T -> N T 1")).sum(dim=2)
    begun, length = arrived.gather(1, behind), ways.gather(1, behind)
    share = eased(((phase - begun) / length.clamp(min=1e-6)).clamp(0.0, 1.0))
    share = rearrange(share, "N T -> N 1 T 1")
    poses = torch.nn.functional.one_hot(stations, num_keys).to(phase.dtype)  # (N, track, S, K)
    place = repeat(behind, "N T -> N track T K", track=poses.shape[1], K=num_keys)
    start, stop = poses[:, :, :-1].gather(2, place), poses[:, :, 1:].gather(2, place)
    return start + share * (stop - start)


def _root_at(
    phase: Float[Tensor, "N T"], programmes: Programmes, *, other_side: Bool[Tensor, "N 1 1"]
) -> Float[Tensor, "N T 3"]:
    poses = pose_shares(
        programmes.stations[:, :1], programmes.ways, phase, num_keys=programmes.places.shape[1]
    )
    place = poses[:, 0] @ programmes.places
    return torch.where(other_side, place * place.new_tensor([-1.0, 1.0, 1.0]), place)


def _held(
    turns: Float[Tensor, "N T V 3"],
    *,
    seated: Bool[Tensor, " N"],
    config: PostureConfig,
    anatomy: Anatomy,
    draws: Draws,
) -> Float[Tensor, "N T V 3"]:
    """The movement on top of how the person stands or sits, and sways."""
    num_frames, num_joints = turns.shape[1:3]
    sits = rearrange(seated, "N -> N 1 1 1")
    is_leg = rearrange(anatomy.is_leg, "V -> V 1")
    turns = torch.where(sits & is_leg, config.seated_leg_amount * turns, turns)
    std = torch.where(anatomy.is_limb, config.limb_std, config.trunk_std)
    rest = draws.normal(1.0, 1, num_joints, 3) * rearrange(std, "V -> V 1")
    rest = within_reach(rest, anatomy) + torch.where(sits, anatomy.seated, 0.0)
    rest = rest + draws.uniform(*config.outward, 1, 1, 1) * anatomy.outward
    time = torch.linspace(0.0, 1.0, num_frames, device=turns.device)
    speed = draws.uniform(*config.sway_periods, 1, num_joints, 3)
    lag = draws.uniform(0.0, 1.0, 1, num_joints, 3)
    sway = torch.sin(2 * torch.pi * (speed * rearrange(time, "T -> T 1 1") + lag))
    return rest + turns + draws.normal(config.sway_std, 1, num_joints, 3) * sway


def _compensation(
    turns: Float[Tensor, "N T V 3"], *, config: MannerConfig, anatomy: Anatomy, draws: Draws
) -> Float[Tensor, "N T V 3"]:
    """The trunk bends at its lowest bone as the arms rise, as of those to whom lifting them is hard."""
    is_arm = rearrange(anatomy.is_arm, "V -> V 1")
    lifted = torch.linalg.vector_norm(torch.where(is_arm, turns, 0.0), dim=-1).amax(dim=-1)
    is_hip = rearrange(~anatomy.is_limb & (anatomy.depth == 0), "V -> V 1")
    per_radian = draws.normal(config.compensation_std, 1, 1, 3)
    return torch.where(is_hip, per_radian * rearrange(lifted, "N T -> N T 1 1"), 0.0)


def turns_about(vectors: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """Rotations about the direction of each vector by its length in radians (Rodrigues)."""
    angle = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
    x, y, z = (vectors / angle.clamp(min=TINY_ANGLE)).unbind(dim=-1)
    sine, cosine = torch.sin(angle)[..., 0], torch.cos(angle)[..., 0]
    rest = 1 - cosine
    rows = (
        cosine + x * x * rest, x * y * rest - z * sine, x * z * rest + y * sine,
        y * x * rest + z * sine, cosine + y * y * rest, y * z * rest - x * sine,
        z * x * rest - y * sine, z * y * rest + x * sine, cosine + z * z * rest,
    )  # fmt: skip
    return rearrange(torch.stack(rows, dim=-1), "... (row column) -> ... row column", row=3)


def draw_bodies(config: BodyConfig, *, anatomy: Anatomy, draws: Draws) -> Float[Tensor, "N V 3"]:
    """Bones of N people, those of a pair of one length."""
    num_joints = len(anatomy.offsets)
    size = 1.0 + draws.uniform(-config.size, config.size, 1)
    of_parts = 1.0 + draws.uniform(-config.part, config.part, anatomy.num_parts)
    of_bones = 1.0 + draws.uniform(-config.bone, config.bone, num_joints)
    joints = torch.arange(num_joints, device=anatomy.offsets.device)
    first = torch.minimum(joints, anatomy.mirrored)
    scale = size * of_parts[:, anatomy.part_of[first]] * of_bones[:, first]
    return anatomy.offsets * rearrange(scale, "N V -> N V 1")


def _on_the_floor(
    joints: Float[Tensor, "N T V 3"], *, seated: Bool[Tensor, " N"]
) -> Float[Tensor, "N T V 3"]:
    """Who stands keeps a foot on the floor in every frame; a chair does not move."""
    lowest = joints[..., 1].amin(dim=2)  # (N, T)
    floor = torch.where(rearrange(seated, "N -> N 1"), lowest.amin(dim=1, keepdim=True), lowest)
    return joints - rearrange(floor, "N T -> N T 1 1") * joints.new_tensor([0.0, 1.0, 0.0])
