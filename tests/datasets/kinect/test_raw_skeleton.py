"""The `.skeleton` parser: every number where it belongs, and one distinct reason for every kind of damage."""

import contextlib

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from kinemask.datasets.kinect.raw_skeleton import read_skeleton
from kinemask.datasets.reader import DamagedError
from tests.datasets.conftest import skeleton_text

FIRST, SECOND = "72057594037931101", "72057594037931102"  # equal as doubles


def _joints(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(25, 3)).astype(np.float32)


def test_bodies_are_told_apart_by_their_whole_id_and_put_into_their_frames() -> None:
    joints = [_joints(seed) for seed in range(4)]
    data = skeleton_text(
        [[(FIRST, joints[0])], [], [(SECOND, joints[1]), (FIRST, joints[2])], [(SECOND, joints[3])]]
    )
    recording = read_skeleton(data)
    assert recording.num_frames == 4
    assert list(recording.bodies) == [FIRST, SECOND]
    assert recording.bodies[FIRST].frames.tolist() == [0, 2]
    assert recording.bodies[SECOND].frames.tolist() == [2, 3]
    assert np.array_equal(recording.bodies[FIRST].joints, [joints[0], joints[2]])
    assert np.array_equal(recording.bodies[SECOND].joints, [joints[1], joints[3]])


def test_line_ends_of_other_systems_and_blank_lines_at_the_end_do_not_matter() -> None:
    data = skeleton_text([[(FIRST, _joints(0))]])
    expected = read_skeleton(data).bodies[FIRST].joints
    for other in (data.replace(b"\n", b"\r\n"), data.rstrip(), data + b"\n\n", data.replace(b" ", b"  ")):
        assert np.array_equal(read_skeleton(other).bodies[FIRST].joints, expected)


def test_recording_without_any_body_is_read() -> None:
    recording = read_skeleton(b"3\n0\n0\n0\n")
    assert recording.num_frames == 3
    assert recording.bodies == {}


def _two_frames() -> list[bytes]:
    return skeleton_text([[(FIRST, _joints(0))], [(FIRST, _joints(1))]]).splitlines()


def _changed(line: int, text: bytes) -> bytes:
    lines = _two_frames()
    lines[line - 1] = text
    return b"\n".join(lines)


ROW = b"0 0 0 1 2 3 4 0 0 0 1 2"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file is empty"),
        (b" \n\n", "the file is empty"),
        (b"\n".join(_two_frames()[:40]), "the file ends in frame 2 of the 2 frames announced"),
        (_changed(1, b"3"), "the file ends in frame 3 of the 3 frames announced"),
        (_changed(1, b"1"), "line 30: data after the 1 frames announced"),
        (_changed(1, b"0"), "line 1: no frames are announced"),
        (_changed(1, b"-1"), "line 1: the number of frames is negative, -1"),
        (_changed(1, b"many"), "line 1: 'many' is not a number of frames"),
        (_changed(1, b"2.5"), "line 1: '2.5' is not a number of frames"),
        (_changed(2, b"-1"), "line 2: the number of bodies is negative, -1"),
        (_changed(2, b""), "line 2: '' is not a number of bodies"),
        (_changed(2, b"2"), "line 30: 1 value(s) for a body, expected 10"),
        (_changed(4, b"24"), "line 4: 24 joints, expected 25"),
        (_changed(4, b"-25"), "line 4: the number of joints is negative, -25"),
        (_changed(5, b"0 0 0"), "line 5: 3 value(s) for a joint, expected 12"),
        (_changed(5, b"0 x 0" + ROW[5:]), "frame 1: 'x' is not a number"),
        (_changed(5, b"0 \xff 0" + ROW[5:]), r"frame 1: '\\xff' is not a number"),
        (_changed(33, b"0 nan 0" + ROW[5:]), "frame 2: a coordinate is not finite or beyond 100 m"),
        (_changed(33, b"0 0 -inf" + ROW[5:]), "frame 2: a coordinate is not finite or beyond 100 m"),
        (_changed(33, b"0 0 1e39" + ROW[5:]), "frame 2: a coordinate is not finite or beyond 100 m"),
        (_changed(33, b"0 0 -101" + ROW[5:]), "frame 2: a coordinate is not finite or beyond 100 m"),
        (
            skeleton_text([[(FIRST, _joints(0)), (FIRST, _joints(1))]]),
            f"line 56: body {FIRST} appears twice in frame 1",
        ),
    ],
)
def test_damage_has_its_own_reason(data: bytes, reason: str) -> None:
    with pytest.raises(DamagedError) as raised:
        read_skeleton(data)
    assert str(raised.value) == reason


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(min_value=0, max_value=10_000), byte=st.integers(0, 255), insert=st.booleans())
def test_any_damage_is_a_damaged_error_and_never_another(cut: int, byte: int, insert: bool) -> None:
    data = b"\n".join(_two_frames())
    cut = cut % len(data)
    damaged = data[:cut] + bytes([byte]) + data[cut + (not insert) :] if byte else data[:cut]
    with contextlib.suppress(DamagedError):
        recording = read_skeleton(damaged)
        assert all(np.isfinite(track.joints).all() for track in recording.bodies.values())
