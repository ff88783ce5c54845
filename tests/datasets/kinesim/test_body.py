import numpy as np
import pytest

from kinemask.datasets.kinesim.body import (
    BONES,
    BodySpreads,
    draw_body,
    forward_kinematics,
    reach,
    transform,
    turn,
)
from kinemask.skeleton.layout import KINECT25

MEDIAN = BodySpreads(height=0.0, limbs=0.0, bone=0.0)
VARIED = BodySpreads(height=0.08, limbs=0.04, bone=0.03)


def median_body():
    return draw_body(MEDIAN, np.random.default_rng(0))


def at(joints, name):
    return joints[0, KINECT25.index(name)]


def test_the_tree_reaches_every_joint_once_and_parents_come_first():
    reached = [KINECT25.index("spine_base")]
    for parent, joint in BONES:
        assert parent in reached
        assert joint not in reached
        reached.append(joint)
    assert sorted(reached) == list(range(KINECT25.num_joints))


def test_an_elbow_bent_by_90_degrees_brings_the_hand_in_front_of_it():
    # Forearm 0.227 and hand 0.068 of the median person now lie along z, at the height of the elbow.
    body = median_body()
    joints = forward_kinematics(body, {"left_elbow": turn(np.array([-90.0]), "x")}, np.zeros((1, 3)))
    shoulder, elbow, hand = (at(joints, f"left_{name}") for name in ("shoulder", "elbow", "hand"))
    np.testing.assert_allclose(elbow - shoulder, [0.0, -0.243, 0.0], atol=1e-12)
    np.testing.assert_allclose(hand - elbow, [0.0, 0.0, 0.295], atol=1e-12)
    # The shoulder is 0.175 m from the spine's top, which is 0.286 + 0.209 m above the pelvis.
    sideways, down = 0.95 / np.hypot(0.95, 0.3), -0.3 / np.hypot(0.95, 0.3)
    np.testing.assert_allclose(shoulder, [0.175 * sideways, 0.495 + 0.175 * down, 0.0], atol=1e-12)


def test_a_raised_shoulder_carries_the_bent_elbow_along():
    # The arm is raised forwards by 90 degrees, the forearm then points up: the hand is 0.295 m higher.
    quarter = turn(np.array([-90.0]), "x")
    joints = forward_kinematics(
        median_body(), {"right_shoulder": quarter, "right_elbow": quarter}, np.zeros((1, 3))
    )
    np.testing.assert_allclose(
        at(joints, "right_elbow") - at(joints, "right_shoulder"), [0.0, 0.0, 0.243], atol=1e-12
    )
    np.testing.assert_allclose(
        at(joints, "right_hand") - at(joints, "right_elbow"), [0.0, 0.295, 0.0], atol=1e-12
    )


def test_turns_go_forwards_left_and_to_the_right():
    quarter = np.array([90.0])
    up, ahead, left = np.eye(3)[1], np.eye(3)[2], np.eye(3)[0]
    np.testing.assert_allclose(transform(turn(quarter, "x"), up)[0], ahead, atol=1e-12)
    np.testing.assert_allclose(transform(turn(quarter, "y"), ahead)[0], left, atol=1e-12)
    np.testing.assert_allclose(transform(turn(quarter, "z"), up)[0], -left, atol=1e-12)


@pytest.mark.parametrize(
    ("limb", "bends"), [(("shoulder", "elbow", "wrist"), 1), (("hip", "knee", "ankle"), -1)]
)
def test_a_limb_reaches_a_point_within_its_length_and_stretches_towards_one_beyond(limb, bends):
    body = median_body()
    first, middle, last = (f"left_{joint}" for joint in limb)
    upper, lower = body.length(middle), body.length(last)
    near = np.random.default_rng(1).normal(size=(20, 3))
    near *= 0.8 * (upper + lower) / np.linalg.norm(near, axis=1, keepdims=True)
    target = np.concatenate([near, [[0.0, 0.0, 3.0]]])
    pole = np.broadcast_to(np.array([0.3, -1.0, -0.2]), target.shape)
    turns = dict(zip((first, middle), reach(target, pole, upper, lower, bends), strict=True))
    joints = forward_kinematics(body, turns, np.zeros((len(target), 3)))
    reached = joints[:, KINECT25.index(last)] - joints[:, KINECT25.index(first)]
    np.testing.assert_allclose(reached[:-1], target[:-1], atol=1e-9)
    np.testing.assert_allclose(reached[-1], [0.0, 0.0, 0.998 * (upper + lower)], atol=1e-9)


def test_elbows_bend_forwards_and_knees_backwards_only():
    # In the frame of the upper bone, the lower bone's end lies before the elbow and behind the knee.
    target, pole = np.array([[0.1, -0.3, 0.1]]), np.array([[0.0, 0.0, -1.0]])
    for bends in (1, -1):
        _, bent = reach(target, pole, 0.25, 0.25, bends)
        assert bends * transform(bent, np.array([0.0, -1.0, 0.0]))[0, 2] > 0.1


def test_bodies_differ_are_symmetric_and_stay_near_the_medians():
    rng = np.random.default_rng(2)
    bodies = [draw_body(VARIED, rng) for _ in range(200)]
    for body in bodies:
        np.testing.assert_array_equal(body.offsets[list(KINECT25.mirrored)] * (-1.0, 1.0, 1.0), body.offsets)
    thighs = np.array([body.length("left_knee") for body in bodies])
    assert thighs.std() > 0.01
    np.testing.assert_allclose(thighs.mean(), 0.364, atol=0.01)
