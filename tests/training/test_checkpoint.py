import errno
import json
import logging
import multiprocessing
import os
import time
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from kinemask.run_key import run_key
from kinemask.storage import write_whole
from kinemask.training.checkpoint import (
    CheckpointError,
    Checkpoints,
    TrainingState,
    open_checkpoints,
)
from tests.training.conftest import ADAMW, SGD, Toy, same, toy_trainer

PARTS = {"params": '{"lr": 0.1}', "seed": "0"}


def trained(checkpoints, **changes):
    trainer = toy_trainer(checkpoints=checkpoints, **changes)
    trainer.run()
    return trainer


def load(checkpoints, **changes):
    trainer = toy_trainer(**changes)
    return checkpoints.load(method=trainer.method, optimizer=trainer.optimizer)


def one_line(error) -> str:
    message = str(error.value)
    assert "\n" not in message
    return message


def test_what_is_saved_is_what_is_loaded(checkpoints):
    trainer = trained(checkpoints)
    state = TrainingState(
        5, [{"step": 4.0, "loss": 0.1}], {"loss": torch.tensor(0.3, dtype=torch.float64)}, 1
    )
    checkpoints.save(method=trainer.method, optimizer=trainer.optimizer, state=state)
    other = toy_trainer(seed=9)
    found = checkpoints.load(method=other.method, optimizer=other.optimizer)
    assert (found.step, found.history, found.num_counted) == (5, state.history, 1)
    assert same(found.totals, state.totals)
    assert same(other.method.state_dict(), trainer.method.state_dict())


def test_a_run_without_checkpoint_starts_at_the_beginning(checkpoints):
    assert load(checkpoints) is None


def test_the_same_training_gives_the_same_bytes(tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        trained(Checkpoints(tmp_path / folder, key="k"))
    one, two = (tmp_path / folder / "checkpoint.safetensors" for folder in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()
    with safe_open(one, framework="pt") as file:
        assert list(file.metadata()) == ["checkpoint"]  # of several, the order would be chance


@pytest.mark.parametrize("keep", [0.0, 0.001, 0.3, 0.999])
def test_a_truncated_checkpoint_stops_with_file_and_cure(checkpoints, keep):
    trained(checkpoints)
    data = checkpoints.path.read_bytes()
    checkpoints.path.write_bytes(data[: int(keep * len(data))])
    with pytest.raises(CheckpointError, match="cannot be read") as error:
        load(checkpoints)
    assert one_line(error).startswith(f"{checkpoints.path} ")
    assert one_line(error).endswith(f"delete {checkpoints.folder} to start this run afresh")


@pytest.mark.parametrize("place", [0.3, 0.6, 0.95])
def test_a_single_flipped_bit_stops(checkpoints, place):
    trained(checkpoints)
    data = bytearray(checkpoints.path.read_bytes())
    data[int(place * len(data))] ^= 1
    checkpoints.path.write_bytes(data)
    with pytest.raises(CheckpointError, match=r"is damaged|cannot be read"):
        load(checkpoints)


def test_a_tensor_taken_out_of_the_optimiser_stops(checkpoints):
    trained(checkpoints)
    tensors = load_file(checkpoints.path)
    del tensors["optimizer/0/exp_avg"]
    save_file(tensors, checkpoints.path)
    with pytest.raises(CheckpointError, match="is damaged"):
        load(checkpoints)


def test_missing_unexpected_and_misshaped_weights_stop_and_are_named(checkpoints):
    trainer = toy_trainer()
    trainer.method.register_buffer("queue", torch.zeros(5, 3))
    trainer.method.register_buffer("extra", torch.zeros(1))
    del trainer.method._buffers["steps_done"]
    state = TrainingState(0, [], {}, 0)
    checkpoints.save(method=trainer.method, optimizer=trainer.optimizer, state=state)
    with pytest.raises(CheckpointError, match="does not fit this run") as error:
        load(checkpoints)
    message = one_line(error)
    assert "no method/steps_done" in message
    assert "unexpected method/extra" in message
    assert "method/queue is (5, 3) float32, expected (5, 4) float32" in message


def test_another_optimiser_stops(checkpoints):
    trained(checkpoints, optim=ADAMW)
    with pytest.raises(CheckpointError, match="optimiser"):
        load(checkpoints, optim=SGD)
    with pytest.raises(CheckpointError, match="optimiser"):
        load(checkpoints, optim=ADAMW.model_copy(update={"weight_decay": 0.1}))


def test_a_checkpoint_of_another_run_stops(checkpoints, tmp_path):
    trained(checkpoints)
    with pytest.raises(CheckpointError, match="belongs to the run aaaa"):
        load(Checkpoints(tmp_path, key="b" * 64))


def test_a_full_disk_stops_in_one_line_and_the_old_checkpoint_stays(checkpoints, monkeypatch):
    trainer = trained(checkpoints)
    before = checkpoints.path.read_bytes()

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    state = TrainingState(7, [], {}, 0)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match="No space left") as error:
        checkpoints.save(method=trainer.method, optimizer=trainer.optimizer, state=state)
    assert str(checkpoints.path) in one_line(error)
    assert [path.name for path in checkpoints.folder.iterdir()] == [checkpoints.path.name]
    assert checkpoints.path.read_bytes() == before
    monkeypatch.undo()
    checkpoints.save(method=trainer.method, optimizer=trainer.optimizer, state=state)
    assert load(checkpoints).step == 7


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_write_to_a_device_that_is_full_leaves_what_was_there(tmp_path):
    path = tmp_path / "weights"
    write_whole(path, b"old")
    (tmp_path / ".weights.partial").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, b"new" * 100_000)
    assert path.read_bytes() == b"old"
    write_whole(path, b"new")  # the half-written file is gone, and with it what filled the disk
    assert path.read_bytes() == b"new"


