import hashlib
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from kinemask.evaluation.few import FewConfig, probe_few
from kinemask.evaluation.frozen import (
    FeaturesError,
    Probed,
    ProbeTask,
    Subset,
    apart_from_step,
    find_tasks,
    read_probe_data,
)
from kinemask.evaluation.knn import KnnConfig, probe_knn
from kinemask.evaluation.linear_probe import LinearConfig, probe_linear
from kinemask.evaluation.scoring import keep_results
from kinemask.hardware import HardwareConfig
from kinemask.record import Clock
from kinemask.skeleton.benchmark import TEST_LABELS
from kinemask.skeleton.packed import PackedError
from kinemask.skeleton.truth import read_test_labels

from .conftest import write_tiny_snapshot

BENCHMARK = Path("data/benchmarks/tiny-xsub")
FEATURES = Path("results/embed/tiny-xsub/mtmc/seed-0/mean.npy")
TASK = ProbeTask(BENCHMARK, FEATURES, 0)
LINEAR = LinearConfig(components=None, c_grid=(0.01, 1.0), folds=3, max_iterations=200, tolerance=1e-4)
KNN = KnnConfig(ks=(1, 20), temperature=0.07, standardise=True)
FEW = FewConfig(
    shares=(0.1, 0.5), poolings=("mean",), c=0.05, components=None, max_iterations=200, tolerance=1e-4
)
PROBES = [(probe_linear, LINEAR), (probe_knn, KNN), (partial(probe_few, draw="by_class"), FEW)]
HARDWARE = HardwareConfig(device="cpu", processes=1, threads=1, precision="float32", compile=False)


def keep(probed):
    return keep_results(
        probed,
        stage="linear",
        benchmark="tiny-xsub",
        method="mtmc",
        params=LINEAR,
        hardware=HARDWARE,
        clock=Clock(),
    )


@pytest.mark.usefixtures("tiny_project")
def test_every_pooling_of_every_seed_is_a_task():
    tasks = find_tasks("tiny-xsub", "mtmc", [0, 3])
    assert [(task.seed, task.pooling) for task in tasks] == [
        (0, "last"),
        (0, "mean"),
        (3, "last"),
        (3, "mean"),
    ]


@pytest.mark.usefixtures("tiny_project")
def test_snapshots_are_tasks_after_the_last_weights_in_the_order_of_their_steps():
    for step in (400, 0, 1600):
        write_tiny_snapshot(FEATURES.parent, step)
    tasks = find_tasks("tiny-xsub", "mtmc", [0])
    assert [task.setting("k=1") for task in tasks] == [
        *("pooling=last k=1", "pooling=mean k=1"),
        *("pooling=last k=1 step=0", "pooling=mean k=1 step=0"),
        *("pooling=last k=1 step=400", "pooling=mean k=1 step=400"),
        *("pooling=last k=1 step=1600", "pooling=mean k=1 step=1600"),
    ]
    assert tasks[2].features == FEATURES.parent / "step-0/last.npy"
    assert [apart_from_step(task.setting("k=1")) for task in tasks[1:4:2]] == [
        ("pooling=mean k=1", None),
        ("pooling=mean k=1", 0),
    ]


@pytest.mark.usefixtures("tiny_project")
def test_snapshots_alone_are_no_features_of_a_seed():
    write_tiny_snapshot(FEATURES.parent, 400)
    for file in FEATURES.parent.glob("*.npy"):
        file.unlink()
    with pytest.raises(FeaturesError, match="seed-0 holds no features"):
        find_tasks("tiny-xsub", "mtmc", [0])


@pytest.mark.usefixtures("tiny_project")
@pytest.mark.parametrize(("probe", "config"), PROBES)
def test_a_snapshot_is_probed_on_its_own_features(probe, config):
    write_tiny_snapshot(FEATURES.parent, 400)
    task = ProbeTask(BENCHMARK, FEATURES.parent / "step-400/mean.npy", 0, 400)
    found = probe(task, config)
    assert [one.setting for one in found] == [f"{one.setting} step=400" for one in probe(TASK, config)]
    assert len(np.unique(found[0].scores, axis=0)) == 1  # all of its features are zero


@pytest.mark.usefixtures("tiny_project")
def test_a_seed_without_features_is_named():
    with pytest.raises(FeaturesError, match=r"results/embed/tiny-xsub/mtmc/seed-7 holds no features: run"):
        find_tasks("tiny-xsub", "mtmc", [0, 7])


@pytest.mark.usefixtures("tiny_project")
def test_rows_are_training_clips_and_then_test_clips():
    data = read_probe_data(TASK)
    features = np.load(FEATURES)
    np.testing.assert_array_equal(data.train_features, features[:90])
    np.testing.assert_array_equal(data.test_features, features[90:])
    assert data.num_classes == 3


@pytest.mark.usefixtures("tiny_project")
@pytest.mark.parametrize(("probe", "config"), PROBES)
def test_a_probe_runs_where_test_labels_are_gone(probe, config):
    (BENCHMARK / TEST_LABELS).unlink()
    assert probe(TASK, config)[0].scores.shape == (40, 3)
    with pytest.raises(PackedError, match=r"test_labels\.parquet is missing or damaged: run split again"):
        keep(probe(TASK, config))


