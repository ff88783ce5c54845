import multiprocessing
import random
import time

import pytest
import torch
from torch.testing import assert_close

from kinemask.training.checkpoint import CheckpointError, Checkpoints, open_checkpoints
from kinemask.training.trainer import TrainingDiverged, TrainingResult
from tests.training.conftest import ADAMW, CPU, SGD, Toy, same, toy_trainer


class Interrupted(Exception):
    pass


def stop_at(last_step):
    def log(step, values):
        if step >= last_step:
            raise Interrupted

    return log


@pytest.mark.parametrize("optim", [ADAMW, SGD], ids=["adamw", "sgd"])
@pytest.mark.parametrize(("log_every", "checkpoint_every"), [(1, 3), (2, 3), (3, 3), (4, 1), (4, 3)])
def test_three_steps_save_load_three_steps_are_six_steps(checkpoints, optim, log_every, checkpoint_every):
    rhythm = {"optim": optim, "log_every_steps": log_every, "checkpoint_every_steps": checkpoint_every}
    whole = toy_trainer(**rhythm)
    expected = whole.run()

    with pytest.raises(Interrupted):
        toy_trainer(checkpoints=checkpoints, log=stop_at(4), **rhythm).run()
    torch.manual_seed(99)  # a resumed run meets other global random numbers
    resumed = toy_trainer(checkpoints=checkpoints, **rhythm)
    resumed._resume()
    assert resumed.step == 3
    result = resumed.run()

    assert result == expected
    assert same(resumed.method.state_dict(), whole.method.state_dict())
    ours, theirs = resumed.optimizer.state_dict(), whole.optimizer.state_dict()
    assert ours["param_groups"] == theirs["param_groups"]
    assert ours["state"].keys() == theirs["state"].keys()
    assert len(ours["state"]) > 0
    assert all(same(ours["state"][index], theirs["state"][index]) for index in ours["state"])


def test_a_run_that_is_done_returns_at_once_with_all_of_its_history(checkpoints):
    first = toy_trainer(checkpoints=checkpoints)
    expected = first.run()
    again = toy_trainer(checkpoints=checkpoints, log=stop_at(0))
    assert again.run() == expected
    assert same(again.method.state_dict(), first.method.state_dict())


def test_rows_hold_the_means_since_the_last_row_and_the_rate():
    logged = []
    trainer = toy_trainer(steps=5, log=lambda step, values: logged.append((step, values)))
    losses = [trainer.update().loss.item() for _ in range(5)]
    result = toy_trainer(steps=5, log=lambda step, values: logged.append((step, values))).run()
    assert [step for step, _ in logged] == [2, 4, 5]
    assert result.history == [{"step": float(step), **values} for step, values in logged]
    means = [row["loss"] for row in result.history]
    assert means == pytest.approx([sum(losses[:2]) / 2, sum(losses[2:4]) / 2, losses[4]], rel=1e-6)
    assert result.history[0].keys() == {"step", "loss", "pull", "push", "gradient_norm", "lr"}
    # Warm-up of 0.2 * 5 = 1 step, so step 2 (counted from 1) is the first of the cosine: the whole rate.
    assert result.history[0]["lr"] == pytest.approx(0.01)


def test_a_method_is_told_the_share_of_steps_that_lie_behind_also_after_a_resume(checkpoints):
    whole = toy_trainer(steps=5)
    whole.run()
    assert whole.method.seen_done == [0.0, 0.2, 0.4, 0.6, 0.8]
    with pytest.raises(Interrupted):
        toy_trainer(checkpoints=checkpoints, steps=5, log=stop_at(4)).run()
    resumed = toy_trainer(checkpoints=checkpoints, steps=5)
    resumed.run()
    assert resumed.method.seen_done == [0.6, 0.8]


def test_epochs_are_clips_seen_over_clips():
    result = toy_trainer(steps=5).run()
    assert result.steps == 5
    assert result.epochs == pytest.approx(15 / 7)


def test_summary_is_the_last_row_with_steps_and_epochs():
    result = toy_trainer(steps=5).run()
    last = result.history[-1]
    assert result.summary() == {"steps": 5.0, "epochs": 15 / 7} | {
        k: v for k, v in last.items() if k != "step"
    }
    assert TrainingResult([], steps=0, epochs=0.0).summary() == {"steps": 0.0, "epochs": 0.0}


