"""Compiled scanners of text: `.skeleton` files, and rows of numbers, to float32.

They answer only for text exactly as the formats say; the numbers are then float32(float64(text)) to the last
bit. They stand in this one file and use nothing of the package: numba compiles again when the file of a
function changes, not when another does. Import it inside functions: it brings numba.
"""

from collections.abc import Callable
from typing import Any, no_type_check

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

_MORE_VALUES = 9  # after the id of a body, and after the coordinates of a joint
_MOST_ID_DIGITS = 18  # so that an id fits 64 bits

# All of one kind: numba makes a float of uint64 with int64.
_U0, _U1, _U7, _U8, _U10, _U16, _U32, _U56 = (np.uint64(value) for value in (0, 1, 7, 8, 10, 16, 32, 56))
_LOW = np.uint64(0x0101010101010101)  # one in each of eight bytes
_HIGH = np.uint64(0x8080808080808080)
_BELOW_HIGH = np.uint64(0x7F7F7F7F7F7F7F7F)
_BLANKS = np.uint64(0x2020202020202020)
_ZEROS = np.uint64(0x3030303030303030)
_TO_TEN = np.uint64(0x7676767676767676)  # added to a byte of 10 or more it sets the highest bit
_PAIRS = np.uint64(0x000000FF000000FF)
_TIMES_PAIRS = (np.uint64(0x000F424000000064), np.uint64(0x0000271000000001))
_TAB, _NEWLINE, _RETURN, _BLANK, _PLUS, _MINUS, _POINT, _ZERO, _NINE, _E = b"\t\n\r +-.09e"

