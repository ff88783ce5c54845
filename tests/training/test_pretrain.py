import json

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import safe_open
from safetensors.torch import load_file

from kinemask.hardware import HardwareConfig
from kinemask.looks import read_looks
from kinemask.methods import METHODS
from kinemask.methods.base import Domain, Method
from kinemask.methods.mtmc import Mtmc
from kinemask.presets import resolve
from kinemask.section import Section, read_params, read_yaml
from kinemask.seeding import derive_seed
from kinemask.skeleton.benchmark import TEST_LABELS, BenchmarkConfig
from kinemask.skeleton.clip import Clip
from kinemask.skeleton.layout import KINECT25, Layout
from kinemask.skeleton.packed import PackedError, PackedWriter, open_packed
from kinemask.skeleton.split import write_benchmark
from kinemask.training import pretrain
from kinemask.training.pretrain import new_encoder, open_pretraining, save_encoders, save_looks
from kinemask.training.recipe import Preset, Recipe, RecipeError
from tests.masking.bodies import TWO_PARTS
from tests.project import ROOT, make_tiny

HARDWARE = HardwareConfig(device="cpu", processes=1, threads=1, precision="float32", compile=False)


class Methods(Section):
    methods: dict[str, Preset]


def presets(tmp_path):
    params = read_yaml(ROOT / "params.yaml")
    make_tiny(params)
    params["methods"] = resolve(params["methods"], ROOT / "params.yaml")
    path = tmp_path / "params.json"
    path.write_text(json.dumps(params))
    return read_params(Methods, {"methods": "methods"}, path).methods


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
            symmetries=("mirror",),
        )
    config = BenchmarkConfig(dataset="toy", protocol="odd", size="small")
    packed = open_packed(folder / "data/packed/toy")
    write_benchmark(folder / "data/benchmarks/toy-odd", name="toy-odd", config=config, packed=packed)


def train(folder, monkeypatch, preset, hardware=HARDWARE):
    monkeypatch.chdir(folder)
    work = open_pretraining("toy-odd", "mtmc", preset=preset, hardware=hardware)
    return work, work.run(0, lambda *row: None)


def with_labels(preset):
    """The recipes with their method replaced by the one that learns from labels."""
    sizes = preset.model_dump(mode="json")
    for recipe in sizes.values():
        pooling, view = (recipe["method"][name] for name in ("pooling", "normal_view"))
        head = {"pooling": pooling, "hidden": None, "dropout": 0.0, "batch_norm": False}
        recipe["method"] = {
            "name": "supervised", "label_smoothing": 0.1, "head": head, "normal_view": view
        }  # fmt: skip
    return Preset.model_validate_json(json.dumps(sizes))


def rewrite(path, change):
    change(pd.read_parquet(path)).to_parquet(path, index=False)


def checkpoint_folders(folder):
    return {path.name for path in (folder / ".checkpoints").iterdir()}


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


@pytest.mark.parametrize("change", [lambda preset: preset, with_labels], ids=["mtmc", "supervised"])
def test_test_labels_cannot_be_read_by_a_pretraining(tmp_path, monkeypatch, change):
    write_data(tmp_path)
    for file in ("test.parquet", TEST_LABELS):
        (tmp_path / "data/benchmarks/toy-odd" / file).unlink()
    _, trained = train(tmp_path, monkeypatch, change(presets(tmp_path)["mtmc"]))
    assert trained.result.steps == 30


def test_a_pretraining_without_labels_opens_none(tmp_path, monkeypatch):  # trap E12
    preset = presets(tmp_path)["mtmc"]
    trained = []
    for name in ("whole", "blind"):
        folder = tmp_path / name
        write_data(folder)
        if name == "blind":
            rewrite(folder / "data/packed/toy/clips.parquet", lambda table: table.assign(label=0))
            (folder / "data/benchmarks/toy-odd" / TEST_LABELS).unlink()
            rewrite(
                folder / "data/benchmarks/toy-odd/train.parquet", lambda table: table.drop(columns="label")
            )
        work, result = train(folder, monkeypatch, preset)
        assert work.labels is None
        assert work.domain.num_classes is None
        trained.append(result)
    assert same_weights(*trained)
    with pytest.raises(PackedError, match=r"train\.parquet is missing or damaged"):
        train(folder, monkeypatch, with_labels(preset))


