"""CPU seconds of several ways to do a job, taken in turns so that a busy machine is unfair to all alike."""

import gc
import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from multiprocessing.connection import Connection
from statistics import median
from typing import Any

OURS = "kinemask"


def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Job:
    """What there is to do, and how."""

    part: str  # what is compared
    what: str  # the way; OURS is compared with the others of its part
    num_files: int
    num_bytes: int  # of text


@dataclass(frozen=True)
class Way:
    """One way to do a job."""

    job: Any  # what is told of it: for `measure` a Job
    run: Callable[[], object]
    before: Callable[[], object] = _nothing  # not timed


@dataclass(frozen=True)
class Timing:
    """What a way took: seconds for 1,000 files, in one process, system time included."""

    part: str
    what: str
    files: int
    cpu_s: float  # the least of all repeats: what others do on the machine only adds
    cpu_s_median: float
    wall_s: float
    mb_per_s: float  # of text, by cpu_s


@dataclass(frozen=True)
class Seconds:
    """What a run took, in one process, system time included."""

    cpu: float
    wall: float


def measure(makers: Sequence[Callable[[], Sequence[Way]]], repeats: int) -> list[Timing]:
    """The ways of all makers in turns, as timings; each tells a Job."""
    return [_timing(job, taken) for job, taken in take_turns(makers, repeats)]


def take_turns(
    makers: Sequence[Callable[[], Sequence[Way]]], repeats: int
) -> list[tuple[Any, list[Seconds]]]:
    """Run the ways of all makers in turns, `repeats` times: what each tells, and its seconds.

    Each maker has a process of its own, or the ways of one would find the memory as those of another have
    left it: after the three scripts all else is slower by a fifth.
    """
    context = multiprocessing.get_context("spawn")
    with ExitStack() as stack:
        servers = []
        for make in makers:
            here, there = context.Pipe()
            context.Process(target=_serve, args=(make, there), daemon=True).start()
            there.close()  # so that a process that dies is an EOFError here
            servers.append(stack.enter_context(closing(here)))
        order = [(server, number, job) for server in servers for number, job in enumerate(server.recv())]
        seconds: list[list[Seconds]] = [[] for _ in order]
        for _ in range(repeats):
            for place, (server, number, _) in enumerate(order):
                server.send(number)
                seconds[place].append(server.recv())
    return [(job, taken) for (_, _, job), taken in zip(order, seconds, strict=True)]


def _serve(make: Callable[[], Sequence[Way]], connection: Connection) -> None:
    """Tell the jobs, then run the way whose number comes, until nobody asks any more."""
    ways = make()
    connection.send([way.job for way in ways])
    while True:
        try:
            number = connection.recv()
        except EOFError:
            return
        connection.send(_run(ways[number]))


def _run(way: Way) -> Seconds:
    """What a way takes; what it makes is freed outside its time."""
    way.before()
    os.sync()  # or one pays for what another has left to write
    gc.collect()
    gc.freeze()  # what is there already is not looked through again and again
    started, cpu_started = time.perf_counter(), time.process_time()
    kept = way.run()
    seconds = Seconds(time.process_time() - cpu_started, time.perf_counter() - started)
    del kept
    gc.unfreeze()
    return seconds


def together(part: str, what: str, timings: Sequence[Timing]) -> Timing:
    """Steps of one way, one after the other; the files are those of the first."""
    cpu_s = sum(timing.cpu_s for timing in timings)
    return Timing(
        part=part,
        what=what,
        files=timings[0].files,
        cpu_s=cpu_s,
        cpu_s_median=sum(timing.cpu_s_median for timing in timings),
        wall_s=sum(timing.wall_s for timing in timings),
        mb_per_s=timings[0].mb_per_s * timings[0].cpu_s / cpu_s,
    )


def _timing(job: Job, seconds: Sequence[Seconds]) -> Timing:
    for_thousand = 1000 / job.num_files
    cpu = [taken.cpu for taken in seconds]
    return Timing(
        part=job.part,
        what=job.what,
        files=job.num_files,
        cpu_s=min(cpu) * for_thousand,
        cpu_s_median=median(cpu) * for_thousand,
        wall_s=min(taken.wall for taken in seconds) * for_thousand,
        mb_per_s=job.num_bytes / 1e6 / min(cpu),
    )
