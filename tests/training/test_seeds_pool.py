import multiprocessing
import os
import signal
import time
from pathlib import Path

import psutil
import pytest
import torch

from kinemask.hardware import HardwareConfig
from kinemask.training.seeds_pool import SeedFailed, run_seeds
from kinemask.training.trainer import TrainingDiverged
from tests.training.conftest import same, toy_trainer


def ignore(*arguments):
    pass


def run(task, seeds, *, processes, on_log=ignore, threads=1, device="cpu"):
    hardware = HardwareConfig(
        device=device, processes=processes, threads=threads, precision="float32", compile=False
    )
    return run_seeds(task, seeds, hardware=hardware, on_log=on_log)


def train(seed, log):
    trainer = toy_trainer(seed=seed, log=log)
    return {"result": trainer.run(), "weights": trainer.method.state_dict(), "process": os.getpid()}


def diverge_at_one(seed, log):
    return toy_trainer(seed=seed, damage=lambda step: float("nan") if seed == 1 else 1.0).run()


class TwoArguments(Exception):
    def __init__(self, first, second):
        super().__init__(f"{first} and {second}")


def fail_oddly(seed, log):
    raise TwoArguments("odd", seed)


def kill_itself(seed, log):
    if seed == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(30)


def test_seeds_give_the_same_bits_here_and_in_two_processes():
    here = run(train, [4, 0, 2], processes=1)
    apart = run(train, [4, 0, 2], processes=2)
    assert [one["result"] for one in here] == [one["result"] for one in apart]
    assert all(same(one["weights"], other["weights"]) for one, other in zip(here, apart, strict=True))
    assert {one["process"] for one in here} == {os.getpid()}
    assert os.getpid() not in {one["process"] for one in apart}
    assert here[0]["result"] != here[1]["result"]


@pytest.mark.parametrize("processes", [1, 2])
def test_logged_values_arrive_in_order_under_their_seed(processes):
    events = []
    run(
        train,
        [0, 1, 2],
        processes=processes,
        on_log=lambda seed, step, values: events.append((seed, step, values["loss"])),
    )
    for seed in range(3):
        rows = [(event[1], event[2]) for event in events if event[0] == seed]
        history = toy_trainer(seed=seed).run().history
        assert rows == [(row["step"], row["loss"]) for row in history]


def test_no_worker_is_left_after_the_last_seed():
    run(train, [0, 1], processes=2)
    assert multiprocessing.active_children() == []


def test_each_worker_has_the_threads_asked_for():
    def threads(seed, log):
        return torch.get_num_threads()

    assert run(threads, [0, 1], processes=2, threads=2) == [2, 2]
    assert run(threads, [0, 1], processes=1, threads=2) == [2, 2]
    assert torch.get_num_threads() == 1


def test_forking_with_threads_from_a_process_with_threads_is_refused():
    torch.set_num_threads(2)
    with pytest.raises(RuntimeError, match=r"set_num_threads\(1\)"):
        run(train, [0, 1], processes=2, threads=2)


def test_another_device_runs_its_seeds_here_in_turn():
    def process(seed, log):
        return os.getpid()

    assert run(process, [0, 1], processes=2, device="cuda") == [os.getpid()] * 2


def test_a_seed_twice_is_refused():
    with pytest.raises(ValueError, match=r"every seed once, found \[1, 1\]"):
        run(train, [1, 1], processes=2)


@pytest.mark.parametrize("processes", [1, 2])
def test_a_diverged_seed_says_which_it_is(processes):
    with pytest.raises(TrainingDiverged, match=r"\(seed 1\) diverged in steps 1 to 2: loss nan"):
        run(diverge_at_one, [0, 1, 2], processes=processes)
    assert multiprocessing.active_children() == []


def test_an_error_carries_the_place_where_it_happened():
    with pytest.raises(TrainingDiverged) as error:
        run(diverge_at_one, [0, 1, 2], processes=2)
    assert "trainer.py" in error.value.__notes__[0]


def test_an_error_that_cannot_travel_is_told_in_words():
    with pytest.raises(SeedFailed, match=r"seed 0: TwoArguments: odd and 0|seed 1: TwoArguments: odd and 1"):
        run(fail_oddly, [0, 1], processes=2)


def test_a_killed_worker_is_named_and_the_others_are_ended():
    began = time.monotonic()
    with pytest.raises(SeedFailed, match="seed 1 died with exit code -9"):
        run(kill_itself, [0, 1], processes=2)
    assert time.monotonic() - began < 10
    assert multiprocessing.active_children() == []


def test_an_error_while_logging_ends_the_workers():
    def refuse(seed, step, values):
        raise KeyError("tracker")

    with pytest.raises(KeyError, match="tracker"):
        run(train, [0, 1], processes=2, on_log=refuse)
    assert multiprocessing.active_children() == []


def _work_long(seed, log):
    """Busy in torch, as a training is, and once in the middle of nothing but sleep."""
    Path(os.environ["TOY_FOLDER"], str(os.getpid())).touch()
    if seed == 1:
        time.sleep(60)
    weights = torch.rand(300, 300)
    until = time.monotonic() + 60
    while time.monotonic() < until:
        weights = (weights @ weights).softmax(0)


def _parent_of_workers():
    run(_work_long, [0, 1], processes=2)


def test_workers_die_with_a_parent_that_is_killed(tmp_path, monkeypatch):
    monkeypatch.setenv("TOY_FOLDER", str(tmp_path))
    parent = multiprocessing.get_context("fork").Process(target=_parent_of_workers)
    parent.start()
    until = time.monotonic() + 20
    while len(list(tmp_path.iterdir())) < 2 and time.monotonic() < until:
        time.sleep(0.02)
    workers = [psutil.Process(int(path.name)) for path in tmp_path.iterdir()]
    assert len(workers) == 2
    parent.kill()
    parent.join()
    _, alive = psutil.wait_procs(workers, timeout=5)
    for worker in alive:
        worker.kill()
    assert alive == []
