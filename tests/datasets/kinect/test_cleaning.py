"""Cleaning by hand, step by step: who stays, in which order, and which frames."""

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from kinemask.datasets.kinect.cleaning import (
    Cleaning,
    clean,
    close_gaps,
    drop_by_motion,
    drop_empty_frames,
    drop_short_bodies,
    drop_wide_bodies,
    fill_persons,
    merge_persons,
    motion_in_space_time,
    motion_in_time,
    narrow_frames,
    to_first_frame,
)
from kinemask.datasets.kinect.raw_skeleton import Recording, Track
from kinemask.datasets.reader import DamagedError
from tests.datasets.kinect.test_cleaning_reference import KINESIM, LINEAGE


def _cleaning(base: dict[str, Any], **changes: Any) -> Cleaning:
    return Cleaning.model_validate(base | changes, strict=False)


CLEANING = _cleaning(KINESIM, min_body_frames=11)


def _track(frames: range | list[int], *, swing: float = 0.0, height: float = 1.0, size: float = 0.0) -> Track:
    """A body of two joints, one `height` above the other and `size` to its right, swinging along x."""
    joints = np.ones((len(frames), 2, 3), np.float32)
    joints[:, 1] += [size, height, 0]
    joints[::2, 1, 0] += swing
    joints[1::2, 1, 0] -= swing
    return Track(np.array(frames, np.int64), joints)


def _filled(frames: list[int], value: float) -> Track:
    """A body whose coordinates all have one value."""
    return Track(np.array(frames, np.int64), np.full((len(frames), 2, 3), value, np.float32))


def test_frames_in_which_nobody_is_seen_go_and_later_ones_are_counted_without_them() -> None:
    # Frames 0, 3 and 4 of 7 are empty: 1, 2, 5, 6 become 0, 1, 2, 3.
    recording = Recording(7, {"a": _track([1, 5]), "b": _track([2, 5, 6])})
    dropped = drop_empty_frames(recording)
    assert dropped.num_frames == 4
    assert [track.frames.tolist() for track in dropped.bodies.values()] == [[0, 2], [1, 2, 3]]
    alone = drop_empty_frames(Recording(9, {"a": _track([1, 5])}))
    assert (alone.num_frames, alone.bodies["a"].frames.tolist()) == (2, [0, 1])


def test_a_body_seen_again_goes_on_right_after_its_last_frame() -> None:
    closed = close_gaps(Recording(9, {"a": _track([2, 3, 7, 8])}))
    assert closed.bodies["a"].frames.tolist() == [2, 3, 4, 5]
    assert closed.num_frames == 9


def test_bodies_seen_in_at_most_the_threshold_go() -> None:
    bodies = {"long": _track(range(30)), "eleven": _track(range(11)), "twelve": _track(range(12))}
    assert list(drop_short_bodies(bodies, 11)) == ["long", "twelve"]


def test_longest_body_stays_even_if_short() -> None:
    assert list(drop_short_bodies({"a": _track(range(3)), "b": _track(range(5))}, 11)) == ["b"]


def test_a_frame_is_narrow_up_to_the_ratio_of_width_to_height() -> None:
    # Heights of 2.5: widths of 2 and less are narrow at a ratio of 0.8.
    joints = np.zeros((4, 2, 3), np.float32)
    joints[:, 1, 1] = 2.5
    joints[:, 1, 0] = [0, 2, 2.1, -2.1]
    joints[:, 1, 2] = 9  # depth does not count
    assert narrow_frames(joints, 0.8).tolist() == [True, True, False, False]


def test_the_ratio_is_compared_in_float64_as_in_the_lineage() -> None:
    # As a float32, 1.6 is 1.60000002384, more than 0.8 * 2; in float32 0.8 * 2 would be that number too.
    joints = np.zeros((1, 2, 3), np.float32)
    joints[0, 1, :2] = [1.6, 2]
    assert joints[0, 1, 0] <= np.float32(0.8) * joints[0, 1, 1]
    assert narrow_frames(joints, 0.8).tolist() == [False]


def test_bodies_with_too_large_a_share_of_wide_frames_go_until_one_is_left() -> None:
    narrow = {
        "half": np.array([True, True, False, False]),
        "most": np.array([True, False, False, False]),
        "all": np.array([False]),
    }
    bodies = {body: _track(range(len(frames))) for body, frames in narrow.items()}
    assert list(drop_wide_bodies(bodies, narrow, 0.75)) == ["half"]
    assert list(drop_wide_bodies(bodies, narrow, 0.76)) == ["half", "most"]
    # In order of appearance: "half" and "most" go, "all" is then the only one.
    assert list(drop_wide_bodies(bodies, narrow, 0.5)) == ["all"]


def test_motion_in_time_of_a_still_body_is_zero_however_large_it_is() -> None:
    joints = np.zeros((5, 2, 3), np.float32)
    joints[:, 1] = 9
    assert motion_in_time(joints) == 0


def test_motion_in_time_is_the_variance_over_time_averaged_over_joints() -> None:
    # The second joint is 0.2 to either side of its mean: variance 0.04; the first is still.
    assert motion_in_time(_track(range(4), swing=0.2).joints) == pytest.approx(0.04 / 2, abs=1e-7)


def test_motion_in_space_time_counts_size_as_motion() -> None:
    # Along y the joints are 0.5 to either side of their mean in all frames: variance 0.25.
    assert motion_in_space_time(_track(range(4)).joints) == pytest.approx(0.25)
    # Along x the values are 1 1 1 1 and 1.2 0.8 1.2 0.8: variance 4 * 0.04 / 8.
    assert motion_in_space_time(_track(range(4), swing=0.2).joints) == pytest.approx(0.25 + 0.02)


