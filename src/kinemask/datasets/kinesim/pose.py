"""From curves as a choreographer draws them (where the hand is, how far the trunk leans) to joints."""

from collections.abc import Mapping

import numpy as np
from einops import rearrange
from jaxtyping import Float

from kinemask.datasets.kinesim.body import Body, Rotations, forward_kinematics, reach, transform, turn
from kinemask.skeleton.layout import KINECT25

# The curves of a role, each (T, width). Sides are those of a right-hander: the strong hand is the right.
# Points are (outwards, up, forwards): hands from their shoulder, in arm lengths; the pelvis and the feet from
# where they are when standing, in leg lengths. Angles are degrees; `walk` is metres forwards.
CHANNELS: dict[str, int] = {
    "hand": 3,
    "other_hand": 3,
    "wrist": 1,  # bends the strong hand inwards
    "pelvis": 3,
    "foot": 3,
    "other_foot": 3,
    "lean": 1,  # trunk forwards
    "tilt": 1,  # trunk to the weak side
    "twist": 1,  # strong shoulder forwards
    "nod": 1,
    "look": 1,  # to the weak side
    "walk": 1,
}
STANCE = 0.09  # half the distance between the ankles of someone of scale 1, metres
STRAIGHT = 0.985  # share of the leg's length at which people stand
STRIDE = 0.9  # metres of a double step
STEP_HEIGHT = 0.09  # metres
PELVIS_SHARE = 0.35  # of a trunk's turn, the part that the pelvis makes

Curves = Mapping[str, Float[np.ndarray, "T _"]]


def joints_of(body: Body, curves: Curves, *, elbow_flare: float, stance: float) -> Float[np.ndarray, "T V 3"]:
    """Joints of a right-hander standing at the origin and facing z, in metres above the floor (y = 0).

    `elbow_flare` is how far the elbows point outwards, `stance` multiplies the distance of the feet.
    """
    leg = body.length("left_knee", "left_ankle")
    rotations = _trunk(curves)
    for side, name in ((-1.0, "right"), (1.0, "left")):
        _arm(body, curves["hand" if side < 0 else "other_hand"], side, name, elbow_flare, rotations)
    wrist = curves["wrist"][:, 0]
    rotations["right_wrist"] = turn(-wrist, "x")
    walked = curves["walk"][:, 0]
    sole = -body.offsets[KINECT25.index("left_foot")][1]
    standing = sole + STRAIGHT * leg - body.offsets[KINECT25.index("left_hip")][1]
    root = leg * curves["pelvis"] * (-1.0, 1.0, 1.0)
    root = root + np.stack([np.zeros_like(walked), np.full_like(walked, standing), walked], axis=-1)
    for side, name in ((-1.0, "right"), (1.0, "left")):
        lifted = leg * curves["foot" if side < 0 else "other_foot"] * (side, 1.0, 1.0)
        ankle = np.array([side * stance * STANCE, sole, 0.0]) + _steps(walked, 0.0 if side < 0 else np.pi)
        _leg(body, ankle + lifted - root, side, name, rotations)
    return forward_kinematics(body, rotations, root)


def _steps(walked: Float[np.ndarray, " T"], lag: float) -> Float[np.ndarray, "T 3"]:
    """Where a foot is when the body has walked so many metres: it stands, is lifted, overtakes."""
    if walked[-1] <= 0:
        return np.zeros((len(walked), 3))
    phase = 2 * np.pi * walked / STRIDE + lag
    # The first and last steps are small: both feet end below the body.
    begun, left = 4.0 * walked / STRIDE, 4.0 * (walked[-1] - walked) / STRIDE
    size = np.clip(np.minimum(begun, left), 0.0, 1.0)
    # The foot stands still while the cosine is about -1: the body passes over it at the speed of the walk.
    lift = STEP_HEIGHT * size * np.maximum(0.0, np.cos(phase))
    return np.stack(
        [np.zeros_like(walked), lift, walked + size * np.sin(phase) * STRIDE / (2 * np.pi)], axis=-1
    )


def _trunk(curves: Curves) -> dict[str, Rotations]:
    """Turns of pelvis, spine and head."""
    bend, tilt, twist = (curves[name][:, 0] for name in ("lean", "tilt", "twist"))
    rotations = {}
    for joint, share in (("spine_base", PELVIS_SHARE), ("spine_mid", 1.0 - PELVIS_SHARE)):
        rotations[joint] = turn(share * twist, "y") @ turn(share * bend, "x") @ turn(-share * tilt, "z")
    rotations["neck"] = turn(curves["look"][:, 0], "y") @ turn(curves["nod"][:, 0], "x")
    return rotations


def _arm(
    body: Body,
    point: Float[np.ndarray, "T 3"],
    side: float,
    name: str,
    flare: float,
    rotations: dict[str, Rotations],
) -> None:
    """Adds the turns of the shoulder and elbow that bring the wrist to `point`."""
    upper, lower = body.length(f"{name}_elbow"), body.length(f"{name}_wrist")
    target = (upper + lower) * point * (side, 1.0, 1.0)
    pole = np.broadcast_to(np.array([side * flare, -1.0, -0.4]), target.shape)
    first, second = reach(target, pole, upper, lower, bends=1)
    rotations[f"{name}_shoulder"], rotations[f"{name}_elbow"] = first, second


def _leg(
    body: Body, ankle: Float[np.ndarray, "T 3"], side: float, name: str, rotations: dict[str, Rotations]
) -> None:
    """Adds the turns of hip, knee and ankle that bring the ankle to a point, the foot level."""
    pelvis = rotations["spine_base"]
    upright = rearrange(pelvis, "T i j -> T j i")
    target = transform(upright, ankle) - body.offsets[KINECT25.index(f"{name}_hip")]
    pole = transform(upright, np.array([side * 0.2, 0.0, 1.0]))
    upper, lower = body.length(f"{name}_knee"), body.length(f"{name}_ankle")
    first, second = reach(target, pole, upper, lower, bends=-1)
    rotations[f"{name}_hip"], rotations[f"{name}_knee"] = first, second
    rotations[f"{name}_ankle"] = rearrange(pelvis @ first @ second, "T i j -> T j i")
