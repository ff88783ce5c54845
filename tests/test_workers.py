"""Processes side by side: in order, a few at a time, and gone when nobody wants them."""

import os
import signal
import time

import psutil
import pytest

from kinemask.workers import WorkerKilled, ordered_map, start_workers, usable_cores


def slow_if_first(number):
    time.sleep(0.5 if number == 0 else 0)
    return number, os.getpid()


def sleep_long(number):
    time.sleep(60)


def kill_self(number):
    os.kill(os.getpid(), signal.SIGKILL)


def is_interruptible(number):
    return signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, set())


def mapped(task, items, processes):
    return ordered_map(task, items, processes=processes, name="squares", cure="try again")


def test_results_are_in_order_and_one_process_is_this_one():
    two = list(mapped(slow_if_first, range(40), 2))
    assert [number for number, _ in two] == list(range(40))
    assert os.getpid() not in {pid for _, pid in two}
    assert {pid for _, pid in mapped(slow_if_first, range(1, 4), 1)} == {os.getpid()}


@pytest.mark.parametrize("processes", [1, 2])
def test_items_are_taken_a_few_ahead_of_the_results_only(processes):
    taken = []
    results = mapped(slow_if_first, (taken.append(number) or number for number in range(1, 100)), processes)
    for _ in range(3):
        next(results)
    assert len(taken) <= 3 + 2 * processes
    results.close()


def leave_while_they_work():
    """Raise ZeroDivisionError while two processes are at work."""
    with start_workers(2, threads=1, name="sleepers", cure="none") as submit:
        futures = [submit(sleep_long, number) for number in range(4)]
        while not all(future.running() for future in futures[:2]):
            time.sleep(0.01)
        raise ZeroDivisionError


def test_leaving_early_ends_processes_that_are_at_work():
    before = set(psutil.Process().children())
    begun = time.monotonic()
    with pytest.raises(ZeroDivisionError):
        leave_while_they_work()
    assert time.monotonic() - begun < 30
    children = set(psutil.Process().children()) - before
    assert not [child for child in children if "spawn_main" in " ".join(child.cmdline())]


def test_ctrl_c_is_left_to_the_parent():
    # The terminal sends it to all: a process that starts or waits would answer with a traceback.
    assert list(mapped(is_interruptible, range(4), 2)) == [False] * 4
    assert is_interruptible(0)


def test_a_killed_process_is_one_line():
    with pytest.raises(WorkerKilled, match=r"^squares: a process was killed, .*: try again$"):
        list(mapped(kill_self, range(4), 2))


def test_cores_are_those_this_process_may_use():
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert usable_cores() == 1
    finally:
        os.sched_setaffinity(0, before)
