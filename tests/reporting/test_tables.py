from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from kinemask.reporting.collect import collect
from kinemask.reporting.tables import (
    COMPARISON_COLUMNS,
    RESULT_COLUMNS,
    chosen_settings,
    comparisons_table,
    csv_text,
    results_table,
)

from .conftest import Run, write_record

MakeRun = Callable[..., Run]


def row(table: pd.DataFrame, **wanted: str) -> pd.Series:
    found = table[(table[list(wanted)] == pd.Series(wanted)).all(axis=1)]
    assert len(found) == 1, found
    return found.iloc[0]


def both_tables(run: Run) -> tuple[pd.DataFrame, pd.DataFrame]:
    found = collect(run.root, run.config)
    return results_table(found, run.statistics), comparisons_table(found, run.statistics)


def test_results_have_exactly_the_columns_and_a_row_a_result(make_run: MakeRun) -> None:
    results, _ = both_tables(make_run())
    assert tuple(results.columns) == RESULT_COLUMNS
    assert ",".join(RESULT_COLUMNS) == (
        "benchmark,method,evaluation,setting,stream,metric,mean,std,ci_low,ci_high,"
        "unleaked_mean,unleaked_std,unleaked_ci_low,unleaked_ci_high,num_test,num_leaked,"
        "num_seeds,scored_epoch,commit,best_epoch_upper_bound,source,chosen"
    )
    assert len(results) == 2 * 2 * 8 * 5  # benchmarks, methods, settings, metrics
    assert set(results["source"]) == {"kinemask"}
    bare = results["metric"] == "calibration_error"
    assert results.loc[bare, ["ci_low", "ci_high"]].isna().all(axis=None)
    assert (results["ci_low"] <= results["mean"])[~bare].all()
    assert (results["mean"] <= results["ci_high"])[~bare].all()


def test_mean_is_that_of_the_records_of_the_seeds(make_run: MakeRun) -> None:
    run = make_run()
    results, _ = both_tables(run)
    records = collect(run.root, run.config).of_run("knn", "irds-xsub", "mtmc")
    for metric in ("top1", "top5", "mean_recall", "macro_f1", "calibration_error"):
        told = [record.metrics["pooling=mean k=20"][metric] for record in records]
        names = {
            "benchmark": "irds-xsub",
            "method": "mtmc",
            "evaluation": "knn",
            "setting": "pooling=mean k=20",
        }
        line = row(results, **names, metric=metric)
        assert line["mean"] == pytest.approx(np.mean(told), abs=1e-4)
        assert line["std"] == pytest.approx(np.std(told, ddof=1), abs=1e-4)
        assert line["num_seeds"] == 3


def test_origin_is_that_of_the_encoder(make_run: MakeRun) -> None:
    run = make_run(seeds=(0, 1))
    params = {"recipe": {"inputs": {"stream": "bone"}}}
    write_record(
        run.root, "pretrain", "irds-xsub", "mtmc", 1, metrics={"all": {"epochs": 40.02}}, params=params
    )
    write_record(run.root, "embed", "irds-xsub", "mtmc", 1, commit="fedcba9876-dirty")
    results, _ = both_tables(run)
    names = {"benchmark": "irds-xsub", "evaluation": "linear", "setting": "pooling=mean", "metric": "top1"}
    mixed, plain = row(results, method="mtmc", **names), row(results, method="random", **names)
    assert (mixed["stream"], mixed["scored_epoch"]) == ("bone+joint", "40")
    assert mixed["commit"] == "0123456789+fedcba9876-dirty"
    assert (plain["stream"], plain["scored_epoch"], plain["commit"]) == ("joint", "0", "0123456789")


def test_encoder_without_record_has_unknown_origin_and_is_not_dropped(make_run: MakeRun) -> None:
    run = make_run(benchmarks=("irds-xsub",), methods=("random",), seeds=(0,))
    (run.root / "records/pretrain/irds-xsub/random/seed-0.json").unlink()
    results, _ = both_tables(run)
    assert len(results) == 8 * 5
    assert set(results["stream"]) == set(results["scored_epoch"]) == {"unknown"}


