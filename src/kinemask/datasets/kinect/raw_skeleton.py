"""The `.skeleton` text format of NTU RGB+D: frames of tracked bodies of 25 joints (DATASETS.md section 2).

Line 1: frames. Per frame: bodies. Per body: 10 values, the first its id; the number of joints; one line a
joint of 12 values, x y z first. As in shahroudy/NTURGB-D:Matlab/read_skeleton_file.m.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from einops import rearrange
from jaxtyping import Float32, Int64

from kinemask.datasets.reader import FARTHEST_METRES, DamagedError, impossible_coordinate, shown

_BODY_VALUES = 10
_JOINT_VALUES = 12


@dataclass(frozen=True)
class Track:
    """One tracked body: the frames it was seen in, in order, and its joints there."""

    frames: Int64[np.ndarray, " T"]
    joints: Float32[np.ndarray, "T V C"]  # metres


@dataclass(frozen=True)
class Recording:
    """A file: its length in frames, and its bodies by tracking id, a text because doubles cannot hold it."""

    num_frames: int
    bodies: dict[str, Track]


class _Lines:
    """The lines of a file, taken one after the other; each complaint names the line."""

    def __init__(self, data: bytes) -> None:
        self._lines = data.splitlines()
        self._next = 0

    def take(self) -> list[bytes]:
        """The values of the next line. Raises IndexError at the end of the file."""
        line = self._lines[self._next]
        self._next += 1
        return line.split()

    def count(self, of: str) -> int:
        """A line with one number that is not negative."""
        values = self.take()
        text = shown(b" ".join(values))
        try:
            (value,) = map(int, values)
        except ValueError:
            raise self.damaged(f"{text} is not a number of {of}") from None
        if value < 0:
            raise self.damaged(f"the number of {of} is negative, {value}")
        return value

    def values(self, num: int, of: str) -> list[bytes]:
        """A line of `num` values."""
        values = self.take()
        if len(values) != num:
            raise self.damaged(f"{len(values)} value(s) for a {of}, expected {num}")
        return values

    def damaged(self, reason: str) -> DamagedError:
        """The complaint about the line taken last."""
        return DamagedError(f"line {self._next}: {reason}")

    def check_end(self, num_frames: int) -> None:
        """Nothing but blank lines may follow."""
        if any(line.strip() for line in self._lines[self._next :]):
            self._next += 1
            raise self.damaged(f"data after the {num_frames} frames announced")


def read_skeleton(data: bytes, *, num_joints: int = 25) -> Recording:
    """The recording that a `.skeleton` file holds. Raises DamagedError with the line and the reason."""
    from kinemask.datasets.kinect.skeleton_text import read_fast

    recording = read_fast(data, num_joints)
    return explain_skeleton(data, num_joints=num_joints) if recording is None else recording


def explain_skeleton(data: bytes, *, num_joints: int = 25) -> Recording:
    """What `read_skeleton` promises, slowly: for what is damaged, or spelled in a way few files are."""
    if not data.strip():
        raise DamagedError("the file is empty")
    lines = _Lines(data)
    num_frames = lines.count("frames")
    if num_frames == 0:
        raise lines.damaged("no frames are announced")
    coordinates: list[bytes] = []
    rows: dict[str, list[int]] = defaultdict(list)  # body -> which of all bodies read these are
    frames: list[int] = []  # the frame of each body read
    for frame in range(num_frames):
        try:
            for _ in range(lines.count("bodies")):
                body = _read_body(lines, coordinates, num_joints)
                if rows[body] and frames[rows[body][-1]] == frame:
                    raise lines.damaged(f"body {body} appears twice in frame {frame + 1}")
                rows[body].append(len(frames))
                frames.append(frame)
        except IndexError:
            raise DamagedError(
                f"the file ends in frame {frame + 1} of the {num_frames} frames announced"
            ) from None
    lines.check_end(num_frames)
    numbers = to_numbers(coordinates, place=lambda number: f"frame {frames[number // (3 * num_joints)] + 1}")
    joints = rearrange(numbers, "(B V C) -> B V C", V=num_joints, C=3)
    possible = (np.abs(joints) <= FARTHEST_METRES).all(axis=(1, 2))  # NaN is not
    if not possible.all():
        raise DamagedError(impossible_coordinate(frames[int(possible.argmin())]))
    seen_in = np.array(frames, np.int64)
    return Recording(num_frames, {body: Track(seen_in[taken], joints[taken]) for body, taken in rows.items()})


def _read_body(lines: _Lines, coordinates: list[bytes], num_joints: int) -> str:
    """The id of the next body; the text of its coordinates is added to `coordinates`."""
    body = lines.values(_BODY_VALUES, "body")[0]
    num = lines.count("joints")
    if num != num_joints:
        raise lines.damaged(f"{num} joints, expected {num_joints}")
    for _ in range(num):
        coordinates += lines.values(_JOINT_VALUES, "joint")[:3]
    return body.decode("ascii", errors="backslashreplace")


def to_numbers(values: list[bytes], place: Callable[[int], str]) -> Float32[np.ndarray, " K"]:
    """The numbers as float32. Raises DamagedError for the first that is none; `place` says where."""
    try:
        with np.errstate(over="ignore"):  # too large for float32 becomes infinite, which is damage of its own
            return np.array(values, dtype=np.float64).astype(np.float32)
    except ValueError:
        bad = next(number for number, value in enumerate(values) if not _is_number(value))
        raise DamagedError(f"{place(bad)}: {shown(values[bad])} is not a number") from None


def _is_number(value: bytes) -> bool:
    try:
        np.array([value], dtype=np.float64)
    except ValueError:
        return False
    return True
