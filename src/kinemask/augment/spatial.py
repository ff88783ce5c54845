"""Changes of a whole clip's shape in space: each a small function with its own chance, drawn once a clip.

Linear changes are matrices, so that several of them cost one pass over the joints.
"""

import math

import torch
from einops import rearrange, repeat
from jaxtyping import Bool, Float
from torch import Tensor

from kinemask.skeleton.batch import Batch
from kinemask.skeleton.geometry import rotation_about, transform


def chosen(count: int, probability: float, generator: torch.Generator) -> Bool[Tensor, " N"]:
    """True for each clip with the given probability."""
    return torch.rand(count, generator=generator, device=generator.device) < probability


def uniform(*shape: int, generator: torch.Generator) -> Float[Tensor, "..."]:
    """Numbers from U(-1, 1)."""
    return torch.rand(shape, generator=generator, device=generator.device) * 2 - 1


def shear_matrices(count: int, *, amplitude: float, generator: torch.Generator) -> Float[Tensor, "N 3 3"]:
    """I + off-diagonal entries U(-amplitude, amplitude) (METHOD B2)."""
    diagonal = torch.eye(3, dtype=torch.bool, device=generator.device)
    return torch.where(diagonal, 1.0, uniform(count, 3, 3, generator=generator) * amplitude)


def rotation_matrices(
    count: int, *, degrees: tuple[float, float, float], generator: torch.Generator
) -> Float[Tensor, "N 3 3"]:
    """Rz Ry Rx with angles U(-d, d) about x, y and z. y is up, so the second angle turns the person."""
    limits = torch.tensor(degrees, device=generator.device) * (math.pi / 180)
    x, y, z = uniform(3, count, generator=generator) * rearrange(limits, "C -> C 1")
    return rotation_about("z", z) @ rotation_about("y", y) @ rotation_about("x", x)


def scale_matrices(count: int, *, amount: float, generator: torch.Generator) -> Float[Tensor, "N 3 3"]:
    """Everybody larger or smaller by a factor U(1 - amount, 1 + amount), the same on every axis."""
    factor = 1 + uniform(count, generator=generator) * amount
    return torch.eye(3, device=generator.device) * rearrange(factor, "N -> N 1 1")


def chosen_or_identity(
    matrices: Float[Tensor, "N 3 3"], *, probability: float, generator: torch.Generator
) -> Float[Tensor, "N 3 3"]:
    """Each matrix with the given probability, the identity otherwise."""
    rows = rearrange(chosen(len(matrices), probability, generator), "N -> N 1 1")
    return torch.where(rows, matrices, torch.eye(3, device=matrices.device))


def corrupt_joints(
    batch: Batch, *, share: float, clips: Bool[Tensor, " N"], generator: torch.Generator
) -> Batch:
    """Damage round(share V) joints of the named clips in all frames and persons (METHOD B2, normal view, ii).

    Half the time they are set to zero, half the time multiplied by one random matrix with entries U(-1, 1).
    """
    joints = batch.joints
    num_clips, num_joints = joints.shape[0], joints.shape[3]
    draws = torch.rand(num_clips, num_joints, generator=generator, device=joints.device)
    hit = draws.argsort(dim=1).argsort(dim=1) < round(share * num_joints)
    hit = hit & rearrange(clips, "N -> N 1")
    matrix = uniform(num_clips, 3, 3, generator=generator)
    zeroed = rearrange(chosen(num_clips, 0.5, generator), "N -> N 1 1")
    damaged = transform(joints, torch.where(zeroed, 0.0, matrix))
    return Batch(torch.where(repeat(hit, "N V -> N 1 1 V 1"), damaged, joints), batch.present)


def jitter(batch: Batch, *, std: float, probability: float, generator: torch.Generator) -> Batch:
    """Gaussian noise of `std` metres on every coordinate of the present persons."""
    joints = batch.joints
    noise = torch.randn(joints.shape, generator=generator, device=joints.device) * std
    rows = rearrange(chosen(len(joints), probability, generator), "N -> N 1 1 1 1")
    noisy = rows & rearrange(batch.present, "N T M -> N T M 1 1")
    return Batch(torch.where(noisy, joints + noise, joints), batch.present)
