"""How a body stands when it does nothing, and how far its bones turn: what a simulation starts from.

A body's own frame: x to its left, y up, z forwards. Lengths are metres, turns are rotation vectors in radians
against the bone before; a bone is named by the joint at its end.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import pi

import numpy as np
from jaxtyping import Float

from kinemask.skeleton.kinematics import MotionTree, rooted
from kinemask.skeleton.layout import KINECT25, Layout

Vector = tuple[float, float, float]
Reach = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]  # (least, most) about x, y and z

DOWN: Vector = (0.0, -1.0, 0.0)
STIFF: Reach = ((0.0, 0.0), (0.0, 0.0), (0.0, 0.0))
LOOSE: Reach = ((-pi / 2, pi / 2),) * 3  # of a body of which nothing else is known


@dataclass(frozen=True)
class Bone:
    """A bone of the median person standing with hanging arms; of a pair, that of the left side."""

    parent: str
    joint: str
    metres: float  # the medians of IRDS
    direction: Vector
    reach: Reach = STIFF


UP: Vector = (0.0, 1.0, 0.0)
# The tree along which a Kinect's body moves: from the pelvis, parents first. (That of the layout is for
# features.) How far bones turn is what textbooks of goniometry give, rounded: elbows and knees are hinges.
TRUNK: tuple[Bone, ...] = (
    Bone("spine_base", "spine_mid", 0.286, UP, ((-0.3, 1.2), (-0.4, 0.4), (-0.4, 0.4))),
    Bone("spine_mid", "spine_shoulder", 0.209, UP, ((-0.2, 0.6), (-0.5, 0.5), (-0.3, 0.3))),
    Bone("spine_shoulder", "neck", 0.068, UP, ((-0.2, 0.3), (0.0, 0.0), (-0.2, 0.2))),
    Bone("neck", "head", 0.136, UP, ((-0.7, 0.7), (-1.0, 1.0), (-0.5, 0.5))),
)
SIDE: tuple[Bone, ...] = (
    Bone("spine_shoulder", "shoulder", 0.175, (0.95, -0.3, 0.0), ((0.0, 0.0), (-0.3, 0.3), (-0.1, 0.4))),
    Bone("shoulder", "elbow", 0.243, DOWN, ((-3.0, 0.9), (-1.0, 1.0), (-0.5, 2.8))),
    Bone("elbow", "wrist", 0.227, DOWN, ((-2.5, 0.0), (-1.2, 1.2), (0.0, 0.0))),
    Bone("wrist", "hand", 0.068, DOWN, ((-1.1, 1.2), (0.0, 0.0), (-0.4, 0.6))),
    Bone("hand", "hand_tip", 0.075, DOWN, ((-1.5, 0.2), (0.0, 0.0), (0.0, 0.0))),
    Bone("wrist", "thumb", 0.093, (0.0, -0.7, 0.6), ((-0.5, 0.5), (-0.3, 0.3), (0.0, 0.0))),
    Bone("spine_base", "hip", 0.087, (0.95, -0.25, 0.0)),
    Bone("hip", "knee", 0.364, DOWN, ((-2.1, 0.4), (-0.4, 0.4), (-0.3, 0.8))),
    Bone("knee", "ankle", 0.354, DOWN, ((0.0, 2.4), (0.0, 0.0), (0.0, 0.0))),
    Bone("ankle", "foot", 0.111, (0.1, -0.45, 0.9), ((-0.4, 0.7), (-0.2, 0.2), (0.0, 0.0))),
)
MIDDLE = ("spine_base", *(bone.joint for bone in TRUNK))
# What somebody on a chair turns: the thighs are level. And how arms are held off the body.
SEATED: Mapping[str, Vector] = {"knee": (-1.45, 0.0, 0.0), "ankle": (1.45, 0.0, 0.0)}
OUTWARD: Mapping[str, Vector] = {"elbow": (0.0, 0.0, 1.0)}


def paired(joint: str, side: str) -> str:
    """The joint's name on that side, as KINECT25 has it; those of the middle have one name."""
    return joint if joint in MIDDLE else f"{side}_{joint}"


