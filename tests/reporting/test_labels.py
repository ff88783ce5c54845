"""Accuracy over shares of the labels."""

from collections.abc import Callable

import pytest

from kinemask.reporting.charts import label_charts
from kinemask.reporting.collect import collect
from kinemask.reporting.labels import LABEL_COLUMNS, label_curves, labels_table
from kinemask.reporting.tables import results_table

from .conftest import Run

MakeRun = Callable[..., Run]


def test_a_curve_has_a_point_for_each_share_with_the_numbers_of_the_results(make_run: MakeRun) -> None:
    run = make_run(benchmarks=("irds-xsub",), seeds=(0, 1), finetune=("mtmc",))
    found = collect(run.root, run.config)
    table = labels_table(found, run.statistics)
    assert tuple(table.columns) == LABEL_COLUMNS
    points = [*zip(table["method"], table["family"], table["labels"], strict=True)]
    assert points == [
        ("random", "frozen encoder", 0.01),
        ("random", "frozen encoder", 0.1),
        ("mtmc", "frozen encoder", 0.01),
        ("mtmc", "frozen encoder", 0.1),
        ("mtmc", "encoder trained too", 1.0),
    ]
    assert table["num_labelled"].tolist()[-1] == 200  # all there are
    results = results_table(found, run.statistics)
    own = results[
        (results[["method", "setting", "metric"]] == ["mtmc", "pooling=mean labels=10%", "top1"]).all(axis=1)
    ]
    names = ["mean", "std", "ci_low", "ci_high"]
    assert table.loc[3, names].tolist() == own.iloc[0][names].tolist()


def test_the_number_of_labelled_clips_is_the_mean_of_the_records(make_run: MakeRun) -> None:
    run = make_run(benchmarks=("irds-xsub",), methods=("mtmc",), seeds=(0, 1))
    records = collect(run.root, run.config).of_run("few", "irds-xsub", "mtmc")
    for record, number in zip(records, (6.0, 8.0), strict=True):
        metrics = {
            name: values | ({"num_labelled": number} if name.endswith("labels=1%") else {})
            for name, values in record.metrics.items()
        }
        record.model_copy(update={"metrics": metrics}).write(run.root)
    table = labels_table(collect(run.root, run.config), run.statistics)
    assert table["num_labelled"].tolist()[0] == 7.0
    assert table["num_labelled"].isna().tolist() == [False, True]


def test_the_chart_has_a_line_a_method_and_a_dot_a_seed(make_run: MakeRun) -> None:
    run = make_run(benchmarks=("irds-xsub",), seeds=(0, 1, 2), finetune=("mtmc",))
    found = collect(run.root, run.config)
    ((benchmark, charts),) = label_charts(found)
    assert benchmark == "irds-xsub"
    assert len(charts) == 1  # with all labels alone there is no curve
    assert charts[0].alt.startswith(
        "frozen encoder, top1 over the share of labels on irds-xsub, percent. random: "
    )
    assert charts[0].svg.count("<use ") >= 2 * 2 * 3
    for label in ("1", "10", "random", "mtmc"):
        assert f">{label}</text>" in charts[0].svg
    first = label_curves(found)[0]
    assert first.shares == (0.01, 0.1)
    assert f"{100 * (first.points[0].ranks == 0).mean():.1f} with 1 %" in charts[0].alt


@pytest.mark.parametrize("setting", ["pooling=mean", "pooling=mean k=1"])
def test_results_that_say_nothing_of_labels_are_on_no_curve(make_run: MakeRun, setting: str) -> None:
    run = make_run(benchmarks=("irds-xsub",), methods=("mtmc",), seeds=(0,))
    cells = {cell.setting for curve in label_curves(collect(run.root, run.config)) for cell in curve.points}
    assert cells
    assert setting not in cells
