"""Clips: equal numbers are equal bytes and one hash, also after a journey to another process."""

import pickle

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


def test_a_clip_travels_as_it_is_with_its_hash_and_without_the_zeros_of_the_absent() -> None:
    clip = _clip(_joints())
    digest = clip.content_sha256
    travelled = pickle.loads(pickle.dumps(clip))
    assert vars(travelled)["content_sha256"] == digest
    for name, value in vars(clip).items():
        assert np.array_equal(getattr(travelled, name), value)
    assert travelled.joints.dtype == np.float32
    assert len(pickle.dumps(clip)) < len(pickle.dumps({**vars(clip)})) - 2 * 25 * 3 * 4
