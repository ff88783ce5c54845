"""Simulated bodies: bone lengths, forward kinematics on the 25 Kinect joints, limbs that reach for points.

The frame of a body and its median are those of kinemask.skeleton.rest_pose. Standing with hanging arms, no
joint is turned.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from pydantic import Field

from kinemask.section import Section
from kinemask.skeleton import kinematics
from kinemask.skeleton.layout import KINECT25
from kinemask.skeleton.rest_pose import RESTS, SIDE, TRUNK, kinect_bones

NUM_JOINTS = KINECT25.num_joints
BONES = kinect_bones()
_PART = {"shoulder": "trunk", "hip": "trunk", "knee": "leg", "ankle": "leg", "foot": "leg"}  # else the arm

Rotations = Float[np.ndarray, "T 3 3"]


class BodySpreads(Section):
    """How bodies differ: standard deviations, as shares of the median person."""

    height: float = Field(ge=0, le=0.3)  # all bones together
    limbs: float = Field(ge=0, le=0.3)  # arms, legs and trunk against one another
    bone: float = Field(ge=0, le=0.3)  # each bone by itself


@dataclass(frozen=True)
class Body:
    """One person's bones. `offsets[j]` leads from j's parent to j when standing; left mirrors right."""

    offsets: Float[np.ndarray, "V 3"]

    def length(self, *joints: str) -> float:
        """Metres of the bones that end in `joints`, together."""
        return float(sum(np.linalg.norm(self.offsets[KINECT25.index(joint)]) for joint in joints))


def draw_body(spreads: BodySpreads, rng: np.random.Generator) -> Body:
    """A person at random: adult proportions around the medians."""
    height = 1.0 + spreads.height * rng.standard_normal()
    parts = {part: 1.0 + spreads.limbs * rng.standard_normal() for part in ("trunk", "arm", "leg")}
    offsets = np.zeros((NUM_JOINTS, 3))
    for bone in TRUNK:
        scale = height * parts["trunk"] * (1.0 + spreads.bone * rng.standard_normal())
        offsets[KINECT25.index(bone.joint)] = (0.0, bone.metres * scale, 0.0)
    for bone in SIDE:
        scale = height * parts[_PART.get(bone.joint, "arm")] * (1.0 + spreads.bone * rng.standard_normal())
        direction = np.array(bone.direction)
        left = bone.metres * scale * direction / np.linalg.norm(direction)
        offsets[KINECT25.index(f"left_{bone.joint}")] = left
        offsets[KINECT25.index(f"right_{bone.joint}")] = left * (-1.0, 1.0, 1.0)
    return Body(offsets)


def turn(degrees: Float[np.ndarray, " T"], axis: str) -> Rotations:
    """Rotations about one axis: `x` bends forwards, `y` turns to the left, `z` tilts to the right."""
    radians = np.radians(degrees)
    cosine, sine = np.cos(radians), np.sin(radians)
    first, second = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    matrix = np.zeros((len(radians), 3, 3))
    matrix[:, range(3), range(3)] = 1.0
    matrix[:, first, first] = matrix[:, second, second] = cosine
    matrix[:, first, second], matrix[:, second, first] = -sine, sine
    return matrix


def transform(
    rotations: Rotations, vectors: Float[np.ndarray, "T 3"] | Float[np.ndarray, " 3"]
) -> Float[np.ndarray, "T 3"]:
    """Each frame's rotation applied to that frame's vector, or to the same vector in all frames."""
    spread = np.broadcast_to(vectors, (len(rotations), 3))
    return np.asarray((rotations @ spread[:, :, None])[:, :, 0])


def forward_kinematics(
    body: Body, rotations: dict[str, Rotations], root: Float[np.ndarray, "T 3"]
) -> Float[np.ndarray, "T V 3"]:
    """Positions of all joints. `rotations` maps a joint to its turn against its parent; others are stiff."""
    turns = np.broadcast_to(np.eye(3), (1, len(root), NUM_JOINTS, 3, 3)).copy()
    pelvis = KINECT25.index("spine_base")
    turns[0, :, pelvis] = rotations.get("spine_base", np.eye(3))
    for parent, joint in BONES:
        own = rotations.get(KINECT25.joints[parent]) if parent != pelvis else None
        if own is not None:  # what turns at a joint are the bones behind it
            turns[0, :, joint] = own
    joints = kinematics.forward_kinematics(
        RESTS[KINECT25.name].tree,
        offsets=body.offsets[None],
        turns=turns,
        root=root[None],
    )
    return np.asarray(joints[0])


def _unit(vectors: Float[np.ndarray, "T 3"]) -> Float[np.ndarray, "T 3"]:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9))


def reach(
    target: Float[np.ndarray, "T 3"], pole: Float[np.ndarray, "T 3"], upper: float, lower: float, bends: int
) -> tuple[Rotations, Rotations]:
    """Turns of a hanging limb's first and second joint that bring its end to `target`, or as near as it goes.

    `target` is seen from the first joint, in its parent's frame. The middle joint points towards `pole`.
    `bends` is +1 for an elbow (the lower bone swings forwards) and -1 for a knee.
    """
    distance = np.linalg.norm(target, axis=-1)
    reached = np.clip(distance, 1.05 * abs(upper - lower) + 1e-3, 0.998 * (upper + lower))
    towards = _unit(target)
    outwards = _unit(pole - (pole * towards).sum(-1, keepdims=True) * towards)
    cosine = (upper**2 + reached**2 - lower**2) / (2 * upper * reached)
    sine = np.sqrt(np.maximum(0.0, 1.0 - cosine**2))
    along = cosine[:, None] * towards + sine[:, None] * outwards  # the upper bone
    second = (reached[:, None] * towards - upper * along) / lower  # the lower bone
    across = bends * _unit(second - (second * along).sum(-1, keepdims=True) * along)
    first_turn = np.stack([np.cross(-along, across), -along, across], axis=-1)
    bend = np.degrees(np.arccos(np.clip((second * along).sum(-1), -1.0, 1.0)))
    return first_turn, turn(-bends * bend, "x")