def test_a_supervised_pretraining_is_given_the_labels_of_the_training_clips(tmp_path, monkeypatch):
    preset = with_labels(presets(tmp_path)["mtmc"])
    trained = []
    for name in ("right", "wrong"):
        folder = tmp_path / name
        write_data(folder)
        if name == "wrong":
            change = lambda table: table.assign(label=(table["label"] + 1) % 3)  # noqa: E731
            rewrite(folder / "data/benchmarks/toy-odd/train.parquet", change)
        work, result = train(folder, monkeypatch, preset)
        trained.append(result)
        if name == "right":
            assert work.labels.tolist() == [number % 3 for number in range(0, 48, 2)]
            assert work.domain.num_classes == 3
    assert not same_weights(*trained)
    assert {"cross_entropy", "top1"} < set(trained[0].result.summary())


def test_runs_on_other_clips_or_in_another_precision_are_other_runs(tmp_path, monkeypatch):
    preset = presets(tmp_path)["mtmc"]
    write_data(tmp_path)
    _, first = train(tmp_path, monkeypatch, preset)
    assert len(checkpoint_folders(tmp_path)) == 1
    half = HARDWARE.model_copy(update={"precision": "bfloat16"})
    _, second = train(tmp_path, monkeypatch, preset, hardware=half)
    assert len(checkpoint_folders(tmp_path)) == 2
    assert not same_weights(first, second)
    assert all(value.dtype == torch.float32 for value in second.weights.values())
    # As many clips of the same data, but the others.
    rewrite(
        tmp_path / "data/benchmarks/toy-odd/train.parquet", lambda table: table.assign(row=table["row"] + 1)
    )
    _, third = train(tmp_path, monkeypatch, preset)
    assert len(checkpoint_folders(tmp_path)) == 3
    assert not same_weights(first, third)


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


def test_what_the_trained_method_does_is_looked_at_on_clips_spread_over_the_training_part(
    tmp_path, monkeypatch
):
    write_data(tmp_path)
    work, trained = train(tmp_path, monkeypatch, presets(tmp_path)["mtmc"])
    assert [one.clip for one in trained.looks] == ["clip00", "clip16", "clip32"]  # 24 clips: 0, 8 and 16
    save_looks("toy-odd", "mtmc", work, 0, trained)
    path = tmp_path / "records/pretrain/toy-odd/mtmc/looks.json"
    looks, before = read_looks(path), path.read_bytes()
    assert (looks.seed, looks.joints, looks.parts) == (0, KINECT25.joints, KINECT25.parts)
    assert looks.clips == trained.looks
    # From the last checkpoint, and from the start.
    for folder in (tmp_path, tmp_path / "afresh"):
        if folder != tmp_path:
            write_data(folder)
        work, trained = train(folder, monkeypatch, presets(tmp_path)["mtmc"])
        save_looks("toy-odd", "mtmc", work, 0, trained)
        assert (folder / "records/pretrain/toy-odd/mtmc/looks.json").read_bytes() == before


def test_a_look_changes_no_weight(tmp_path, monkeypatch):
    preset = presets(tmp_path)["mtmc"]
    write_data(tmp_path / "looked")
    _, looked = train(tmp_path / "looked", monkeypatch, preset)
    monkeypatch.setattr(Mtmc, "look", Method.look)
    write_data(tmp_path / "left")
    _, left = train(tmp_path / "left", monkeypatch, preset)
    assert looked.looks
    assert left.looks == ()
    assert same_weights(looked, left)


def test_a_look_at_attention_changes_no_weight_and_no_file_but_its_own(tmp_path, monkeypatch):
    sizes = with_training(presets(tmp_path)["mtmc-transformer"], budget={"steps": 3}).model_dump(mode="json")
    sizes["small"]["encoder"] |= {"width": 8, "heads": 2, "depth": 2}
    preset = Preset.model_validate_json(json.dumps(sizes))
    write_data(tmp_path / "looked")
    work, looked = train(tmp_path / "looked", monkeypatch, preset)
    save_looks("toy-odd", "mtmc", work, 0, looked)
    looks = read_looks(tmp_path / "looked/records/pretrain/toy-odd/mtmc/looks.json")
    assert looks.bones == KINECT25.edges
    assert looks.hop_bias == looked.hop_bias
    assert len(looks.hop_bias.blocks) == work.recipe.encoder.depth
    assert all(one.mask and one.attention for one in looks.clips)
    monkeypatch.setattr(pretrain, "add_attention", lambda looks, *_, **__: looks)
    write_data(tmp_path / "left")
    _, left = train(tmp_path / "left", monkeypatch, preset)
    assert same_weights(looked, left)
    assert [one.model_copy(update={"attention": None}) for one in looked.looks] == list(left.looks)


