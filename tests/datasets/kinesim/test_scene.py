import dataclasses

import numpy as np
import pytest

from kinemask.datasets.kinesim.actions import ACTIONS
from kinemask.datasets.kinesim.body import BONES
from kinemask.datasets.kinesim.camera import pixels
from kinemask.datasets.kinesim.motion import Timeline, draw_timeline, through_keys
from kinemask.datasets.kinesim.scene import draw_people, mirrored, perform
from kinemask.datasets.raw_kinesim import ClipKey, Simulation, clip_keys
from kinemask.skeleton.layout import KINECT25
from tests.datasets.kinesim.kinesim_config import make_config

UNMOVED = {
    "people.places.yaw_degrees": 0,
    "people.places.drift_degrees": 0,
    "people.places.metres": 0,
}
BY_NAME = {action.name: action for action in ACTIONS}


def act(name, config, person, partner=None, replication=1):
    people = [person] if partner is None else [person, partner]
    return perform(
        BY_NAME[name],
        people,
        config=config.people,
        seed=config.seed,
        replication=replication,
        frames_per_second=12.0,
    )


def people_of(config, role="subject"):
    return draw_people(config.people, seed=config.seed, role=role, subjects=config.subjects)


def bone_lengths(joints):
    parents, children = np.array(BONES).T
    return np.linalg.norm(joints[..., children, :] - joints[..., parents, :], axis=-1)


def test_every_action_keeps_the_bone_lengths_of_its_people():
    config = make_config()
    subject, partner = people_of(config)[0], people_of(config, "partner")[0]
    for action in ACTIONS:
        joints = act(action.name, config, subject, partner if len(action.roles) == 2 else None)
        assert joints.shape[1:] == (len(action.roles), 25, 3)
        assert np.isfinite(joints).all()
        lengths = bone_lengths(joints)
        np.testing.assert_allclose(lengths, np.broadcast_to(lengths[0], lengths.shape), atol=1e-9)


def test_nobody_sinks_into_the_floor_and_people_stand_on_it():
    config = make_config()
    person = people_of(config)[0]
    for name in ("drink", "squat", "sit_down", "kick", "jump"):
        lowest = act(name, config, person)[..., 1].min(axis=(1, 2))
        assert lowest.min() > -0.02
        np.testing.assert_allclose(lowest.min(), 0.0, atol=0.03)


def test_a_left_hander_does_the_mirror_image():
    config = make_config(UNMOVED)
    person = people_of(config)[0]
    other = dataclasses.replace(
        person, habits=dataclasses.replace(person.habits, left_handed=not person.habits.left_handed)
    )
    for name in ("throw", "kick", "drink"):
        one, two = act(name, config, person), act(name, config, other)
        np.testing.assert_allclose(mirrored(one[:, 0]), two[:, 0], atol=1e-12)
        assert np.abs(one - two).max() > 0.2


def test_right_handers_raise_the_right_arm():
    config = make_config(UNMOVED | {"people.left_handed_share": 0, "people.repetitions.other_side_share": 0})
    joints = act("raise_arm", config, people_of(config)[0])[:, 0]
    highest = joints[..., 1].max(axis=0)
    assert highest[KINECT25.index("right_hand")] > highest[KINECT25.index("left_hand")] + 0.5


def test_the_share_of_left_handers_is_that_of_the_configuration_in_both_halves():
    config = make_config({"subjects": 20, "people.left_handed_share": 0.4})
    left = [person.habits.left_handed for person in people_of(config)]
    assert sum(left[0::2]) == sum(left[1::2]) == 4


def test_repetitions_actions_and_people_differ():
    config = make_config(UNMOVED)
    first, second = people_of(config)[:2]
    wave = act("wave", config, first)
    np.testing.assert_array_equal(wave, act("wave", config, first))
    for other in (
        act("wave", config, first, replication=2),
        act("wave", config, second),
        act("throw", config, first),
    ):
        frames = min(len(wave), len(other))
        assert np.abs(wave[:frames] - other[:frames]).max() > 0.05