def test_a_leftover_of_a_killed_write_is_overwritten(tmp_path):
    path = tmp_path / "weights"
    (tmp_path / ".weights.partial").write_bytes(b"half")
    write_whole(path, b"new")
    assert [found.name for found in tmp_path.iterdir()] == ["weights"]


def test_a_root_that_cannot_be_written_stops_in_one_line(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with (
        pytest.raises(CheckpointError, match=r"cannot write in .*file.*run again") as error,
        open_checkpoints(PARTS, root=tmp_path / "file"),
    ):
        pass
    one_line(error)


def test_the_folder_is_named_by_the_parts_and_says_them_in_clear(tmp_path):
    with open_checkpoints(PARTS, root=tmp_path) as checkpoints:
        assert checkpoints.key == run_key(PARTS)
        assert checkpoints.folder == tmp_path / run_key(PARTS)[:16]
    assert json.loads((checkpoints.folder / "run.json").read_text()) == PARTS
    with open_checkpoints({**PARTS, "seed": "1"}, root=tmp_path) as others:
        assert others.folder != checkpoints.folder


def test_a_folder_that_describes_another_run_stops(tmp_path):
    with open_checkpoints(PARTS, root=tmp_path) as checkpoints:
        pass
    (checkpoints.folder / "run.json").write_text("{}")
    with (
        pytest.raises(CheckpointError, match="describes another run"),
        open_checkpoints(PARTS, root=tmp_path),
    ):
        pass


def _hold(root, pipe, seconds):
    with open_checkpoints(PARTS, root=root):
        pipe.send("held")
        time.sleep(seconds)


@pytest.fixture
def holder(tmp_path):
    """Starts another process that holds the run for some seconds."""
    context = multiprocessing.get_context("fork")
    started = []

    def start(seconds):
        here, there = context.Pipe(duplex=False)
        process = context.Process(target=_hold, args=(tmp_path, there, seconds))
        process.start()
        started.append(process)
        assert here.recv() == "held"
        return process

    yield start
    for process in started:
        process.kill()
        process.join()


def test_a_second_process_waits_and_says_so_in_one_line(holder, tmp_path, caplog):
    process = holder(0.3)
    with caplog.at_level(logging.WARNING), open_checkpoints(PARTS, root=tmp_path) as checkpoints:
        assert str(checkpoints.folder) in caplog.text
    process.join()
    assert process.exitcode == 0
    assert len(caplog.messages) == 1


def test_waiting_ends_when_the_holder_is_killed(holder, tmp_path):
    process = holder(60)
    process.kill()
    with open_checkpoints(PARTS, root=tmp_path, lock_timeout_seconds=5.0):
        pass


def test_waiting_too_long_stops_with_folder_and_cure(holder, tmp_path):
    holder(60)
    with (
        pytest.raises(
            CheckpointError, match=r"still used by another process after 0.2 s: end that process"
        ) as error,
        open_checkpoints(PARTS, root=tmp_path, lock_timeout_seconds=0.2),
    ):
        pass
    one_line(error)


def test_an_error_inside_frees_the_run(tmp_path):
    with pytest.raises(KeyError), open_checkpoints(PARTS, root=tmp_path):
        raise KeyError
    with open_checkpoints(PARTS, root=tmp_path, lock_timeout_seconds=0.0):
        pass


def test_tied_weights_are_saved(checkpoints):
    trainer = toy_trainer()
    trainer.method.register_buffer("alias", trainer.method.queue)
    checkpoints.save(method=trainer.method, optimizer=trainer.optimizer, state=TrainingState(0, [], {}, 0))
    other = Toy(seed=4)
    other.register_buffer("alias", other.queue)
    assert checkpoints.load(method=other, optimizer=trainer.optimizer).step == 0
    assert torch.equal(other.queue, trainer.method.queue)


def test_kept_weights_come_back_and_belong_to_their_run_and_step(checkpoints, tmp_path):
    weights = {"weight": torch.randn(3, 2), "count": torch.tensor(4)}
    checkpoints.keep(400, weights)
    assert same(checkpoints.kept(400), weights)
    path = checkpoints.folder / "step-400.safetensors"
    with pytest.raises(CheckpointError, match="belongs to the run aaaa") as error:
        Checkpoints(tmp_path, key="b" * 64).kept(400)
    assert one_line(error).startswith(f"{path} ")
    path.rename(checkpoints.folder / "step-800.safetensors")
    with pytest.raises(CheckpointError, match=r"step-800\.safetensors is of step 400: delete"):
        checkpoints.kept(800)


@pytest.mark.parametrize("place", [0.6, 0.95])
def test_a_damaged_or_missing_snapshot_stops_with_file_and_cure(checkpoints, place):
    checkpoints.keep(5, {"weight": torch.randn(30)})
    path = checkpoints.folder / "step-5.safetensors"
    data = bytearray(path.read_bytes())
    data[int(place * len(data))] ^= 1
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=r"step-5\.safetensors (is damaged|cannot be read)"):
        checkpoints.kept(5)
    path.unlink()
    with pytest.raises(CheckpointError, match="cannot be read") as error:
        checkpoints.kept(5)
    assert one_line(error).endswith(f"delete {checkpoints.folder} to start this run afresh")
