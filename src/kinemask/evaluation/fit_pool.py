"""Independent fits side by side, one process each, with a bar."""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import TypeVar

from kinemask.errors import KinemaskError
from kinemask.progress import progress

T = TypeVar("T")
R = TypeVar("R")

# Read by the libraries behind NumPy, SciPy and scikit-learn when they are loaded.
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


class FitFailed(KinemaskError):
    """A process died without a word: the message says what to try."""


def run_fits(
    task: Callable[[T], R], items: Sequence[T], *, processes: int, threads: int, name: str
) -> list[R]:
    """`task(item)` for every item, in fresh processes of `threads` threads; results in the order of `items`.

    Even one process is a fresh one, so the results do not depend on `processes`. The first error of a task is
    raised here and stops the rest. Raises FitFailed if a process is killed. `task` is a function of a module.
    """
    context = multiprocessing.get_context("spawn")  # safe beside the threads of the caller
    workers = max(1, min(processes, len(items)))
    with (
        _threads(threads),
        ProcessPoolExecutor(workers, mp_context=context, initializer=_die_with_parent) as executor,
    ):
        futures = [executor.submit(task, item) for item in items]
        try:
            for future in progress(as_completed(futures), name=name, unit="fit", total=len(items)):
                future.result()
        except BrokenProcessPool as error:
            raise FitFailed(
                f"{name}: a process was killed, often for want of memory: "
                "lower hardware.processes in params.yaml and run again"
            ) from error
        finally:
            executor.shutdown(cancel_futures=True)
    return [future.result() for future in futures]


@contextmanager
def _threads(threads: int) -> Iterator[None]:
    """The environment that processes started inside the block inherit."""
    before = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, str(threads)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _die_with_parent() -> None:
    """End this process when its parent is gone, kill -9 included, which leaves no chance to tell."""

    def watch() -> None:
        parent = multiprocessing.parent_process()
        assert parent is not None
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
