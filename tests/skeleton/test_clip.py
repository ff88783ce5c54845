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
