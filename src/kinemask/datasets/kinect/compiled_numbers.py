"""Compiled reading of numbers as files print them: float32 of what is found is float32(float64(text)).

Import it inside functions: it brings numba.
"""

from typing import no_type_check

import numpy as np

from kinemask.datasets.kinect.compiled_bits import eight_bytes, kernel, lowest

# All of one kind: numba makes a float of uint64 with int64.
_U0, _U1, _U3, _U8, _U10, _U16, _U32 = map(np.uint64, (0, 1, 3, 8, 10, 16, 32))
_ALL = np.uint64(2**64 - 1)
_HIGH = np.uint64(0x8080808080808080)
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

# The functions below are not checked at run time: that would wrap them in what numba cannot compile.


@kernel
@no_type_check
def plain_number(text, start, point, end):
    """The number from `start` to `end`, point at `point`; NaN for what is not as most numbers are.

    At least eight bytes of text stand before its end. A point beyond the end means that there is none.
    """
    negative = np.uint64(text[start] == _MINUS)
    start += negative
    num_whole, num_digits = point - start, end - point - _U1
    if num_whole > _U8 or num_digits - _U1 >= _U8:
        return np.nan
    mantissa = _U0
    while start < point:
        digit = np.uint64(text[start] - _ZERO)
        if digit >= _U10:
            return np.nan
        mantissa = mantissa * _U10 + digit
        start += _U1
    # What stands before the digits becomes zeros.
    word = (eight_bytes(text, end - _U8) ^ _ZEROS) & (_ALL << (_U8 * (_U8 - num_digits)))
    if ((word + _TO_TEN) | word) & _HIGH != _U0:
        return np.nan
    mantissa = mantissa * _WHOLE_POWERS[num_digits] + _eight_digits(word)
    if mantissa > _EXACT:
        return np.nan
    # The division of two exact doubles is the one rounding there is.
    return (1.0 - 2.0 * np.float64(negative)) * (np.float64(np.int64(mantissa)) / _POWERS[num_digits])


@kernel
@no_type_check
def number(text, size, at):
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


@kernel
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


@kernel
@no_type_check
def _fraction(text, size, at, mantissa):
    """The mantissa with the digits after the point, eight at a time, and where they end or are too many."""
    count = _U8
    while count == _U8:
        word = _word(text, size, at) ^ _ZEROS
        odd = ((word + _TO_TEN) | word) & _HIGH
        if odd != _U0:
            count = lowest(odd) >> _U3
        if count == _U0 or mantissa > _ROOM[count]:
            break
        word <<= _U8 * (_U8 - count)  # zeros in front instead of what follows
        mantissa = mantissa * _WHOLE_POWERS[count] + _eight_digits(word)
        at += count
    return mantissa, at


@kernel
@no_type_check
def _eight_digits(word):
    """The number of eight digits, the first the lowest byte."""
    word = word * _U10 + (word >> _U8)
    return ((word & _PAIRS) * _TIMES_PAIRS[0] + ((word >> _U16) & _PAIRS) * _TIMES_PAIRS[1]) >> _U32


@kernel
@no_type_check
def _word(text, size, at):
    """Eight bytes as one number, the first the lowest; zeros beyond the end."""
    if at + _U8 <= size:
        return eight_bytes(text, at)
    return eight_bytes(text, size - _U8) >> (_U8 * (at + _U8 - size))


@kernel
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
