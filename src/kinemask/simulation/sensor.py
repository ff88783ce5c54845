"""What a Kinect in front of simulated people says of them: its view, its noise, what it loses."""

import torch
from einops import einsum, rearrange, repeat
from jaxtyping import Float
from torch import Tensor

from kinemask.simulation.anatomy import Anatomy
from kinemask.simulation.config import CameraConfig, SensorConfig
from kinemask.simulation.performance import Draws
from kinemask.skeleton.geometry import rotation_about

USUAL_METRES = 3.0  # from the camera, at which the noise is as configured


def seen_from(
    joints: Float[Tensor, "N T M V 3"], *, config: CameraConfig, draws: Draws
) -> tuple[Float[Tensor, "N T M V 3"], Float[Tensor, " N"]]:
    """Joints in camera space but for where the camera stands, and its distance in metres.

    Who faces the camera has the left hand at the smaller x; y is up, z leads away from the camera.
    """
    yaw, pitch = draws.uniform(-config.yaw, config.yaw), draws.uniform(-config.pitch, config.pitch)
    axes = rotation_about("x", pitch) @ rotation_about("y", yaw + torch.pi)
    return einsum(joints, axes, "N T M V c, N C c -> N T M V C"), draws.uniform(*config.metres)


def sensed(
    joints: Float[Tensor, "N T M V 3"],
    distance: Float[Tensor, " N"],
    *,
    config: SensorConfig,
    anatomy: Anatomy,
    draws: Draws,
) -> Float[Tensor, "N T M V 3"]:
    """With errors that grow with the distance, lost joints held where they were, lost frames repeated."""
    num_frames, num_persons, num_joints = joints.shape[1:4]
    std = config.trunk_metres + anatomy.depth * (config.tip_metres - config.trunk_metres)
    std = torch.where(anatomy.is_limb, std, config.trunk_metres)
    fresh = draws.normal(1.0, num_frames, num_persons, num_joints, 3)
    errors = einsum(_fading(num_frames, config.memory, joints.device), fresh, "T t, N t M V C -> N T M V C")
    size = einsum(distance / USUAL_METRES, std, "N, V -> N V")
    noisy = joints + errors * rearrange(size, "N V -> N 1 1 V 1")
    lost = draws.chosen(config.lost_share, 1, num_persons, num_joints, 1)
    noisy = torch.where(lost, noisy[:, :1], noisy)
    dropped = draws.chosen(config.dropped_share, num_frames)
    dropped[:, 0] = False
    number = torch.arange(num_frames, device=joints.device)
    shown = torch.where(dropped, 0, number).cummax(dim=1).values  # the latest frame that was not lost
    clip = rearrange(torch.arange(len(joints), device=joints.device), "N -> N 1")
    return noisy[clip, shown]


def _fading(num_frames: int, memory: float, device: torch.device) -> Float[Tensor, "T T"]:
    """What is left of each earlier fresh error in that of a frame, so that all have a deviation of 1."""
    ages = torch.arange(num_frames, device=device)
    age = rearrange(ages, "T -> T 1") - ages
    kept = torch.where(age >= 0, torch.tensor(memory, device=device) ** age.clamp(min=0), 0.0)
    fresh = repeat(torch.where(ages == 0, 1.0, (1 - memory**2) ** 0.5), "t -> T t", T=num_frames)
    return kept * fresh