def test_one_seed_has_an_empty_spread_in_the_csv(make_run: MakeRun) -> None:
    results, _ = both_tables(make_run(seeds=(4,)))
    assert results["std"].isna().all()
    assert results["ci_low"].isna().equals(results["metric"] == "calibration_error")
    line = csv_text(results).splitlines()[1].split(",")
    assert line[RESULT_COLUMNS.index("std")] == ""


def test_same_input_gives_the_same_bytes(make_run: MakeRun) -> None:
    first, second = both_tables(make_run("first")), both_tables(make_run("second"))
    assert [csv_text(table) for table in first] == [csv_text(table) for table in second]
    assert csv_text(first[0]).endswith("\n")
    assert "\r" not in csv_text(first[0])


def test_csv_has_four_decimals_and_no_minus_zero() -> None:
    assert (
        csv_text(pd.DataFrame({"difference": [-0.00001, 0.12345, -0.5]}))
        == "difference\n0.0000\n0.1234\n-0.5000\n"
    )


def test_numbers_are_rounded_to_what_the_csv_shows(make_run: MakeRun) -> None:
    for table in both_tables(make_run(benchmarks=("irds-xsub",))):
        numbers = table.select_dtypes("float").stack()
        numbers = numbers.dropna()
        assert (numbers == numbers.round(4)).all()


def test_comparisons_meet_the_control_at_the_same_and_at_its_best_pooling(make_run: MakeRun) -> None:
    run = make_run()
    results, comparisons = both_tables(run)
    assert tuple(comparisons.columns) == COMPARISON_COLUMNS
    assert set(comparisons["method"]) == {"mtmc"}
    assert set(comparisons["control"]) == {"random"}
    names = {"benchmark": "irds-xsub", "evaluation": "knn", "metric": "top1"}
    met = comparisons[(comparisons[list(names)] == pd.Series(names)).all(axis=1)]
    assert sorted(zip(met["setting"], met["control_setting"], strict=True)) == [
        ("pooling=last k=1", "pooling=last k=1"),
        ("pooling=last k=1", "pooling=mean k=1"),
        ("pooling=last k=20", "pooling=last k=20"),
        ("pooling=last k=20", "pooling=mean k=20"),
        ("pooling=mean k=1", "pooling=mean k=1"),  # the best for the control, said once
        ("pooling=mean k=20", "pooling=mean k=20"),
    ]
    line = row(met, setting="pooling=last k=1", control_setting="pooling=mean k=1")
    own = row(results, method="mtmc", setting="pooling=last k=1", **names)["mean"]
    control = row(results, method="random", setting="pooling=mean k=1", **names)["mean"]
    assert line["difference"] == pytest.approx(own - control, abs=2e-4)


def test_test_scores_never_choose_the_pooling(make_run: MakeRun) -> None:
    run = make_run(benchmarks=("irds-xsub",), seeds=(0,))
    record = collect(run.root, run.config).of_run("linear", "irds-xsub", "random")[0]
    assert record.metrics["pooling=mean"]["top1"] > record.metrics["pooling=last"]["top1"]
    turned = {name: values | {"validation_top1": 0.1} for name, values in record.metrics.items()}
    turned["pooling=last"]["validation_top1"] = 0.2
    record.model_copy(update={"metrics": turned}).write(run.root)
    chosen = chosen_settings(collect(run.root, run.config).records)
    assert chosen["irds-xsub", "random", "linear", ""] == "pooling=last"
    assert chosen["irds-xsub", "random", "knn", "k=20"] == "pooling=mean k=20"


def test_pooling_is_chosen_by_the_mean_over_seeds(make_run: MakeRun) -> None:
    run = make_run(benchmarks=("irds-xsub",), methods=("random",), seeds=(0, 1))
    for record, values in zip(
        collect(run.root, run.config).of_run("linear", "irds-xsub", "random"),
        [(0.9, 0.6), (0.1, 0.6)],
        strict=True,
    ):
        metrics = {
            name: record.metrics[name] | {"validation_top1": value}
            for name, value in zip(("pooling=last", "pooling=mean"), values, strict=True)
        }
        record.model_copy(update={"metrics": metrics}).write(run.root)
    chosen = chosen_settings(collect(run.root, run.config).records)
    assert chosen["irds-xsub", "random", "linear", ""] == "pooling=mean"


