import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from kinemask.evaluation.few import FewConfig, draw_labelled, percent_text, probe_few
from kinemask.evaluation.frozen import ABSENT_SCORE, Probed, ProbeTask, read_probe_data
from kinemask.evaluation.linear_probe import LinearConfig, fit_linear
from kinemask.section import ParamsError, validate
from kinemask.skeleton.benchmark import read_split
from kinemask.skeleton.truth import read_test_labels

BENCHMARK = Path("data/benchmarks/tiny-xsub")
TASK = ProbeTask(BENCHMARK, Path("results/embed/tiny-xsub/mtmc/seed-0/mean.npy"), 0)
NOISE = ProbeTask(BENCHMARK, TASK.features.with_name("last.npy"), 0)
CONFIG = FewConfig(
    shares=(0.01, 0.1), poolings=("mean",), c=0.05, components=None, max_iterations=500, tolerance=1e-4
)
NAMES = np.array([f"clip{number}" for number in range(200)])


def with_changes(**changes) -> FewConfig:
    return FewConfig.model_validate({**CONFIG.model_dump(), **changes})


def drawn(names, labels, *, share, draw="by_class", seed=0, benchmark="tiny-xsub") -> list[str]:
    rows = draw_labelled(names, labels, share=share, draw=draw, seed=seed, benchmark=benchmark)
    return names[rows].tolist()


def probe(task, config, draw="by_class"):
    return probe_few(task, config, draw)


def change_training_labels(change) -> None:
    train = read_split(BENCHMARK, "train", with_labels=True)
    train.assign(label=change(train["label"].to_numpy())).to_parquet(BENCHMARK / "train.parquet", index=False)


@pytest.mark.parametrize(
    ("share", "counts"),
    [
        (0.01, [1, 1, 0, 1]),  # 1.4, 0.6 and 0.01 clips
        (0.1, [14, 6, 0, 1]),
        (0.125, [18, 8, 0, 1]),  # 17.5 and 7.5 clips: a half goes to even
        (1.0, [140, 60, 0, 1]),
    ],
)
def test_each_class_gives_its_share_and_at_least_one_clip(share, counts):
    labels = np.repeat([0, 1, 3], [140, 60, 1])  # class 2 has no clip
    names = np.array([f"clip{number}" for number in range(201)])
    rows = draw_labelled(names, labels, share=share, draw="by_class", seed=0, benchmark="tiny-xsub")
    assert np.bincount(labels[rows], minlength=4).tolist() == counts
    assert len(set(rows.tolist())) == len(rows)


@pytest.mark.parametrize("draw", ["by_class", "uniform"])
def test_a_draw_is_that_of_seed_benchmark_and_share_and_of_no_other(draw):
    labels = np.arange(200) % 2
    first = drawn(NAMES, labels, share=0.1, draw=draw)
    assert first == drawn(NAMES, labels, share=0.1, draw=draw)
    assert first != drawn(NAMES, labels, share=0.1, draw=draw, seed=1)
    assert first != drawn(NAMES, labels, share=0.1, draw=draw, benchmark="other-xsub")
    assert not set(drawn(NAMES, labels, share=0.01, draw=draw)) <= set(first)  # drawn anew, not a part of it


@pytest.mark.parametrize("draw", ["by_class", "uniform"])
def test_a_draw_does_not_depend_on_the_order_of_the_clips(draw):
    labels = np.arange(200) % 3
    order = np.random.default_rng(4).permutation(200)
    again = drawn(NAMES[order], labels[order], share=0.1, draw=draw)
    assert again == drawn(NAMES, labels, share=0.1, draw=draw)


def test_a_draw_is_the_same_on_every_machine():  # trap E14
    # 15 clips a class: 1.5 of them, and a half goes to even.
    assert drawn(NAMES[:30], np.arange(30) % 2, share=0.1) == ["clip18", "clip2", "clip11", "clip5"]
    assert drawn(NAMES[:30], np.arange(30) % 2, share=0.1, draw="uniform") == ["clip18", "clip24", "clip19"]


def test_a_uniform_draw_takes_classes_as_they_come_and_one_clip_of_each_that_got_none():
    labels = np.repeat([0, 1, 3], [100, 98, 2])
    counts = np.zeros(4, int)
    for seed in range(40):
        rows = draw_labelled(NAMES, labels, share=0.1, draw="uniform", seed=seed, benchmark="tiny-xsub")
        found = np.bincount(labels[rows], minlength=4)
        assert len(set(rows.tolist())) == found.sum() in (20, 21)
        assert found[3] >= 1
        counts += found
    # Of 20 clips 10, 9.8 and 0.2 are expected; a draw by class would give 10, 10 and 1 each time.
    assert 360 < counts[0] < 440
    assert 40 <= counts[3] < 50


def test_fewer_labels_than_classes_are_one_a_class_however_they_are_drawn():
    labels = np.arange(200) % 50
    for draw in ("by_class", "uniform"):
        rows = draw_labelled(NAMES, labels, share=0.001, draw=draw, seed=0, benchmark="tiny-xsub")
        assert labels[rows].tolist() == list(range(50))


@pytest.mark.parametrize(
    ("share", "text"), [(0.01, "1"), (0.1, "10"), (1.0, "100"), (0.005, "0.5"), (0.07, "7"), (1e-5, "0.001")]
)
def test_a_share_is_said_in_percent(share, text):
    assert percent_text(share) == text


