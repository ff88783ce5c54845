"""Every evaluation, by its real stage: test labels move accuracies alone, wrong labels teach nothing.

A new evaluation is tested here by standing in EVALUATIONS.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom

from kinemask.evaluation.metrics import score_metrics
from kinemask.record import Record
from kinemask.reporting.tables import chosen_settings
from kinemask.run import Evaluation
from kinemask.skeleton.benchmark import TEST_LABELS

from .whole_run import (
    EVALUATIONS_THERE,
    NUM_CLASSES,
    WholeRun,
    change_split,
    hide_packed_labels,
    shuffled,
    write_run,
)

# What an evaluation says of test clips and their labels; all else in a record was measured before.
SCORES = {*score_metrics(np.eye(2), np.arange(2)), "kept"}
BLIND, TOLD = "mtmc", "supervised"  # one method learns without labels, the other one from them
# Clips of one class may all be answered alike, so classes are counted, not clips. One of ten thousand
# evaluations that learned nothing has more of them right.
MOST_BY_CHANCE = binom.ppf(1 - 1e-4, NUM_CLASSES, 1 / NUM_CLASSES) / NUM_CLASSES

EACH_EVALUATION = pytest.mark.parametrize("evaluation", EVALUATIONS_THERE, ids=lambda one: one.name)


class Runs:
    """Runs that differ in what the test part, or the training labels, are; each is made once."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._root, self._monkeypatch = root, monkeypatch
        self._made: dict[str, WholeRun] = {}
        self._records: dict[tuple[str, str], list[Record]] = {}

    def made(self, name: str) -> WholeRun:
        """One of the runs below, with the encoder of TOLD and its features."""
        if name not in self._made:
            folder = self._root / name
            write_run(folder, (BLIND, TOLD), moved_metres=0.5 if name == "other test clips" else 0.0)
            run = self._made[name] = WholeRun(folder, self._monkeypatch)
            run.split()
            if name == "other test labels":
                change_split(folder, TEST_LABELS, shuffled)
                hide_packed_labels(folder)
            if name == "other training labels":
                change_split(folder, "train.parquet", shuffled)
            run.train(TOLD)
        return self._made[name]

    def records(self, name: str, evaluation: Evaluation) -> list[Record]:
        """What an evaluation leaves of TOLD in one of the runs."""
        key = (name, evaluation.name)
        if key not in self._records:
            self._records[key] = self.made(name).evaluate(evaluation, TOLD)
        return self._records[key]

    def bytes_of(self, name: str, pattern: str) -> dict[str, bytes]:
        """The files of a run below `results`, by their place."""
        folder = self.made(name).folder / "results"
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.glob(pattern)}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        yield Runs(tmp_path_factory.mktemp("honest"), monkeypatch)


def learned(records: list[Record]) -> list[dict[str, object]]:
    """What stands in records that is not an accuracy on test clips, in comparable form."""
    return [
        {
            "of": (record.subject, record.method, record.seed),
            "history": record.history,
            "values": {
                setting: {name: value for name, value in found.items() if name not in SCORES}
                for setting, found in record.metrics.items()
            },
        }
        for record in records
    ]


def accuracies(records: list[Record]) -> dict[str, float]:
    return {
        f"{record.subject} {setting}": found["top1"]
        for record in records
        for setting, found in record.metrics.items()
        if "top1" in found
    }


@pytest.mark.parametrize("other", ["other test labels", "other test clips"])
def test_a_test_part_changes_no_weight(runs, other):
    for name in ("as it is", other):
        runs.made(name).train(BLIND)
    weights = runs.bytes_of("as it is", "pretrain/**/*.safetensors")
    assert len(weights) == 2
    assert runs.bytes_of(other, "pretrain/**/*.safetensors") == weights


def test_test_labels_change_no_feature_and_test_clips_none_of_a_training_clip(runs):
    of_told = f"embed/*/{TOLD}/**/*.npy"
    features = runs.bytes_of("as it is", of_told)
    assert features
    assert runs.bytes_of("other test labels", of_told) == features
    num_train = 4 * NUM_CLASSES
    for name in features:
        one, other = (
            np.load(runs.made(of).folder / "results" / name) for of in ("as it is", "other test clips")
        )
        np.testing.assert_array_equal(one[:num_train], other[:num_train])
        assert not (one[num_train:] == other[num_train:]).all()


@EACH_EVALUATION
def test_other_test_labels_change_accuracies_and_nothing_else(runs, evaluation):
    before, after = (runs.records(name, evaluation) for name in ("as it is", "other test labels"))
    assert before
    assert learned(after) == learned(before)
    assert chosen_settings(after) == chosen_settings(before)
    assert accuracies(after) != accuracies(before)
    for pattern in (f"{evaluation.name}/**/*.npz", f"{evaluation.name}/**/*.csv"):
        assert runs.bytes_of("other test labels", pattern) == runs.bytes_of("as it is", pattern)


@EACH_EVALUATION
def test_other_test_clips_change_nothing_that_was_learned_or_chosen(runs, evaluation):
    before, after = (runs.records(name, evaluation) for name in ("as it is", "other test clips"))
    assert learned(after) == learned(before)
    assert chosen_settings(after) == chosen_settings(before)
    labelled = f"{evaluation.name}/**/*.csv"
    assert runs.bytes_of("other test clips", labelled) == runs.bytes_of("as it is", labelled)


@EACH_EVALUATION
def test_with_shuffled_training_labels_an_evaluation_falls_to_chance(runs, evaluation):
    right = accuracies(runs.records("as it is", evaluation))
    wrong = accuracies(runs.records("other training labels", evaluation))
    assert right.keys() == wrong.keys()
    assert max(right.values()) > 2 * MOST_BY_CHANCE
    assert max(wrong.values()) <= MOST_BY_CHANCE, wrong
