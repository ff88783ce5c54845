"""Fine-tuning with shares of the labels: which labels, what changes, and that it goes on where it stopped."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kinemask.evaluation.few import LabelsConfig, draw_labelled
from kinemask.evaluation.finetune import open_finetuning
from kinemask.evaluation.finetune_config import SemiConfig
from kinemask.evaluation.scoring import keep_results
from kinemask.evaluation.semi import SemiTuning, with_shares
from kinemask.record import Clock
from kinemask.section import plan_file, read_yaml
from kinemask.storage import write_text
from tests.evaluation.clips import (
    HARDWARE,
    save_fresh_encoders,
    shuffle_training_labels,
    top1,
    write_classes,
)
from tests.evaluation.test_finetune import EMBED, Interrupted, settings
from tests.project import ROOT, make_tiny, write_sections
from tests.training.test_pretrain import presets

BY_CLASS = LabelsConfig(draw="by_class")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A folder with clips that labels can be learned of, the encoders of two methods, and their preset."""
    folder = tmp_path_factory.mktemp("project")
    preset = presets(folder)["mtmc"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_classes("toy", num_clips=240, num_classes=6)
        for method in ("mtmc", "other"):
            save_fresh_encoders("toy-odd", method, preset)
    return folder, preset


@pytest.fixture
def preset(project, tmp_path, monkeypatch):
    """The preset; a copy of its folder is the current one."""
    folder, preset = project
    shutil.copytree(folder, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return preset


def config(shares=(0.05, 0.25), steps=20, batch_size=None) -> SemiConfig:
    changes = {"budget": {"steps": steps}, "batch_size": batch_size}
    nothing = {"budget": None, "batch_size": None}
    values = {"shares": shares, "small": changes, "paper": nothing}
    return SemiConfig.model_validate_json(json.dumps(values))


def opened(preset, method="mtmc", semi=None, labels=BY_CLASS) -> SemiTuning:
    whole = open_finetuning(
        "toy-odd", method, preset=preset, config=settings(), embed=EMBED, hardware=HARDWARE
    )
    return with_shares(whole, semi or config(), labels)


def run(work, seed=0, log=lambda step, values: None):
    return work.run(seed, log)


def at(work, folder) -> SemiTuning:
    """The same with its checkpoints elsewhere."""
    return replace(work, tunings=tuple(replace(one, checkpoints=Path(folder)) for one in work.tunings))


def test_each_share_is_a_setting_of_its_own(preset):
    rows = []
    probed = run(opened(preset), log=lambda step, values: rows.append((step, set(values))))
    assert [one.setting for one in probed] == ["pooling=mean labels=5%", "pooling=mean labels=25%"]
    # Of 20 clips a class.
    assert [one.values["num_labelled"] for one in probed] == [6, 30]
    assert [step for step, _ in rows] == [5, 10, 15, 20] * 2
    assert {"loss labels=5%", "top1 labels=5%"} <= rows[0][1]
    assert {"loss labels=25%", "top1 labels=25%"} <= set(probed[1].history[-1]) == rows[-1][1] | {"step"}
    assert [one.values["epochs"] for one in probed] == [20, 10.0 + 2 / 3]  # batches of 6 and of 16


def test_what_is_not_changed_is_the_recipe_of_finetune(preset):
    plain = settings().recipe(preset.small.encoder, "small")
    changed = opened(preset, semi=config(steps=7, batch_size=4)).tunings[0].finetune
    assert (changed.budget.steps, changed.batch_size) == (7, 4)
    assert changed.model_copy(update={"budget": plain.budget, "batch_size": plain.batch_size}) == plain
    nothing = SemiConfig.model_validate_json(
        json.dumps({**json.loads(config().model_dump_json()), "small": {"budget": None, "batch_size": None}})
    )
    assert opened(preset, semi=nothing).tunings[0].finetune == plain


def test_two_methods_and_few_are_told_the_labels_of_the_same_clips(preset):
    texts = {}
    for method in ("mtmc", "other"):
        work = opened(preset, method, semi=config(steps=1), labels=LabelsConfig(draw="uniform"))
        (record,) = keep_results(
            run(work),
            stage="semi",
            benchmark="toy-odd",
            method=method,
            params=work.used,
            hardware=HARDWARE,
            clock=Clock(),
            encoders={0: work.tunings[0].weights(0)},
        )
        files = sorted(name for name in record.inputs if "subset" in name)
        assert files == [f"results/semi/toy-odd/{method}/seed-0.subset-{share}.csv" for share in (25, 5)]
        texts[method] = [Path(file).read_text() for file in files]
        assert record.params["shares"] == [0.05, 0.25]
        assert record.params["draw"] == "uniform"
    assert texts["mtmc"] == texts["other"]
    table = pd.read_parquet("data/benchmarks/toy-odd/train.parquet")
    names, labels = table["name"].to_numpy(str), table["label"].to_numpy()
    rows = draw_labelled(names, labels, share=0.25, draw="uniform", seed=0, benchmark="toy-odd")
    assert texts["mtmc"][0].split() == ["name", *names[rows]]


def test_stopped_within_a_share_it_goes_on_and_ends_with_the_same_numbers(preset):
    whole = run(at(opened(preset), "whole"))

    def stop(step, values):
        if step == 15 and "loss labels=25%" in values:
            raise Interrupted

    with pytest.raises(Interrupted):
        run(at(opened(preset), "stopped"), log=stop)
    rows = []
    found = run(at(opened(preset), "stopped"), log=lambda step, values: rows.append((step, *values)))
    assert [step for step, *_ in rows] == [15, 20]  # nothing of the share that was done
    for one, other in zip(found, whole, strict=True):
        assert (one.scores == other.scores).all()
        assert (one.setting, one.values, one.history) == (other.setting, other.values, other.history)


def test_with_shuffled_training_labels_it_falls_to_chance(preset):
    semi = config(shares=(0.25,), steps=30)
    (true,) = run(opened(preset, semi=semi))
    shuffle_training_labels("toy-odd")
    (shuffled,) = run(opened(preset, semi=semi))
    assert top1(true.scores, "toy-odd") > 0.8
    assert top1(shuffled.scores, "toy-odd") < 0.4  # by chance 1/6


def test_the_stage_leaves_scores_subsets_and_a_record_for_each_seed(preset):
    params = read_yaml(ROOT / "params.yaml")
    make_tiny(params)
    write_text(Path("params.yaml"), json.dumps(params))
    write_sections(params)
    plan = {"seeds": [0, 3], "method": preset.model_dump(mode="json")}
    write_text(plan_file("plan", "mtmc"), json.dumps(plan))
    command = [sys.executable, ROOT / "stages/semi.py", "toy-odd", "mtmc"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for seed in (0, 3):
        with np.load(f"results/semi/toy-odd/mtmc/seed-{seed}.npz") as kept:
            assert kept["pooling=mean labels=10%"].shape == (120, 6)
        record = json.loads(Path(f"records/semi/toy-odd/mtmc/seed-{seed}.json").read_text())
        assert record["metrics"]["pooling=mean labels=10%"]["num_labelled"] == 12
        assert f"results/semi/toy-odd/mtmc/seed-{seed}.subset-10.csv" in record["inputs"]
