import csv
import io
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from kinemask.evaluation.metrics import score_metrics
from kinemask.record import read_record
from kinemask.reporting.collect import collect
from kinemask.reporting.curves import CURVE_COLUMNS, curves_table
from kinemask.reporting.tables import chosen_settings, results_table
from kinemask.reporting.write import write_reports
from kinemask.skeleton.truth import read_test_labels

from .conftest import Run, write_record

MakeRun = Callable[..., Run]
SKILL = {0: 0.0, 90: 3.0, 400: 6.0}  # how far the true class's score of a snapshot stands above the noise
STEPS, EPOCHS = 800, 40.0


def add_snapshots(run: Run, method: str, seed: int, *, validation_top1: float = 0.99) -> None:
    """Scores of snapshots beside those that are there, as the linear and knn stages write them."""
    labels = read_test_labels(run.root / "data/benchmarks/irds-xsub")
    rng = np.random.default_rng(seed)
    for evaluation in ("linear", "knn"):
        path = run.root / f"results/{evaluation}/irds-xsub/{method}/seed-{seed}.npz"
        with np.load(path) as kept:
            scores = dict(kept)
        record = read_record(run.root / f"records/{evaluation}/irds-xsub/{method}/seed-{seed}.json")
        metrics = dict(record.metrics)
        for setting in list(scores):
            for step, skill in SKILL.items():
                values = rng.normal(size=(len(labels), 6)).astype(np.float32)
                values[np.arange(len(labels)), labels] += skill
                name = f"{setting} step={step}"
                scores[name] = values
                metrics[name] = score_metrics(values, labels) | {"validation_top1": validation_top1}
        np.savez(path, **scores)
        record.model_copy(update={"metrics": metrics}).write(run.root)
    trained = {"all": {"steps": float(STEPS), "epochs": EPOCHS}}
    write_record(run.root, "pretrain", "irds-xsub", method, seed, metrics=trained)


@pytest.fixture
def with_snapshots(make_run: MakeRun) -> Run:
    run = make_run(benchmarks=("irds-xsub",), seeds=(0, 1), reference="mtmc")
    for seed in (0, 1):
        add_snapshots(run, "mtmc", seed)
    return run


def reports(run: Run) -> dict[str, str]:
    write_reports(run.root, collect(run.root, run.config), run.statistics)
    return {path.name: path.read_text() for path in (run.root / "reports").iterdir()}


def curve(run: Run, **wanted: object) -> pd.DataFrame:
    table = curves_table(collect(run.root, run.config), run.statistics)
    assert tuple(table.columns) == CURVE_COLUMNS
    return table[(table[list(wanted)] == pd.Series(wanted)).all(axis=1)]


def test_the_best_epoch_is_an_upper_bound_beside_the_last_by_hand(with_snapshots: Run) -> None:
    run = with_snapshots
    found = collect(run.root, run.config)
    results = results_table(found, run.statistics)
    records = found.of_run("linear", "irds-xsub", "mtmc")
    for metric in ("top1", "macro_f1"):
        best = [
            max(values[metric] for name, values in one.metrics.items() if name.startswith("pooling=last"))
            for one in records
        ]
        own = results[["method", "evaluation", "setting", "metric"]] == [
            "mtmc",
            "linear",
            "pooling=last",
            metric,
        ]
        line = results[own.all(axis=1)].iloc[0]
        assert line["best_epoch_upper_bound"] == pytest.approx(np.mean(best), abs=1e-4)
        assert line["best_epoch_upper_bound"] > line["mean"]
    empty = results[results["best_epoch_upper_bound"].isna()]
    assert set(empty["method"]) == {"random", "mtmc"}
    mine = empty[empty["method"] == "mtmc"]  # few has no snapshots, and nobody picks by the calibration error
    assert set(mine["metric"][mine["evaluation"] != "few"]) == {"calibration_error"}
    assert "| top1 of the best epoch (upper bound) |" in reports(run)["results.md"]


