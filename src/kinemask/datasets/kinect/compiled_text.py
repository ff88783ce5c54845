"""Compiled scanners of text: `.skeleton` files, and rows of numbers, to float32.

They answer only for text exactly as the formats say. Import it inside functions: it brings numba.
"""

from typing import no_type_check

import numpy as np

from kinemask.datasets.kinect.compiled_bits import kernel, lowest, marks_of_64, num_ones, pointer
from kinemask.datasets.kinect.compiled_numbers import number, plain_number

_JOINT_VALUES, _MORE_VALUES = 12, 9  # of a joint; of a body after its id
_MOST_ID_DIGITS = 18  # so that an id fits 64 bits

_U0, _U1, _U8, _U63, _U64 = map(np.uint64, (0, 1, 8, 63, 64))  # numba makes a float of uint64 with int64
_TAB, _NEWLINE, _RETURN, _BLANK, _ZERO, _NINE = b"\t\n\r 09"

# The functions below are not checked at run time: that would wrap them in what numba cannot compile.


@kernel
@no_type_check
def _marks(text, size, at):
    """Which of the 64 bytes from `at` on are blanks, below one, and points; none beyond the end."""
    if at + _U64 <= size:
        return marks_of_64(text, at)
    blank, control, point = marks_of_64(text, size - _U64)
    beyond = at + _U64 - size
    return blank >> beyond, control >> beyond, point >> beyond


@kernel
@no_type_check
def _values(text, size, at, before):
    """How many values start from `at` to the end of the line, and the start of the next; -1 if unusual.

    `before` is 1 if a value may start right at `at`, and 0 in the middle of one.
    """
    count = _U0
    while at < size:
        blank, control, _ = _marks(text, size, at)
        starts = ((blank << _U1) | before) & ~blank
        before = blank >> _U63
        if control != _U0:
            end = lowest(control)
            count += num_ones(starts & ((_U1 << end) - _U1))
            at += end
            if text[at] == _RETURN:
                at += _U1
            return (np.int64(count) if text[at] == _NEWLINE else -1), at + _U1
        count += num_ones(starts)
        at += _U64
    return -1, at


@kernel
@no_type_check
def _rest(text, size, at):
    """How many more values the line has from the end of one on, and the start of the next; -1 if unusual."""
    if text[at] > _BLANK:
        return -1, at  # the value before has not ended
    return _values(text, size, at, _U0)


@kernel
@no_type_check
def _count(text, at, most):
    """A whole number of 1 to `most` digits and where it ends; -1 if it is none."""
    start, value = at, 0
    while _ZERO <= text[at] <= _NINE and at - start <= np.uint64(most):
        value = value * 10 + np.int64(text[at] - _ZERO)
        at += _U1
    return (value if _U0 < at - start <= np.uint64(most) else -1), at


@kernel
@no_type_check
def _count_line(text, size, at):
    """A line that is one whole number, and the start of the next; -1 if it is not, or the text has ended."""
    if at >= size:
        return -1, at
    value, at = _count(text, at, 9)
    more, at = _rest(text, size, at)
    return (value if more == 0 else -1), at


@kernel
@no_type_check
def _joint(text, size, at, joints, place, farthest):
    """Fill the three coordinates of a joint; the start of the next line, or 0 if unusual.

    A coordinate beyond `farthest` is unusual.
    """
    num_values, following = _values(text, size, at, _U1)
    blank, _, point = _marks(text, size, at)
    start = _U0
    for axis in range(3):
        end, value = lowest(blank), np.nan
        if blank != _U0:  # long numbers end beyond the marks
            value = plain_number(text, at + start, at + start + lowest(point >> start), at + end)
            blank &= blank - _U1
        if np.isnan(value):
            value, stop = number(text, size, at + start)
            if text[stop] != _BLANK:  # the text ends with a newline, so there is a byte
                return _U0
            end = stop - at
        if not abs(value) <= farthest:
            return _U0
        joints[place + axis] = value
        start = end + _U1
    return following if num_values == _JOINT_VALUES else _U0


@kernel
@no_type_check
def _body(text, size, at, joints, place, num_joints, farthest):
    """The id of a body, whose joints are filled, and the start of the next line; -1 if unusual."""
    start, body = at, -1
    if at < size:
        body, at = _count(text, at, _MOST_ID_DIGITS)
    if body < 0 or (text[start] == _ZERO and at - start > _U1):
        return -1, at
    more, at = _rest(text, size, at)
    found, at = _count_line(text, size, at)
    if more != _MORE_VALUES or found != num_joints:
        return -1, at
    for joint in range(num_joints):
        at = _joint(text, size, at, joints, place + 3 * joint, farthest) if at < size else _U0
        if at == _U0:
            return -1, at
    return body, at


@kernel
@no_type_check
def scan_bodies(array, joints, frames, owners, ids, last, farthest):
    """Fill the joints, frames and owners of all bodies in order, and the ids of the owners. 64 bytes or more.

    How many frames, bodies, ids, and where the next line starts; -1 frames if something is unusual.
    """
    text, size = pointer(array), np.uint64(array.size)
    xyz, num_joints, row, num_ids = pointer(joints), joints.shape[1], 0, 0
    num_frames, at = _count_line(text, size, _U0)
    for frame in range(num_frames):
        num_bodies, at = _count_line(text, size, at)
        if num_bodies < 0:
            return -1, row, num_ids, at
        for _ in range(num_bodies):
            if row == len(frames):
                return -1, row, num_ids, at
            body, at = _body(text, size, at, xyz, 3 * num_joints * row, num_joints, farthest)
            owner = 0  # files hold a few ids
            while owner < num_ids and ids[owner] != body:
                owner += 1
            if body < 0 or (owner < num_ids and last[owner] == frame):
                return -1, row, num_ids, at
            num_ids = max(num_ids, owner + 1)
            ids[owner], last[owner], owners[row], frames[row] = body, frame, owner, frame
            row += 1
    return num_frames, row, num_ids, at


@kernel
@no_type_check
def scan_rows(array, values):
    """Fill rows from the first numbers of lines; how many, and where the first line is that is unusual."""
    text, size, at = pointer(array), np.uint64(array.size), _U0
    if size < _U8:
        return 0, at
    for row in range(len(values)):
        start = at
        for column in range(values.shape[1]):
            while text[at] == _BLANK or text[at] == _TAB:
                at += _U1
            value, at = number(text, size, at)
            values[row, column] = value
            ended = text[at] == _BLANK or text[at] == _TAB or text[at] == _RETURN or text[at] == _NEWLINE
            if np.isnan(value) or not ended:
                return row, start
        while text[at] != _NEWLINE and text[at] != _RETURN:
            at += _U1
        if text[at] == _RETURN:
            at += _U1
        if text[at] != _NEWLINE:
            return row, start
        at += _U1
    return len(values), at
