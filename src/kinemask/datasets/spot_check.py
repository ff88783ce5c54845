"""Reading a few recordings, spread evenly, to say in seconds whether the rest is worth waiting for."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from kinemask.errors import few
from kinemask.skeleton.clip import Clip
from kinemask.skeleton.packed import Dropped
from kinemask.workers import cores_for

NUM_SPOTS = 60
_NAMED = 5
_MINUTE = 60
# An allowance for each clip on its way from process to process into the packed files, where all wait for one.
_PACK_SECONDS = 2e-4

T = TypeVar("T")


@dataclass(frozen=True)
class SpotCheck:
    """What a sample of recordings gave."""

    num_read: int
    damaged: tuple[Dropped, ...]
    seconds_each: float  # of one recording, on one core

    def facts(self, num_recordings: int) -> tuple[str, ...]:
        """What was read, and how long all recordings will take on this machine."""
        if not self.num_read:
            return ()
        cores = cores_for(self.seconds_each * num_recordings)
        took = duration((self.seconds_each / cores + _PACK_SECONDS) * num_recordings)
        return (
            f"{self.num_read} recordings, spread evenly, were read: {len(self.damaged)} damaged",
            f"preprocess will take about {took} on {cores} core(s) for all {num_recordings:,}",
        )

    def problems(self) -> tuple[str, ...]:
        """The damaged ones by name."""
        return tuple(few([f"{clip.name} is damaged: {clip.reason}" for clip in self.damaged], _NAMED))


def spread(items: Sequence[T], num: int = NUM_SPOTS) -> list[T]:
    """At most `num` of the items, spread evenly, the first and the last among them."""
    if len(items) <= num:
        return list(items)
    return [items[place * (len(items) - 1) // (num - 1)] for place in range(num)]


def spot_check(sample: Sequence[T], read: Callable[[T], Sequence[Clip | Dropped]]) -> SpotCheck:
    """Read the sample; its first one before the clock starts, so that what is loaded once does not count."""
    if not sample:
        return SpotCheck(0, (), 0.0)
    read(sample[0])
    started = time.perf_counter()
    found = [clip for item in sample for clip in read(item)]
    seconds = time.perf_counter() - started
    damaged = tuple(clip for clip in found if isinstance(clip, Dropped) and clip.damaged)
    return SpotCheck(len(sample), damaged, seconds / len(sample))


def duration(seconds: float) -> str:
    """A time in the unit that fits it: `40 s`, `7 min`, `2.5 h`."""
    if seconds < 2 * _MINUTE:
        return f"{max(1, round(seconds))} s"
    if seconds < 2 * _MINUTE * _MINUTE:
        return f"{round(seconds / _MINUTE)} min"
    return f"{seconds / _MINUTE / _MINUTE:.1f} h"