def test_without_validation_nothing_is_chosen(make_run: MakeRun) -> None:
    run = make_run(benchmarks=("irds-xsub",), seeds=(0,))
    record = collect(run.root, run.config).of_run("linear", "irds-xsub", "random")[0]
    bare = {name: {"top1": values["top1"]} for name, values in record.metrics.items()}
    record.model_copy(update={"metrics": bare}).write(run.root)
    found = collect(run.root, run.config)
    assert ("irds-xsub", "random", "linear", "") not in chosen_settings(found.records)
    comparisons = comparisons_table(found, run.statistics)
    linear = comparisons[comparisons["evaluation"] == "linear"]
    assert (linear["setting"] == linear["control_setting"]).all()


def test_a_setting_with_one_pooling_alone_is_its_own_choice(make_run: MakeRun) -> None:
    run = make_run(benchmarks=("irds-xsub",), methods=("random", "raw"))
    for path in (run.root / "results/few/irds-xsub/raw").iterdir():
        with np.load(path) as archive:
            scores = {name.replace("mean", "flat"): archive[name] for name in archive.files}
        np.savez(path, **scores)
    for path in (run.root / "records/few/irds-xsub/raw").iterdir():
        path.write_text(path.read_text().replace("pooling=mean", "pooling=flat"))
    found = collect(run.root, run.config)
    chosen = chosen_settings(found.records)
    assert chosen["irds-xsub", "random", "few", "labels=10%"] == "pooling=mean labels=10%"
    assert chosen["irds-xsub", "raw", "few", "labels=1%"] == "pooling=flat labels=1%"
    comparisons = comparisons_table(found, run.statistics)
    few = comparisons[(comparisons["evaluation"] == "few") & (comparisons["metric"] == "top1")]
    assert list(zip(few["setting"], few["control_setting"], strict=True)) == [
        ("pooling=flat labels=1%", "pooling=mean labels=1%"),
        ("pooling=flat labels=10%", "pooling=mean labels=10%"),
    ]


def test_comparison_uses_the_seeds_both_have(make_run: MakeRun) -> None:
    run = make_run(benchmarks=("irds-xsub",), seeds=(0, 1, 2))
    (run.root / "records/linear/irds-xsub/random/seed-0.json").unlink()
    _, comparisons = both_tables(run)
    seeds = comparisons.groupby("evaluation")["num_seeds"].unique()
    assert seeds["linear"].tolist() == [2]
    assert seeds["knn"].tolist() == [3]


def test_holm_runs_over_all_rows_of_a_benchmark_in_a_metric(make_run: MakeRun) -> None:
    _, comparisons = both_tables(make_run())
    for _, part in comparisons.groupby(["benchmark", "metric"]):
        assert len(part) == 3 + 6 + 2  # linear; knn with two k; few with two shares
        ordered = part.sort_values("p")
        smallest = ordered.iloc[0]
        assert smallest["p_holm"] == pytest.approx(min(1, smallest["p"] * len(part)), abs=len(part) * 1e-4)
        assert (part["p_holm"] >= part["p"]).all()
        assert ordered["p_holm"].is_monotonic_increasing


def test_only_means_over_clips_are_compared(make_run: MakeRun) -> None:
    _, comparisons = both_tables(make_run(benchmarks=("irds-xsub",), seeds=(0,)))
    assert set(comparisons["metric"]) == {"top1", "top5", "mean_recall"}


def test_run_without_the_control_has_no_comparison(make_run: MakeRun) -> None:
    _, comparisons = both_tables(make_run(methods=("mtmc",)))
    assert csv_text(comparisons) == ",".join(COMPARISON_COLUMNS) + "\n"
