"""Changes of a whole clip's shape in space (METHOD_MTMC B2).

Linear changes are matrices, so that several of them cost one pass over the joints. `clips` is True for the
clips that are changed; the others get the identity.
"""

import math

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor

from kinemask.augment.draws import Chance, uniform
from kinemask.skeleton.batch import Batch
from kinemask.skeleton.geometry import rotation_about
from kinemask.skeleton.layout import Layout


class ShearConfig(Chance):
    """Off-diagonal entries U(-amplitude, amplitude)."""

    amplitude: float = Field(ge=0)


class MirrorConfig(Chance):
    """Left and right change places; not `true_mirror`: only the names of the joints (AimCLR)."""

    true_mirror: bool


class RotateConfig(Chance):
    """A turn by up to so many degrees, either way, about x, y (up) and z."""

    degrees: tuple[float, float, float]


class TiltConfig(Chance):
    """A turn about one axis by up to `main_degrees`, about the two others by up to `other_degrees`."""

    main_degrees: float = Field(ge=0)
    other_degrees: float = Field(ge=0)
    signed: bool  # either way; only the positive way (AimCLR) if not


class ScaleConfig(Chance):
    """A size of U(1 - amount, 1 + amount)."""

    amount: float = Field(ge=0, lt=1)


def shear_matrices(
    clips: Bool[Tensor, " N"], *, amplitude: float, generator: torch.Generator
) -> Float[Tensor, "N 3 3"]:
    """I + off-diagonal entries U(-amplitude, amplitude)."""
    diagonal = torch.eye(3, dtype=torch.bool, device=clips.device)
    entries = uniform(len(clips), 3, 3, generator=generator) * amplitude
    return or_identity(torch.where(diagonal, 1.0, entries), clips)


def swap_sides(batch: Batch, *, clips: Bool[Tensor, " N"], layout: Layout) -> Batch:
    """Every joint takes the place of the one on the other side of the body.

    This alone gives a body whose hands hang on the wrong arms (trap E7): it takes `mirror_matrices` too.
    """
    other_side = torch.tensor(layout.mirrored, device=clips.device)
    swapped = batch.joints[..., other_side, :]
    return Batch(torch.where(rearrange(clips, "N -> N 1 1 1 1"), swapped, batch.joints), batch.present)


def mirror_matrices(clips: Bool[Tensor, " N"]) -> Float[Tensor, "N 3 3"]:
    """Negation of x, the axis from side to side."""
    return or_identity(torch.diag(torch.tensor([-1.0, 1.0, 1.0], device=clips.device)), clips)


def rotation_matrices(
    clips: Bool[Tensor, " N"], *, degrees: tuple[float, float, float], generator: torch.Generator
) -> Float[Tensor, "N 3 3"]:
    """Rz Ry Rx with angles U(-d, d) about x, y and z. y is up, so the second angle turns the person."""
    limits = torch.tensor(degrees, device=clips.device)
    return or_identity(turns(uniform(len(clips), 3, generator=generator) * limits), clips)


def tilt_matrices(
    clips: Bool[Tensor, " N"],
    *,
    main_degrees: float,
    other_degrees: float,
    signed: bool,
    generator: torch.Generator,
) -> Float[Tensor, "N 3 3"]:
    """Rz Ry Rx: of one axis, drawn for each clip, the angle is large, of the others small (AimCLR)."""
    axis = torch.randint(3, (len(clips), 1), generator=generator, device=clips.device)
    is_main = axis == torch.arange(3, device=clips.device)
    share = uniform(len(clips), 3, generator=generator)
    share = share if signed else share.abs()
    return or_identity(turns(share * torch.where(is_main, main_degrees, other_degrees)), clips)


def scale_matrices(
    clips: Bool[Tensor, " N"], *, amount: float, generator: torch.Generator
) -> Float[Tensor, "N 3 3"]:
    """Everybody larger or smaller by a factor U(1 - amount, 1 + amount), the same on every axis."""
    factor = 1 + uniform(len(clips), 1, 1, generator=generator) * amount
    return or_identity(factor * torch.eye(3, device=clips.device), clips)


def turns(degrees: Float[Tensor, "N 3"]) -> Float[Tensor, "N 3 3"]:
    """Rz Ry Rx of the angles about x, y and z."""
    x, y, z = rearrange(degrees * (math.pi / 180), "N C -> C N")
    return rotation_about("z", z) @ rotation_about("y", y) @ rotation_about("x", x)


def or_identity(matrices: Float[Tensor, "*each 3 3"], clips: Bool[Tensor, " N"]) -> Float[Tensor, "N 3 3"]:
    """The matrices of the named clips, the identity for the others."""
    return torch.where(rearrange(clips, "N -> N 1 1"), matrices, torch.eye(3, device=clips.device))