_POWERS = np.array([10.0**power for power in range(23)])  # all exact
_WHOLE_POWERS = np.array([10**power for power in range(9)], dtype=np.uint64)
_ROOM = np.array([(2**64 - 10**power) // 10**power for power in range(9)], dtype=np.uint64)  # for more digits
_EXACT = np.uint64(1 << 53)  # whole numbers up to here are doubles
_MARGIN = 2.0**-50  # twice what four roundings can be off


def _kernel(function: Callable[..., Any]) -> Any:
    """Compile; keep what was compiled beside the source, else in the user's cache folder, else not at all."""
    try:
        return njit(cache=True, nogil=True)(function)
    except RuntimeError:  # no folder can be written
        return njit(nogil=True)(function)


@intrinsic
@no_type_check
def _pointer(typing, array):
    """Where an array's values lie. Passing arrays on would count references, dearer than reading."""

    def code(context, builder, signature, values):
        return context.make_array(signature.args[0])(context, builder, values[0]).data

    return types.CPointer(array.dtype)(array), code


# The functions below are not checked at run time: that would wrap them in what numba cannot compile.


@_kernel
@no_type_check
def _word(text, size, at):
    """Eight bytes as one number, the first the lowest; blanks beyond the end."""
    word = _U0
    if at + _U8 <= size:
        for place in range(8):  # the compiler makes one load of these
            word |= np.uint64(text[at + np.uint64(place)]) << np.uint64(8 * place)
    else:
        for place in range(8):
            byte = text[at + np.uint64(place)] if at + np.uint64(place) < size else _BLANK
            word |= np.uint64(byte) << np.uint64(8 * place)
    return word


@_kernel
@no_type_check
def _first(flags):
    """The number of the first byte whose highest bit is set; one is."""
    below = (flags & (~flags + _U1)) - _U1
    return (((below & _LOW) * _LOW) >> _U56) - _U1


@_kernel
@no_type_check
def _number(text, size, at):
    """The number at `at` and where it ends; NaN for what is no plain number."""
    negative = text[at] == _MINUS
    at += np.uint64(negative)
    start = at
    mantissa, power = _U0, 0
    while _ZERO <= text[at] <= _NINE:
        mantissa = mantissa * _U10 + np.uint64(text[at] - _ZERO)
        at += _U1
    digits = at - start
    if digits > _U16:
        return np.nan, at
    if text[at] == _POINT:
        start = at + _U1
        mantissa, at = _fraction(text, size, start, mantissa)
        digits += at - start
        power = -np.int64(at - start)
    if text[at] | _BLANK == _E:  # small or capital
        exponent, at = _exponent(text, at + _U1)
        power += exponent
    if digits == _U0:
        return np.nan, at
    sign = 1.0 - 2.0 * np.float64(negative)
    if mantissa > _EXACT or power < -22 or power > 0:
        return sign * _unusual(mantissa, power), at
    # The division of two exact doubles is the one rounding there is.
    return sign * (np.float64(np.int64(mantissa)) / _POWERS[-power]), at


@_kernel
@no_type_check
def _unusual(mantissa, power):
    """A double near enough to have the right float32; NaN if it cannot be told."""
    if power < -44 or power > 22:
        return np.nan
    value = np.float64(mantissa)
    if power < -22:
        value /= _POWERS[22]
        power += 22
    value = value / _POWERS[-power] if power < 0 else value * _POWERS[power]
    # After several roundings, ask whether float32 is the same for all that the double can be.
    return value if np.float32(value * (1 - _MARGIN)) == np.float32(value * (1 + _MARGIN)) else np.nan


@_kernel
@no_type_check
def _fraction(text, size, at, mantissa):
    """The mantissa with the digits after the point, eight at a time, and where they end or are too many."""
    count = _U8
    while count == _U8:
        word = _word(text, size, at) ^ _ZEROS
        odd = ((word + _TO_TEN) | word) & _HIGH
        if odd != _U0:
            count = _first(odd)
        if count == _U0 or mantissa > _ROOM[count]:
            break
        word <<= _U8 * (_U8 - count)  # zeros in front instead of what follows
        word = word * _U10 + (word >> _U8)
        word = ((word & _PAIRS) * _TIMES_PAIRS[0] + ((word >> _U16) & _PAIRS) * _TIMES_PAIRS[1]) >> _U32
        mantissa = mantissa * _WHOLE_POWERS[count] + word
        at += count
    return mantissa, at


@_kernel
@no_type_check
def _exponent(text, at):
    """The exponent behind its letter and where it ends; a large one where there is none."""
    sign = 1
    if text[at] == _MINUS or text[at] == _PLUS:
        sign = -1 if text[at] == _MINUS else 1
        at += _U1
    start, exponent = at, 0
    while _ZERO <= text[at] <= _NINE:
        exponent = min(exponent * 10 + np.int64(text[at] - _ZERO), 1000)
        at += _U1
    return (sign * exponent if at > start else 1000), at


@_kernel
@no_type_check
def _rest(text, size, at):
    """How many more values the line has from the end of one on, and the start of the next; -1 if unusual."""
    count, before = _U0, _U0
    if text[at] > _BLANK:
        return -1, at  # the value before has not ended
    while True:
        word = _word(text, size, at)
        control = (word - _BLANKS) & ~word & _HIGH
        other = word ^ _BLANKS
        blank = ~(((other & _BELOW_HIGH) + _BELOW_HIGH) | other) & _HIGH
        starts = ((blank << _U8) | before) & ~blank
        before = blank >> _U56
        if control == _U0:
            count += ((starts >> _U7) * _LOW) >> _U56
            at += _U8
            if at >= size:
                return -1, at
            continue
        starts &= (control & (~control + _U1)) - _U1
        count += ((starts >> _U7) * _LOW) >> _U56
        at += _first(control)
        if text[at] == _RETURN:
            at += _U1
        return (np.int64(count) if text[at] == _NEWLINE else -1), at + _U1


@_kernel
@no_type_check
def _count(text, at, most):
    """A whole number of 1 to `most` digits and where it ends; -1 if it is none."""
    start, value = at, 0
    while _ZERO <= text[at] <= _NINE and at - start <= np.uint64(most):
        value = value * 10 + np.int64(text[at] - _ZERO)
        at += _U1
    return (value if _U0 < at - start <= np.uint64(most) else -1), at


@_kernel
@no_type_check
def _count_line(text, size, at):
    """A line that is one whole number, and the start of the next; -1 if it is not, or the text has ended."""
    if at >= size:
        return -1, at
    value, at = _count(text, at, 9)
    more, at = _rest(text, size, at)
    return (value if more == 0 else -1), at


@_kernel
@no_type_check
def _joint(text, size, at, joints, place):
    """Fill the three coordinates of a joint; the start of the next line, or 0 if unusual."""
    for axis in range(3):
        if axis:
            at += _U1
        value, at = _number(text, size, at)
        joints[place + axis] = value
        # The text ends with a newline, so there is a byte.
        if np.isnan(value) or text[at] != _BLANK:
            return _U0
    more, at = _rest(text, size, at)
    return at if more == _MORE_VALUES else _U0


@_kernel
@no_type_check
def _body(text, size, at, joints, place, num_joints):
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
        at = _joint(text, size, at, joints, place + 3 * joint) if at < size else _U0
        if at == _U0:
            return -1, at
    return body, at


@_kernel
@no_type_check
def scan_bodies(array, joints, frames, owners, ids, last):
    """Fill the joints, frames and owners of all bodies in order, and the ids of the owners.

    How many frames, bodies, ids, and where the next line starts; -1 frames if something is unusual.
    """
    text, size = _pointer(array), np.uint64(array.size)
    xyz, num_joints, row, num_ids = _pointer(joints), joints.shape[1], 0, 0
    num_frames, at = _count_line(text, size, _U0)
    for frame in range(num_frames):
        num_bodies, at = _count_line(text, size, at)
        if num_bodies < 0:
            return -1, row, num_ids, at
        for _ in range(num_bodies):
            if row == len(frames):
                return -1, row, num_ids, at
            body, at = _body(text, size, at, xyz, 3 * num_joints * row, num_joints)
            owner = 0  # files hold a few ids
            while owner < num_ids and ids[owner] != body:
                owner += 1
            if body < 0 or (owner < num_ids and last[owner] == frame):
                return -1, row, num_ids, at
            num_ids = max(num_ids, owner + 1)
            ids[owner], last[owner], owners[row], frames[row] = body, frame, owner, frame
            row += 1
    return num_frames, row, num_ids, at


@_kernel
@no_type_check
def scan_rows(array, values):
    """Fill rows from the first numbers of lines; how many, and where the first line is that is unusual."""
    text, size, at = _pointer(array), np.uint64(array.size), _U0
    for row in range(len(values)):
        start = at
        for column in range(values.shape[1]):
            while text[at] == _BLANK or text[at] == _TAB:
                at += _U1
            value, at = _number(text, size, at)
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
