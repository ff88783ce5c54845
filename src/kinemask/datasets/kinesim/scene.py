"""One performance of an action by simulated people, as it happens in the room: before any camera sees it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from pydantic import Field

from kinemask.datasets.kinesim.body import Body, BodySpreads, draw_body, turn
from kinemask.datasets.kinesim.motion import (
    Action,
    Habits,
    HabitSpreads,
    RepetitionSpreads,
    draw_curves,
    draw_habits,
    draw_timeline,
)
from kinemask.datasets.kinesim.pose import joints_of
from kinemask.section import Section
from kinemask.seeding import numpy_generator
from kinemask.skeleton.layout import KINECT25

_MIRROR = np.array([-1.0, 1.0, 1.0])


class PlaceSpreads(Section):
    """Where people stand. The room's origin is where the cameras look; z leads from there to camera 1."""

    yaw_degrees: float = Field(ge=0, le=180)  # largest turn away from camera 1, to either side
    drift_degrees: float = Field(ge=0, le=90)  # deviation of the turn made during the performance
    metres: float = Field(ge=0, le=1)  # farthest from the origin, along x and along z
    apart_metres: float = Field(ge=0, le=0.5)  # deviation of the distance between two people


@dataclass(frozen=True)
class Person:
    """Somebody who acts: a body, a manner, and a number that tells their way with each action."""

    body: Body
    habits: Habits
    identity: tuple[str, int]


class SceneConfig(Section):
    """How people, their manner and their repetitions differ."""

    left_handed_share: float = Field(ge=0, le=1)
    bodies: BodySpreads
    habits: HabitSpreads
    repetitions: RepetitionSpreads
    places: PlaceSpreads


def draw_people(config: SceneConfig, *, seed: int, role: str, subjects: int) -> tuple[Person, ...]:
    """People 1, 2, ... of a role ("subject", or "partner" who stands across). Handedness is spread evenly.

    Among the odd and among the even numbers the same share, up to one person, is left-handed.
    """
    people = []
    for number in range(1, subjects + 1):
        rng = numpy_generator(seed, "person", role, number)
        rank = (number - 1) // 2  # among the people of the same parity
        left = int((rank + 1) * config.left_handed_share) > int(rank * config.left_handed_share)
        people.append(
            Person(draw_body(config.bodies, rng), draw_habits(config.habits, left, rng), (role, number))
        )
    return tuple(people)


def mirrored(joints: Float[np.ndarray, "T V 3"]) -> Float[np.ndarray, "T V 3"]:
    """The same movement with left and right exchanged, in the body's own frame."""
    return np.asarray(joints[:, list(KINECT25.mirrored)] * _MIRROR)


def perform(
    action: Action,
    people: Sequence[Person],
    *,
    config: SceneConfig,
    seed: int,
    replication: int,
    frames_per_second: float,
) -> Float[np.ndarray, "T M V 3"]:
    """The joints of the people, in metres in the room (y up, the floor at 0). Person 1 sets the tempo.

    Depends on `seed`, on the action's name, on the people and on `replication`, on nothing else.
    """
    rng = numpy_generator(seed, "performance", action.name, people[0].identity[1], replication)
    spreads = config.repetitions
    tempo = people[0].habits.tempo * float(np.exp(spreads.tempo * rng.standard_normal()))
    timeline = draw_timeline(action.seconds / tempo, frames_per_second, spreads, rng)
    distance = action.apart + config.places.apart_metres * rng.standard_normal()
    seated = action.on_chair and bool(rng.random() < spreads.seated_share)
    joints = []
    for place, (role, person) in enumerate(zip(action.roles, people, strict=True)):
        own = numpy_generator(seed, "manner", *person.identity, action.name)
        manner = {
            hand: config.habits.manner * own.standard_normal(3)
            for hand in ("hand", "other_hand")
            if hand in role.keys
        }
        curves = draw_curves(role, timeline, person.habits, seated, manner, spreads, rng)
        body = joints_of(
            person.body, curves, elbow_flare=person.habits.elbow_flare, stance=person.habits.stance
        )
        other_side = bool(rng.random() < spreads.other_side_share)
        body = mirrored(body) if person.habits.left_handed != other_side else body
        if len(action.roles) > 1:
            body = body - (0.0, 0.0, distance / 2)
            body = body if place == 0 else body * (-1.0, 1.0, -1.0)  # half a turn: face to face
        joints.append(body)
    return _placed(np.stack(joints, axis=1), config.places, rng)


def _placed(
    joints: Float[np.ndarray, "T M V 3"], places: PlaceSpreads, rng: np.random.Generator
) -> Float[np.ndarray, "T M V 3"]:
    """The scene turned about the vertical and put somewhere. Two people stand across the view of camera 1."""
    yaw = rng.uniform(-places.yaw_degrees, places.yaw_degrees) + (90.0 if joints.shape[1] > 1 else 0.0)
    drift = places.drift_degrees * rng.standard_normal()
    rotations = turn(yaw + drift * np.linspace(-0.5, 0.5, len(joints)), "y")
    where = np.zeros(3)
    where[[0, 2]] = rng.uniform(-places.metres, places.metres, 2)
    return np.asarray(np.einsum("Tij,TMVj->TMVi", rotations, joints) + where)