def test_motion_limits_keep_the_first_body_and_of_the_others_those_within() -> None:
    bodies = {name: _track(range(3)) for name in ("first", "high", "within", "low")}
    motions = {"first": 9.0, "high": 2.1, "within": 2.0, "low": 0.08}
    assert list(drop_by_motion(bodies, motions, (0.089925, 2.0))) == ["first", "within"]


def test_each_body_is_a_person_as_far_as_there_are_persons() -> None:
    filled = fill_persons([_filled([0, 2], 1), _filled([1], 2), _filled([0], 3)], 3, 2)
    assert filled.joints[:, :, 0, 0].tolist() == [[1, 0], [0, 2], [1, 0]]
    assert filled.present.tolist() == [[True, False], [False, True], [True, False]]
    assert (filled.num_merged, filled.num_ignored) == (0, 1)


def test_bodies_apart_in_time_are_one_person() -> None:
    # The second body meets the first in frame 2 alone, which is no overlap, and has that frame.
    filled = merge_persons([_filled([0, 1, 2], 1), _filled([2, 3, 4], 2)], 5, 2)
    assert filled.joints[:, 0, 0, 0].tolist() == [1, 1, 2, 2, 2]
    assert not filled.present[:, 1].any()
    assert (filled.num_merged, filled.num_ignored) == (1, 0)


def test_bodies_that_overlap_are_two_persons_and_a_third_goes() -> None:
    # 1 spans 0-3; 2 overlaps it in 2-3; 3 overlaps both; 4 comes after 1, which then spans 0-6, so that
    # 5 overlaps person 1 and, person 2 spanning 0-4, meets that in frame 4 alone.
    bodies = [_filled([0, 1, 2, 3], 1), _filled([2, 3, 4], 2), _filled([1, 2, 3], 3)]
    bodies += [_filled([5, 6], 4), _filled([4, 5, 6], 5)]
    filled = merge_persons(bodies, 7, 2)
    assert filled.joints[:, 0, 0, 0].tolist() == [1, 1, 1, 1, 0, 4, 4]
    assert filled.joints[:, 1, 0, 0].tolist() == [0, 0, 2, 2, 5, 5, 5]
    assert (filled.num_merged, filled.num_ignored) == (2, 1)


def test_the_second_persons_time_starts_at_frame_zero_as_in_the_lineage() -> None:
    # Person 2 is seen in 5-7, its time is 0-7: a body in 1-3, which overlaps person 1 too, goes.
    filled = merge_persons([_filled(list(range(9)), 1), _filled([5, 6, 7], 2), _filled([1, 2, 3], 3)], 9, 2)
    assert filled.present[:, 1].tolist() == [False] * 5 + [True] * 3 + [False]
    assert filled.num_ignored == 1


def test_the_origin_moves_to_the_mid_spine_of_person_one_where_it_is_first_seen() -> None:
    joints = np.zeros((3, 2, 2, 3), np.float32)
    joints[1:, 0] = [[1, 1, 1], [2, 3, 4]]
    joints[:2, 1] = 5
    present = np.array([[False, True], [True, True], [True, False]])
    moved = to_first_frame(joints, present)
    assert moved[1:, 0].tolist() == [[[-1, -2, -3], [0, 0, 0]]] * 2
    assert moved[:2, 1].tolist() == [[[3, 2, 1]] * 2] * 2
    assert not moved[~present].any()


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
    assert cleaned.removed == {"surplus_bodies": 1}


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
    config = _cleaning(KINESIM, empty_frames="keep")
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


def test_a_body_alone_is_left_as_it_is_however_short_or_wide() -> None:
    track = _track([3, 4, 8], size=5)
    cleaned = clean(Recording(10, {"a": track}), _cleaning(LINEAGE, origin="camera"), persons=2)
    assert np.array_equal(cleaned.joints[:, 0], track.joints)
    assert cleaned.removed == {"empty_frames": 7}


def test_wide_frames_do_not_count_as_motion() -> None:
    # "a" is wide in 2 of 12 frames, where alone it moves; "b" moves a little, all the time.
    wide = _track(range(12))
    wide.joints[5:7, 1, 0] = 9
    bodies = {"a": wide, "b": _track(range(12), swing=0.1)}
    config = _cleaning(LINEAGE, origin="camera")
    by_spread = clean(Recording(12, bodies), config, persons=2)
    without = clean(Recording(12, bodies), config.model_copy(update={"spread": None}), persons=2)
    assert np.array_equal(by_spread.joints[:, 1], wide.joints)
    assert np.array_equal(without.joints[:, 0], wide.joints)


def test_bodies_that_go_are_counted_by_kind() -> None:
    bodies = {
        "person": _track(range(20), swing=0.3),
        "sofa": _track(range(20), size=3),
        "flicker": _track(range(4)),
        "later": _track(range(20, 40), swing=0.2),
        "still": _track(range(20), height=0.1, size=0.05),
    }
    config = _cleaning(LINEAGE, motion_limits=[0.1, 2.0])
    cleaned = clean(Recording(50, bodies), config, persons=2)
    assert cleaned.removed == {
        "short_bodies": 1, "spread_bodies": 1, "motion_bodies": 1, "merged_bodies": 1, "empty_frames": 10
    }  # fmt: skip
    assert cleaned.present.sum(axis=0).tolist() == [40, 0]


def test_recording_without_body_is_damaged() -> None:
    with pytest.raises(DamagedError, match="no body in any frame"):
        clean(Recording(3, {}), CLEANING, persons=2)


def test_motion_limits_the_wrong_way_round_are_refused() -> None:
    with pytest.raises(ValidationError, match="the lower, then the higher"):
        _cleaning(LINEAGE, motion_limits=[2.0, 0.1])
