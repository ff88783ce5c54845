from collections.abc import Callable

import pandas as pd

from kinemask.reporting.ablation import ablation_table
from kinemask.reporting.blocks import BETTER, CHOSEN, WORSE, blocks, gain, percent, references, spread
from kinemask.reporting.collect import collect
from kinemask.reporting.gaps import absences
from kinemask.reporting.markdown import markdown_table, results_markdown
from kinemask.reporting.occlusion import occlusion_table
from kinemask.reporting.tables import comparisons_table, results_table

from .conftest import Run, make_published

MakeRun = Callable[..., Run]


def markdown(run: Run) -> str:
    found = collect(run.root, run.config)
    results, comparisons = results_table(found, run.statistics), comparisons_table(found, run.statistics)
    shown = blocks(results, comparisons, found, 0.05)
    tables = [make(found, run.statistics) for make in (ablation_table, occlusion_table)]
    return results_markdown(shown, tables[0], found, occlusion=tables[1], confidence=0.95)


def test_numbers_are_percent_with_one_decimal() -> None:
    assert percent(0.86125) == "86.1"
    assert percent(float("nan")) == "-"
    assert percent(-0.0) == "0.0"
    line = {"mean": 0.861, "std": 0.0034, "ci_low": 0.84, "ci_high": 0.882}
    assert spread(line) == "86.1 ± 0.3 [84.0, 88.2]"
    assert gain({"difference": 0.021, "ci_low": -0.004, "ci_high": 0.039}) == "+2.1 [-0.4, 3.9]"
    assert gain({"difference": -0.0001, "ci_low": 0.0, "ci_high": 0.0}) == "+0.0 [0.0, 0.0]"


def test_cell_cannot_break_the_table() -> None:
    text = markdown_table(["a"], [["x | y\nz"]])
    assert text.splitlines() == ["| a |", "| --- |", "| x &#124; y z |"]


def test_markdown_has_a_table_for_each_benchmark_and_evaluation(make_run: MakeRun) -> None:
    lines = markdown(make_run()).splitlines()
    headings = [line for line in lines if line.startswith("#")]
    assert headings == [
        "# Results",
        *("## irds-xsub", "### linear", "### knn", "### few"),
        *("## kinesim-xsub", "### linear", "### knn", "### few"),
        "## Missing",
    ]
    assert sum(line.startswith(("| mtmc |", "| random |")) for line in lines) == 2 * 2 * 8
    assert sum(CHOSEN in line and line.startswith("|") for line in lines) == 2 * 2 * 5


def test_references_stand_apart_from_the_results(make_run: MakeRun) -> None:
    text = markdown(make_run())
    lines = [line for line in text.splitlines() if "raw coordinates" in line]
    assert len(lines) == 1  # irds-xsub has one, kinesim-xsub has none
    assert lines[0].startswith("- Reference, not made by this run")
    assert "top1 86.1" in lines[0]
    assert "irds README" in lines[0]


def test_reference_figures_are_those_of_the_data_readmes() -> None:
    figures = {
        name: references(name, "linear")[0].values["top1"]
        for name in ("irds-xsub", "irds-xgroup", "irds-xpos", "wmft-xsub", "wmft-xcond", "wmft-xboth")
    }
    assert list(figures.values()) == ["86.1", "64.1", "60.1", "54.6", "35.3", "34.4"]
    assert references("kinesim-xsub", "linear") == ()


def test_missing_runs_are_one_line(make_run: MakeRun) -> None:
    run = make_run(benchmarks=("irds-xsub",))
    assert "Nothing is missing" in markdown(run)
    (run.root / "records/linear/irds-xsub/mtmc/seed-1.json").unlink()
    (run.root / "results/knn/irds-xsub/mtmc/seed-2.npz").unlink()
    last = markdown(run).splitlines()[-1]
    assert last.startswith("Not in the tables: irds-xsub mtmc linear: no record")
    assert last.endswith("irds-xsub mtmc knn: no scores in results/knn/irds-xsub/mtmc (seed 2).")


