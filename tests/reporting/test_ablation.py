from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kinemask.reporting.ablation import ABLATION_COLUMNS, ablation_blocks, ablation_table
from kinemask.reporting.blocks import NOTHING, WORSE
from kinemask.reporting.collect import collect
from kinemask.reporting.readme import update_readme
from kinemask.reporting.tables import comparisons_table, csv_text, results_table
from kinemask.reporting.write import write_reports

from .conftest import Run

MakeRun = Callable[..., Run]
METHODS = ("random", "mtmc-no-drop", "mtmc", "raw")


def ablation(run: Run) -> pd.DataFrame:
    return ablation_table(collect(run.root, run.config), run.statistics)


def run_of(make_run: MakeRun, folder: str = "project", **changes: object) -> Run:
    whole = {"benchmarks": ("irds-xsub",), "methods": METHODS, "seeds": (0, 1), "reference": "mtmc"}
    return make_run(folder, **(whole | changes))


def test_fine_tuned_methods_are_compared_with_one_another(make_run: MakeRun) -> None:
    table = ablation(run_of(make_run, finetune=("mtmc", "random")))
    tuned = table[table["evaluation"] == "finetune"]
    assert tuned["method"].tolist() == ["mtmc", "random"]
    assert tuned["setting"].tolist() == ["pooling=mean", "pooling=mean"]
    assert tuned["role"].tolist() == ["reference", "control"]
    assert tuned["difference"].notna().tolist() == [False, True]


def only(table: pd.DataFrame, **wanted: str) -> pd.Series:
    found = table[(table[list(wanted)] == pd.Series(wanted)).all(axis=1)]
    assert len(found) == 1, found
    return found.iloc[0]


def test_each_method_has_a_row_with_the_linear_probe_with_one_neighbour_and_with_few_labels(
    make_run: MakeRun,
) -> None:
    table = ablation(run_of(make_run))
    assert tuple(table.columns) == ABLATION_COLUMNS
    order = ["mtmc", "random", "mtmc-no-drop", "raw"]  # the reference first, then as run.methods has them
    assert table["method"].tolist() == order * 3
    assert table["evaluation"].tolist() == ["linear"] * 4 + ["knn"] * 4 + ["few"] * 4
    assert set(table["setting"]) == {"pooling=mean", "pooling=mean k=1", "pooling=mean labels=1%"}
    assert table["difference"].notna().sum() == 3 * 3
    assert table["role"].tolist()[:4] == ["reference", "control", "", "floor"]


def test_without_a_reference_there_is_no_row(make_run: MakeRun) -> None:
    assert csv_text(ablation(run_of(make_run, reference=None))) == ",".join(ABLATION_COLUMNS) + "\n"


def test_scores_and_differences_are_those_of_the_other_tables(make_run: MakeRun) -> None:
    run = run_of(make_run, reference="random")  # also the control of comparisons.csv
    found = collect(run.root, run.config)
    results, comparisons = results_table(found, run.statistics), comparisons_table(found, run.statistics)
    names = {"method": "mtmc", "evaluation": "knn", "setting": "pooling=mean k=1"}
    line = only(ablation(run), **names)
    own = only(results, **names, metric="top1")
    assert (
        line[["mean", "std", "ci_low", "ci_high"]].tolist()
        == own[["mean", "std", "ci_low", "ci_high"]].tolist()
    )
    met = only(comparisons, **names, metric="top1", control_setting="pooling=mean k=1")
    taken = line[["difference", "difference_low", "difference_high", "p"]].tolist()
    assert taken == met[["difference", "ci_low", "ci_high", "p"]].tolist()


def test_the_pooling_is_the_one_that_training_folds_chose_not_the_best_on_the_test_part(
    make_run: MakeRun,
) -> None:
    run = run_of(make_run)
    for record in collect(run.root, run.config).of_run("linear", "irds-xsub", "mtmc-no-drop"):
        metrics = {name: dict(values) for name, values in record.metrics.items()}
        assert metrics["pooling=mean"]["top1"] > metrics["pooling=last"]["top1"]
        metrics["pooling=last"]["validation_top1"] = 0.99
        record.model_copy(update={"metrics": metrics}).write(run.root)
    results = results_table(collect(run.root, run.config), run.statistics)
    rows = results[(results["method"] == "mtmc-no-drop") & (results["evaluation"] == "linear")]
    assert set(rows.loc[rows["chosen"], "setting"]) == {"pooling=last"}
    line = only(ablation(run), method="mtmc-no-drop", evaluation="linear")
    assert (line["setting"], line["reference_setting"]) == ("pooling=last", "pooling=mean")


def test_holm_runs_over_the_table_of_a_benchmark_without_the_reference_itself(make_run: MakeRun) -> None:
    table = ablation(run_of(make_run, benchmarks=("irds-xsub", "kinesim-xsub")))
    assert (
        table.loc[table["method"] == "mtmc", ["difference", "p", "p_holm", "reference"]].isna().all(axis=None)
    )
    for _, part in table[table["method"] != "mtmc"].groupby("benchmark"):
        assert len(part) == 3 * 3
        smallest = part["p"].min()
        assert part["p_holm"].min() == pytest.approx(min(1.0, 9 * smallest), abs=9e-4)


