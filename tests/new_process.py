"""Calls of which other tests must not know, nor leave traces in: a memory peak is that of all threads."""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

R = TypeVar("R")


def in_new_process(function: Callable[..., R], *values: object) -> R:
    """What a function of a module returns in a process of its own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as executor:
        return executor.submit(function, *values).result()
