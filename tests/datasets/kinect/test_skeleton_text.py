"""The compiled parsers against the explaining ones: the same numbers to the last bit, or they stand back."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import example, given, settings

from kinemask.datasets.kinect import compiled_text
from kinemask.datasets.kinect.compiled_text import scan_rows
from kinemask.datasets.kinect.raw_skeleton import Recording, explain_skeleton, read_skeleton
from kinemask.datasets.kinect.skeleton_text import read_fast, read_rows
from kinemask.datasets.reader import DamagedError

JOINTS = 2
HEAD = "72057594037931101 0 1 1 1 1 0 0.03 -0.2 2"
REST = "347 258 1230 675 0 0 0 0 2"


_FLOATS = st.floats(1e-6, 99).map(lambda value: -value) | st.floats(1e-6, 99)


def _numbers(*, plain: bool) -> st.SearchStrategy[str]:
    """Spellings of numbers: as sensors write them, or odd ones too, some of which are none."""
    usual = st.one_of(
        st.builds(lambda value: f"{value:.7g}", _FLOATS),
        st.builds(repr, _FLOATS),  # up to 17 digits
        st.from_regex(r"-?[0-9]{1,2}(\.[0-9]{0,16})?", fullmatch=True),
        st.from_regex(r"-?[0-9](\.[0-9]{1,9})?[eE](-0?[0-9]|[+]?0?[01])", fullmatch=True),
        st.sampled_from(["-0", "-0.0", "0", ".5", "-.5", "5.", "1e-05", "2.930529e-05", "-1E+1"]),
    )
    if plain:
        return usual
    odd = st.one_of(
        st.from_regex(r"[-+]?[0-9]{0,30}\.?[0-9]{0,30}([eE][-+]?[0-9]{0,4})?", fullmatch=True),
        st.sampled_from(["nan", "-inf", "1e400", "1e-400", "1e39", "100", "100.000001", "-100.1"]),
        st.sampled_from(["+1", "1_0", "1e", "1e+", ".", "-", "0x1", "--1", "1.2.3"]),
        st.sampled_from(["", "1" * 40, "0." + "0" * 30 + "1", "\x00", "é"]),
    )
    return st.one_of(usual, odd)


@st.composite
def _texts(draw: st.DrawFn, *, plain: bool = False) -> bytes:
    """Small `.skeleton` texts, most of them whole."""
    numbers = _numbers(plain=plain)
    ids = ["72057594037931101", "72057594037931102", "1", "999999999999999999"]
    ids += [] if plain else ["0", "007", "-3", "9" * 30, "x"]
    num_frames = draw(st.integers(1, 3))
    lines = [str(num_frames)]
    for _ in range(num_frames):
        bodies = draw(st.lists(st.sampled_from(ids), max_size=3, unique=True))
        lines.append(str(len(bodies)))
        for body in bodies:
            lines += [body + HEAD[HEAD.index(" ") :], str(JOINTS)]
            lines += [" ".join(draw(numbers) for _ in range(3)) + " " + REST for _ in range(JOINTS)]
    end = draw(st.sampled_from(["\n", "\r\n"]))
    return (end.join(lines) + draw(st.sampled_from(["", end, end + end]))).encode()


@st.composite
def _mutated(draw: st.DrawFn) -> bytes:
    """Texts with some bytes taken out, put in or changed."""
    data = draw(_texts(plain=draw(st.booleans())))
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(data)))
        junk = draw(
            st.sampled_from([b"", b" ", b"  ", b"\n", b"\r", b"\t", b"\x0b", b"1", b"-", b".", b"x", b"\xff"])
        )
        data = data[:place] + junk + data[place + draw(st.integers(0, 2)) :]
    return data


def _facts(recording: Recording) -> object:
    bodies = [
        (body, track.frames.tolist(), str(track.joints.dtype), track.joints.shape, track.joints.tobytes())
        for body, track in recording.bodies.items()
    ]
    return recording.num_frames, bodies


def _explained(data: bytes) -> object:
    try:
        return _facts(explain_skeleton(data, num_joints=JOINTS))
    except DamagedError:
        return "damaged"


LONG = "-1.0000000000000002e-06 " * 3  # ends beyond what is looked at together


@settings(max_examples=200, deadline=None)
@given(data=_texts(plain=True))
@example(data=f"1\n1\n{HEAD}\n2\n1 2 3 {REST}\n{LONG}{REST}\n".encode())
def test_plain_files_are_read_fast_and_as_by_the_explaining_parser(data: bytes) -> None:
    fast = read_fast(data, JOINTS)
    assert fast is not None
    assert _facts(fast) == _explained(data)


@pytest.mark.parametrize("num_values", [11, 12, 13])
def test_joint_lines_of_any_length_are_read_fast_if_they_have_twelve_values(num_values: int) -> None:
    for length in range(1, 200):  # across whatever is looked at together
        wide = f"{1:0{length}d}"
        line = " ".join(["-0.1234567", "1.234567", "3.05", wide, *"1" * (num_values - 4)])
        data = f"1\n1\n{HEAD}\n2\n{line}\n{line}\n".encode()
        fast = read_fast(data, JOINTS)
        assert (fast is not None) == (num_values == 12)
        assert fast is None or _facts(fast) == _explained(data)


@settings(max_examples=400, deadline=None)
@given(data=st.one_of(_texts(), _mutated()))
@example(data=b"1\n1\n5x 0 0 0 0 0 0 0 0 0\n2\n1 2 3 4 5 6 7 8 9 0 1 2\n1 2 3 4 5 6 7 8 9 0 1 2\n")
@example(data=b"1\n1\n5 0 0 0 0 0 0 0 0 0\n2\n1 2 3x 4 5 6 7 8 9 0 1 2\n1 2 3 4 5 6 7 8 9 0 1 2\n")
@example(data=b"1\n1\n5 0 0 0 0 0 0 0 0 0\n2\n1 2 3  5 6 7 8 9 0 1 2\n1 2 3 4 5 6 7 8 9 0 1 2\n")
@example(data=b"1\n1\n5 0 0 0 0 0 0 0 0 0\n2\n1 2 3 4\t5 6 7 8 9 0 1 2\n1 2 3 4 5 6 7 8 9 0 1 2 \n")
@example(data=b"2x\n0\n0\n")
@example(data=b"1\n0\n\n7")
def test_odd_and_damaged_files_are_left_alone_or_read_as_by_the_explaining_parser(data: bytes) -> None:
    fast = read_fast(data, JOINTS)
    assert fast is None or _facts(fast) == _explained(data)


@settings(max_examples=200, deadline=None)
@given(data=_mutated())
def test_reading_gives_what_the_explaining_parser_gives_whatever_the_file(data: bytes) -> None:
    try:
        found = _facts(read_skeleton(data, num_joints=JOINTS))
    except DamagedError:
        found = "damaged"
    assert found == _explained(data)


@settings(max_examples=500, deadline=None)
@given(texts=st.lists(_numbers(plain=True), min_size=3, max_size=3))
@example(texts=["9007199254740993e-15", "16777217.0e-6", "0.30000000000000004441"])
@example(
    texts=["1.00000005960464477539", "1.000000059604644775", "1.00000017881393432617"]
)  # halves of float32
def test_numbers_are_the_nearest_double_cast_to_single(texts: list[str]) -> None:
    expected = np.array([float(text) for text in texts]).astype(np.float32)
    assert read_rows(" ".join(texts).encode(), 3).tobytes() == expected.tobytes()


@pytest.mark.parametrize(
    "form", ["%.7g", "%.4f", "%.9f", "%.3e", "%.16g", "%.17g", "%.17f", "%.18e", "%.1f", "%.0f"]
)
def test_many_numbers_in_one_form_are_read_fast_and_right(form: str) -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate(
        [rng.normal(0, 2, 20_000), rng.uniform(-99, 99, 5_000), rng.normal(0, 1e-4, 5_000)]
    )
    texts = [form % value for value in values.tolist()]
    table = np.empty((len(texts), 1), np.float32)
    assert scan_rows(np.frombuffer("\n".join([*texts, ""]).encode(), np.uint8), table)[0] == len(texts)
    expected = np.array([float(text) for text in texts]).astype(np.float32)
    assert table[:, 0].tobytes() == expected.tobytes()


@pytest.mark.parametrize("damage", ["nan", "101", "x", "+-1", ""])
def test_a_damaged_number_at_any_place_is_seen(damage: str) -> None:
    numbers = ["1.5", "-2.5", "3.5", "-4.5", "5.5", "6.5"]
    whole = "\n".join(
        ["1", "1", HEAD, "2", f"{' '.join(numbers[:3])} {REST}", f"{' '.join(numbers[3:])} {REST}"]
    )
    assert read_fast(whole.encode(), JOINTS) is not None
    for number in numbers:
        with pytest.raises(DamagedError, match=r"is not|value"):
            read_skeleton(whole.replace(number, damage).encode(), num_joints=JOINTS)


def test_memory_beyond_the_text_is_not_read() -> None:
    # A text that is cut anywhere ends in a newline that is added, behind which other bytes may lie.
    whole = "\n".join(["1", "1", HEAD, "2", f"1 2 3 {REST}", f"4 5.25 6 {REST}"]).encode()
    for length in range(len(whole)):
        fast = read_fast(whole[:length], JOINTS)
        assert fast is None or _facts(fast) == _explained(whole[:length])


def test_rows_are_the_first_numbers_of_each_line() -> None:
    data = b" 1 2\t3 4\r\n-0.5  .5 1e-3 x y z\n1 2 3\n\n \n"
    assert read_rows(data, 3).tolist() == [[1, 2, 3], [-0.5, 0.5, float(np.float32(1e-3))], [1, 2, 3]]
    assert read_rows(data, 3).dtype == np.float32


def test_rows_spelled_oddly_are_read_slowly() -> None:
    assert read_rows(b"+1 1_0\n1e-30 0\n", 2).tolist() == [[1, 10], [float(np.float32(1e-30)), 0]]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file is empty"),
        (b"\n \n", "the file is empty"),
        (b"1 2 3\n1 2\n", "line 2: 2 number(s), expected 3"),
        (b"1 2 3\n\n1 2 3\n", "line 2: 0 number(s), expected 3"),
        (b"1 2 3\n1 2 x 4", "line 2: 'x' is not a number"),
        (b"1 2 3\n1 2,3 4 5", "line 2: '2,3' is not a number"),
        (b"1 nan 3\n", "line 1: a coordinate is not finite or beyond 100 m"),
        (b"1 2 3\n1 2 100.1\n", "line 2: a coordinate is not finite or beyond 100 m"),
    ],
)
def test_damaged_rows_have_their_own_reason(data: bytes, reason: str) -> None:
    with pytest.raises(DamagedError) as raised:
        read_rows(data, 3)
    assert str(raised.value) == reason


@settings(max_examples=200, deadline=None)
@given(rows=st.lists(st.lists(_numbers(plain=False), min_size=1, max_size=4), min_size=1, max_size=4))
def test_rows_are_what_splitting_the_lines_gives(rows: list[list[str]]) -> None:
    data = "\n".join(" ".join(row) for row in rows).encode()
    try:
        lines = data.rstrip().splitlines()
        doubles = np.array([[float(text) for text in line.split()[:2]] for line in lines])
        expected = doubles.clip(-1000, 1000).astype(np.float32)
        damaged = expected.ndim != 2 or expected.shape[1] != 2 or not (np.abs(expected) <= 100).all()
    except ValueError:
        damaged = True
    if damaged:
        with pytest.raises(DamagedError):
            read_rows(data, 2)
    else:
        assert read_rows(data, 2).tobytes() == expected.tobytes()


PROGRAM = """
import numpy as np
from kinemask.datasets.kinect.compiled_text import scan_rows
table = np.empty((1, 1), np.float32)
scan_rows(np.frombuffer(b"-1.5 0 0 0\\n", np.uint8), table)
print(table[0, 0], *scan_rows.stats.cache_misses)
"""


def _read_by_copies(root: Path) -> list[str]:
    environment = os.environ | {"PYTHONPATH": str(root), "NUMBA_CACHE_DIR": str(root / "cache")}
    words = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(words, cwd=root, env=environment, capture_output=True, check=True, text=True)
    return done.stdout.split()


def test_what_was_compiled_is_kept_until_any_file_of_the_scanners_changes(tmp_path: Path) -> None:
    folder = tmp_path / "kinemask/datasets/kinect"
    folder.mkdir(parents=True)
    for package in (folder, *folder.parents[:2]):
        (package / "__init__.py").touch()
    for path in Path(compiled_text.__file__).parent.glob("compiled_*.py"):
        shutil.copy(path, folder)
    assert _read_by_copies(tmp_path)[0] == "-1.5"
    assert _read_by_copies(tmp_path) == ["-1.5"]
    numbers = folder / "compiled_numbers.py"  # another file than that of what is called
    numbers.write_text(numbers.read_text().replace("sign = 1.0 - 2.0 *", "sign = 1.0 - 0.0 *"))
    assert _read_by_copies(tmp_path)[0] == "1.5"
