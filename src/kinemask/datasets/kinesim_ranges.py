"""Pairs of numbers in params.yaml: the smallest and the largest."""

from typing import Annotated

from pydantic import AfterValidator, Field


def _ordered(pair: tuple[float, float]) -> tuple[float, float]:
    if pair[0] > pair[1]:
        raise ValueError("the first number must not be greater than the second")
    return pair


Range = Annotated[tuple[float, float], AfterValidator(_ordered)]
_Frames = Annotated[int, Field(ge=1)]
FrameRange = Annotated[tuple[_Frames, _Frames], AfterValidator(_ordered)]
