import pickle

import numpy as np
import pytest

from kinemask.datasets.own.frames import Convention, Frames, read_frames
from kinemask.datasets.reader import DamagedError
from kinemask.skeleton.layout import Layout
from tests.own_recordings import bvh_text, waving

PAIR = Layout("pair", ("hip", "head"), (0, 0), {"low": (0,), "high": (1,)}, (0, 1))
NAN = float("nan")


def convention(**changes) -> Convention:
    plain = {"layout": PAIR, "names": {}, "persons": 1, "metres": 1.0, "up": "y", "lost_joints": "refuse"}
    return Convention(**(plain | changes))


@pytest.fixture
def read(tmp_path):
    def read_any(what: np.ndarray | str | bytes, suffix: str = ".npy", **changes) -> Frames:
        path = tmp_path / f"a{suffix}"
        if isinstance(what, np.ndarray):
            np.save(path, what)
        else:
            path.write_bytes(what.encode() if isinstance(what, str) else what)
        return read_frames(path, convention(**changes))

    return read_any


def bodies(*shape: int) -> np.ndarray:
    """Different numbers, none of them zero."""
    return np.arange(1, 1 + np.prod(shape), dtype=np.float64).reshape(shape) / 16


@pytest.mark.parametrize("dtype", ["<f4", ">f8", "f2", "i4", "u1"])
def test_arrays_of_numbers_are_read_in_any_type(read, dtype):
    array = np.arange(1, 19).reshape(3, 2, 3).astype(dtype)
    found = read(array)
    assert found.joints.dtype == np.float32
    np.testing.assert_array_equal(found.joints[:, 0], array)
    assert found.present.all()


def test_the_shapes_of_arrays(read):
    two = bodies(3, 2, 2, 3)
    np.testing.assert_array_equal(read(two, persons=2).joints, two)
    np.testing.assert_array_equal(read(two.reshape(3, 12), persons=2).joints, two)
    np.testing.assert_array_equal(read(np.asfortranarray(two), persons=2).joints, two)
    one = read(two[:, :1], persons=2)
    np.testing.assert_array_equal(one.joints[:, 0], two[:, 0])
    assert one.present.tolist() == [[True, False]] * 3
    assert not one.joints[:, 1].any()


@pytest.mark.parametrize("absent", [NAN, 0.0])
def test_a_person_of_nan_or_zeros_is_absent(read, absent):
    array = bodies(3, 2, 2, 3)
    array[1, 1] = array[:, 0] = absent
    found = read(array)  # a first person who is never there is no person
    assert found.present.tolist() == [[True], [False], [True]]
    np.testing.assert_array_equal(found.joints[[0, 2], 0], array[[0, 2], 1])
    assert not found.joints[1].any()


def test_a_joint_at_the_origin_is_no_absent_person(read):
    array = bodies(3, 2, 3)
    array[:, 0] = 0.0
    assert read(array).present.all()


def test_a_lost_joint_is_refused_by_name(read):
    array = bodies(4, 2, 3)
    array[2, 1, 0] = NAN
    with pytest.raises(
        DamagedError, match=r"^frame 3: head of a person who is there is lost \(NaN\): mend it"
    ):
        read(array)


def test_a_lost_joint_is_filled_in_a_line_over_time(read):
    array = bodies(6, 2, 3)
    array[:, 1] = 2.0 + np.arange(6)[:, None] * [1.0, 2.0, 3.0]
    gaps = array.copy()
    gaps[[0, 2, 3], 1] = NAN
    found = read(gaps, lost_joints="fill")
    assert found.filled == 3
    expected = array.copy()
    expected[0, 1] = array[1, 1]  # there is nothing before it
    np.testing.assert_allclose(found.joints[:, 0], expected, rtol=1e-6)
    gaps[:, 1] = NAN
    with pytest.raises(DamagedError, match=r"head is lost .* in all frames"):
        read(gaps, lost_joints="fill")


def test_units_become_metres_and_up_becomes_y(read):
    array = np.tile([[[100.0, 200.0, 300.0]]], (2, 2, 1))
    found = read(array, metres=0.01, up="z").joints[0, 0, 0]
    np.testing.assert_allclose(found, [1, 3, -2])  # a turn: x stays, up z becomes y, y points to -z


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (bodies(3, 2, 2), r"its shape is \(3, 2, 2\), expected \(T, 2, 3\), \(T, M, 2, 3\) or \(T, 6\)"),
        (bodies(12), "its shape is"),
        (bodies(3, 7), "7 numbers a frame, expected 6 .2 joints. a person"),
        (bodies(3, 2, 2, 3), "it shows 2 persons, `persons` is 1"),
        (np.full((3, 2, 3), NAN), "nobody is in any frame"),
        (np.zeros((0, 2, 3)), "no .npy file of numbers|nobody"),
        (bodies(3, 2, 3) * 1000, "beyond 100 m: is `units` right"),
        (np.where(bodies(3, 2, 3) == 0.5, np.inf, bodies(3, 2, 3)), "frame 2: a coordinate is not finite"),
        (bodies(3, 2, 3) > 1, "its values are bool"),
        (bodies(3, 2, 3).astype(str), "its values are <U"),
        (bodies(3, 2, 3) + 1j, "its values are complex"),
        (np.array([{"a": 1}], object), "no .npy file of numbers"),
    ],
)
def test_a_damaged_array_is_named(read, array, said):
    with pytest.raises(DamagedError, match=said):
        read(array)


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was opened",))


