"""For compiled scanners: how they are compiled, and what one instruction does and numba has no name for.

Import it inside functions: it brings numba.
"""

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, no_type_check

from llvmlite import ir  # type: ignore[import-untyped]  # numba brings it
from numba import njit, types
from numba.extending import intrinsic

_BLANK, _POINT = b" ."
_BITS = ir.IntType(64)
# Numba compiles again when the file of a function changes, not when that of another it calls does.
_SOURCES = zlib.crc32(
    b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("compiled_*.py")))
)


def kernel(function: Callable[..., Any]) -> Any:
    """Compile; keep what was compiled beside the source, else in the user's cache folder, else not at all."""
    function.__qualname__ += f"_{_SOURCES:08x}"  # what is kept has this name
    try:
        return njit(cache=True, nogil=True, forceinline=True)(function)
    except RuntimeError:  # no folder can be written
        return njit(nogil=True, forceinline=True)(function)


@intrinsic
@no_type_check
def pointer(typing, array):
    """Where an array's values lie. Passing arrays on would count references, dearer than reading."""

    def code(context, builder, signature, values):
        return context.make_array(signature.args[0])(context, builder, values[0]).data

    return types.CPointer(array.dtype)(array), code


@intrinsic
@no_type_check
def eight_bytes(typing, text, at):
    """Eight bytes as one number, the first the lowest."""

    def code(context, builder, signature, values):
        start = builder.gep(values[0], [values[1]])
        return builder.load(builder.bitcast(start, _BITS.as_pointer()), align=1)

    return types.uint64(text, at), code


@intrinsic
@no_type_check
def marks_of_64(typing, text, at):
    """Of 64 bytes, which are blanks, which below one, and which are points: the first is the lowest bit."""

    def code(context, builder, signature, values):
        wide = ir.VectorType(ir.IntType(8), 64)
        start = builder.gep(values[0], [values[1]])
        found = builder.load(builder.bitcast(start, wide.as_pointer()), align=1)
        blank, point = (ir.Constant(wide, [value] * 64) for value in (_BLANK, _POINT))
        marks = [
            builder.bitcast(builder.icmp_unsigned(sign, found, limit), _BITS)
            for sign, limit in (("==", blank), ("<", blank), ("==", point))
        ]
        return context.make_tuple(builder, signature.return_type, marks)

    return types.UniTuple(types.uint64, 3)(text, at), code


@intrinsic
@no_type_check
def num_ones(typing, bits):
    """How many bits are set."""

    def code(context, builder, signature, values):
        return builder.ctpop(values[0])

    return types.uint64(bits), code


@intrinsic
@no_type_check
def lowest(typing, bits):
    """The number of the lowest bit that is set; 64 if none is."""

    def code(context, builder, signature, values):
        return builder.cttz(values[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(bits), code
