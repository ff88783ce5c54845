import os
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from kinemask.evaluation.fit_pool import run_fits
from kinemask.workers import WorkerKilled


def squared_slowly_first(number: int) -> int:
    time.sleep(0.3 if number == 1 else 0)
    return number**2


def threads_allowed(number: int) -> str:
    return os.environ["OPENBLAS_NUM_THREADS"]


def failing(number: int) -> int:
    raise ValueError(f"number {number} cannot be fitted")


def killed(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


def large_product(seed: int) -> np.ndarray:
    matrix = np.random.default_rng(seed).normal(size=(400, 300)).astype(np.float32)
    return matrix.T @ matrix


@pytest.mark.parametrize("processes", [1, 3])
def test_results_come_in_the_order_of_the_items(processes):
    found = run_fits(squared_slowly_first, [1, 2, 3], processes=processes, threads=1, name="squares")
    assert found == [1, 4, 9]


def test_results_do_not_depend_on_the_number_of_processes():
    one, two = (
        run_fits(large_product, range(4), processes=processes, threads=1, name="products")
        for processes in (1, 2)
    )
    np.testing.assert_array_equal(one, two)


def test_processes_get_the_threads_and_the_caller_keeps_its_own(monkeypatch):
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    assert run_fits(threads_allowed, [0], processes=1, threads=3, name="threads") == ["3"]
    assert os.environ["OPENBLAS_NUM_THREADS"] == "7"
    assert "MKL_NUM_THREADS" not in os.environ


def test_an_error_of_a_fit_is_raised_as_it_is():
    with pytest.raises(ValueError, match="number 5 cannot be fitted"):
        run_fits(failing, [5], processes=1, threads=1, name="failing")


def test_a_killed_process_is_told_in_one_line():
    with pytest.raises(
        WorkerKilled, match=r"^killed fits: a process was killed.*hardware.processes.*run again$"
    ):
        run_fits(killed, [5], processes=1, threads=1, name="killed fits")


def test_the_bar_says_what_runs_and_how_far_it_is(capfd):
    run_fits(squared_slowly_first, [1, 2, 3], processes=1, threads=1, name="linear tiny")
    assert "linear tiny: 100%" in capfd.readouterr().err


def test_processes_end_when_their_parent_is_killed():
    program = (
        "import time\n"
        "from kinemask.evaluation.fit_pool import run_fits\n"
        "if __name__ == '__main__':\n"
        "    run_fits(time.sleep, [60, 60], processes=2, threads=1, name='sleepers')\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL)
    try:
        workers = _wait_for(lambda: _sleepers(parent.pid), "workers that sleep")
        parent.kill()
        _wait_for(lambda: not any(worker.is_running() for worker in workers), "the end of the workers")
    finally:
        parent.kill()
        parent.wait()


def _sleepers(pid: int) -> list[psutil.Process]:
    """Both workers, once they have started their watch (a second thread) and are at work."""
    children = [
        child for child in psutil.Process(pid).children() if "spawn_main" in " ".join(child.cmdline())
    ]
    return children if len(children) == 2 and all(child.num_threads() > 1 for child in children) else []


def _wait_for(condition, name: str):
    end = time.monotonic() + 20
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"waited in vain for {name}")
