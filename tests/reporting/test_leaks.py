"""Clips on both sides of a protocol: every table gives the score with and without them."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from kinemask.evaluation.metrics import score_metrics
from kinemask.evaluation.statistics import StatisticsConfig
from kinemask.reporting.blocks import BETTER, blocks, leak_sentence
from kinemask.reporting.collect import collect
from kinemask.reporting.summary import print_summary
from kinemask.reporting.tables import UNLEAKED, comparisons_table, results_table
from kinemask.reporting.write import write_reports
from kinemask.run import RunConfig
from kinemask.skeleton.benchmark import TEST_LABELS
from kinemask.skeleton.truth import read_test_labels
from tests.project import NOTHING_NAMED

from .conftest import Run, write_benchmark_files, write_record

MakeRun = Callable[..., Run]
# Four test clips of the classes 0, 1, 2, 0; the first one leaks.
RIGHT = {"mtmc": (True, True, True, False), "random": (True, False, True, False)}
ALL = ("mean", "std", "ci_low", "ci_high")


def tiny_run(root: Path, num_leaked: int) -> Run:
    config = RunConfig(benchmarks=("irds-xsub",), methods=("random", "mtmc"), **NOTHING_NAMED, seeds=(0, 1))
    write_benchmark_files(root, "irds-xsub", num_clips=4, num_classes=3, num_leaked=num_leaked)
    labels = np.array([0, 1, 2, 0])
    for method, right in RIGHT.items():
        scores = np.eye(3, dtype=np.float32)[np.where(right, labels, (labels + 1) % 3)]
        metrics = {"pooling=mean": score_metrics(scores, labels) | {"validation_top1": 0.5}}
        for seed in config.seeds:
            path = root / f"results/linear/irds-xsub/{method}/seed-{seed}.npz"
            path.parent.mkdir(parents=True, exist_ok=True)
            np.savez(path, **{"pooling=mean": scores})
            write_record(root, "linear", "irds-xsub", method, seed, metrics=metrics)
    return Run(root, config, StatisticsConfig(resamples=200, confidence=0.95, permutations=1000, seed=0))


def tables(run: Run) -> tuple[pd.DataFrame, pd.DataFrame]:
    found = collect(run.root, run.config)
    return results_table(found, run.statistics), comparisons_table(found, run.statistics)


def reports(run: Run) -> dict[str, str]:
    write_reports(run.root, collect(run.root, run.config), run.statistics)
    return {path.name: path.read_text() for path in (run.root / "reports").iterdir()}


def summary(run: Run, width: int = 160) -> str:
    with Path(os.devnull).open("w") as nowhere:
        console = Console(record=True, width=width, file=nowhere)
        print_summary(run.root, None, console)
        return console.export_text()


def leak(run: Run, benchmark: str, count: int) -> None:
    """Mark the first `count` test clips as leaked."""
    path = run.root / f"data/benchmarks/{benchmark}/test.parquet"
    table = pd.read_parquet(path)
    table.assign(leaked=np.arange(len(table)) < count).to_parquet(path, index=False)


def test_scores_are_those_of_all_clips_and_of_those_not_leaked(tmp_path: Path) -> None:
    results, comparisons = tables(tiny_run(tmp_path, 1))
    found = {(line.method, line.metric): line for line in results.itertuples()}
    assert found["mtmc", "top1"].mean == 0.75  # 3 of 4
    assert found["mtmc", "top1"].unleaked_mean == 0.6667  # 2 of 3
    assert found["mtmc", "mean_recall"].mean == 0.8333  # (1/2 + 1 + 1) / 3
    assert found["mtmc", "mean_recall"].unleaked_mean == 0.6667  # (0 + 1 + 1) / 3
    assert found["random", "top1"].mean == 0.5  # 2 of 4
    assert found["random", "top1"].unleaked_mean == 0.3333  # 1 of 3
    assert set(zip(results["num_test"], results["num_leaked"], strict=True)) == {(4, 1)}
    by_metric = {line.metric: line for line in comparisons.itertuples()}
    assert by_metric["top1"].difference == 0.25  # 1 of 4
    assert by_metric["top1"].unleaked_difference == 0.3333  # 1 of 3
    # One clip differs: both signs of it are as far from zero as what was seen.
    assert (by_metric["top1"].p, by_metric["top1"].unleaked_p) == (1.0, 1.0)


def test_scores_without_leaked_clips_are_those_of_a_benchmark_that_never_had_them(make_run: MakeRun) -> None:
    whole, cut = make_run("whole", benchmarks=("irds-xsub",)), make_run("cut", benchmarks=("irds-xsub",))
    leak(whole, "irds-xsub", 25)
    for file in ("test.parquet", TEST_LABELS):
        path = cut.root / "data/benchmarks/irds-xsub" / file
        pd.read_parquet(path)[25:].to_parquet(path, index=False)
    labels = read_test_labels(cut.root / "data/benchmarks/irds-xsub")
    for record in collect(whole.root, whole.config).records:
        if record.stage in ("linear", "knn", "few"):
            file = Path("results", *record.path.parts[1:]).with_suffix(".npz")
            with np.load(cut.root / file) as scores:
                arrays = {name: scores[name][25:] for name in scores.files}
            np.savez(cut.root / file, **arrays)
            metrics = {name: score_metrics(array, labels) for name, array in arrays.items()}
            for name in metrics:
                metrics[name] = record.metrics[name] | metrics[name]
            record.model_copy(update={"metrics": metrics}).write(cut.root)
    for with_leaks, without in zip(tables(whole), tables(cut), strict=True):
        names = [str(name) for name in with_leaks if UNLEAKED + str(name) in with_leaks]
        assert names
        wanted = without[names].add_prefix(UNLEAKED)
        pd.testing.assert_frame_equal(with_leaks[wanted.columns], wanted)
        assert not with_leaks[names].equals(without[names])


def test_without_a_leak_both_scores_are_the_same(make_run: MakeRun) -> None:
    for table in tables(make_run()):
        names = [str(name) for name in table if UNLEAKED + str(name) in table]
        pd.testing.assert_frame_equal(table[names].add_prefix(UNLEAKED), table[[UNLEAKED + n for n in names]])
        assert (table["num_leaked"] == 0).all()


def test_where_all_test_clips_leak_nothing_is_left_to_score(tmp_path: Path) -> None:
    run = tiny_run(tmp_path, 4)
    texts = reports(run)
    results, comparisons = pd.read_csv(tmp_path / "reports/results.csv"), tables(run)[1]
    assert results[[UNLEAKED + name for name in ALL]].isna().all(axis=None)
    assert results["mean"].notna().all()
    assert comparisons[[f"{UNLEAKED}difference", f"{UNLEAKED}p", f"{UNLEAKED}p_holm"]].isna().all(axis=None)
    told = "4 of 4 test clips stand in the training part as well (same content): without leaked clips there"
    assert told in texts["results.md"]
    assert told in texts["index.html"]
    line = next(line for line in texts["results.md"].splitlines() if line.startswith("| mtmc"))
    assert line.split(" | ")[2:4] == ["75.0 ± 0.0 [25.0, 100.0]", "-"]
    assert '<td class="value"><span>- </span></td>' in texts["index.html"]
    assert "nan" not in texts["results.md"] + texts["index.html"] + summary(run)


def test_tables_for_people_have_a_column_without_leaked_clips(tmp_path: Path) -> None:
    run = tiny_run(tmp_path, 1)
    texts = reports(run)
    told = (
        "1 of 4 test clips stands in the training part as well (same content): every score is given with and "
        "without leaked clips. data/benchmarks/irds-xsub/leaks.csv names them."
    )
    assert told in texts["results.md"]
    assert f'<p class="gap">{told}</p>' in texts["index.html"]
    header = next(line for line in texts["results.md"].splitlines() if line.startswith("| method"))
    assert header.startswith("| method | setting | top1 | top1 without leaked clips | top5 |")
    line = next(line for line in texts["results.md"].splitlines() if line.startswith("| mtmc"))
    assert [cell.split(" ")[0] for cell in line.split(" | ")[2:4]] == ["75.0", "66.7"]
    assert "<span>75.0 ± 0.0 </span>" in texts["index.html"]
    assert "<span>66.7 ± 0.0 </span>" in texts["index.html"]
    assert "difference without leaked clips" in texts["index.html"]
    assert "<span>+33.3 </span>" in texts["index.html"]
    assert "<dt>leaked</dt><dd>A test clip is leaked if a training clip" in texts["index.html"]
    printed = summary(run)
    assert "without leaked clips, %" in printed
    assert all(figure in printed for figure in ("75.0 ± 0.0", "66.7 ± 0.0", "1 of 4 test clips stands"))


def test_without_a_leak_there_is_the_sentence_and_no_column(make_run: MakeRun) -> None:
    run = make_run()
    texts = reports(run)
    told = "0 of 90 test clips stand in the training part as well (same content)."
    assert texts["results.md"].count(told) == texts["index.html"].count(told) == summary(run).count(told) == 2
    assert not any("without leaked clips" in text for text in (*texts.values(), summary(run)))


def test_column_is_only_where_clips_are_leaked(make_run: MakeRun) -> None:
    run = make_run()
    leak(run, "kinesim-xsub", 10)
    first, second = reports(run)["results.md"].split("## kinesim-xsub")
    assert "0 of 90" in first
    assert "without leaked clips" not in first
    assert "10 of 90" in second
    assert second.count("top1 without leaked clips") == 3  # linear, knn and few


def test_what_holds_only_with_leaked_clips_is_marked_only_there(make_run: MakeRun) -> None:
    run = make_run(benchmarks=("irds-xsub",))
    found = collect(run.root, run.config)
    results, comparisons = tables(run)
    table = comparisons.assign(p_holm=0.01, difference=0.1, unleaked_p_holm=0.2, unleaked_difference=0.1)
    rows = [row for row in blocks(results, table, found, 0.05)[0].rows if row.method == "mtmc"]
    assert [(row.verdict["top1"], row.unleaked_verdict["top1"]) for row in rows] == [(BETTER, "")] * 2


def test_summary_reads_a_table_from_before_leaks_were_counted(make_run: MakeRun) -> None:
    run = make_run(benchmarks=("irds-xsub",))
    reports(run)
    path = run.root / "reports/results.csv"
    table = pd.read_csv(path)
    new = [name for name in table if name.startswith(UNLEAKED) or name in ("num_test", "num_leaked")]
    assert len(new) == 6
    table.drop(columns=new).to_csv(path, index=False)
    assert "pooling=mean" in summary(run)


def test_results_with_leaks_can_be_read_in_eighty_letters(tmp_path: Path) -> None:
    run = tiny_run(tmp_path, 1)
    reports(run)
    lines = summary(run, width=80).splitlines()
    assert any("75.0 ± 0.0" in line and "66.7 ± 0.0" in line for line in lines)


@pytest.mark.parametrize(
    ("counts", "start"),
    [((0, 1234), "0 of 1,234 test clips stand in"), ((1, 4), "1 of 4 test clips stands in")],
)
def test_sentence_has_its_counts(counts: tuple[int, int], start: str) -> None:
    assert leak_sentence(*counts).startswith(start)
