"""Transfer: the weights are of the source, all else is of the target; bodies that differ are refused."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kinemask.evaluation.features import EncoderError, open_embedding
from kinemask.evaluation.few import FewConfig, LabelsConfig, draw_labelled
from kinemask.evaluation.finetune import open_finetuning
from kinemask.evaluation.knn import KnnConfig
from kinemask.evaluation.linear_probe import LinearConfig
from kinemask.evaluation.scoring import keep_results
from kinemask.evaluation.transfer import (
    TransferConfig,
    TransferParams,
    _embedded,
    _fine_tuned,
    _fits,
    _run_fit,
    transfer,
)
from kinemask.record import Clock
from kinemask.run import Pair
from kinemask.section import plan_file, read_yaml
from kinemask.skeleton.layout import KINECT25
from kinemask.storage import write_text
from kinemask.training.recipe import Preset
from tests.evaluation.clips import (
    HARDWARE,
    save_fresh_encoders,
    shuffle_training_labels,
    top1,
    write_classes,
)
from tests.evaluation.test_finetune import EMBED, TRANSFORMER, settings
from tests.masking.bodies import TWO_PARTS
from tests.project import ROOT, make_tiny, write_sections
from tests.training.test_pretrain import presets

PAIR = Pair(source="toy-odd", target="goal-odd")
FROZEN = [
    *(f"few pooling=mean labels={share}%" for share in (10, 50)),
    *(f"knn pooling={pooling} k={k}" for pooling in ("last", "mean") for k in (1, 20)),
    *(f"linear pooling={pooling}" for pooling in ("last", "mean")),
]
REGRESSION = {"components": None, "max_iterations": 200, "tolerance": 1e-4}


def params(preset, *, finetune: bool = False, seeds=(0,)) -> TransferParams:
    return TransferParams(
        seeds=seeds,
        method=preset,
        embed=EMBED.model_copy(update={"poolings": ("mean", "last", "flat")}),
        finetune=settings(budget={"steps": 30}),
        hardware=HARDWARE,
        linear=LinearConfig(c_grid=(0.1,), folds=2, **REGRESSION),
        knn=KnnConfig(ks=(1, 20), temperature=0.07, standardise=True),
        few=FewConfig(shares=(0.1, 0.5), poolings=("mean", "flat"), c=0.05, **REGRESSION),
        labels=LabelsConfig(draw="by_class"),
        transfer=TransferConfig(finetune=finetune),
    )


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A folder and a preset whose encoders are those of `toy`: 3 classes; `goal` has more, and others."""
    folder = tmp_path_factory.mktemp("project")
    preset = presets(folder)["mtmc"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_classes("toy")
        write_classes("goal", num_clips=192, num_classes=6)
        save_fresh_encoders("toy-odd", "mtmc", preset)
    return folder, preset


@pytest.fixture
def preset(project, tmp_path, monkeypatch):
    """The preset; a copy of its folder is the current one."""
    folder, preset = project
    shutil.copytree(folder, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return preset


def with_encoder(preset, encoder) -> Preset:
    """The preset untrained and on another encoder."""
    sizes = preset.model_dump(mode="json")
    sizes["small"] |= {"encoder": encoder, "method": {"name": "untrained"}, "training": None}
    sizes["small"]["inputs"]["num_frames"] = 8
    return Preset.model_validate_json(json.dumps(sizes))


def frozen(preset, pair=PAIR) -> dict[str, np.ndarray]:
    """The scores on frozen features by setting, made in this process."""
    work = params(preset)
    fits = _fits(_embedded(pair, "mtmc", work), pair, work)
    return {one.setting: one.scores for fit in fits for one in _run_fit(fit)}


def test_it_leaves_scores_features_and_a_record_of_the_pair(preset):
    given = transfer(PAIR, "mtmc", params(preset, finetune=True))
    (record,) = keep_results(
        given.probed,
        stage="transfer",
        benchmark=PAIR.target,
        method="mtmc",
        params=given.used,
        hardware=HARDWARE,
        clock=Clock(),
        encoders=given.encoders,
        pair=PAIR.name,
    )
    assert record.path == Path("records/transfer/toy-odd-to-goal-odd/mtmc/seed-0.json")
    expected = [f"from=toy-odd {name}" for name in sorted([*FROZEN, "finetune pooling=mean"])]
    assert sorted(record.metrics) == expected
    folder = "results/transfer/toy-odd-to-goal-odd/mtmc"
    with np.load(f"{folder}/seed-0.npz") as kept:
        assert sorted(kept) == expected
        for setting in kept:
            assert kept[setting].shape == (96, 6)  # clips and classes of the target
            assert top1(kept[setting], "goal-odd") == record.metrics[setting]["top1"]
            assert record.metrics[setting]["top1"] > 0.5 or "few" in setting
    assert np.load(f"{folder}/seed-0/mean.npy").shape == (192, 24)
    assert "results/pretrain/toy-odd/mtmc/seed-0.safetensors" in record.inputs
    assert "data/benchmarks/goal-odd/test.parquet" in record.inputs
    assert record.params["finetune"]["budget"]["steps"] == 30
    # The labels are those that `few` sees on the target itself.
    table = pd.read_parquet("data/benchmarks/goal-odd/train.parquet")
    names, labels = table["name"].to_numpy(str), table["label"].to_numpy()
    rows = draw_labelled(names, labels, share=0.1, draw="by_class", seed=0, benchmark="goal-odd")
    assert Path(f"{folder}/seed-0.subset-10.csv").read_text().split() == ["name", *names[rows]]


def test_scores_are_those_of_the_same_encoder_pretrained_on_the_target(preset):
    found = frozen(preset)
    assert sorted(found) == [f"from=toy-odd {name}" for name in FROZEN]
    shutil.copytree("results/pretrain/toy-odd", "results/pretrain/goal-odd")
    shutil.rmtree("results/pretrain/toy-odd")
    own = frozen(preset, Pair(source="goal-odd", target="goal-odd"))
    for setting, scores in found.items():
        assert (own[setting.replace("toy", "goal")] == scores).all()


def test_fine_tuning_starts_from_the_weights_of_the_source(preset):
    (one,), recipe = _fine_tuned(PAIR, "mtmc", params(preset))
    assert one.setting == "from=toy-odd finetune pooling=mean"
    assert recipe.budget.steps == 30
    save_fresh_encoders("goal-odd", "mtmc", preset, seeds=(7,))
    Path("results/pretrain/goal-odd/mtmc/seed-7.safetensors").rename(
        "results/pretrain/goal-odd/mtmc/seed-0.safetensors"
    )
    own = open_finetuning(
        "goal-odd", "mtmc", preset=preset, config=params(preset).finetune, embed=EMBED, hardware=HARDWARE
    )
    assert not (own.run(0, lambda *row: None).scores == one.scores).all()
    again = replace(own, source="toy-odd").run(0, lambda *row: None)
    assert (again.scores == one.scores).all()


def test_coordinates_are_probed_and_not_fine_tuned(preset):
    raw = with_encoder(preset, {"name": "coordinates"})
    save_fresh_encoders("toy-odd", "mtmc", raw)
    assert _fine_tuned(PAIR, "mtmc", params(raw)) == ([], None)
    assert "from=toy-odd few pooling=flat labels=10%" in frozen(raw)


def test_snapshots_of_the_source_are_left_out(preset):
    sizes = preset.model_dump(mode="json")
    sizes["small"]["training"]["snapshots"] = [0, 10]
    kept = Preset.model_validate_json(json.dumps(sizes))
    common = {"preset": kept, "config": EMBED, "device": "cpu"}
    assert open_embedding("goal-odd", "mtmc", **common).steps == (0, 10)
    assert open_embedding("goal-odd", "mtmc", source="toy-odd", **common).steps == ()


def embed(preset, target) -> tuple[int, ...]:
    """The shape of the features of the clips of a target."""
    work = open_embedding(target, "mtmc", preset=preset, config=EMBED, device="cpu", source="toy-odd")
    return next(iter(work.run(0, lambda *row: None).last.values())).shape


def test_another_body_is_one_line_that_names_both(preset):
    write_classes("stick", layout=TWO_PARTS)
    sizes = preset.model_dump(mode="json")
    sizes["small"]["inputs"]["origin_joint"] = TWO_PARTS.joints[0]
    with pytest.raises(EncoderError) as raised:
        embed(Preset.model_validate_json(json.dumps(sizes)), "stick-odd")
    assert str(raised.value) == (
        "results/pretrain/toy-odd/mtmc/seed-0.safetensors was trained on bodies of kinect25, and stick has "
        f"{TWO_PARTS.name}: take another pair of benchmarks, or another encoder"
    )
    mirrored = tuple(range(25))
    write_classes("twin", layout=replace(KINECT25, mirrored=mirrored))
    with pytest.raises(EncoderError, match="bodies of kinect25, and twin has another kinect25"):
        embed(preset, "twin-odd")


def test_more_persons_than_it_was_built_for_are_one_line_and_fewer_are_absent_ones(preset):
    write_classes("duet", persons=2)
    with pytest.raises(EncoderError) as raised:
        embed(preset, "duet-odd")
    assert str(raised.value) == (
        "results/pretrain/toy-odd/mtmc/seed-0.safetensors was trained on clips of at most 1 person(s), those "
        "of duet have up to 2, and the encoder 'gru' takes no more than it was built for: take another pair "
        "of benchmarks, or another encoder"
    )
    save_fresh_encoders("duet-odd", "mtmc", preset)
    shutil.rmtree("results/pretrain/toy-odd")
    Path("results/pretrain/duet-odd").rename("results/pretrain/toy-odd")
    assert embed(preset, "goal-odd") == (192, 24)


@pytest.mark.parametrize("encoder", [TRANSFORMER, {"name": "coordinates"}], ids=["transformer", "raw"])
def test_an_encoder_of_each_person_alone_or_of_no_weights_takes_any_number(preset, encoder):
    write_classes("duet", persons=2)
    other = with_encoder(preset, encoder)
    save_fresh_encoders("toy-odd", "mtmc", other)
    work = params(other)
    pair = Pair(source="toy-odd", target="duet-odd")
    assert all(np.isfinite(np.load(task.features)).all() for task in _embedded(pair, "mtmc", work))


def test_with_shuffled_training_labels_of_the_target_it_falls_to_chance(preset):
    def scored():
        (tuned,), _ = _fine_tuned(PAIR, "mtmc", params(preset))
        found = frozen(preset) | {tuned.setting: tuned.scores}
        return {setting: top1(scores, "goal-odd") for setting, scores in found.items()}

    true = scored()
    shuffle_training_labels("goal-odd")
    for setting, share in scored().items():
        assert share < 0.4, setting  # by chance 1/6
        assert true[setting] > share + 0.2, setting


def test_the_stage_runs(preset):
    values = read_yaml(ROOT / "params.yaml")
    make_tiny(values)
    write_text(Path("params.yaml"), json.dumps(values))
    write_sections(values)
    plan = {"seeds": [0], "method": preset.model_dump(mode="json")}
    write_text(plan_file("plan", "mtmc"), json.dumps(plan))
    command = [sys.executable, ROOT / "stages/transfer.py", "toy-odd", "goal-odd", "mtmc"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    record = json.loads(Path("records/transfer/toy-odd-to-goal-odd/mtmc/seed-0.json").read_text())
    assert record["params"]["finetune"] is None
    assert {setting.split()[1] for setting in record["metrics"]} == {"linear", "knn", "few"}
