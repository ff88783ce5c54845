"""Independent fits side by side, one process each, with a bar."""

from collections.abc import Callable, Sequence
from concurrent.futures import as_completed
from typing import TypeVar

from kinemask.progress import progress
from kinemask.workers import start_workers

T = TypeVar("T")
R = TypeVar("R")

_CURE = "lower hardware.processes in params.yaml and run again"


def run_fits(
    task: Callable[[T], R], items: Sequence[T], *, processes: int, threads: int, name: str
) -> list[R]:
    """`task(item)` for every item, in fresh processes of `threads` threads; results in the order of `items`.

    Even one process is a fresh one, so the results do not depend on `processes`. The first error of a task is
    raised here and stops the rest. Raises WorkerKilled if a process is killed. `task` is a function of a
    module.
    """
    num = max(1, min(processes, len(items)))
    with start_workers(num, threads=threads, name=name, cure=_CURE) as submit:
        futures = [submit(task, item) for item in items]
        for future in progress(as_completed(futures), name=name, unit="fit", total=len(items)):
            future.result()
        return [future.result() for future in futures]
