"""Simulated bodies: bone lengths, forward kinematics on the 25 Kinect joints, limbs that reach for points.

A body's own frame: x to its left, y up, z forwards. Standing with hanging arms, no joint is turned.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from pydantic import Field

from kinemask.section import Section
from kinemask.skeleton.layout import KINECT25

NUM_JOINTS = KINECT25.num_joints

# The tree along which a body moves: from the pelvis, parents first. (The layout's tree, rooted elsewhere,
# is for features.) Lengths in metres are the medians of IRDS (data/irds/README.md), for a body of scale 1.
_TRUNK = (
    ("spine_base", "spine_mid", 0.286),
    ("spine_mid", "spine_shoulder", 0.209),
    ("spine_shoulder", "neck", 0.068),
    ("neck", "head", 0.136),
)
_SIDE = (
    ("spine_shoulder", "shoulder", 0.175),
    ("shoulder", "elbow", 0.243),
    ("elbow", "wrist", 0.227),
    ("wrist", "hand", 0.068),
    ("hand", "hand_tip", 0.075),
    ("wrist", "thumb", 0.093),
    ("spine_base", "hip", 0.087),
    ("hip", "knee", 0.364),
    ("knee", "ankle", 0.354),
    ("ankle", "foot", 0.111),
)
_DIRECTIONS = {
    "shoulder": (0.95, -0.3, 0.0),
    "thumb": (0.0, -0.7, 0.6),
    "hip": (0.95, -0.25, 0.0),
    "foot": (0.1, -0.45, 0.9),
    "elbow": (0.0, -1.0, 0.0),
    "wrist": (0.0, -1.0, 0.0),
    "hand": (0.0, -1.0, 0.0),
    "hand_tip": (0.0, -1.0, 0.0),
    "knee": (0.0, -1.0, 0.0),
    "ankle": (0.0, -1.0, 0.0),
}  # of the left side, from the parent; the trunk goes straight up
_SINGLE = ("spine_base", "spine_mid", "spine_shoulder", "neck", "head")

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


def _bones() -> tuple[tuple[int, int], ...]:
    """(parent, joint) for every bone, parents first."""
    pairs = [(KINECT25.index(parent), KINECT25.index(joint)) for parent, joint, _ in _TRUNK]
    for side in ("left", "right"):
        for parent, joint, _ in _SIDE:
            name = parent if parent in _SINGLE else f"{side}_{parent}"
            pairs.append((KINECT25.index(name), KINECT25.index(f"{side}_{joint}")))
    return tuple(pairs)


BONES = _bones()


def draw_body(spreads: BodySpreads, rng: np.random.Generator) -> Body:
    """A person at random: adult proportions around the medians."""
    height = 1.0 + spreads.height * rng.standard_normal()
    parts = {part: 1.0 + spreads.limbs * rng.standard_normal() for part in ("trunk", "arm", "leg")}
    offsets = np.zeros((NUM_JOINTS, 3))
    for _, joint, length in _TRUNK:
        scale = height * parts["trunk"] * (1.0 + spreads.bone * rng.standard_normal())
        offsets[KINECT25.index(joint)] = (0.0, length * scale, 0.0)
    for _, joint, length in _SIDE:
        part = (
            "trunk"
            if joint in ("shoulder", "hip")
            else "leg"
            if joint in ("knee", "ankle", "foot")
            else "arm"
        )
        scale = height * parts[part] * (1.0 + spreads.bone * rng.standard_normal())
        direction = np.array(_DIRECTIONS[joint])
        left = length * scale * direction / np.linalg.norm(direction)
        offsets[KINECT25.index(f"left_{joint}")] = left
        offsets[KINECT25.index(f"right_{joint}")] = left * (-1.0, 1.0, 1.0)
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
    turned: dict[int, Rotations] = {}
    positions = np.zeros((len(root), NUM_JOINTS, 3))
    pelvis = KINECT25.index("spine_base")
    positions[:, pelvis] = root
    turned[pelvis] = rotations.get("spine_base", np.broadcast_to(np.eye(3), (len(root), 3, 3)))
    for parent, joint in BONES:
        positions[:, joint] = positions[:, parent] + transform(turned[parent], body.offsets[joint])
        own = rotations.get(KINECT25.joints[joint])
        turned[joint] = turned[parent] if own is None else turned[parent] @ own
    return positions


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
