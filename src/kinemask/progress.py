"""A bar with rate and time left, on a terminal as well as in a log file."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")
S = TypeVar("S", bound=Sized)

TERMINAL_INTERVAL_SECONDS = 0.2
LOG_INTERVAL_SECONDS = 10.0


def progress(
    items: Iterable[T], *, name: str, unit: str, total: int | None = None, done: int = 0
) -> Iterator[T]:
    """The items again, with a bar on stderr. `done` items were finished by an earlier, interrupted run."""
    yield from tqdm(
        items,
        desc=name,
        unit=unit,
        total=total,
        initial=done,
        mininterval=_interval(),
        maxinterval=_interval(),
    )


def byte_progress(chunks: Iterable[bytes], *, name: str, total: int | None, done: int = 0) -> Iterator[bytes]:
    """The chunks again, with a bar that counts bytes. `done` are bytes that an earlier run had received."""
    return group_progress(chunks, name=name, unit="B", total=total, done=done, scale=True)


def group_progress(
    groups: Iterable[S],
    *,
    name: str,
    unit: str,
    total: int | None,
    done: int = 0,
    scale: bool = False,
    size: Callable[[S], int] = len,
) -> Iterator[S]:
    """The groups again, with a bar that counts what is in them, `size`; `scale` shows thousands as k."""
    with tqdm(
        desc=name,
        unit=unit,
        unit_scale=scale,
        total=total,
        initial=done,
        mininterval=_interval(),
        maxinterval=_interval(),
    ) as bar:
        for group in groups:
            yield group
            bar.update(size(group))


def _interval() -> float:
    return TERMINAL_INTERVAL_SECONDS if sys.stderr.isatty() else LOG_INTERVAL_SECONDS
