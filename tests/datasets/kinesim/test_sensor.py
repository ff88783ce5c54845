import numpy as np
import pytest

from kinemask.datasets.kinect.raw_skeleton import read_skeleton
from kinemask.datasets.kinesim.sensor import Seen, observe, skeleton_text
from kinemask.skeleton.layout import KINECT25
from tests.datasets.kinesim.kinesim_config import NO_FAULTS, make_config

NUM_FRAMES = 30


def two_people(persons=1):
    rng = np.random.default_rng(0)
    steps = 0.02 * rng.standard_normal((NUM_FRAMES, persons, KINECT25.num_joints, 3))
    return np.cumsum(steps, axis=0) + np.array([0.0, 0.0, 3.0])


def sensor(**changes):
    places = {
        ("sensor.noise." if name in ("metres", "memory", "distance_power") else "sensor.faults.")
        + name: value
        for name, value in changes.items()
    }
    return make_config(NO_FAULTS | places).sensor


def observed(config, num_clips=400, persons=1):
    joints = two_people(persons)
    return [observe(joints, config, np.random.default_rng(clip)) for clip in range(num_clips)]


def test_a_perfect_sensor_sees_the_joints_as_they_are():
    joints = two_people(1)
    seen = observe(joints, sensor(), np.random.default_rng(0))
    np.testing.assert_array_equal(seen.joints, joints)
    assert seen.visible.all()
    assert seen.tracked.all()


def test_noise_has_its_size_at_three_metres_and_is_larger_at_the_hands_and_farther_away():
    config = sensor(metres=0.01, memory=0.5, distance_power=1.0)
    still = np.zeros((4000, 1, KINECT25.num_joints, 3)) + np.array([0.0, 0.0, 3.0])
    near = observe(still, config, np.random.default_rng(0)).joints - still
    far = observe(2 * still, config, np.random.default_rng(0)).joints - 2 * still
    spine, tip = near[:, 0, KINECT25.index("spine_mid")], near[:, 0, KINECT25.index("left_hand_tip")]
    np.testing.assert_allclose(spine.std(), 0.01, rtol=0.05)
    np.testing.assert_allclose(tip.std(), 0.024, rtol=0.05)
    np.testing.assert_allclose(far[:, 0, KINECT25.index("spine_mid")].std(), 0.02, rtol=0.05)
    correlation = np.mean([np.corrcoef(spine[1:, axis], spine[:-1, axis])[0, 1] for axis in range(3)])
    np.testing.assert_allclose(correlation, 0.5, atol=0.05)


@pytest.mark.parametrize(
    ("fault", "happened"),
    [
        ("lost_person_share", lambda seen: not seen.visible.all()),
        ("empty_share", lambda seen: not seen.visible.any(axis=1).all()),
        ("furniture_share", lambda seen: seen.visible.shape[1] == 2),
        ("ghost_share", lambda seen: seen.visible.shape[1] == 2),
    ],
)
def test_faults_happen_at_their_rate(fault, happened):
    # 400 clips at 0.3: the standard error of the share is 0.023.
    share = np.mean([happened(seen) for seen in observed(sensor(**{fault: 0.3}))])
    assert 0.3 - 0.07 < share < 0.3 + 0.07


def test_lost_joints_happen_at_their_rate_and_are_marked_inferred():
    config = sensor(joint_spans=2.0, joint_frames=[5, 5])
    spans = np.mean([(~seen.tracked).sum() / 5 for seen in observed(config)])
    assert 1.7 < spans < 2.25  # the standard error is 0.07, and spans may overlap


def test_a_held_joint_stays_where_it_was_seen_last():
    config = sensor(joint_spans=1.0, joint_frames=[4, 4], jump_share=0)
    joints = two_people()
    for seed in range(20):
        seen = observe(joints, config, np.random.default_rng(seed))
        moved = np.flatnonzero((~seen.tracked[:, 0]).sum(axis=0) == 4)
        for joint in moved:
            start = int(np.argmin(seen.tracked[:, 0, joint]))
            expected = joints[max(start - 1, 0), 0, joint]
            np.testing.assert_array_equal(seen.joints[start : start + 4, 0, joint], np.tile(expected, (4, 1)))


def test_furniture_stands_still_and_a_ghost_is_short():
    for seen in observed(sensor(furniture_share=1.0), 10):
        still = np.ptp(seen.joints, axis=0).max(axis=(1, 2))
        assert sorted(still < 1e-12) == [False, True]
    for seen in observed(sensor(ghost_share=1.0, ghost_frames=[2, 6]), 10):
        assert 2 <= seen.visible.sum(axis=0).min() <= 6


def test_a_clip_never_loses_all_its_bodies():
    config = sensor(
        lost_person_share=1.0, lost_person_frames=[50, 50], empty_share=1.0, empty_frames=[50, 50]
    )
    assert all(seen.visible.any() for seen in observed(config, 50))


def test_the_text_read_back_by_the_parser_has_the_same_numbers_to_four_decimals():
    faults = sensor(joint_spans=2.0, lost_person_share=0.5, empty_share=0.5, furniture_share=0.5, metres=0.01)
    for number, seen in enumerate(observed(faults, 10, persons=2)):
        text = skeleton_text(seen, np.random.default_rng(number))
        recording = read_skeleton(text.encode())
        assert recording.num_frames == NUM_FRAMES
        shown = {str(body): place for place, body in enumerate(seen.body_ids) if seen.visible[:, place].any()}
        assert set(recording.bodies) == set(shown)
        for body, place in shown.items():
            track = recording.bodies[body]
            np.testing.assert_array_equal(track.frames, np.flatnonzero(seen.visible[:, place]))
            np.testing.assert_allclose(track.joints, seen.joints[track.frames, place], atol=0.5e-4 + 1e-6)


def test_a_small_text_is_what_the_format_says():
    joints = np.zeros((2, 1, KINECT25.num_joints, 3)) + np.array([0.5, -0.25, 2.0])
    seen = Seen(
        joints=joints,
        visible=np.array([[True], [False]]),
        tracked=np.ones((2, 1, KINECT25.num_joints), np.bool_),
        body_ids=(72057594037931101,),
    )
    lines = skeleton_text(seen, np.random.default_rng(0)).splitlines()
    assert lines[:2] == ["2", "1"]
    assert lines[2].split()[0] == "72057594037931101"  # beyond 32 bits, and beyond what a double can hold
    assert len(lines[2].split()) == 10
    assert lines[3] == "25"
    # 256 + 365.5 / 4, 212 + 365.5 / 8, 959.5 + 1081.4 / 4, 539.5 + 1081.4 / 8
    assert lines[4:29] == ["0.5000 -0.2500 2.0000 347 258 1230 675 0 0 0 0 2"] * 25
    assert lines[29:] == ["0"]
