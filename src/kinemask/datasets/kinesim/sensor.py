"""A simulated Kinect: noise, lost joints, lost and spurious bodies, empty frames, and the text it writes."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from pydantic import Field

from kinemask.datasets.kinesim.camera import pixels
from kinemask.section import CountRange, Section
from kinemask.skeleton.layout import KINECT25

_FIRST_BODY_ID = 72057594037927936  # 2 to the 56: what a Kinect v2 counts from
_UNSTEADY = {"wrist": 1.4, "ankle": 1.4, "hand": 1.8, "foot": 2.0, "hand_tip": 2.4, "thumb": 2.4}
_USUAL_DISTANCE = 3.0  # metres, at which the noise is as configured
_TRACKED, _INFERRED = 2, 1
_ROW = "%.4f %.4f %.4f %d %d %d %d 0 0 0 0 %d\n"


class NoiseConfig(Section):
    """How unsteady tracked joints are."""

    metres: float = Field(ge=0, le=0.1)  # deviation of the trunk's joints at 3 m; hands and feet: twice that
    memory: float = Field(ge=0, lt=1)  # share of a frame's error that the next one keeps
    distance_power: float = Field(ge=0, le=3)  # how the error grows with the distance


class FaultConfig(Section):
    """How often a sensor fails. A span of failure lasts frames from the first to the second number."""

    joint_spans: float = Field(ge=0, le=20)  # mean number of lost joints per body and clip
    joint_frames: CountRange
    jump_share: float = Field(ge=0, le=1)  # of the lost joints: those that jump; the others are held
    jump_metres: float = Field(ge=0, le=1)
    lost_person_share: float = Field(ge=0, le=1)  # of the bodies of clips: those lost for a while
    lost_person_frames: CountRange
    empty_share: float = Field(ge=0, le=1)  # of the clips: those with some frames without any body
    empty_frames: CountRange
    furniture_share: float = Field(ge=0, le=1)  # of the clips: those where furniture is taken for a person
    ghost_share: float = Field(ge=0, le=1)  # of the clips: those with a body for a moment
    ghost_frames: CountRange


class SensorConfig(Section):
    """What comes between the room and the file."""

    noise: NoiseConfig
    faults: FaultConfig


@dataclass(frozen=True)
class Seen:
    """What a sensor says of a clip: bodies in the order of the file, some of them nobody's."""

    joints: Float[np.ndarray, "T B V 3"]
    visible: Bool[np.ndarray, "T B"]
    tracked: Bool[np.ndarray, "T B V"]  # False: inferred
    body_ids: tuple[int, ...]


def observe(joints: Float[np.ndarray, "T M V 3"], config: SensorConfig, rng: np.random.Generator) -> Seen:
    """What the sensor says of joints in its camera space."""
    faults = config.faults
    num_frames, persons = joints.shape[:2]
    visible = np.ones((num_frames, persons), np.bool_)
    for person in range(persons):
        if rng.random() < faults.lost_person_share:
            visible[_span(num_frames, faults.lost_person_frames, rng), person] = False
    seen, shown = [joints], [visible]
    for share, make in ((faults.furniture_share, _furniture), (faults.ghost_share, _ghost)):
        if rng.random() < share:
            body, when = make(joints, faults, rng)
            seen.append(body[:, None])
            shown.append(when[:, None])
    noisy, visible = np.concatenate(seen, axis=1), np.concatenate(shown, axis=1)
    noisy = noisy + _noise(noisy, config.noise, rng)
    tracked = np.ones(noisy.shape[:3], np.bool_)
    for number in range(noisy.shape[1]):
        for _ in range(rng.poisson(faults.joint_spans)):
            _lose_joint(noisy[:, number], tracked[:, number], faults, rng)
    if rng.random() < faults.empty_share:
        visible[_span(num_frames, faults.empty_frames, rng)] = False
    if not visible.any():
        visible[0] = True
    order = rng.permutation(noisy.shape[1])
    first = _FIRST_BODY_ID + int(rng.integers(1, 10_000))
    ids = tuple(first + int(step) for step in rng.permutation(noisy.shape[1]))
    return Seen(noisy[:, order], visible[:, order], tracked[:, order], ids)


def _span(num_frames: int, lengths: tuple[int, int], rng: np.random.Generator) -> slice:
    """Frames in a row, never all of them."""
    length = min(int(rng.integers(lengths[0], lengths[1] + 1)), num_frames - 1)
    start = int(rng.integers(0, num_frames - length + 1))
    return slice(start, start + length)


