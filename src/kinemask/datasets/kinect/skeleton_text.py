"""Text of `.skeleton` files and of rows of numbers, read at the speed of compiled code where it is plain.

What is damaged, or spelled in a way few files are, is left to Python, which reads it or says what is wrong.
Import this module inside functions: it brings numba.
"""

import numpy as np
from einops import rearrange
from jaxtyping import Float32

from kinemask.datasets.kinect.compiled_text import scan_bodies, scan_rows
from kinemask.datasets.kinect.raw_skeleton import Recording, Track, to_numbers
from kinemask.datasets.reader import FARTHEST_METRES, DamagedError

_SHORTEST_JOINT = 24  # bytes of a line of 12 values
_AT_ONCE = 64  # bytes that are looked at together


def read_fast(data: bytes, num_joints: int) -> Recording | None:
    """The recording of a `.skeleton` text; None where something is unusual, damage or not."""
    if not data.endswith(b"\n") or len(data) < _AT_ONCE:
        data += b"\n" * _AT_ONCE  # every line ends, and what scans it stops in time
    most = len(data) // (_SHORTEST_JOINT * num_joints) + 1
    joints = np.empty((most, num_joints, 3), np.float32)
    frames, owners, ids, last = np.empty((4, most), np.int64)
    text = np.frombuffer(data, np.uint8)
    num_frames, num_bodies, num_ids, end = scan_bodies(
        text, joints, frames, owners, ids, last, FARTHEST_METRES
    )
    if num_frames <= 0 or (end < len(data) and data[end:].strip()):
        return None
    joints, frames, owners = joints[:num_bodies], frames[:num_bodies], owners[:num_bodies]
    if num_ids == 1:
        return Recording(num_frames, {str(ids[0]): Track(frames, joints)})
    tracks = {}
    for owner, body in enumerate(ids[:num_ids].tolist()):
        rows = np.flatnonzero(owners == owner)
        tracks[str(body)] = Track(frames[rows], joints[rows])
    return Recording(num_frames, tracks)


def read_rows(data: bytes, num_columns: int) -> Float32[np.ndarray, "T num_columns"]:
    """The first `num_columns` numbers of each line, between blanks or tabs: metres, what follows is ignored.

    Raises DamagedError with the line and the reason.
    """
    if not data.endswith(b"\n"):
        data += b"\n"
    values = np.empty((data.count(b"\n"), num_columns), np.float32)
    num_rows, end = scan_rows(np.frombuffer(data, np.uint8), values)
    values = values[:num_rows]
    if num_rows == 0 or data[end:].strip() or not np.abs(values).max() <= FARTHEST_METRES:
        return _explain_rows(data, num_columns)
    return values


def _explain_rows(data: bytes, num_columns: int) -> Float32[np.ndarray, "T num_columns"]:
    """What `read_rows` promises, slowly."""
    rows = [line.split()[:num_columns] for line in data.rstrip().splitlines()]
    if not rows:
        raise DamagedError("the file is empty")
    for number, row in enumerate(rows, start=1):
        if len(row) < num_columns:
            raise DamagedError(f"line {number}: {len(row)} number(s), expected {num_columns}")
    texts = [text for row in rows for text in row]
    values = to_numbers(texts, place=lambda number: f"line {number // num_columns + 1}")
    table = rearrange(values, "(T K) -> T K", K=num_columns)
    possible = (np.abs(table) <= FARTHEST_METRES).all(axis=1)  # NaN is not
    if not possible.all():
        line = int(possible.argmin()) + 1
        raise DamagedError(f"line {line}: a coordinate is not finite or beyond {FARTHEST_METRES:g} m")
    return table
