"""Processes side by side: they end with this one, leave Ctrl-C to it, and a killed one is one line."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Protocol, TypeVar

from kinemask.errors import KinemaskError

T = TypeVar("T")
R = TypeVar("R")

# Read by the libraries behind NumPy, SciPy and scikit-learn when they are loaded.
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
_WORTH_SECONDS = 6.0  # of work: processes take two seconds or three to start
_AHEAD = 2  # items handed out for each process: enough to keep it at work, few enough to hold in memory


class WorkerKilled(KinemaskError):
    """A process died without a word: the message says what to try."""


class Submit(Protocol):
    """Hands one item to the processes."""

    def __call__(self, task: Callable[[T], R], item: T) -> "Future[R]":
        """The future of `task(item)`; `task` is a function of a module, or a partial of one."""


def usable_cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cores_for(seconds: float) -> int:
    """How many processes are worth their start for so much work of one core: all, or this one alone."""
    return usable_cores() if seconds > _WORTH_SECONDS else 1


@contextmanager
def start_workers(processes: int, *, threads: int, name: str, cure: str) -> Iterator[Submit]:
    """Fresh processes of `threads` threads for the time of the block; what still runs at its end is stopped.

    Raises WorkerKilled with the name and the cure if one dies, or if memory runs out.
    """
    context = multiprocessing.get_context("spawn")  # safe beside the threads of the caller
    receiver, sender = context.Pipe(duplex=False)
    executor = ProcessPoolExecutor(processes, context, initializer=_end_with, initargs=(receiver,))

    def submit(task: Callable[[T], R], item: T) -> "Future[R]":
        with _threads(threads), _interrupts_held():  # this may start a process, which inherits both
            return executor.submit(task, item)

    try:
        yield submit
        executor.shutdown()
    except (BrokenProcessPool, MemoryError) as error:
        raise WorkerKilled(f"{name}: a process was killed, often for want of memory: {cure}") from error
    finally:
        sender.close()  # ends what is still at work
        executor.shutdown(cancel_futures=True)
        receiver.close()


def ordered_map(
    task: Callable[[T], R], items: Iterable[T], *, processes: int, name: str, cure: str
) -> Generator[R, None, None]:
    """`task(item)` for every item, in their order; one process is this one.

    Items are taken, and results kept, for a few at a time only. Close the iterator to stop early. The first
    error of a task is raised here. Raises WorkerKilled if a process dies.
    """
    if processes == 1:
        yield from map(task, items)
        return
    with start_workers(processes, threads=1, name=name, cure=cure) as submit:
        under_way: deque[Future[R]] = deque()
        for item in items:
            under_way.append(submit(task, item))
            if len(under_way) >= _AHEAD * processes:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()


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


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Ctrl-C waits until the block ends, and never reaches processes started inside it: their parent does."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_with(receiver: Connection) -> None:
    """End this process when the other end of the pipe is closed: on purpose, or by the end of the parent.

    The system closes it even after kill -9, which leaves the parent no chance to tell.
    """

    def watch() -> None:
        receiver.poll(None)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
