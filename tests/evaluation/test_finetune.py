"""Fine-tuning: from the pretrained weights, with training labels alone; it goes on where it stopped."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from kinemask.evaluation.features import EmbedConfig, EncoderError, read_encoder
from kinemask.evaluation.few import draw_labelled
from kinemask.evaluation.finetune import LabelShare, OneClassError, open_finetuning
from kinemask.evaluation.finetune_config import FinetuneConfig
from kinemask.evaluation.frozen import ABSENT_SCORE
from kinemask.evaluation.scoring import keep_results
from kinemask.hardware import HardwareConfig
from kinemask.record import Clock
from kinemask.section import plan_file, read_yaml
from kinemask.seeding import derive_seed
from kinemask.skeleton.benchmark import BENCHMARKS, TEST_LABELS
from kinemask.skeleton.truth import read_test_labels
from kinemask.storage import write_text
from kinemask.training.checkpoint import CHECKPOINTS
from kinemask.training.pretrain import Pretrained, new_encoder, open_pretraining, save_encoders
from kinemask.training.recipe import RecipeError
from kinemask.training.trainer import TrainingResult
from tests.project import ROOT, make_tiny, write_sections
from tests.training.test_pretrain import presets, write_data

HARDWARE = HardwareConfig(device="cpu", processes=1, threads=1, precision="float32", compile=False)
EMBED = EmbedConfig(crop_share=0.95, batch=7, poolings=("mean",))
TRANSFORMER = {
    "name": "transformer", "width": 8, "depth": 2, "heads": 2, "mlp_ratio": 2, "frames_per_token": 4,
    "topology": "hops", "max_hops": 8,
}  # fmt: skip


class Interrupted(Exception):
    pass


def settings(**changes):
    """The tiny recipes of the project; `changes` are of both small ones."""
    params = read_yaml(ROOT / "params.yaml")
    make_tiny(params)
    found = params["evaluation"]["finetune"]
    for encoder in ("gru", "transformer"):
        small = found["gru"]["small"] | {"head": found[encoder]["small"]["head"]}
        found[encoder]["small"] |= small | changes
    return FinetuneConfig.model_validate_json(json.dumps(found))


@pytest.fixture
def preset(tmp_path, monkeypatch):
    """The preset of a method whose encoders of two seeds are there; the project folder is the current one."""
    write_data(tmp_path)
    monkeypatch.chdir(tmp_path)
    return pretrained(presets(tmp_path)["mtmc"])


def pretrained(preset):
    work = open_pretraining("toy-odd", "mtmc", preset=preset, hardware=HARDWARE)
    made = {}
    for seed in (0, 3):
        torch.manual_seed(seed)
        encoder = new_encoder(work.recipe, layout=work.domain.layout, num_persons=work.domain.num_persons)
        made[seed] = Pretrained(encoder.state_dict(), TrainingResult([], steps=0, epochs=0.0), {})
    save_encoders("toy-odd", "mtmc", work, made)
    return preset


def opened(preset, **changes):
    return open_finetuning(
        "toy-odd", "mtmc", preset=preset, config=settings(**changes), embed=EMBED, hardware=HARDWARE
    )


def run(work, seed=0, log=lambda step, values: None):
    return work.run(seed, log)


def keep(work, probed):
    return keep_results(
        probed,
        stage="finetune",
        benchmark="toy-odd",
        method="mtmc",
        params=work.used,
        hardware=HARDWARE,
        clock=Clock(),
        encoders={one.seed: work.weights(one.seed) for one in probed},
    )


def test_it_learns_the_training_clips_and_leaves_scores_and_a_record(preset):
    work = opened(preset)
    probed = run(work)
    assert probed.setting == "pooling=mean"
    assert probed.scores.shape == (24, 3)
    assert probed.scores.dtype == np.float32
    first, last = probed.history[0], probed.history[-1]
    assert [row["step"] for row in probed.history] == [5, 10, 15, 20, 25, 30]
    assert last["loss"] < first["loss"]
    assert probed.values == {
        "steps": 30.0, "epochs": 20.0, "num_labelled": 24.0,
        "train_loss": last["loss"], "train_top1": last["top1"],
    }  # fmt: skip
    (record,) = keep(work, [probed])
    labels = read_test_labels(BENCHMARKS / "toy-odd")
    assert record.metrics["pooling=mean"]["top1"] == (probed.scores.argmax(axis=1) == labels).mean()
    assert record.history == list(probed.history)
    assert set(record.params) == {"finetune", "crop_share"}
    assert "results/pretrain/toy-odd/mtmc/seed-0.safetensors" in record.inputs
    with np.load("results/finetune/toy-odd/mtmc/seed-0.npz") as kept:
        assert (kept["pooling=mean"] == probed.scores).all()


def test_it_starts_from_the_weights_of_its_seed_under_a_fresh_head(preset):
    work = opened(preset)
    for seed in (0, 3):
        kept = load_file(f"results/pretrain/toy-odd/mtmc/seed-{seed}.safetensors")
        model = work._model(seed)
        assert all(torch.equal(kept[name], value) for name, value in model.encoder.state_dict().items())
        torch.manual_seed(derive_seed(seed, "head"))
        again = torch.nn.Linear(24, 3)
        torch.nn.init.normal_(again.weight, std=0.01)
        assert torch.equal(model.head[-1].weight, again.weight)
    assert not (run(work, 0).scores == run(work, 3).scores).any()
    (work.weights(3)).unlink()
    with pytest.raises(EncoderError, match=r"seed-3\.safetensors is not the encoder of this recipe"):
        run(work, 3)


def test_without_test_labels_scores_are_the_same_and_with_other_training_labels_they_are_not(preset):
    expected = run(opened(preset)).scores
    (BENCHMARKS / "toy-odd" / TEST_LABELS).unlink()
    assert (run(replace(opened(preset), checkpoints=Path("blind"))).scores == expected).all()
    path = BENCHMARKS / "toy-odd/train.parquet"
    table = pd.read_parquet(path)
    table.assign(label=(table["label"] + 1) % 3).to_parquet(path)
    assert not (run(replace(opened(preset), checkpoints=Path("wrong"))).scores == expected).all()


def test_stopped_and_gone_on_it_ends_with_the_same_scores(preset, tmp_path):
    whole = run(replace(opened(preset), checkpoints=tmp_path / "whole"))

    def stop(step, values):
        if step == 15:
            raise Interrupted

    work = replace(opened(preset), checkpoints=tmp_path / "stopped")
    with pytest.raises(Interrupted):
        run(work, log=stop)
    rows = []
    found = run(work, log=lambda step, values: rows.append(step))
    assert rows == [15, 20, 25, 30]  # the checkpoint is of step 10
    assert (found.scores == whole.scores).all()
    assert found.history == whole.history


@pytest.mark.parametrize(
    "changes", [{"layer_decay": 0.5}, {"label_smoothing": 0.2}, {"freeze": True}], ids=str
)
def test_another_recipe_is_another_run(preset, changes):
    assert not (run(opened(preset)).scores == run(opened(preset, **changes)).scores).all()
    assert len([path for path in CHECKPOINTS.iterdir() if path.is_dir()]) == 2


def test_with_a_share_of_the_labels_it_is_told_those_that_few_is_told(preset):
    work = replace(opened(preset), few=LabelShare(0.25, "by_class"))
    probed = run(work)
    names, labels = np.array(work.train.names), work.train.labels
    rows = draw_labelled(names, labels, share=0.25, draw="by_class", seed=0, benchmark="toy-odd")
    assert len(rows) == 6
    assert probed.setting == "pooling=mean labels=25%"
    assert probed.subset.names == tuple(names[rows])
    assert probed.values["num_labelled"] == 6.0
    assert probed.values["epochs"] == 30.0  # fewer clips than a batch are one batch of all of them
    # What is told of the others makes no difference: their clips are not even looked at.
    others = np.setdiff1d(np.arange(24), rows)
    damaged = replace(work.train.clips, joints=work.train.clips.joints.clone())
    for row in others:
        start = int(damaged.offsets[row])
        damaged.joints[start : start + int(damaged.lengths[row])] = 7.0
    again = replace(work, train=replace(work.train, clips=damaged), checkpoints=Path("damaged"))
    assert (run(again).scores == probed.scores).all()


def relabel(part, change):
    path = f"data/benchmarks/toy-odd/{part}.parquet"
    table = pd.read_parquet(path)
    table.assign(label=change(table["label"].to_numpy())).to_parquet(path)


def test_a_class_without_training_clips_is_never_the_answer(preset):
    relabel("train", lambda labels: np.where(labels == 1, 2, labels))
    probed = run(opened(preset))
    assert (probed.scores[:, 1] == ABSENT_SCORE).all()
    assert (probed.scores[:, [0, 2]] != ABSENT_SCORE).all()
    (record,) = keep(opened(preset), [probed])
    assert 0 < record.metrics["pooling=mean"]["top1"] < 1


def test_training_clips_of_one_class_are_one_line(preset):
    relabel("train", lambda labels: np.full_like(labels, 2))
    with pytest.raises(OneClassError) as raised:
        opened(preset)
    assert str(raised.value) == (
        "toy-odd: all 24 training clips are of the class 'c', so there is nothing to fine-tune an encoder "
        "for: edit benchmarks.toy-odd in params.yaml"
    )


def of_transformer(preset):
    sizes = preset.model_dump(mode="json")
    sizes["small"] |= {"encoder": TRANSFORMER, "method": {"name": "untrained"}, "training": None}
    sizes["small"]["inputs"]["num_frames"] = 8
    return pretrained(type(preset).model_validate_json(json.dumps(sizes)))


def test_a_transformer_is_fine_tuned_with_drop_path_and_layers_that_learn_less(preset):
    work = opened(of_transformer(preset), drop_path=0.3, layer_decay=0.8)
    assert [block.drop_path for block in work._model(0).encoder.blocks] == [0.0, 0.3]
    probed = run(work)
    assert probed.setting == "pooling=joints"
    assert probed.history[-1]["loss"] < probed.history[0]["loss"]
    assert np.isfinite(probed.scores).all()


def test_clips_of_another_length_stretch_the_positions_in_time_and_a_line_says_so(preset, caplog):
    preset = of_transformer(preset)
    work = opened(preset, num_frames=16)
    model = work._model(0)
    line = "seed-0.safetensors: its positions of 2 times are stretched to 4"
    assert [line in record.message for record in caplog.records] == [True]
    first, last = load_file(work.weights(0))["time_positions"]
    expected = torch.stack([first, 0.75 * first + 0.25 * last, 0.25 * first + 0.75 * last, last])
    torch.testing.assert_close(model.encoder.time_positions.data, expected)
    assert run(work).scores.shape == (24, 3)
    with pytest.raises(EncoderError, match=r"seed-0\.safetensors is not the encoder of this recipe"):
        read_encoder(work.weights(0), work.recipe, work.info)
    with pytest.raises(
        RecipeError, match=r"small: num_frames 6 is no multiple of encoder\.frames_per_token 4"
    ):
        opened(preset, num_frames=6)


def test_a_recurrent_encoder_takes_clips_of_another_length_as_they_are(preset, caplog):
    assert opened(preset).recipe.inputs.num_frames != 6
    work = opened(preset, num_frames=6)
    assert work.recipe.inputs.num_frames == 6
    assert not (run(work).scores == run(opened(preset)).scores).all()
    assert not caplog.records


def test_coordinates_have_nothing_to_fine_tune(preset, tmp_path):
    raw = presets(tmp_path)["raw"]
    with pytest.raises(RecipeError, match="the encoder 'coordinates' has nothing to train"):
        open_finetuning("toy-odd", "mtmc", preset=raw, config=settings(), embed=EMBED, hardware=HARDWARE)


def test_the_stage_leaves_scores_and_a_record_for_each_seed(preset):
    params = read_yaml(ROOT / "params.yaml")
    make_tiny(params)
    write_text(Path("params.yaml"), json.dumps(params))
    write_sections(params)
    plan = {"seeds": [0, 3], "method": preset.model_dump(mode="json")}
    write_text(plan_file("plan", "mtmc"), json.dumps(plan))
    command = [sys.executable, ROOT / "stages/finetune.py", "toy-odd", "mtmc"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for seed in (0, 3):
        with np.load(f"results/finetune/toy-odd/mtmc/seed-{seed}.npz") as kept:
            np.testing.assert_allclose(kept["pooling=mean"], run(opened(preset), seed).scores, atol=1e-5)
        record = json.loads(Path(f"records/finetune/toy-odd/mtmc/seed-{seed}.json").read_text())
        assert record["metrics"]["pooling=mean"]["num_labelled"] == 24
