"""Where something is scarce, every evaluation gives a defined answer, or one line that says why it cannot."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kinemask.evaluation.few import probe_few
from kinemask.evaluation.frozen import ABSENT_SCORE, Probed, TooFewClips
from kinemask.evaluation.metrics import score_metrics
from kinemask.skeleton.benchmark import TEST_LABELS
from kinemask.skeleton.truth import read_test_labels

from .conftest import NUM_TRAIN
from .test_frozen import BENCHMARK, PROBES, TASK

EACH_PROBE = pytest.mark.parametrize(("probe", "config"), PROBES, ids=["linear", "knn", "few"])
CHOOSING = pytest.mark.parametrize(("probe", "config"), PROBES[:2], ids=["linear", "knn"])


def cut(train: np.ndarray, test: np.ndarray, **columns: object) -> None:
    """Only these clips of both parts remain, with their features; `columns` are set on training clips."""
    clips = pd.read_parquet(BENCHMARK / "train.parquet").iloc[train].assign(**columns)
    clips.to_parquet(BENCHMARK / "train.parquet", index=False)
    for file in ("test.parquet", TEST_LABELS):
        table = pd.read_parquet(BENCHMARK / file)
        table.iloc[test].to_parquet(BENCHMARK / file, index=False)
    for path in Path("results/embed").rglob("*.npy"):
        np.save(path, np.load(path)[np.concatenate([train, NUM_TRAIN + test])])


@pytest.fixture
def labels(tiny_project: Path) -> tuple[np.ndarray, np.ndarray]:
    """Of the training clips and of the test clips, before anything is cut."""
    return pd.read_parquet(BENCHMARK / "train.parquet")["label"].to_numpy(), read_test_labels(BENCHMARK)


def scored(probed: list[Probed]) -> list[dict[str, float]]:
    """The metrics of each setting, as they are recorded; none may be a number that is none."""
    truth = read_test_labels(BENCHMARK)
    found = [{**score_metrics(one.scores, truth), **one.values} for one in probed]
    assert all(np.isfinite(value) for metrics in found for value in metrics.values())
    return found


@EACH_PROBE
def test_a_class_without_training_clips_is_never_the_answer_and_always_wrong(labels, probe, config):
    train, test = labels
    cut(np.flatnonzero(train != 1), np.arange(len(test)))
    for one, metrics in zip(probe(TASK, config), scored(probe(TASK, config)), strict=True):
        assert (one.scores[:, 1] == ABSENT_SCORE).all()
        assert metrics["top1"] <= (test != 1).mean()


@EACH_PROBE
def test_a_class_without_test_clips_takes_no_part_in_the_mean_over_classes(labels, probe, config):
    train, test = labels
    cut(np.arange(len(train)), np.flatnonzero(test != 1))
    for one, metrics in zip(probe(TASK, config), scored(probe(TASK, config)), strict=True):
        right = one.scores.argmax(1) == test[test != 1]
        assert metrics["mean_recall"] == pytest.approx(
            np.mean([right[test[test != 1] == label].mean() for label in (0, 2)])
        )


@EACH_PROBE
def test_a_single_test_clip_is_right_or_wrong(labels, probe, config):
    train, _ = labels
    cut(np.arange(len(train)), np.array([7]))
    assert {metrics["top1"] for metrics in scored(probe(TASK, config))} <= {0.0, 1.0}


@EACH_PROBE
@pytest.mark.parametrize("subject", [4, -1])
def test_one_training_person_or_nobody_known_is_enough(labels, probe, config, subject):
    train, test = labels
    cut(np.arange(len(train)), np.arange(len(test)), subject=subject)
    for metrics in scored(probe(TASK, config)):
        assert metrics["top1"] > 0.6
        assert metrics.get("validation_top1", 1.0) > 0.6


@EACH_PROBE
def test_two_clips_of_two_people_and_classes_are_enough(labels, probe, config):
    train, test = labels
    first, second = (np.flatnonzero(train == label)[0] for label in (0, 2))
    cut(np.array([first, second]), np.arange(len(test)), subject=[1, 2])
    for one, metrics in zip(probe(TASK, config), scored(probe(TASK, config)), strict=True):
        assert set(one.scores.argmax(1)) == {0, 2}
        assert metrics.get("validation_top1", 0.0) == 0.0  # whoever is held out does what nobody else does


@EACH_PROBE
def test_a_single_training_class_is_the_answer_to_everything(labels, probe, config):
    train, test = labels
    cut(np.flatnonzero(train == 2), np.arange(len(test)))
    for one, metrics in zip(probe(TASK, config), scored(probe(TASK, config)), strict=True):
        assert (one.scores.argmax(1) == 2).all()
        assert metrics.get("validation_top1", 1.0) == 1.0


@CHOOSING
def test_one_training_clip_leaves_nothing_to_choose_by(labels, probe, config):
    _, test = labels
    cut(np.array([0]), np.arange(len(test)))
    with pytest.raises(TooFewClips, match=r"^data/benchmarks/tiny-xsub: 1 clip to train on, .* at least 2: "):
        probe(TASK, config)


def test_one_training_clip_is_all_that_few_needs(labels):
    train, test = labels
    cut(np.array([0]), np.arange(len(test)))
    _, config = PROBES[2]
    for one in probe_few(TASK, config, "by_class"):
        assert (one.scores.argmax(1) == train[0]).all()
        assert one.values["num_labelled"] == 1.0


def test_a_stage_that_cannot_choose_ends_in_one_line(labels):
    cut(np.array([0]), np.arange(5))
    stage = Path(__file__).parents[2] / "stages/linear.py"
    done = subprocess.run(
        [sys.executable, stage, "tiny-xsub", "mtmc"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("ERROR: data/benchmarks/tiny-xsub: 1 clip to train on")
    assert "Traceback" not in done.stderr
