"""Several seeds side by side: forked workers that talk through pipes and never outlive their parent."""

import multiprocessing
import os
import pickle
import signal
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from typing import Any, Generic, TypeVar

import torch

from kinemask.errors import KinemaskError
from kinemask.hardware import HardwareConfig

R = TypeVar("R")
Log = Callable[[int, dict[str, float]], None]
OnLog = Callable[[int, int, dict[str, float]], None]

WATCH_SECONDS = 0.3  # how often a worker looks whether its parent is still there
ENDING_SECONDS = 5.0  # how long a worker that is told to end may take


class SeedFailed(KinemaskError):
    """A seed's process died without a word, or its error cannot travel; the message names the seed."""


@dataclass
class _Worker:
    process: ForkProcess
    pipe: Connection
    seed: int | None = None  # what it works on


@dataclass
class _Board(Generic[R]):
    """Which seeds wait, and what those that are done gave."""

    waiting: list[int]
    results: dict[int, R] = field(default_factory=dict)


def run_seeds(
    task: Callable[[int, Log], R],
    seeds: Sequence[int],
    *,
    hardware: HardwareConfig,
    on_log: OnLog,
) -> list[R]:
    """`task(seed, log)` for every seed, in the order of `seeds`, the same for any number of processes.

    With one process, one seed or a device other than the CPU, all seeds run here one after the other.
    Otherwise workers are forked, so call this before this process has worked in torch with more than one
    thread (`torch.set_num_threads(1)` first) or started threads of its own. `on_log(seed, step, values)` is
    called here, in this thread, for every `log(step, values)` of a task.

    The first error of a task is raised here with its own type and message, and the other seeds are stopped:
    what they did is in their checkpoints, and whoever must repair something should not wait for them. Raises
    SeedFailed if a worker is killed, ValueError if a seed comes twice.
    """
    if len(set(seeds)) != len(seeds):
        raise ValueError(f"every seed once, found {list(seeds)}")
    num_workers = min(hardware.processes, len(seeds))
    threads = hardware.threads
    if num_workers <= 1 or hardware.device != "cpu":
        return _run_here(task, seeds, threads, on_log)
    if threads > 1 and torch.get_num_threads() > 1:
        raise RuntimeError(
            f"workers with {threads} threads, forked from a process with {torch.get_num_threads()}, would "
            "hang: call torch.set_num_threads(1) in this process before anything else"
        )
    workers: list[_Worker] = []
    board: _Board[R] = _Board(waiting=list(seeds))
    try:
        for _ in range(num_workers):
            workers.append(_fork(task, threads, workers))
        for worker in workers:
            _hand_out(worker, board)
        while len(board.results) < len(seeds):
            _listen(workers, board, on_log)
    finally:
        _end(workers)
    return [board.results[seed] for seed in seeds]


def _run_here(task: Callable[[int, Log], R], seeds: Sequence[int], threads: int, on_log: OnLog) -> list[R]:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        return [task(seed, _log_of(seed, on_log)) for seed in seeds]
    finally:
        torch.set_num_threads(before)


def _log_of(seed: int, on_log: OnLog) -> Log:
    return lambda step, values: on_log(seed, step, values)


def _fork(task: Callable[[int, Log], Any], threads: int, others: Sequence[_Worker]) -> _Worker:
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    # A worker must not hold the pipes of others open: their ends would go unnoticed.
    inherited = [here, *(worker.pipe for worker in others)]
    process = context.Process(target=_work, args=(task, threads, there, inherited, os.getpid()), daemon=True)
    process.start()
    there.close()
    return _Worker(process, here)


def _hand_out(worker: _Worker, board: _Board[Any]) -> None:
    worker.seed = board.waiting.pop(0) if board.waiting else None
    if worker.seed is not None:
        with suppress(BrokenPipeError):  # it has died: `_listen` will say so
            _send(worker.pipe, "seed", worker.seed)


def _listen(workers: Sequence[_Worker], board: _Board[Any], on_log: OnLog) -> None:
    busy = {worker.pipe: worker for worker in workers if worker.seed is not None}
    for pipe in wait(list(busy)):
        assert isinstance(pipe, Connection)
        worker = busy[pipe]
        seed = worker.seed
        assert seed is not None
        try:
            kind, content = _receive(pipe)
        except (EOFError, ConnectionResetError):
            worker.process.join(ENDING_SECONDS)
            code = worker.process.exitcode
            raise SeedFailed(
                f"the process of seed {seed} died with exit code {code} (-9: killed, often for want of "
                "memory): run again: it goes on from its last checkpoint"
            ) from None
        if kind == "log":
            on_log(seed, *content)
        elif kind == "error":
            raise content
        else:
            board.results[seed] = content
            _hand_out(worker, board)


def _end(workers: Sequence[_Worker]) -> None:
    """Stop what still runs; a checkpoint that is being written is put in place whole or not at all."""
    for worker in workers:
        worker.process.terminate()
    for worker in workers:
        worker.process.join(ENDING_SECONDS)
        worker.process.kill()
        worker.process.join()
        worker.pipe.close()


def _work(
    task: Callable[[int, Log], Any],
    threads: int,
    pipe: Connection,
    inherited: Sequence[Connection],
    parent: int,
) -> None:
    """The life of a worker: seeds come in through the pipe, logged values, results and errors go out."""
    for other in inherited:
        other.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all; the parent ends its workers in order
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_die_with, args=(parent,), daemon=True).start()
    torch.set_num_threads(threads)
    with suppress(EOFError, BrokenPipeError):  # the parent is gone
        while True:
            _, seed = _receive(pipe)
            _send(pipe, *_outcome(task, seed, pipe))


def _outcome(task: Callable[[int, Log], Any], seed: int, pipe: Connection) -> tuple[str, Any]:
    try:
        return "result", task(seed, lambda step, values: _send(pipe, "log", (step, values)))
    except BrokenPipeError:
        raise
    except Exception as error:  # whatever it is, it is the parent who must raise it
        error.add_note(f"in the process of seed {seed}:\n{traceback.format_exc()}")
        return "error", _portable(error, seed)


def _portable(error: Exception, seed: int) -> Exception:
    """The error if the parent can rebuild it, or one that says the same."""
    try:
        pickle.loads(pickle.dumps(error))
    except (pickle.PickleError, TypeError, AttributeError):
        return SeedFailed(f"seed {seed}: {type(error).__name__}: {error}")
    return error


def _send(pipe: Connection, kind: str, content: Any) -> None:
    # Plain pickle, not Connection.send: torch would pass tensors as handles that end with the worker.
    pipe.send_bytes(pickle.dumps((kind, content)))


def _receive(pipe: Connection) -> tuple[str, Any]:
    kind, content = pickle.loads(pipe.recv_bytes())  # written by the other end of this very pipe
    return kind, content


def _die_with(parent: int) -> None:
    """End this process when its parent is gone, kill -9 included, which leaves no chance to tell."""
    while os.getppid() == parent:
        time.sleep(WATCH_SECONDS)
    os._exit(1)