def test_marks_show_only_what_survives_the_correction(make_run: MakeRun) -> None:
    run = make_run(benchmarks=("irds-xsub",))
    found = collect(run.root, run.config)
    results, comparisons = results_table(found, run.statistics), comparisons_table(found, run.statistics)

    def verdicts(table: pd.DataFrame) -> list[str]:
        block = blocks(results, table, found, 0.05)[0]  # linear
        return [row.verdict["top1"] for row in block.rows]

    at = comparisons.index[
        (comparisons["evaluation"] == "linear")
        & (comparisons["metric"] == "top1")
        & (comparisons["setting"] == "pooling=last")
    ]
    for p_holm, difference, mark in [(0.04, 0.1, BETTER), (0.04, -0.1, WORSE), (0.05, 0.1, "")]:
        table = comparisons.assign(p_holm=1.0, unleaked_p_holm=1.0)
        best = [index for index in at if table.loc[index, "control_setting"] == "pooling=mean"]
        table.loc[best, ["p_holm", "difference"]] = p_holm, difference
        assert verdicts(table) == ["", "", mark, ""]
    # Against the control at the same pooling only, nothing is marked.
    table = comparisons.assign(p_holm=1.0)
    table.loc[[index for index in at if index not in best], "p_holm"] = 0.001
    assert verdicts(table) == ["", "", "", ""]


def test_what_is_not_there_is_a_word_in_the_table_and_a_reason_below(make_run: MakeRun) -> None:
    run = make_run(benchmarks=("irds-xsub",), finetune=("mtmc", "random"), seeds=(0,))
    for path in (run.root / "records/finetune/irds-xsub/mtmc").iterdir():
        path.unlink()
    changes = {"benchmarks": ("irds-xsub", "ntu60-xsub"), "methods": ("random", "mtmc", "raw")}
    wanted = run.config.model_copy(update=changes)
    found = collect(run.root, wanted)
    assert {place: word for place, word in absences(found).items() if place[1] == "finetune"} == {
        ("irds-xsub", "finetune", "mtmc"): "unfinished",
        ("irds-xsub", "finetune", "raw"): "not run",
        ("ntu60-xsub", "finetune", "random"): "no data",
        ("ntu60-xsub", "finetune", "mtmc"): "no data",
        ("ntu60-xsub", "finetune", "raw"): "not run",
    }
    assert not any(place[1] == "transfer" for place in absences(found))  # nobody asked for it
    lines = markdown(Run(run.root, wanted, run.statistics)).splitlines()
    tuned = lines[lines.index("### finetune") : lines.index("## ntu60-xsub")]
    assert [line.split(" | ")[:2] for line in tuned if line.startswith("| ")][2:] == [
        ["| random", "pooling=mean †"], ["| mtmc", "*unfinished*"], ["| raw", "*not run*"]
    ]  # fmt: skip
    assert [line.split(":")[0] for line in tuned if line.startswith("- ")] == ["- not run", "- unfinished"]
    assert lines[lines.index("## ntu60-xsub") + 2].startswith("no data: the benchmark is not there")


def test_figures_of_others_are_a_table_of_their_own_below_their_benchmark(make_run: MakeRun) -> None:
    run = make_run(benchmarks=("irds-xsub", "kinesim-xsub"), seeds=(0,))
    assert "Others' figures" not in markdown(run)
    make_published(run)
    text = markdown(run)
    parts = text.split("Others' figures")
    assert len(parts) == 2
    assert parts[0].count("## kinesim-xsub") == 0  # it comes later, and has none
    assert "| MacDiff | Transformer + diffusion decoder | J |  | 92.8 | MD, FS |" in parts[1]
    assert "FS: the comparison tables" in parts[1]
    found = collect(run.root, run.config)
    assert not results_table(found, run.statistics)["method"].isin(["MacDiff"]).any()


def test_part_of_the_recordings_is_said(make_run: MakeRun) -> None:
    run = make_run(benchmarks=("irds-xsub",))
    path = run.root / "data/benchmarks/irds-xsub/benchmark.json"
    assert "Only a part" not in markdown(run)
    path.write_text(path.read_text().replace('"complete":true', '"complete":false'))
    assert "Only a part of the recordings was used" in markdown(run)


def test_same_input_gives_the_same_markdown(make_run: MakeRun) -> None:
    assert markdown(make_run("first")) == markdown(make_run("second"))