def test_a_curve_has_a_row_a_step_and_ends_with_the_result(with_snapshots: Run) -> None:
    table = curve(with_snapshots, evaluation="knn", setting="pooling=last k=20")
    assert table["step"].tolist() == [0, 90, 400, 800]
    assert table["epochs"].tolist() == [0.0, 4.5, 20.0, 40.0]  # 40 epochs in 800 steps
    assert set(table["method"]) == {"mtmc"}  # random has no snapshots
    assert set(table["pooling"]) == {"last"}
    assert table["mean"].iloc[:3].is_monotonic_increasing
    results = pd.read_csv(io.StringIO(reports(with_snapshots)["results.csv"]))
    own = results[
        (
            results[["method", "evaluation", "setting", "metric"]]
            == ["mtmc", "knn", "pooling=last k=20", "top1"]
        ).all(axis=1)
    ]
    for name in ("mean", "std", "ci_low", "ci_high", "unleaked_mean", "num_seeds", "num_test"):
        assert table[name].iloc[-1] == own[name].iloc[0]


def test_a_point_of_a_curve_is_the_mean_of_what_the_records_say(with_snapshots: Run) -> None:
    table = curve(with_snapshots, evaluation="linear", setting="pooling=mean")
    records = collect(with_snapshots.root, with_snapshots.config).of_run("linear", "irds-xsub", "mtmc")
    told = [record.metrics["pooling=mean step=90"]["top1"] for record in records]
    assert len(told) == 2
    assert table.loc[table["step"] == 90, "mean"].item() == pytest.approx(sum(told) / 2, abs=1e-4)


def test_every_pooling_has_a_curve_and_the_one_chosen_at_the_last_step_is_marked(with_snapshots: Run) -> None:
    table = curve(with_snapshots)
    assert table.groupby("setting").size().to_dict() == {
        f"pooling={pooling}{k}": 4 for pooling in ("last", "mean") for k in ("", " k=1", " k=20")
    }
    assert table.groupby("pooling")["chosen"].unique().map(list).to_dict() == {
        "last": [False],
        "mean": [True],
    }


def test_snapshots_change_no_other_table_and_choose_no_pooling(make_run: MakeRun) -> None:
    found = []
    for name in ("plain", "kept"):
        run = make_run(name, benchmarks=("irds-xsub",), seeds=(0, 1), reference="mtmc")
        for seed in (0, 1):
            if name == "kept":
                add_snapshots(run, "mtmc", seed)
            trained = {"all": {"steps": float(STEPS), "epochs": EPOCHS}}
            write_record(run.root, "pretrain", "irds-xsub", "mtmc", seed, metrics=trained)
        found.append((reports(run), chosen_settings(collect(run.root, run.config).records)))
    (plain, chosen), (kept, chosen_with) = found
    assert chosen == chosen_with
    others = ("comparisons.csv", "ablation.csv", "classes.csv", "label_efficiency.csv", "tables.tex")
    for name in others:
        assert plain[name] == kept[name]
    tables = [pd.read_csv(io.StringIO(texts["results.csv"])) for texts in (plain, kept)]
    bounds = [table.pop("best_epoch_upper_bound") for table in tables]
    pd.testing.assert_frame_equal(*tables)
    assert [bound.notna().any() for bound in bounds] == [False, True]
    assert plain["curves.csv"] == ",".join(CURVE_COLUMNS) + "\n"
    assert len(list(csv.reader(io.StringIO(kept["curves.csv"])))) == 1 + 6 * 4
    assert "Over the steps" not in plain["index.html"]
    assert "<dt>step</dt>" not in plain["index.html"]


def test_the_page_draws_each_method_and_the_control_over_the_steps(with_snapshots: Run) -> None:
    text = reports(with_snapshots)["index.html"]
    assert '<a href="#steps">Over the steps</a>' in text
    assert "<dt>step</dt>" in text
    charts = [
        part.split('"')[0] for part in text.split('aria-label="')[1:] if "top1 over steps on" in part[:60]
    ]
    assert [chart.split(",")[0] for chart in charts] == ["linear", "knn k=1"]
    assert not any("pooling=last" in chart for chart in charts)  # it was not chosen
    table = curve(with_snapshots, evaluation="linear", chosen=True)
    for _, line in table.iterrows():
        assert f"{100 * line['mean']:.1f} at step {line['step']}" in charts[0]
    found = collect(with_snapshots.root, with_snapshots.config)
    (control,) = [cell for cell in found.cells if (cell.method, cell.setting) == ("random", "pooling=mean")]
    assert f"random pooling=mean: {100 * (control.ranks == 0).mean():.1f} at any step" in charts[0]


def test_without_the_record_of_the_pretraining_there_is_no_curve(with_snapshots: Run) -> None:
    for path in (with_snapshots.root / "records/pretrain/irds-xsub/mtmc").iterdir():
        path.unlink()
    assert curve(with_snapshots).empty