@pytest.mark.usefixtures("tiny_project")
@pytest.mark.parametrize(
    "features",
    [
        np.zeros((129, 6), dtype=np.float32),
        np.zeros((130, 6), dtype=np.float64),
        np.zeros(130, dtype=np.float32),
    ],
)
def test_features_of_another_shape_or_kind_are_refused(features):
    np.save(FEATURES, features)
    with pytest.raises(
        FeaturesError, match=r"mean.npy is float.*expected float32 with 90 \+ 40 rows: delete it"
    ):
        read_probe_data(TASK)


@pytest.mark.usefixtures("tiny_project")
@pytest.mark.parametrize("row", [3, 100])
def test_features_that_are_not_finite_are_named(row):
    features = np.load(FEATURES)
    features[row, 2] = np.inf
    np.save(FEATURES, features)
    with pytest.raises(FeaturesError, match=rf"feature 2 of row {row} is inf: the encoder has diverged"):
        read_probe_data(TASK)


@pytest.mark.usefixtures("tiny_project")
def test_a_truncated_file_of_features_is_named():
    FEATURES.write_bytes(FEATURES.read_bytes()[:-100])
    with pytest.raises(FeaturesError, match=r"mean.npy cannot be read .*: delete it and run"):
        read_probe_data(TASK)


@pytest.mark.usefixtures("tiny_project")
def test_fits_that_do_not_converge_are_logged_and_recorded(caplog):
    config = LinearConfig(components=None, c_grid=(1.0,), folds=3, max_iterations=1, tolerance=1e-4)
    (probed,) = probe_linear(TASK, config)
    assert probed.values["converged"] == 0.0
    assert "mean.npy: a fit did not converge in 1 iterations" in caplog.text
    caplog.clear()
    assert probe_linear(TASK, LINEAR)[0].values["converged"] == 1.0
    assert caplog.text == ""


@pytest.mark.usefixtures("tiny_project")
def test_scores_are_kept_by_setting_and_their_metrics_recorded():
    labels = read_test_labels(BENCHMARK)
    right = np.eye(3, dtype=np.float32)[labels]
    probed = [
        Probed(0, "pooling=mean", right, {"validation_top1": 0.5}),
        Probed(0, "pooling=last", -right, {"validation_top1": 0.25}),
        Probed(3, "pooling=mean", right, {"validation_top1": 0.75}),
    ]
    records = keep(probed)
    assert [record.seed for record in records] == [0, 3]
    assert records[0].metrics["pooling=mean"]["top1"] == 1.0
    assert records[0].metrics["pooling=last"]["top1"] == 0.0
    assert records[0].metrics["pooling=mean"]["validation_top1"] == 0.5
    assert records[1].metrics["pooling=mean"]["validation_top1"] == 0.75
    with np.load("results/linear/tiny-xsub/mtmc/seed-0.npz") as kept:
        assert sorted(kept.files) == ["pooling=last", "pooling=mean"]
        np.testing.assert_array_equal(kept["pooling=mean"], right)


@pytest.mark.usefixtures("tiny_project")
def test_a_record_names_the_features_and_the_split_it_rests_on():
    (record,) = keep([Probed(3, "pooling=mean", np.zeros((40, 3), dtype=np.float32), {})])
    assert sorted(record.inputs) == [
        *(f"{BENCHMARK}/{file}" for file in ("benchmark.json", "test.parquet", TEST_LABELS, "train.parquet")),
        "results/embed/tiny-xsub/mtmc/seed-3/last.npy",
        "results/embed/tiny-xsub/mtmc/seed-3/mean.npy",
    ]
    write_tiny_snapshot(Path("results/embed/tiny-xsub/mtmc/seed-3"), 400)
    (record,) = keep([Probed(3, "pooling=mean", np.zeros((40, 3), dtype=np.float32), {})])
    assert "results/embed/tiny-xsub/mtmc/seed-3/step-400/mean.npy" in record.inputs


@pytest.mark.usefixtures("tiny_project")
def test_a_subset_of_the_labels_is_kept_by_name_and_counts_as_an_input():
    scores = np.zeros((40, 3), dtype=np.float32)
    (record,) = keep([Probed(3, "pooling=mean labels=1%", scores, {}, Subset("1", ("clip7", "a,b")))])
    path = Path("results/linear/tiny-xsub/mtmc/seed-3.subset-1.csv")
    assert path.read_text() == 'name\nclip7\n"a,b"\n'
    assert record.inputs[path.as_posix()] == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.usefixtures("tiny_project")
def test_keeping_the_same_scores_again_gives_the_same_bytes():
    probed = [Probed(0, "pooling=mean", np.ones((40, 3), dtype=np.float32), {})]
    path = Path("results/linear/tiny-xsub/mtmc/seed-0.npz")
    keep(probed)
    before = path.read_bytes()
    keep(probed)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["seed-0.npz"]