def _noise(
    joints: Float[np.ndarray, "T B V 3"], config: NoiseConfig, rng: np.random.Generator
) -> Float[np.ndarray, "T B V 3"]:
    """Errors that fade over frames, larger for hands and feet and farther away."""
    unsteady = np.array(
        [_UNSTEADY.get(name.removeprefix("left_").removeprefix("right_"), 1.0) for name in KINECT25.joints]
    )
    distance = np.maximum(joints[..., 2:], 0.5) / _USUAL_DISTANCE
    size = config.metres * unsteady[:, None] * distance**config.distance_power
    fresh = rng.standard_normal(joints.shape)
    errors = fresh.copy()
    for frame in range(1, len(errors)):
        errors[frame] = config.memory * errors[frame - 1] + np.sqrt(1 - config.memory**2) * fresh[frame]
    return np.asarray(size * errors)


def _lose_joint(
    joints: Float[np.ndarray, "T V 3"],
    tracked: Bool[np.ndarray, "T V"],
    config: FaultConfig,
    rng: np.random.Generator,
) -> None:
    """One joint is held where it was last seen, or jumps aside, for some frames. Changes both arrays."""
    joint = int(rng.integers(joints.shape[1]))
    frames = _span(len(joints), config.joint_frames, rng)
    tracked[frames, joint] = False
    if rng.random() < config.jump_share:
        joints[frames, joint] += config.jump_metres * rng.standard_normal(3)
    else:
        joints[frames, joint] = joints[max(frames.start - 1, 0), joint].copy()


def _furniture(
    joints: Float[np.ndarray, "T M V 3"], config: FaultConfig, rng: np.random.Generator
) -> tuple[Float[np.ndarray, "T V 3"], Bool[np.ndarray, " T"]]:
    """A chair or a curtain taken for a person: a crumpled body that does not move, seen in most frames."""
    shape = joints[0, 0] - joints[0, 0].mean(axis=0)
    crumpled = shape * rng.uniform(0.3, 0.9, 3) + 0.08 * rng.standard_normal(shape.shape)
    aside = np.array([rng.choice([-1, 1]) * rng.uniform(0.7, 1.4), -0.3, rng.uniform(0.0, 1.0)])
    place = joints[0, 0].mean(axis=0) + aside
    visible = np.ones(len(joints), np.bool_)
    if rng.random() < 0.5:
        visible[_span(len(joints), (1, max(1, len(joints) // 3)), rng)] = False
    return np.broadcast_to(crumpled + place, joints[:, 0].shape), visible


def _ghost(
    joints: Float[np.ndarray, "T M V 3"], config: FaultConfig, rng: np.random.Generator
) -> tuple[Float[np.ndarray, "T V 3"], Bool[np.ndarray, " T"]]:
    """The person seen twice for a moment, somewhere beside."""
    aside = np.array([rng.choice([-1, 1]) * rng.uniform(0.3, 0.8), 0.0, rng.uniform(-0.2, 0.6)])
    visible = np.zeros(len(joints), np.bool_)
    visible[_span(len(joints), config.ghost_frames, rng)] = True
    return joints[:, 0] + aside, visible


def skeleton_text(seen: Seen, rng: np.random.Generator) -> str:
    """The `.skeleton` file: coordinates to 4 decimals, pixels whole, no orientations."""
    num_joints = seen.joints.shape[2]
    heads = []
    for body_id in seen.body_ids:
        hands = " ".join(str(value) for value in rng.integers(0, [2, 4, 2, 4]))
        lean = " ".join(f"{value:.3f}" for value in rng.uniform(-0.2, 0.2, 2))
        heads.append(f"{body_id} 0 {hands} 0 {lean} {_TRACKED}\n{num_joints}\n" + _ROW * num_joints)
    template = [f"{len(seen.visible)}\n"]
    for visible in seen.visible:
        bodies = np.flatnonzero(visible)
        template.append(f"{len(bodies)}\n" + "".join(heads[body] for body in bodies))
    joints = np.round(seen.joints[seen.visible], 4) + 0.0  # no negative zeros
    states = np.where(seen.tracked[seen.visible], _TRACKED, _INFERRED)[..., None]
    values = np.concatenate([joints, pixels(joints), states], axis=-1)
    return "".join(template) % tuple(values.ravel().tolist())
