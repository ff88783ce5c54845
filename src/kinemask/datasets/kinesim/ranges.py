"""Pairs of numbers in params.yaml: the smallest and the largest."""

from typing import Annotated, TypeVar

from pydantic import AfterValidator, Field

N = TypeVar("N", int, float)


def _ordered(pair: tuple[N, N]) -> tuple[N, N]:
    if pair[0] > pair[1]:
        raise ValueError("the first number must not be greater than the second")
    return pair


Range = Annotated[tuple[float, float], AfterValidator(_ordered)]
_Frames = Annotated[int, Field(ge=1)]
FrameRange = Annotated[tuple[_Frames, _Frames], AfterValidator(_ordered)]