def test_seed_decides_everything():
    first, second, other = toy_trainer(seed=1), toy_trainer(seed=1), toy_trainer(seed=2)
    assert first.run() == second.run()
    assert other.run() != second.run()
    assert same(first.method.state_dict(), second.method.state_dict())


def test_without_a_limit_gradients_are_as_the_loss_has_them_and_with_one_they_are_shorter():
    free = toy_trainer(optim=SGD)
    out = free.update()
    norm = torch.stack([p.grad.norm() for p in free.method.parameters() if p.grad is not None]).norm()
    assert_close(norm.double(), free.totals["gradient_norm"], rtol=1e-5, atol=0)
    limited = toy_trainer(optim=SGD.model_copy(update={"clip_norm": 0.01}))
    assert torch.equal(limited.update().loss, out.loss)
    shortened = torch.stack([p.grad.norm() for p in limited.method.parameters() if p.grad is not None]).norm()
    assert norm > 0.02
    assert_close(shortened, torch.tensor(0.01), rtol=1e-4, atol=0)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_with_steps_and_terms_in_one_line(checkpoints, bad):
    trainer = toy_trainer(checkpoints=checkpoints, damage=lambda step: bad if step == 4 else 1.0)
    with pytest.raises(
        TrainingDiverged, match=r"^toy \(seed 0\) diverged in steps 5 to 6: loss (nan|inf), "
    ) as error:
        trainer.run()
    message = str(error.value)
    assert "\n" not in message
    assert all(f"{name} " in message for name in ("pull", "push", "gradient_norm"))


def test_nothing_diverged_becomes_a_checkpoint(checkpoints):
    trainer = toy_trainer(
        checkpoints=checkpoints,
        steps=9,
        log_every_steps=100,
        damage=lambda step: float("nan") if step == 4 else 1.0,
    )
    with pytest.raises(TrainingDiverged, match="in steps 1 to 6"):
        trainer.run()
    resumed = toy_trainer(checkpoints=checkpoints, steps=9, log_every_steps=100)
    resumed._resume()
    assert resumed.step == 3


def test_a_spoilt_last_update_stops_although_every_loss_is_finite():
    trainer = toy_trainer(steps=4, damage=lambda step: 1e30 if step == 3 else 1.0)
    with pytest.raises(TrainingDiverged, match=r"loss [0-9.]+e\+.*gradient_norm inf"):
        trainer.run()


def test_a_checkpoint_beyond_the_budget_stops(checkpoints):
    toy_trainer(checkpoints=checkpoints, steps=6).run()
    with pytest.raises(CheckpointError, match="at step 6 of 4: delete"):
        toy_trainer(checkpoints=checkpoints, steps=4).run()


def _train(root, pipe):
    with open_checkpoints({"params": "toy"}, root=root) as checkpoints:
        trainer = toy_trainer(
            checkpoints=checkpoints,
            steps=120,
            log_every_steps=5,
            checkpoint_every_steps=7,
            log=lambda step, values: pipe.send(step),
        )
        trainer.run()


def test_killed_at_random_moments_a_run_ends_as_if_undisturbed(tmp_path):
    chance = random.Random(0)
    context = multiprocessing.get_context("fork")
    num_killed, resumed_from = 0, set()
    for attempt in range(8):
        pipe, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_train, args=(tmp_path / "killed", theirs))
        process.start()
        theirs.close()
        resumed_from.add(pipe.recv())
        if attempt < 6:
            for _ in range(chance.randrange(3)):
                pipe.recv()
            time.sleep(chance.uniform(0, 0.01))
            process.kill()
        process.join()
        if process.exitcode == 0:
            break
        assert process.exitcode == -9
        num_killed += 1
    assert num_killed >= 4
    assert len(resumed_from) >= 3  # it went on, it did not start over

    here, there = context.Pipe()
    _train(tmp_path / "undisturbed", there)
    here.close()
    (disturbed,) = (tmp_path / "killed").glob("*/checkpoint.safetensors")
    (undisturbed,) = (tmp_path / "undisturbed").glob("*/checkpoint.safetensors")
    assert disturbed.read_bytes() == undisturbed.read_bytes()