def test_methods_with_more_seeds_meet_on_the_seeds_that_both_have(make_run: MakeRun) -> None:
    run = run_of(make_run, more_seeds={"mtmc": (3, 4), "random": (4,)})
    found = collect(run.root, run.config)
    assert found.missing == ()
    assert {cell.method: cell.seeds for cell in found.cells} == {
        "mtmc": (0, 1, 3, 4), "random": (0, 1, 4), "mtmc-no-drop": (0, 1), "raw": (0, 1),
    }  # fmt: skip
    assert [one.seed for one in found.of_run("linear", "irds-xsub", "mtmc")] == [0, 1, 3, 4]
    table = ablation(run)
    pairs = {name: only(table, method=name, evaluation="linear")["num_pairs"] for name in METHODS}
    assert pairs["random"] == 3
    assert pairs["mtmc-no-drop"] == pairs["raw"] == 2
    assert only(table, method="mtmc", evaluation="linear")["num_seeds"] == 4


def test_a_seed_of_more_seeds_that_is_not_there_is_missing(make_run: MakeRun) -> None:
    run = run_of(make_run)
    config = run.config.model_copy(update={"more_seeds": {"mtmc": (7,)}})
    missing = collect(run.root, config).missing
    assert len(missing) == 5  # pretrain, embed, linear, knn, few
    assert all(text.startswith("irds-xsub mtmc ") and text.endswith("(seed 7)") for text in missing)


def test_a_benchmark_without_the_reference_has_its_scores_and_no_difference(make_run: MakeRun) -> None:
    run = run_of(make_run)
    for path in (run.root / "records/linear/irds-xsub/mtmc").iterdir():
        path.unlink()
    line = only(ablation(run), method="raw", evaluation="linear")
    assert line["mean"] > 0
    assert np.isnan(line["difference"])
    assert only(ablation(run), method="raw", evaluation="knn")["reference"] == "mtmc"


def test_methods_without_a_common_seed_are_not_compared(make_run: MakeRun) -> None:
    run = run_of(make_run)
    for method, seed in (("mtmc", 0), ("raw", 1)):
        (run.root / f"records/linear/irds-xsub/{method}/seed-{seed}.json").unlink()
    table = ablation(run)
    assert np.isnan(only(table, method="raw", evaluation="linear")["difference"])
    assert only(table, method="random", evaluation="linear")["num_pairs"] == 1


def test_what_is_shown_is_percent_points_and_marks(make_run: MakeRun) -> None:
    (block,) = ablation_blocks(ablation(run_of(make_run)), "mtmc", 0.05)
    assert block.header == (
        *("evaluation", "method", "role", "setting", "top1, %", "against mtmc, points", "p (Holm)"),
        *("seeds", "paired"),
    )
    assert all(len(row) == len(block.header) for row in block.rows)
    assert block.rows[0][5:7] == (NOTHING, NOTHING)  # the reference against itself
    raw = next(row for row in block.rows if row[:2] == ("linear", "raw"))
    assert raw[5].startswith("-")
    assert raw[5].endswith(WORSE)


def test_leaked_clips_have_columns_where_there_are_any(make_run: MakeRun) -> None:
    run = run_of(make_run)
    path = run.root / "data/benchmarks/irds-xsub/test.parquet"
    clips = pd.read_parquet(path)
    clips.assign(leaked=np.arange(len(clips)) < 20).to_parquet(path, index=False)
    (block,) = ablation_blocks(ablation(run), "mtmc", 0.05)
    assert sum("without leaked clips" in name for name in block.header) == 3
    assert all(len(row) == len(block.header) for row in block.rows)
    line = only(ablation(run), method="raw", evaluation="linear")
    assert line["unleaked_difference"] != line["difference"]


def test_results_md_has_the_table_and_the_readme_can_take_it(make_run: MakeRun, tmp_path: Path) -> None:
    run = run_of(make_run)
    write_reports(run.root, collect(run.root, run.config), run.statistics)
    text = (run.root / "reports/results.md").read_text()
    assert "## Against mtmc" in text
    assert "| linear | random | control |" in text
    readme = tmp_path / "README.md"
    columns = "columns=method,role,mean,difference,p_holm"
    readme.write_text(f"<!-- table: reports/ablation.csv evaluation=linear {columns} -->\n<!-- end -->\n")
    assert update_readme(readme, run.root) != []
    header, _, first, second = readme.read_text().splitlines()[2:6]
    assert header == "| method | role | % | points | p_holm |"
    assert first.startswith("| mtmc | reference | ")
    assert first.endswith("| - | - |")
    random = only(ablation(run), method="random", evaluation="linear")
    points = [f"{100 * random[name]:.1f}" for name in ("difference", "difference_low", "difference_high")]
    assert f"| {points[0]} [{points[1]}, {points[2]}] |" in second
    readme.write_text("<!-- table: reports/ablation.csv evaluation=linear -->\n<!-- end -->\n")
    update_readme(readme, run.root)
    assert {"difference_low", "ci_low", "std"}.isdisjoint(readme.read_text().splitlines()[2].split(" | "))