@pytest.mark.usefixtures("tiny_project")
@pytest.mark.parametrize("components", [None, 3])
def test_scores_are_those_of_a_reference_that_sees_the_drawn_labels_only(components):
    data = read_probe_data(NOISE)
    probed = probe(NOISE, with_changes(components=components, tolerance=1e-8))
    scaler = StandardScaler().fit(data.train_features.astype(np.float64))
    train, test = (scaler.transform(one) for one in (data.train_features, data.test_features))
    if components is not None:
        axes = PCA(components, svd_solver="full").fit(train)
        train, test = axes.transform(train), axes.transform(test)
    assert [one.setting for one in probed] == ["pooling=last labels=1%", "pooling=last labels=10%"]
    # Of 24, 34 and 32 clips: one each, then 2 + 3 + 3.
    for one, num_labelled in zip(probed, (3, 8), strict=True):
        rows = np.flatnonzero(np.isin(data.train_names, one.subset.names))
        assert len(rows) == num_labelled == one.values["num_labelled"]
        reference = LogisticRegression(C=0.05, tol=1e-8, max_iter=1000)
        reference.fit(train[rows], data.train_labels[rows])
        np.testing.assert_allclose(one.scores, reference.predict_log_proba(test), atol=1e-3)
        assert one.values["converged"] == 1.0


@pytest.mark.usefixtures("tiny_project")
def test_all_labels_give_the_linear_probe_with_that_c():
    data = read_probe_data(NOISE)
    (probed,) = probe(NOISE, with_changes(shares=(1.0,), tolerance=1e-8))
    linear = fit_linear(
        features=data.train_features,
        labels=data.train_labels,
        subjects=data.train_subjects,
        num_classes=3,
        config=LinearConfig(components=None, c_grid=(0.05,), folds=3, max_iterations=500, tolerance=1e-8),
    )
    assert sorted(probed.subset.names) == sorted(data.train_names)
    np.testing.assert_allclose(probed.scores, linear.scores(data.test_features), atol=1e-4)


@pytest.mark.usefixtures("tiny_project")
def test_one_label_a_class_is_enough_where_classes_lie_apart():
    truth = read_test_labels(BENCHMARK)
    found = [probe(TASK, CONFIG)[0], probe(NOISE, CONFIG)[0]]
    assert [one.values["num_labelled"] for one in found] == [3, 3]
    clear, noise = ((one.scores.argmax(1) == truth).mean() for one in found)
    assert clear > 0.8
    assert noise < 0.55


@pytest.mark.usefixtures("tiny_project")
def test_a_class_of_the_test_part_without_training_clips_is_never_the_answer():
    change_training_labels(lambda labels: np.where(labels == 1, 2, labels))
    for one in probe(TASK, CONFIG):
        assert (one.scores[:, 1] == ABSENT_SCORE).all()
        assert np.isfinite(one.scores).all()


@pytest.mark.usefixtures("tiny_project")
def test_a_single_training_class_is_always_the_answer_as_in_the_linear_probe():
    change_training_labels(lambda labels: np.full_like(labels, 2))
    for one, num_labelled in zip(probe(TASK, CONFIG), (1, 9), strict=True):
        assert (one.scores.argmax(1) == 2).all()
        assert one.values == {"num_labelled": num_labelled, "converged": 1.0}


def subsets(probed: list[Probed]) -> list[tuple[str, ...]]:
    return [one.subset.names for one in probed if one.subset is not None]


@pytest.mark.usefixtures("tiny_project")
def test_the_labels_are_those_of_the_same_clips_whatever_the_features_and_the_order_of_the_file():
    before = subsets(probe(TASK, CONFIG))
    assert len(before) == 2
    assert subsets(probe(NOISE, CONFIG)) == before
    train = pd.read_parquet(BENCHMARK / "train.parquet")
    train.iloc[::-1].to_parquet(BENCHMARK / "train.parquet", index=False)
    assert subsets(probe(TASK, CONFIG)) == before


@pytest.mark.usefixtures("tiny_project")
def test_labels_that_are_drawn_uniformly_are_those_of_other_clips():
    assert subsets(probe(TASK, CONFIG, "uniform")) != subsets(probe(TASK, CONFIG))


@pytest.mark.usefixtures("tiny_project")
def test_a_fit_that_does_not_converge_is_logged_and_recorded(caplog):
    (probed,) = probe(NOISE, with_changes(shares=(1.0,), max_iterations=1))
    assert probed.values["converged"] == 0.0
    assert "last.npy: the fit on 100 % of the labels did not converge in 1 iterations: raise" in caplog.text


@pytest.mark.parametrize(
    ("shares", "said"),
    [
        ([0.0, 0.1], "shares.0: Input should be greater than 0 (got 0.0)"),
        ([0.1, 1.5], "shares.1: Input should be less than or equal to 1 (got 1.5)"),
        ([0.1, 0.1], "shares: must be ascending, each value once (got [0.1, 0.1])"),
        ([], "shares: Tuple should have at least 1 item after validation, not 0 (got [])"),
    ],
)
def test_shares_that_cannot_be_are_one_line(shares, said):
    values = {**json.loads(CONFIG.model_dump_json()), "shares": shares}
    with pytest.raises(ParamsError) as raised:
        validate(FewConfig, values, Path("params.yaml"))
    assert str(raised.value) == f"params.yaml has 1 problem(s):\n  {said}"


@pytest.mark.parametrize(
    ("key", "value"), [("c", 0.0), ("components", 0), ("poolings", ()), ("poolings", ("all",))]
)
def test_other_values_out_of_range_are_refused(key, value):
    with pytest.raises(ValidationError):
        with_changes(**{key: value})