def keeper(checkpoints, trainer):
    return lambda step: checkpoints.keep(step, trainer.method.student.state_dict())


def trainer_that_keeps(checkpoints, **changes):
    trainer = toy_trainer(checkpoints=checkpoints, **changes)
    trainer.keep = keeper(checkpoints, trainer)
    return trainer


def test_snapshots_are_the_weights_after_that_many_steps_and_cost_no_step(checkpoints):
    at_three = toy_trainer(steps=6)
    start = {name: value.clone() for name, value in at_three.method.student.state_dict().items()}
    at_three.method.train()
    for _ in range(3):
        at_three.update()
    plain = toy_trainer(steps=6)
    expected = plain.run()
    trainer = trainer_that_keeps(checkpoints, steps=6, snapshots=(0, 3))
    assert trainer.run() == expected
    assert same(trainer.method.state_dict(), plain.method.state_dict())
    assert same(checkpoints.kept(0), start)
    assert same(checkpoints.kept(3), at_three.method.student.state_dict())


@pytest.mark.parametrize("stop", [1, 2, 3, 4, 5])
def test_a_run_that_is_stopped_and_goes_on_keeps_the_same_files(tmp_path, stop):
    found = []
    for name in ("whole", "stopped"):
        folder = tmp_path / name
        folder.mkdir()
        checkpoints = Checkpoints(folder, key="k")
        rhythm = {"snapshots": (0, 2, 4), "log_every_steps": 1, "checkpoint_every_steps": 3}
        if name == "stopped":
            with pytest.raises(Interrupted):
                trainer_that_keeps(checkpoints, log=stop_at(stop), **rhythm).run()
        trainer_that_keeps(checkpoints, **rhythm).run()
        found.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert found[0] == found[1]
    assert {f"step-{step}.safetensors" for step in (0, 2, 4)} <= set(found[0])


def test_a_snapshot_is_kept_before_there_is_a_checkpoint_of_its_step(checkpoints):
    there = []
    toy_trainer(
        checkpoints=checkpoints,
        snapshots=(3,),
        checkpoint_every_steps=3,
        keep=lambda step: there.append(checkpoints.path.exists()),
    ).run()
    assert there == [False]


def test_nothing_diverged_becomes_a_snapshot():
    kept = []
    trainer = toy_trainer(
        snapshots=(0, 2), log_every_steps=6, damage=lambda step: float("nan"), keep=kept.append
    )
    with pytest.raises(TrainingDiverged, match="diverged in steps 1 to 2"):
        trainer.run()
    assert kept == [0]


class Layered(Toy):
    """Its student as an encoder of two layers: a linear one, and the norm behind it."""

    @property
    def encoder(self):
        return self

    def layer_groups(self):
        return [list(layer.parameters()) for layer in self.student[:2]]


def test_a_layer_moves_at_its_share_of_the_rate_and_the_whole_rate_is_logged():
    # One step of plain SGD: the change is the rate times the gradient, which is the same in both.
    optim = SGD.model_copy(update={"weight_decay": 0.0})
    moved = []
    for layer_decay in (1.0, 0.5):
        trainer = toy_trainer(steps=1, optim=optim, method=Layered(), layer_decay=layer_decay)
        before = {name: value.detach().clone() for name, value in trainer.method.named_parameters()}
        result = trainer.run()
        assert result.history[-1]["lr"] == SGD.lr
        moved.append({name: value - before[name] for name, value in trainer.method.named_parameters()})
    whole, shared = moved
    for name, share in (("student.0.weight", 0.25), ("student.1.weight", 0.5)):
        assert whole[name].abs().sum() > 0
        assert_close(shared[name], share * whole[name], atol=1e-6, rtol=1e-3)


@pytest.mark.parametrize("wanted", [True, False])
def test_blocks_are_compiled_if_the_hardware_section_says_so(wanted, monkeypatch):
    compiled = []
    monkeypatch.setattr("kinemask.training.trainer.compile_blocks", compiled.append)
    trainer = toy_trainer(steps=1, hardware=CPU.model_copy(update={"compile": wanted}))
    assert compiled == [trainer.method] * wanted