def test_a_method_with_nothing_to_show_leaves_no_looks_of_an_earlier_one(tmp_path, monkeypatch):
    write_data(tmp_path)
    both = presets(tmp_path)
    work, trained = train(tmp_path, monkeypatch, both["mtmc"])
    save_looks("toy-odd", "mtmc", work, 0, trained)
    work, control = train(tmp_path, monkeypatch, both["random"])
    assert control.looks == ()
    save_looks("toy-odd", "mtmc", work, 0, control)
    assert not (tmp_path / "records/pretrain/toy-odd/mtmc/looks.json").exists()


def num_weights(module):
    return sum(weight.numel() for weight in module.parameters())


@pytest.mark.parametrize("name", list(read_yaml(ROOT / "params.yaml")["methods"]))
@pytest.mark.parametrize("size", ["small", "paper"])
def test_every_recipe_of_the_project_builds(name, size):
    methods = read_yaml(ROOT / "params.yaml")["methods"]
    section = json.dumps(resolve(methods, ROOT / "params.yaml")[name])
    recipe = Preset.model_validate_json(section).recipe(size)
    assert isinstance(recipe, Recipe)
    domain = Domain(layout=KINECT25, num_persons=2, symmetries=frozenset(), num_classes=60)
    with torch.device("meta"):
        encoder = new_encoder(recipe, layout=KINECT25, num_persons=2)
        method = METHODS[recipe.method.name](recipe.method, encoder, recipe.inputs, domain)
    if (name, size) == ("mtmc", "paper"):
        # METHOD_MTMC B4 counts 44,998,656 in the GRUs; the input norm adds 2 x 150.
        assert num_weights(encoder) == 44_998_656 + 300
        assert num_weights(method.projector) == 4_458_624
        assert num_weights(method.decoder) == 4_541_590


def with_training(preset, **changes):
    sizes = preset.model_dump(mode="json")
    sizes["small"]["training"] |= changes
    return Preset.model_validate_json(json.dumps(sizes))


def test_snapshots_lie_beside_the_last_weights_which_they_do_not_change(tmp_path, monkeypatch):
    write_data(tmp_path)
    both = presets(tmp_path)
    _, plain = train(tmp_path, monkeypatch, both["mtmc"])
    _, control = train(tmp_path, monkeypatch, both["random"])
    work, trained = train(tmp_path, monkeypatch, with_training(both["mtmc"], snapshots=[0, 7]))
    assert same_weights(plain, trained)
    save_encoders("toy-odd", "mtmc", work, {0: trained})
    folder = tmp_path / "results/pretrain/toy-odd/mtmc"
    files = {name: load_file(folder / f"seed-0{name}.safetensors") for name in ("", "-step-0", "-step-7")}
    assert len(list(folder.iterdir())) == len(files)
    assert all(torch.equal(files[""][name], value) for name, value in trained.weights.items())
    assert all(torch.equal(files["-step-0"][name], value) for name, value in control.weights.items())
    assert all(files["-step-7"][name].shape == value.shape for name, value in trained.weights.items())
    assert any(not torch.equal(files["-step-7"][name], value) for name, value in trained.weights.items())
    _, again = train(tmp_path, monkeypatch, with_training(both["mtmc"], snapshots=[0, 7]))  # it is finished
    assert all(torch.equal(again.snapshots[7][name], files["-step-7"][name]) for name in files["-step-7"])


@pytest.mark.parametrize(
    ("snapshots", "said"),
    [
        ([30], "training.snapshots names step 30 of 30: name steps before the last"),
        ([5, 5], "must be ascending, each value once"),
        ([-1], "greater than or equal to 0"),
    ],
)
def test_snapshots_that_cannot_be_are_told(tmp_path, snapshots, said):
    with pytest.raises(ValidationError, match=said):
        with_training(presets(tmp_path)["mtmc"], snapshots=snapshots)