def kinect_bones() -> tuple[tuple[int, int], ...]:
    """(parent, joint) of every bone of KINECT25, parents first."""
    names = [(bone.parent, bone.joint) for bone in TRUNK]
    for side in ("left", "right"):
        names += [(paired(bone.parent, side), paired(bone.joint, side)) for bone in SIDE]
    return tuple((KINECT25.index(parent), KINECT25.index(joint)) for parent, joint in names)


@dataclass(frozen=True)
class RestPose:
    """A median body at rest. `offsets[j]` leads to j from the joint before it; the root's is zero.

    `lowest` and `highest` bound the rotation vector of every bone. `seated` are the turns of somebody on a
    chair, None where nobody knows which joints these would be; `outward` those of arms held off the body by a
    radian.
    """

    layout: Layout
    tree: MotionTree
    offsets: Float[np.ndarray, "V 3"]
    lowest: Float[np.ndarray, "V 3"]
    highest: Float[np.ndarray, "V 3"]
    seated: Float[np.ndarray, "V 3"] | None
    outward: Float[np.ndarray, "V 3"]


def _kinect_rest() -> RestPose:
    bones = [(bone.joint, bone, 1.0) for bone in TRUNK]
    bones += [(f"left_{bone.joint}", bone, 1.0) for bone in SIDE]
    bones += [(f"right_{bone.joint}", bone, -1.0) for bone in SIDE]
    size = (KINECT25.num_joints, 3)
    offsets, lowest, highest, seated, outward = (np.zeros(size, np.float32) for _ in range(5))
    for name, bone, side in bones:
        joint = KINECT25.index(name)
        offsets[joint] = bone.metres * np.array(bone.direction) / np.linalg.norm(bone.direction)
        offsets[joint, 0] *= side
        # In a mirror a turn about x stays as it is; about y and z it goes the other way.
        for axis, (least, most) in enumerate(bone.reach):
            low, high = (least, most) if side > 0 or axis == 0 else (-most, -least)
            lowest[joint, axis], highest[joint, axis] = low, high
        if bone.joint in SEATED:
            seated[joint] = SEATED[bone.joint]
        if bone.joint in OUTWARD:
            outward[joint] = side * np.array(OUTWARD[bone.joint])
    parents = list(range(KINECT25.num_joints))
    for parent, joint in kinect_bones():
        parents[joint] = parent
    return RestPose(KINECT25, MotionTree(tuple(parents)), offsets, lowest, highest, seated, outward)


RESTS = {KINECT25.name: _kinect_rest()}


Offsets = tuple[Vector, ...]


def rest_pose(layout: Layout, offsets: Offsets | None = None) -> RestPose:
    """The rest pose of a body: that of RESTS, or with those median bones, whose turns nobody has measured.

    Raises ValueError for a body that is not in RESTS without its bones.
    """
    if layout.name in RESTS:
        return RESTS[layout.name]
    if offsets is None:
        raise ValueError(f"nobody knows how {layout.name} stands: its median bones are needed")
    bounds = np.tile(np.array(LOOSE, np.float32), (layout.num_joints, 1, 1))  # (V, 3, 2)
    bounds[layout.root] = 0.0
    return RestPose(
        layout=layout,
        tree=_tree_of(layout),
        offsets=np.array(offsets, np.float32),
        lowest=bounds[..., 0],
        highest=bounds[..., 1],
        seated=None,
        outward=np.zeros((layout.num_joints, 3), np.float32),
    )


def median_bones(layout: Layout, joints: Float[np.ndarray, "F V 3"]) -> Offsets:
    """The bones of a body of which only recordings are known, one person a frame.

    Each has its median length and its mean direction. Raises ValueError that names the joints to which no
    bone leads.
    """
    tree = _tree_of(layout)
    bones = joints - joints[:, list(tree.parents)]  # (F, V, 3)
    lengths = np.median(np.linalg.norm(bones, axis=-1), axis=0)
    mean = bones.mean(axis=0)
    direction = mean / np.maximum(np.linalg.norm(mean, axis=-1, keepdims=True), 1e-9)
    without = [layout.joints[joint] for _, joint in layout.edges if not lengths[joint] > 0]
    if without:
        raise ValueError(f"{layout.name}: no bone leads to {', '.join(without)} in these recordings")
    return tuple((float(x), float(y), float(z)) for x, y, z in direction * lengths[:, None])


def _tree_of(layout: Layout) -> MotionTree:
    return rooted(layout.edges, root=layout.root, num_joints=layout.num_joints)
