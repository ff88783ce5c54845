"""Arithmetic of joint positions: where a body stands and how it is turned."""

from typing import Literal

import torch
from einops import einsum, rearrange
from jaxtyping import Float
from torch import Tensor

from kinemask.skeleton.batch import Batch, RaggedClips

Origin = Literal["first_frame", "every_frame"]


def rotation_about(axis: Literal["x", "y", "z"], angle: Float[Tensor, " N"]) -> Float[Tensor, "N 3 3"]:
    """Right-handed rotation matrices; `angle` in radians. Apply with `transform`."""
    cos, sin = torch.cos(angle), torch.sin(angle)
    one, zero = torch.ones_like(angle), torch.zeros_like(angle)
    rows = {
        "x": (one, zero, zero, zero, cos, -sin, zero, sin, cos),
        "y": (cos, zero, sin, zero, one, zero, -sin, zero, cos),
        "z": (cos, -sin, zero, sin, cos, zero, zero, zero, one),
    }
    return rearrange(torch.stack(rows[axis], dim=-1), "N (row column) -> N row column", row=3)


def transform(
    joints: Float[Tensor, "N T M V C"], matrix: Float[Tensor, "N C C"]
) -> Float[Tensor, "N T M V C"]:
    """Each clip times its own matrix: y = A x."""
    return einsum(joints, matrix, "N T M V c, N C c -> N T M V C")


def move_origin(clips: RaggedClips, *, joint: int, origin: Origin) -> RaggedClips:
    """Put `joint` of the first present person at the origin, in the first present frame or in every frame.

    All persons of a clip move together, so that their distance stays. A frame without anyone is left at zero.
    Raises ValueError if `clips` is a selection: the frames of all clips must be there, in order.
    """
    clip_of_frame = torch.repeat_interleave(torch.arange(len(clips)), clips.lengths)
    if len(clip_of_frame) != len(clips.joints) or not torch.equal(
        clips.offsets, torch.cumsum(clips.lengths, 0) - clips.lengths
    ):
        raise ValueError("move_origin needs all clips of the storage, in order")
    person = clips.present.to(torch.int8).argmax(dim=1)  # the first present person of a frame
    centre = clips.joints[torch.arange(len(person)), person, joint]  # (F, C)
    anyone = clips.present.any(dim=1)
    if origin == "first_frame":
        frames = torch.arange(len(anyone))
        first = torch.full((len(clips),), len(anyone), dtype=torch.long)
        first = first.scatter_reduce(0, clip_of_frame[anyone], frames[anyone], reduce="amin")
        centre = centre[first.clamp(max=len(anyone) - 1)][clip_of_frame]
    centred = clips.joints - rearrange(centre, "F C -> F 1 1 C")
    shown = rearrange(clips.present, "F M -> F M 1 1")
    return RaggedClips(torch.where(shown, centred, 0.0), clips.present, clips.offsets, clips.lengths)


def centre_batch(batch: Batch, *, joint: int, origin: Origin) -> Batch:
    """`move_origin` for clips whose first person is present from the first frame to the last."""
    centre = batch.joints[:, : 1 if origin == "first_frame" else None, :1, joint]  # (N, 1 or T, 1, C)
    shown = rearrange(batch.present, "N T M -> N T M 1 1")
    moved = batch.joints - rearrange(centre, "N T M C -> N T M 1 C")
    return Batch(torch.where(shown, moved, 0.0), batch.present)