def test_snapshots_after_the_end_of_a_budget_in_epochs_are_told_before_training(tmp_path, monkeypatch):
    write_data(tmp_path)  # 24 clips to train on: one batch of 16 an epoch
    preset = with_training(presets(tmp_path)["mtmc"], budget={"epochs": 3}, snapshots=[2])
    assert train(tmp_path, monkeypatch, preset)[1].snapshots.keys() == {2}
    preset = with_training(presets(tmp_path)["mtmc"], budget={"epochs": 3}, snapshots=[2, 3])
    with pytest.raises(
        RecipeError, match=r"toy-odd: training\.snapshots names step 3 of 3: .*methods\.mtmc\.small"
    ):
        train(tmp_path, monkeypatch, preset)


def with_simulated(preset, *, with_real):
    """The small recipe trained on simulated people too, or on them alone."""
    sizes = preset.model_dump(mode="json")
    sizes["small"]["training"]["simulated"] = {
        "dataset": "kinesim", "seed": 1, "subjects": 2, "with_real": with_real,
    }  # fmt: skip
    return Preset.model_validate_json(json.dumps(sizes))


def write_simulated(folder, layout=KINECT25, value=0.25):
    """Three clips of two people whose joints are all at `value`, for the small recipe of mtmc."""
    joints = np.full((9, 2, layout.num_joints, 3), value, dtype=np.float32)
    with PackedWriter(folder / "data/simulated/mtmc/small", layout, 2) as writer:
        for number in range(3):
            writer.add(
                Clip(name=f"made{number}", label=0, subject=1, joints=joints, present=np.ones((9, 2), bool))
            )
        writer.finish(name="mtmc", class_names=("a",), protocols={}, symmetries=())


@pytest.mark.parametrize(("with_real", "count"), [(True, 27), (False, 3)])
def test_simulated_people_are_trained_on_too_or_alone(tmp_path, monkeypatch, with_real, count):
    write_data(tmp_path)
    write_simulated(tmp_path)
    preset = with_simulated(presets(tmp_path)["mtmc"], with_real=with_real)
    monkeypatch.chdir(tmp_path)
    work = open_pretraining("toy-odd", "mtmc", preset=preset, hardware=HARDWARE)
    assert len(work.clips) == len(work.clip_names) == count
    assert work.clip_names[-3:] == ["made0", "made1", "made2"]
    assert work.clips.joints.shape[1] == 1  # as many persons as the clips of the benchmark have
    assert work.clips.lengths[-3:].tolist() == [9, 9, 9]
    assert work.clips.present[-27:].all()
    assert not work.clips.joints[-27:].any()  # all joints at one place are at the origin


def test_other_simulated_people_make_another_run(tmp_path, monkeypatch):
    write_data(tmp_path)
    preset = with_simulated(presets(tmp_path)["mtmc"], with_real=True)
    write_simulated(tmp_path)
    train(tmp_path, monkeypatch, preset)
    write_simulated(tmp_path, value=0.5)
    train(tmp_path, monkeypatch, preset)
    assert len(checkpoint_folders(tmp_path)) == 2


def test_simulated_people_of_another_body_are_refused(tmp_path, monkeypatch):
    write_data(tmp_path)
    write_simulated(tmp_path, layout=TWO_PARTS)
    preset = with_simulated(presets(tmp_path)["mtmc"], with_real=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RecipeError, match="bodies are of kinect25, the simulated ones of two_parts: "):
        open_pretraining("toy-odd", "mtmc", preset=preset, hardware=HARDWARE)


def test_people_that_were_never_simulated_are_asked_for(tmp_path, monkeypatch):
    write_data(tmp_path)
    preset = with_simulated(presets(tmp_path)["mtmc"], with_real=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PackedError, match="data/simulated/mtmc/small"):
        open_pretraining("toy-odd", "mtmc", preset=preset, hardware=HARDWARE)


def test_who_learns_from_labels_has_no_use_for_simulated_people(tmp_path):
    preset = with_simulated(presets(tmp_path)["mtmc"], with_real=True)
    with pytest.raises(ValueError, match=r"supervised learns from labels, and training\.simulated has none"):
        with_labels(preset)
