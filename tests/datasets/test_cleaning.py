"""Cleaning by hand: who stays, in which order, and which frames."""

import numpy as np
import pytest

from kinemask.datasets.cleaning import Cleaning, clean, drop_short_bodies, most_moving, motion
from kinemask.datasets.raw_skeleton import Recording, Track
from kinemask.datasets.reader import DamagedError

CLEANING = Cleaning(min_body_frames=11, empty_frames="drop")


def _track(frames: range, *, swing: float = 0.0) -> Track:
    """A body of two joints of which the second swings along x, `swing` metres to either side."""
    joints = np.ones((len(frames), 2, 3), np.float32)
    joints[::2, 1, 0] += swing
    joints[1::2, 1, 0] -= swing
    return Track(np.array(frames, np.int64), joints)


def test_motion_of_a_still_body_is_zero_however_large_it_is() -> None:
    joints = np.zeros((5, 2, 3), np.float32)
    joints[:, 1] = 9
    assert motion(joints) == 0


def test_motion_is_the_variance_over_time_averaged_over_joints() -> None:
    # The second joint is 0.2 to either side of its mean: variance 0.04; the first is still.
    assert motion(_track(range(4), swing=0.2).joints) == pytest.approx(0.04 / 2, abs=1e-7)


def test_bodies_seen_in_at_most_the_threshold_go() -> None:
    bodies = {"long": _track(range(30)), "eleven": _track(range(11)), "twelve": _track(range(12))}
    assert list(drop_short_bodies(bodies, 11)) == ["long", "twelve"]


def test_longest_body_stays_even_if_short() -> None:
    assert list(drop_short_bodies({"a": _track(range(3)), "b": _track(range(5))}, 11)) == ["b"]


def test_two_that_move_most_stay_the_liveliest_first() -> None:
    still, slow, fast = _track(range(20)), _track(range(20), swing=0.1), _track(range(20), swing=0.5)
    assert most_moving({"a": still, "b": slow, "c": fast}, 2) == [fast, slow]


def test_third_spurious_body_goes_away_and_is_counted() -> None:
    recording = Recording(
        20,
        {"sofa": _track(range(20)), "one": _track(range(20), swing=0.1), "two": _track(range(20), swing=0.3)},
    )
    cleaned = clean(recording, CLEANING, persons=2)
    assert cleaned.joints.shape == (20, 2, 2, 3)
    assert cleaned.present.all()
    assert np.array_equal(cleaned.joints[:, 0], recording.bodies["two"].joints)
    assert np.array_equal(cleaned.joints[:, 1], recording.bodies["one"].joints)
    assert cleaned.removed == {"still_bodies": 1}


def test_frames_without_body_go_and_are_counted() -> None:
    # Frames 0-11 and 15-29 of 40 hold the body: 27 stay, 13 go.
    frames = np.array([*range(12), *range(15, 30)], np.int64)
    joints = np.repeat(frames.astype(np.float32), 6).reshape(27, 2, 3)
    cleaned = clean(Recording(40, {"a": Track(frames, joints)}), CLEANING, persons=2)
    assert cleaned.joints[:, 0, 0, 0].tolist() == frames.tolist()
    assert cleaned.removed == {"empty_frames": 13}


def test_frames_with_nobody_but_a_spurious_body_go() -> None:
    recording = Recording(30, {"a": _track(range(20), swing=0.1), "ghost": _track(range(20, 25))})
    cleaned = clean(recording, CLEANING, persons=2)
    assert len(cleaned.joints) == 20
    assert cleaned.removed == {"short_bodies": 1, "empty_frames": 10}


def test_empty_frames_stay_absent_where_the_params_keep_them() -> None:
    config = Cleaning(min_body_frames=11, empty_frames="keep")
    cleaned = clean(Recording(30, {"a": _track(range(20))}), config, persons=2)
    assert cleaned.present.sum(axis=0).tolist() == [20, 0]
    assert cleaned.joints.shape[0] == 30
    assert not cleaned.joints[20:].any()
    assert cleaned.removed == {}


def test_absent_persons_are_zero_and_not_present() -> None:
    recording = Recording(20, {"a": _track(range(20), swing=0.3), "b": _track(range(5, 20), swing=0.1)})
    cleaned = clean(recording, CLEANING, persons=2)
    assert cleaned.present[:, 1].tolist() == [False] * 5 + [True] * 15
    assert not cleaned.joints[:5, 1].any()


def test_recording_without_body_is_damaged() -> None:
    with pytest.raises(DamagedError, match="no body in any frame"):
        clean(Recording(3, {}), CLEANING, persons=2)
