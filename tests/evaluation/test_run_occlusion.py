"""The occlusion benchmark of a method: clean and adapted probes, and what they leave behind."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from kinemask.evaluation.features import EmbedConfig, Embedding, EncoderError
from kinemask.evaluation.kept import KINDS, UNDAMAGED, kept_metrics, setting_of, words_of
from kinemask.evaluation.linear_probe import LinearConfig, fit_linear
from kinemask.evaluation.occlusion import Damage, Draws, OcclusionConfig, damage_clips
from kinemask.evaluation.run_occlusion import OcclusionError, open_occlusion
from kinemask.hardware import HardwareConfig
from kinemask.record import read_records
from kinemask.section import plan_file, read_yaml, validate
from kinemask.skeleton.benchmark import TEST_LABELS
from kinemask.skeleton.resident import load_clips
from kinemask.skeleton.truth import read_test_labels
from kinemask.storage import write_text
from kinemask.training.pretrain import Pretrained, new_encoder, open_pretraining, save_encoders
from kinemask.training.trainer import TrainingResult
from tests.project import ROOT, make_tiny, write_sections
from tests.training.test_pretrain import presets, write_data

HARDWARE = HardwareConfig(device="cpu", processes=1, threads=1, precision="float32", compile=False)
EMBED = EmbedConfig(crop_share=0.95, batch=7, poolings=("mean", "max"))
LINEAR = LinearConfig(components=None, c_grid=(0.01, 1.0), folds=2, max_iterations=300, tolerance=1e-4)
NOTHING = {"part": False} | {kind: [] for kind in KINDS[1:]}
CLEAN = setting_of("mean", "clean", UNDAMAGED)
NOISE = Damage("noise", 0.5, None)


def section(**changes) -> OcclusionConfig:
    values = read_yaml(ROOT / "params.yaml")["evaluation"]["occlusion"] | {
        "levels": NOTHING | {"noise": [0.5, 30.0]},
        "adapted": NOTHING,
        "poolings": ["mean"],
    }
    return validate(OcclusionConfig, values | changes, Path("params.yaml"))


@pytest.fixture
def preset(tmp_path, monkeypatch):
    """The preset of a method whose encoders of two seeds are there; clips of a class stand in one place."""
    write_data(tmp_path)
    joints = np.load(tmp_path / "data/packed/toy/joints.npy", mmap_mode="r+")
    for clip in range(48):  # of 20 frames each; the label is the number of the clip modulo 3
        joints[20 * clip : 20 * clip + 20, :, :, 1] += np.linspace(0, 20 * (clip % 3 - 1), 20)[:, None, None]
    joints.flush()
    monkeypatch.chdir(tmp_path)
    preset = presets(tmp_path)["mtmc"]
    work = open_pretraining("toy-odd", "mtmc", preset=preset, hardware=HARDWARE)
    made = {}
    for seed in (0, 3):
        torch.manual_seed(seed)
        encoder = new_encoder(work.recipe, layout=work.domain.layout, num_persons=work.domain.num_persons)
        made[seed] = Pretrained(encoder.state_dict(), TrainingResult([], steps=0, epochs=0.0), {})
    save_encoders("toy-odd", "mtmc", work, made)
    return preset


def opened(preset, **changes):
    return open_occlusion(
        "toy-odd",
        "mtmc",
        preset=preset,
        config=section(**changes),
        linear=LINEAR,
        embed=EMBED,
        hardware=HARDWARE,
    )


def scores(work, seed=0) -> dict[str, np.ndarray]:
    return {one.setting: one.scores for one in work.run(seed, lambda *row: None)}


def clean_features(work, preset, seed=0) -> np.ndarray:
    """As the embed stage makes them: training clips, then test clips."""
    rows = [*work.train.rows, *work.test.rows]
    embedding = Embedding(
        name="embed", weights=work.weights, recipe=work.recipe, config=EMBED, packed=work.packed, rows=rows,
        device="cpu", steps=(),
    )  # fmt: skip
    return embedding.run(seed, lambda *row: None).last["mean"]


def test_undamaged_clips_score_as_the_linear_probe_has_them(preset):
    work = opened(preset)
    features = clean_features(work, preset)
    train = pd.read_parquet("data/benchmarks/toy-odd/train.parquet")
    probe = fit_linear(
        features=features[:24],
        labels=train["label"].to_numpy(),
        subjects=train["subject"].to_numpy(),
        num_classes=3,
        config=LINEAR,
    )
    found = {one.setting: one for one in work.run(0, lambda *row: None)}
    np.testing.assert_allclose(found[CLEAN].scores, probe.scores(features[24:]), atol=1e-4)
    assert found[CLEAN].values == {
        "validation_top1": probe.validation_top1, "c": probe.c, "converged": 1.0, "missing": 0.0
    }  # fmt: skip
    labels = read_test_labels(Path("data/benchmarks/toy-odd"))
    top1 = {setting: (one.scores.argmax(1) == labels).mean() for setting, one in found.items()}
    assert top1[CLEAN] > 0.9
    assert top1[setting_of("mean", "clean", ("kind=noise", "level=30"))] < 0.7  # chance is a third


def test_damage_is_that_of_the_raw_clip_before_it_is_moved_and_cut(preset):
    work = opened(preset, levels=NOTHING | {"joints": [0.5]})
    damage = Damage("joints", 0.5, "zero")
    (found,) = [one for setting, one in scores(work).items() if "kind=joints" in setting]
    clips = load_clips(work.packed, work.test.rows)
    damaged = damage_clips(damage, Draws(clips, work.test.names, seed=0, draw=0), work.groups).clips
    assert not torch.equal(damaged.joints, clips.joints)
    joints = np.array(work.packed.joints)
    for number, row in enumerate(work.test.rows):
        joints[20 * row : 20 * row + 20] = damaged.joints[20 * number : 20 * number + 20].numpy()
    again = replace(work, packed=replace(work.packed, joints=joints))
    np.testing.assert_array_equal(scores(again)[CLEAN], found)


def test_what_a_clip_meets_depends_on_no_batch_no_order_and_no_method(preset):
    work = opened(preset)
    setting = setting_of("mean", "clean", NOISE.words)
    expected = scores(work)[setting]
    one_by_one = replace(work, embed=EMBED.model_copy(update={"batch": 1}))
    np.testing.assert_allclose(scores(one_by_one)[setting], expected, atol=1e-4)
    turned = replace(
        work, test=replace(work.test, rows=work.test.rows[::-1][:9], names=work.test.names[::-1][:9])
    )
    np.testing.assert_allclose(scores(turned)[setting], expected[::-1][:9], atol=1e-4)
    other_names = replace(work, test=replace(work.test, names=tuple(f"x{one}" for one in work.test.names)))
    assert (abs(scores(other_names)[setting] - expected) > 1e-3).any()
    assert (abs(scores(work, seed=3)[setting] - expected) > 1e-3).any()


def test_the_clean_probe_never_sees_damage_and_the_adapted_one_sees_that_of_training_clips(preset):
    setting = setting_of("mean", "clean", NOISE.words)
    plain = scores(opened(preset))
    both = scores(opened(preset, adapted=NOTHING | {"noise": [0.5]}))
    np.testing.assert_array_equal(both[setting], plain[setting])
    adapted = setting_of("mean", "adapted", NOISE.words)
    assert set(both) - set(plain) == {adapted}
    work = opened(preset, adapted=NOTHING | {"noise": [0.5]})
    # The same by hand: a probe on clips that are damaged in the data themselves.
    clips = load_clips(work.packed, range(48))
    names = tuple(work.packed.clips["name"])
    noisy = damage_clips(NOISE, Draws(clips, names, seed=0, draw=0), {}).clips.joints.numpy()
    features = clean_features(replace(work, packed=replace(work.packed, joints=noisy)), preset)
    found = {one.setting: one for one in work.run(0, lambda *row: None)}[adapted]
    train = pd.read_parquet("data/benchmarks/toy-odd/train.parquet")
    probe = fit_linear(
        features=features[:24],
        labels=train["label"].to_numpy(),
        subjects=train["subject"].to_numpy(),
        num_classes=3,
        config=LINEAR.model_copy(update={"c_grid": (found.values["c"],)}),
    )
    np.testing.assert_allclose(found.scores, probe.scores(features[24:]), atol=1e-3)


def test_other_test_labels_change_no_score(preset):
    adapted = NOTHING | {"noise": [0.5]}
    expected = scores(opened(preset, adapted=adapted))
    Path("data/benchmarks/toy-odd", TEST_LABELS).unlink()
    found = scores(opened(preset, adapted=adapted))
    assert all((found[setting] == expected[setting]).all() for setting in expected)


def test_every_draw_is_a_setting_and_missing_joints_are_counted(preset):
    levels = NOTHING | {"flicker": [0.3], "frames_absolute": [10, 90], "part": True}
    found = {one.setting: one for one in opened(preset, levels=levels, draws=2).run(0, lambda *row: None)}
    flicker = {setting: one for setting, one in found.items() if words_of(setting)["kind"] == "flicker"}
    assert [words_of(setting).get("draw") for setting in flicker] == [None, "1", None, "1"]  # of both fills
    kept = list(flicker.values())
    assert not np.array_equal(kept[0].scores, kept[1].scores)
    assert all(abs(one.values["missing"] - 0.3) < 0.02 for one in kept)
    missing = {
        (words["kind"], words["level"]): one.values["missing"]
        for setting, one in found.items()
        for words in [words_of(setting)]
    }
    assert missing["frames_absolute", "10"] == 0.0  # clips of 20 frames end before the 45th
    assert missing["frames_absolute", "90"] == 0.75  # and have lost their last 15 of those from the 5th on
    assert missing["part", "two_hands"] == pytest.approx(4 / 25)


def test_groups_that_the_body_lacks_and_poolings_that_the_encoder_lacks_are_one_line(preset):
    with pytest.raises(
        OcclusionError, match=r"^toy-odd: evaluation\.occlusion\.groups\.kinect25 names tail, "
    ):
        opened(preset, groups={"kinect25": {"back": ["spine_mid", "tail"]}})
    with pytest.raises(
        EncoderError, match=r"^evaluation\.occlusion\.poolings: the encoder offers mean, last"
    ):
        scores(opened(preset, poolings=["flat"]))


def test_the_stage_leaves_scores_and_a_record_for_each_seed(preset):
    params = read_yaml(ROOT / "params.yaml")
    make_tiny(params)
    changes = {"levels": NOTHING | {"noise": [0.5]}, "adapted": NOTHING, "poolings": ["mean"]}
    params["evaluation"]["occlusion"] |= changes
    write_text(Path("params.yaml"), json.dumps(params))
    write_sections(params)
    plan = {"seeds": [0, 3], "method": preset.model_dump(mode="json")}
    write_text(plan_file("plan", "mtmc"), json.dumps(plan))
    command = [sys.executable, ROOT / "stages/occlusion.py", "toy-odd", "mtmc"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    records = [record for record in read_records() if record.stage == "occlusion"]
    assert [record.seed for record in records] == [0, 3]
    for record in records:
        assert set(record.params) == {"occlusion", "linear", "crop_share"}
        assert f"results/pretrain/toy-odd/mtmc/seed-{record.seed}.safetensors" in record.inputs
        with np.load(f"results/occlusion/toy-odd/mtmc/seed-{record.seed}.npz") as kept:
            noise = setting_of("mean", "clean", NOISE.words)
            assert set(kept.files) == {CLEAN, noise}
        share = record.metrics[noise]["top1"] / record.metrics[CLEAN]["top1"]
        assert record.metrics["pooling=mean probe=clean kind=all"]["kept"] == pytest.approx(share)
        scored = {setting: found for setting, found in record.metrics.items() if "top1" in found}
        assert record.metrics == scored | kept_metrics(scored)
