import json

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import TypeAdapter
from safetensors import safe_open
from safetensors.torch import load_file

from kinemask.hardware import HardwareConfig
from kinemask.section import Section, load_params, read_yaml
from kinemask.seeding import derive_seed
from kinemask.skeleton.benchmark import BenchmarkConfig, write_benchmark
from kinemask.skeleton.clip import Clip
from kinemask.skeleton.layout import KINECT25, Layout
from kinemask.skeleton.packed import PackedWriter, open_packed
from kinemask.training.pretrain import new_encoder, open_pretraining, save_encoders
from kinemask.training.recipe import Preset, Recipe
from tests.project import ROOT, make_tiny

HARDWARE = HardwareConfig(device="cpu", processes=1, threads=1)


class Methods(Section):
    methods: dict[str, Preset]


def presets(tmp_path):
    params = read_yaml(ROOT / "params.yaml")
    make_tiny(params)
    path = tmp_path / "params.json"
    path.write_text(json.dumps(params))
    return load_params(Methods, {"methods": "methods"}, path).methods


def write_data(folder, test_offset=0.0):
    """Forty-eight clips of two classes; those to test on can be moved away."""
    generator = np.random.default_rng(0)
    with PackedWriter(folder / "data/packed/toy", KINECT25, 1) as writer:
        for number in range(48):
            is_test = number % 2 == 1
            joints = generator.normal(size=(20, 1, 25, 3)).astype(np.float32) + test_offset * is_test
            clip = Clip(
                name=f"clip{number:02}",
                label=number % 3,
                subject=number,
                joints=joints.astype(np.float32),
                present=np.ones((20, 1), bool),
            )
            writer.add(clip)
        writer.finish(
            name="toy",
            class_names=("a", "b", "c"),
            protocols={
                "odd": lambda table: pd.Series(np.where(table["subject"] % 2, "test", "train"), table.index)
            },
            mirror_keeps_label=True,
        )
    config = BenchmarkConfig(dataset="toy", protocol="odd", size="small")
    packed = open_packed(folder / "data/packed/toy")
    write_benchmark(folder / "data/benchmarks/toy-odd", name="toy-odd", config=config, packed=packed)


def train(folder, monkeypatch, preset):
    monkeypatch.chdir(folder)
    work = open_pretraining("toy-odd", "mtmc", preset=preset, hardware=HARDWARE)
    return work, work.run(0, lambda *row: None)


def same_weights(one, other):
    return all(torch.equal(one.weights[name], other.weights[name]) for name in one.weights)


def test_a_finished_run_asked_for_again_comes_back_as_it_was(tmp_path, monkeypatch):
    write_data(tmp_path)
    preset = presets(tmp_path)["mtmc"]
    _, first = train(tmp_path, monkeypatch, preset)
    _, again = train(tmp_path, monkeypatch, preset)
    assert same_weights(first, again)
    assert first.result == again.result
    assert len(list((tmp_path / ".checkpoints").iterdir())) == 1


def test_test_clips_change_no_weight(tmp_path, monkeypatch):
    preset = presets(tmp_path)["mtmc"]
    trained = []
    for name, offset in (("one", 0.0), ("other", 5.0)):
        write_data(tmp_path / name, test_offset=offset)
        trained.append(train(tmp_path / name, monkeypatch, preset)[1])
    assert same_weights(*trained)


def test_test_labels_cannot_be_read_by_a_pretraining(tmp_path, monkeypatch):
    write_data(tmp_path)
    (tmp_path / "data/benchmarks/toy-odd/test.parquet").unlink()
    _, trained = train(tmp_path, monkeypatch, presets(tmp_path)["mtmc"])
    assert trained.result.steps == 30


def test_the_untrained_control_starts_where_the_method_starts(tmp_path, monkeypatch):
    write_data(tmp_path)
    both = presets(tmp_path)
    _, control = train(tmp_path, monkeypatch, both["random"])
    _, trained = train(tmp_path, monkeypatch, both["mtmc"])
    assert control.result.steps == 0
    assert control.weights.keys() == trained.weights.keys()
    assert not same_weights(control, trained)
    torch.manual_seed(derive_seed(0, "weights"))
    fresh = new_encoder(both["mtmc"].small, layout=KINECT25, num_persons=1).state_dict()
    assert all(torch.equal(control.weights[name], fresh[name]) for name in fresh)


def test_a_saved_encoder_says_what_it_is_and_can_be_built_from_that(tmp_path, monkeypatch):
    write_data(tmp_path)
    work, trained = train(tmp_path, monkeypatch, presets(tmp_path)["mtmc"])
    save_encoders("toy-odd", "mtmc", work, {0: trained})
    path = tmp_path / "results/pretrain/toy-odd/mtmc/seed-0.safetensors"
    with safe_open(path, framework="pt") as file:
        about = json.loads(file.metadata()["kinemask"])
    assert TypeAdapter(Layout).validate_python(about["layout"]) == KINECT25
    assert about["persons"] == 1
    encoder = new_encoder(work.recipe, layout=KINECT25, num_persons=about["persons"])
    encoder.load_state_dict(load_file(path), strict=True)
    before = path.read_bytes()
    save_encoders("toy-odd", "mtmc", work, {0: trained})
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["mtmc", "random", "raw"])
@pytest.mark.parametrize("size", ["small", "paper"])
def test_every_recipe_of_the_project_builds(name, size):
    class One(Section):
        method: Preset

    recipe = load_params(One, {"method": f"methods.{name}"}, ROOT / "params.yaml").method.recipe(size)
    assert isinstance(recipe, Recipe)
    with torch.device("meta"):
        encoder = new_encoder(recipe, layout=KINECT25, num_persons=2)
    num_weights = sum(weight.numel() for weight in encoder.parameters())
    if (name, size) == ("mtmc", "paper"):
        # METHOD_MTMC B4 counts 44,998,656 in the GRUs; the input norm adds 2 x 150.
        assert num_weights == 44_998_656 + 300
