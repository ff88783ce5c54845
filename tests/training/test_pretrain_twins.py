"""Pretraining by twins: on bodies known and unknown, with recordings that play no part in it."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from kinemask.looks import read_looks
from kinemask.skeleton.layout import KINECT25, Layout
from kinemask.training.pretrain import open_pretraining, save_looks
from kinemask.training.recipe import Preset, RecipeError
from tests.evaluation.clips import HARDWARE, write_classes
from tests.methods.mtmc_section import NORMAL
from tests.methods.twins_section import REAL, SIMULATED
from tests.simulation.people_section import PEOPLE
from tests.training.test_pretrain import presets

STICK = Layout(
    name="stick",
    joints=("hip", "head", "left_hand", "right_hand"),
    parents=(0, 0, 1, 1),
    parts={"trunk": (0, 1), "left_arm": (2,), "right_arm": (3,)},
    mirrored=(0, 1, 3, 2),
)


def preset(tmp_path, origin_joint="spine_mid"):
    sizes = presets(tmp_path)["twins"].model_dump(mode="json")
    small = sizes["small"]
    small["inputs"] |= {"num_frames": 8, "origin_joint": origin_joint}
    small["encoder"] |= {"hidden": 8}
    small["method"]["simulated"]["programmes"] = 4
    small["training"] |= {"budget": {"steps": 2}, "batch_size": 4}
    return Preset.model_validate_json(json.dumps(sizes))


def pretrain(one):
    work = open_pretraining("toy-odd", "twins", preset=one, hardware=HARDWARE)
    return work, work.run(0, lambda *_: None)


def test_other_recordings_give_the_same_encoder(tmp_path, monkeypatch):
    weights = []
    for number, num_clips in enumerate((96, 48)):
        folder = tmp_path / str(number)
        folder.mkdir()
        monkeypatch.chdir(folder)
        write_classes("toy", num_clips=num_clips)
        weights.append(pretrain(preset(tmp_path))[1].weights)
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


@pytest.fixture(scope="module")
def toys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toys")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_classes("toy", num_clips=96)
        write_classes("other", num_clips=48, symmetries=("reversal",))
    return folder


def run_on(benchmark, one, folder, monkeypatch):
    """The rows logged by that pretraining, none if it was found done, and its result."""
    monkeypatch.chdir(folder)
    rows = []
    work = open_pretraining(benchmark, "twins", preset=one, hardware=HARDWARE)
    trained = replace(work, checkpoints=folder / "checkpoints").run(0, lambda *row: rows.append(row))
    return rows, trained


def test_what_sees_no_recording_is_trained_once_for_all_benchmarks(toys, tmp_path, monkeypatch):
    one = preset(tmp_path)
    first, second = (run_on(name, one, toys, monkeypatch) for name in ("toy-odd", "other-odd"))
    assert (len(first[0]), len(second[0])) == (1, 0)
    assert first[1].result.history == second[1].result.history
    assert all(torch.equal(weight, second[1].weights[name]) for name, weight in first[1].weights.items())
    assert first[1].looks != second[1].looks  # these show recordings


@pytest.mark.parametrize(
    "changes",
    [
        {"real": REAL},
        {"view": NORMAL},
        {"simulated": SIMULATED | {"people": PEOPLE | {"manner": PEOPLE["manner"] | {"mirror_share": 0.5}}}},
    ],
    ids=["real clips", "views", "mirrors"],
)
def test_what_heeds_the_recordings_is_trained_on_each_benchmark(changes, toys, tmp_path, monkeypatch):
    sizes = preset(tmp_path).model_dump(mode="json")
    sizes["small"]["method"] |= changes
    one = Preset.model_validate_json(json.dumps(sizes))
    first, second = (run_on(name, one, toys, monkeypatch) for name in ("toy-odd", "other-odd"))
    assert (len(first[0]), len(second[0])) == (1, 1)


def test_epochs_are_of_a_benchmark(toys, tmp_path, monkeypatch):
    sizes = preset(tmp_path).model_dump(mode="json")
    sizes["small"]["training"]["budget"] = {"epochs": 1}
    one = Preset.model_validate_json(json.dumps(sizes))
    steps = [run_on(name, one, toys, monkeypatch)[1].result.steps for name in ("toy-odd", "other-odd")]
    assert steps[0] > steps[1]


def test_a_look_shows_each_clip_above_a_pair_of_twins(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_classes("toy")
    work, trained = pretrain(preset(tmp_path))
    save_looks("toy-odd", "twins", work, 0, trained)
    looks = read_looks(tmp_path / "records/pretrain/toy-odd/twins/looks.json")
    assert looks.bones == KINECT25.edges
    assert len(looks.clips) == 3
    for one in looks.clips:
        assert one.clip in work.clip_names
        assert {len(row) for row in one.twins.rows.values()} == {6}
        assert one.twins.first != one.twins.second


def test_of_a_body_of_ones_own_the_bones_are_those_of_its_recordings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_classes("toy", layout=STICK)
    work, trained = pretrain(preset(tmp_path, origin_joint="hip"))
    assert work.domain.rest is not None
    lengths = torch.tensor(work.domain.rest).norm(dim=1)
    bones = work.clips.joints[:, 0] - work.clips.joints[:, 0][:, list(STICK.parents)]
    np.testing.assert_allclose(lengths[1:], np.median(bones.norm(dim=-1), axis=0)[1:], rtol=1e-5)
    assert all(weight.isfinite().all() for weight in trained.weights.values())


def test_a_body_without_length_is_refused_in_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tests.evaluation.clips.POSE", 0.0)
    write_classes("toy", layout=STICK)
    with pytest.raises(RecipeError, match="toy-odd: stick: no bone leads to head, left_hand, right_hand"):
        pretrain(preset(tmp_path, origin_joint="hip"))