def test_nothing_is_ever_unpickled(read, tmp_path):
    with pytest.raises(DamagedError, match=r"no \.npy file of numbers"):
        read(np.array([Bomb()], object))
    with pytest.raises(DamagedError, match=r"no \.npy file of numbers"):
        read(pickle.dumps(Bomb()))


def test_a_cut_file_or_one_that_announces_too_much_is_damaged(read, tmp_path):
    np.save(tmp_path / "whole.npy", bodies(50, 2, 3))
    data = (tmp_path / "whole.npy").read_bytes()
    assert b"(50, 2, 3), }       " in data
    huge = data.replace(b"(50, 2, 3), }       ", b"(5000000000, 2, 3), }")[: len(data)]
    for cut in (data[:-1], data[:60], data[:5], b"", huge):
        with pytest.raises(DamagedError):
            read(cut)


def test_rows_of_numbers_are_read_by_place(read):
    expected = [[[1, 2, 3], [4, 5, 6]], [[7, 8, 9], [10, 11, 12]]]
    for text in (
        "1,2,3,4,5,6\n7,8,9,1e1,11,12\n",
        "1 2 3  4 5 6\r\n7 8 9 10 11 12\r\n",
        "1;2;3;4;5;6\n7;8;9;10;11;12",
    ):
        assert read(text, ".csv").joints[:, 0].tolist() == expected
    header = "a,b,c,d,e,f\n1,2,3,4,5,6\n7,8,9,10,11,12\n"
    assert read(header, ".csv").joints[:, 0].tolist() == expected


def test_columns_are_found_by_the_names_of_joints(read):
    text = "frame,Head_X,Head_Y,Head_Z,score,hip_z,hip_y,hip_x\n1,4,5,6,n/a,3,2,1\n2,10,11,12,,9,8,7\n"
    found = read(text, ".csv", names={"head": "Head"})
    assert found.joints[:, 0].tolist() == [[[1, 2, 3], [4, 5, 6]], [[7, 8, 9], [10, 11, 12]]]


def test_an_empty_cell_is_a_lost_joint(read):
    with pytest.raises(DamagedError, match="frame 2: hip of a person"):
        read("1,2,3,4,5,6\n,,,10,11,12\n", ".csv")
    assert read("1,2,3,4,5,6\n,,,,,\n", ".csv").present.tolist() == [[True], [False]]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file is empty"),
        ("hip_x,hip_y\n", "no frame below the header"),
        ("1,2,3,4,5,6\n1,2,3\n", "row 2: 3 values, expected 6"),
        ("a,b,c,d,e,f\n1,2,3,4,5,6\n1,2,3,4,5,six\n", "row 3: 'six' is no number"),
        ("1,2,3,4,5\n", "5 numbers a frame, expected 6"),
        ("hip_x,hip_y,hip_z,head_x\n1,2,3,4\n", "the header lacks head_y, head_z"),
        (
            "Hips_x,Hips_y,Hips_z,Top_x,Top_y,Top_z\n1,2,3,4,5,6\n",
            r"the header names Hips, Top, and no joint of the layout \(hip, head\): map them with `joints`",
        ),
        ("hip_x,hip_x,hip_y,hip_z,head_x,head_y,head_z\n1,2,3,4,5,6,7\n", "the header names hip_x twice"),
    ],
)
def test_a_damaged_table_is_named_by_row(read, text, said):
    with pytest.raises(DamagedError, match=said):
        read(text, ".csv")


def test_motion_capture_is_found_by_the_names_of_joints(read):
    joints = waving(PAIR)
    found = read(bvh_text(PAIR, joints, {"head": "Head"}), ".bvh", names={"head": "Head"})
    np.testing.assert_allclose(found.joints[:, 0], joints, atol=1e-5)
    with pytest.raises(
        DamagedError, match=r"has no joint 'head' \(for head\); it has hip, Head, Head_end: map"
    ):
        read(bvh_text(PAIR, joints, {"head": "Head"}), ".bvh")
    end = read(bvh_text(PAIR, joints), ".bvh", names={"hip": "head_end"})
    np.testing.assert_allclose(end.joints[:, 0, 0], joints[:, 1] + [0, 0.1, 0], atol=1e-5)