def test_two_people_face_each_other_and_come_within_reach_to_shake_hands():
    config = make_config(UNMOVED | {"people.repetitions.other_side_share": 0, "people.left_handed_share": 0})
    joints = act("handshake", config, people_of(config)[0], people_of(config, "partner")[0])
    hand, pelvis = KINECT25.index("right_hand"), KINECT25.index("spine_base")
    apart = np.linalg.norm(joints[:, 0, hand] - joints[:, 1, hand], axis=-1)
    pelvises = np.linalg.norm(joints[:, 0, pelvis] - joints[:, 1, pelvis], axis=-1)
    assert apart.min() < 0.35
    assert pelvises[0] > pelvises[-1] + 0.3
    assert pelvises.min() > 0.5


def test_the_three_cameras_see_one_performance_from_three_places():
    simulation = Simulation(make_config())
    key = ClipKey(setup=1, camera=1, subject=1, replication=1, action=17)
    seen = [
        simulation.camera(dataclasses.replace(key, camera=camera)).see(simulation.performance(key))
        for camera in (1, 2, 3)
    ]
    for other in seen[1:]:
        # The best rigid transform (Kabsch) from the first camera leaves nothing, and it is no reflection.
        one, two = (points.reshape(-1, 3) - points.reshape(-1, 3).mean(axis=0) for points in (seen[0], other))
        left, _, right = np.linalg.svd(one.T @ two)
        assert np.linalg.det(left @ right) > 0
        np.testing.assert_allclose(one @ (left @ right), two, atol=1e-9)
        turned = np.degrees(np.arccos(np.clip((np.trace(left @ right) - 1) / 2, -1, 1)))
        assert 20 < turned < 70


def test_who_faces_camera_1_has_the_left_shoulder_at_the_smaller_x_and_stands_upright():
    config = make_config(UNMOVED | {"cameras.aim_degrees": 0})
    simulation = Simulation(config)
    for key in clip_keys(config)[:5]:
        seen = simulation.camera(key).see(simulation.performance(key))[0, 0]
        assert seen[KINECT25.index("left_shoulder"), 0] + 0.2 < seen[KINECT25.index("right_shoulder"), 0]
        assert seen[KINECT25.index("head"), 1] > seen[KINECT25.index("left_foot"), 1] + 0.7  # some sit
        assert 2.0 < seen[:, 2].min() < seen[:, 2].max() < 4.5


def test_pixels_are_those_of_a_kinect():
    # 1 m to the right and 0.5 m up at 2 m: 256 + 365.5 / 2, 212 - 365.5 / 4, 959.5 + 540.7, 539.5 - 270.35.
    np.testing.assert_array_equal(pixels(np.array([1.0, 0.5, 2.0])), [439, 121, 1500, 269])


def test_a_curve_is_at_its_keys_and_still_outside_them():
    at, places = np.array([0.2, 0.6]), np.array([[0.0, 1.0], [2.0, 5.0]])
    curve = through_keys(at, places, np.array([0.0, 0.2, 0.4, 0.6, 1.0]))
    np.testing.assert_allclose(curve, [[0, 1], [0, 1], [1, 3], [2, 5], [2, 5]], atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_a_timeline_never_runs_backwards_and_has_the_frames_of_its_seconds(seed):
    spreads = make_config({"people.repetitions.pause_seconds": [0.5, 0.5]}).people.repetitions
    timeline = draw_timeline(2.0, 12.0, spreads, np.random.default_rng(seed))
    assert isinstance(timeline, Timeline)
    assert len(timeline.phase) == 36  # 12 x (0.5 + 2 + 0.5)
    assert (np.diff(timeline.phase) >= 0).all()
    np.testing.assert_allclose(timeline.phase[[0, 6, -6]], [0, 0, 1], atol=0.02)
