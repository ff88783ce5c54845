"""Per-class accuracy and confusions, on answers made by hand."""

from pathlib import Path

import numpy as np
import pytest

from kinemask.evaluation.metrics import score_metrics
from kinemask.evaluation.statistics import StatisticsConfig
from kinemask.reporting.charts import class_charts
from kinemask.reporting.classes import CLASS_COLUMNS, classes_table, confusion_shares
from kinemask.reporting.collect import Collected, collect
from kinemask.run import RunConfig
from tests.project import NOTHING_NAMED

from .conftest import write_benchmark_files, write_record

# A clip each of the classes 0, 1 and 2; class 3 has none. What each seed answers:
ANSWERS = ([0, 2, 2], [2, 2, 2], [2, 2, 2], [1, 2, 2])
STATISTICS = StatisticsConfig(resamples=10, confidence=0.95, permutations=10, seed=0)


@pytest.fixture
def found(tmp_path: Path) -> Collected:
    run = RunConfig(benchmarks=("irds-xsub",), methods=("mtmc",), **NOTHING_NAMED, seeds=(0, 1, 2, 3))
    write_benchmark_files(tmp_path, "irds-xsub", num_clips=3, num_classes=4)
    labels = np.array([0, 1, 2])
    for seed, answers in enumerate(ANSWERS):
        right, other = (np.eye(4, dtype=np.float32)[given] for given in (answers, [3, 3, 3]))
        scores = {"pooling=mean": right, "pooling=last": other}
        metrics = {
            name: score_metrics(values, labels) | {"validation_top1": 0.9 if name == "pooling=mean" else 0.1}
            for name, values in scores.items()
        }
        file = tmp_path / f"results/linear/irds-xsub/mtmc/seed-{seed}.npz"
        file.parent.mkdir(parents=True, exist_ok=True)
        np.savez(file, **scores)
        write_record(tmp_path, "linear", "irds-xsub", "mtmc", seed, metrics=metrics)
    return collect(tmp_path, run)


def test_recalls_and_the_most_frequent_mistake_of_each_class_by_hand(found: Collected) -> None:
    table = classes_table(found)
    assert tuple(table.columns) == CLASS_COLUMNS
    assert set(table["setting"]) == {"pooling=mean"}  # the chosen one alone
    lines = {line["class"]: line for line in table.to_dict("records")}
    first = lines["class 0"]  # one seed of four is right, two answer class 2
    assert (first["num_clips"], first["recall_mean"], first["recall_std"]) == (1, 0.25, 0.5)
    assert (first["confused_with"], first["confused_share"]) == ("class 2", 0.5)
    assert (lines["class 1"]["recall_mean"], lines["class 1"]["confused_share"]) == (0.0, 1.0)
    third = lines["class 2"]
    assert (third["recall_mean"], third["recall_std"], third["confused_with"]) == (1.0, 0.0, "")
    absent = lines["class 3"]
    assert (absent["num_clips"], absent["confused_with"]) == (0, "")
    assert np.isnan([absent["recall_mean"], third["confused_share"]]).all()


def test_the_picture_shows_the_shares_and_tells_the_worst_confusions(found: Collected) -> None:
    (cell,) = [cell for cell in found.cells if cell.setting == "pooling=mean"]
    shares = confusion_shares(found, cell)
    np.testing.assert_array_equal(shares[:3], [[0.25, 0.25, 0.5, 0], [0, 0, 1, 0], [0, 0, 1, 0]])
    assert np.isnan(shares[3]).all()
    ((benchmark, (chart,)),) = class_charts(found)
    assert benchmark == "irds-xsub"
    assert chart.alt == (
        "Confusions of mtmc pooling=mean on irds-xsub: 42% of a class right in the mean. Most frequent "
        "mistakes: class 1 taken for class 2 100%, class 0 taken for class 2 50%, class 0 taken for class 1 "
        "25%."
    )
