"""Clips: equal numbers are equal bytes and have one hash."""

import numpy as np

from kinemask.skeleton.clip import Clip

PRESENT = np.array([[True, False], [True, True], [False, False]])


def _joints() -> np.ndarray:
    joints = np.random.default_rng(0).normal(size=(3, 2, 25, 3)).astype(np.float32)
    joints[~PRESENT] = 0
    joints[0, 0, :5] = 0
    return joints


def _clip(joints: np.ndarray) -> Clip:
    return Clip("clip", 0, 1, joints, PRESENT, traits={"group": "A"}, cleaned={"empty_frames": 1})


def test_zeros_of_either_sign_are_one_content_and_one_file() -> None:
    joints = _joints()
    negative = np.where(joints == 0, np.float32(-0.0), joints)
    assert negative.tobytes() != joints.tobytes()
    assert _clip(negative).joints.tobytes() == _clip(joints).joints.tobytes() == joints.tobytes()
    assert _clip(negative).content_sha256 == _clip(joints).content_sha256


def test_a_clip_without_negative_zeros_keeps_the_array_it_is_given() -> None:
    joints = _joints()
    assert _clip(joints).joints is joints
    joints[2, 1, 24, 2] = -0.0
    assert _clip(joints).joints is not joints
    assert joints.tobytes() != _joints().tobytes()  # that of the caller is left alone
