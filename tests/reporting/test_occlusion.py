"""Occlusion in the reports: its own table, what is kept, the curves; and nothing of it in other tables."""

import io
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from kinemask.evaluation.kept import UNDAMAGED, kept_metrics, setting_of
from kinemask.evaluation.metrics import score_metrics
from kinemask.reporting.collect import collect
from kinemask.reporting.damage_curves import damage_curves
from kinemask.reporting.occlusion import OCCLUSION_COLUMNS, kept_blocks, level_charts, occlusion_table
from kinemask.reporting.readme import update_readme
from kinemask.reporting.write import write_reports
from kinemask.run import EVALUATIONS
from kinemask.skeleton.truth import read_test_labels

from .conftest import Run, write_record

MakeRun = Callable[..., Run]
# How far the true class's score stands above the noise.
CASES = {
    ("clean", UNDAMAGED): 1.5,
    ("clean", ("kind=part", "level=trunk", "fill=zero")): 0.0,
    ("clean", ("kind=part", "level=left_arm", "fill=zero")): 1.0,
    ("clean", ("kind=frames_absolute", "level=10", "fill=zero")): 2.0,
    ("clean", ("kind=frames_absolute", "level=10", "fill=hold")): 2.5,
    ("clean", ("kind=frames_absolute", "level=50", "fill=zero")): 0.5,
    ("clean", ("kind=frames_absolute", "level=50", "fill=hold")): 1.5,
    ("clean", ("kind=frames_absolute", "level=6", "fill=zero")): 2.5,
    ("clean", ("kind=frames_absolute", "level=6", "fill=hold")): 3.0,
    ("clean", ("kind=noise", "level=0.1")): 1.0,
    ("clean", ("kind=noise", "level=0.1", "draw=1")): 2.0,
    ("adapted", ("kind=noise", "level=0.1")): 2.5,
}


def add_occlusion(run: Run, *, methods: tuple[str, ...] = ("random", "mtmc")) -> None:
    """Scores and records as the stage leaves them; `max` is better on folds, `mean` on the test part."""
    for benchmark in run.config.benchmarks:
        labels = read_test_labels(run.root / f"data/benchmarks/{benchmark}")
        for method in methods:
            for seed in run.config.seeds_of(method):
                rng = np.random.default_rng([seed, len(method)])
                scores, metrics = {}, {}
                for pooling in ("max", "mean"):
                    for (probe, words), skill in CASES.items():
                        values = rng.normal(size=(len(labels), 6)).astype(np.float32)
                        more = 0.3 * (pooling == "mean") + seed * (words == UNDAMAGED)  # seeds differ
                        values[np.arange(len(labels)), labels] += skill + more
                        setting = setting_of(pooling, probe, words)
                        scores[setting] = values
                        folds = {"validation_top1": 0.9 if pooling == "max" else 0.8, "missing": 0.25}
                        metrics[setting] = score_metrics(values, labels) | folds
                path = run.root / f"results/occlusion/{benchmark}/{method}/seed-{seed}.npz"
                path.parent.mkdir(parents=True, exist_ok=True)
                np.savez(path, **scores)
                metrics |= kept_metrics(metrics)
                write_record(run.root, "occlusion", benchmark, method, seed, metrics=metrics)


@pytest.fixture
def run(make_run: MakeRun) -> Run:
    run = make_run(benchmarks=("irds-xsub",), seeds=(0, 1), occlusion=("random", "mtmc"))
    add_occlusion(run)
    return run


def table_of(run: Run, **wanted: object) -> pd.DataFrame:
    table = occlusion_table(collect(run.root, run.config), run.statistics)
    assert tuple(table.columns) == OCCLUSION_COLUMNS
    return table[(table[list(wanted)] == pd.Series(wanted)).all(axis=1)]


def reports(run: Run) -> dict[str, str]:
    write_reports(run.root, collect(run.root, run.config), run.statistics)
    return {path.name: path.read_text() for path in (run.root / "reports").iterdir()}


def top1_of(run: Run, setting: str) -> list[float]:
    records = collect(run.root, run.config).of_run("occlusion", "irds-xsub", "mtmc")
    return [record.metrics[setting]["top1"] for record in records]


def test_the_table_begins_with_undamaged_clips_and_has_every_level_in_its_order(run: Run) -> None:
    found = table_of(run, method="mtmc", setting="pooling=max")
    assert found[["probe", "kind", "fill", "level"]].agg(" ".join, axis=1).tolist() == [
        "clean none  0",
        "clean part zero left_arm", "clean part zero trunk", "clean part zero mean",
        "clean frames_absolute zero 6", "clean frames_absolute zero 10", "clean frames_absolute zero 50",
        "clean frames_absolute zero mean",
        "clean frames_absolute hold 6", "clean frames_absolute hold 10", "clean frames_absolute hold 50",
        "clean frames_absolute hold mean",
        "clean noise  0.1", "clean noise  mean",
        "clean all zero mean", "clean all hold mean",
        "adapted noise  0.1", "adapted noise  mean", "adapted all  mean",
    ]  # fmt: skip


def test_a_row_is_the_mean_of_what_the_records_say(run: Run) -> None:
    level = {"method": "mtmc", "setting": "pooling=max", "kind": "frames_absolute", "fill": "hold"}
    (row,) = table_of(run, **level, level="50").to_dict("records")
    told = top1_of(run, setting_of("max", "clean", ("kind=frames_absolute", "level=50", "fill=hold")))
    clean = top1_of(run, setting_of("max", "clean", UNDAMAGED))
    assert row["mean"] == pytest.approx(np.mean(told), abs=1e-4)
    assert row["kept"] == pytest.approx(np.mean([a / b for a, b in zip(told, clean, strict=True)]), abs=1e-4)
    assert row["ci_low"] <= row["mean"] <= row["ci_high"]
    assert (row["missing"], row["num_seeds"], row["num_test"]) == (0.25, 2, 90)
    (undamaged,) = table_of(run, method="mtmc", setting="pooling=max", kind="none").to_dict("records")
    assert (undamaged["kept"], undamaged["kept_std"]) == (1.0, 0.0)
    assert undamaged["mean"] == pytest.approx(np.mean(clean), abs=1e-4)


def test_draws_are_averaged_before_anything_else(run: Run) -> None:
    (row,) = table_of(
        run, method="mtmc", setting="pooling=max", probe="clean", kind="noise", level="0.1"
    ).to_dict("records")
    told = [
        top1_of(run, setting_of("max", "clean", ("kind=noise", "level=0.1", *draw)))
        for draw in ((), ("draw=1",))
    ]
    assert row["mean"] == pytest.approx(np.mean(told), abs=1e-4)


@pytest.mark.parametrize("probe", ["clean", "adapted"])
def test_the_one_number_is_that_of_the_records(run: Run, probe: str) -> None:
    records = collect(run.root, run.config).of_run("occlusion", "irds-xsub", "mtmc")
    found = table_of(run, method="mtmc", setting="pooling=max", probe=probe, level="mean")
    assert len(found) == {"clean": 6, "adapted": 2}[probe]
    for row in found.to_dict("records"):
        fill = f" fill={row['fill']}" if row["fill"] else ""
        told = [one.metrics[f"pooling=max probe={probe} kind={row['kind']}{fill}"]["kept"] for one in records]
        assert row["kept"] == pytest.approx(np.mean(told), abs=1e-4)
        assert row["kept_std"] == pytest.approx(np.std(told, ddof=1), abs=1e-4)
        assert np.isnan(row["missing"])


def test_the_pooling_is_chosen_by_folds_of_the_training_part(run: Run) -> None:
    assert set(table_of(run, chosen=True)["setting"]) == {"pooling=max"}
    assert set(table_of(run, chosen=False)["setting"]) == {"pooling=mean"}


def test_a_method_that_was_never_right_keeps_nothing_and_says_so(run: Run) -> None:
    collected = collect(run.root, run.config)
    wrong = tuple(
        replace(cell, outcome=replace(cell.outcome, ranks=np.ones_like(cell.ranks)))
        if "kind=none" in cell.setting
        else cell
        for cell in collected.apart
    )
    table = occlusion_table(replace(collected, apart=wrong), run.statistics)
    assert table["kept"].isna().all()
    assert "- ± -" in kept_blocks(table)[0].rows[0]


def test_the_other_tables_and_their_correction_know_nothing_of_it(make_run: MakeRun) -> None:
    plain = make_run("plain", benchmarks=("irds-xsub",), seeds=(0, 1), reference="mtmc")
    both = make_run(
        "both", benchmarks=("irds-xsub",), seeds=(0, 1), reference="mtmc", occlusion=("random", "mtmc")
    )
    add_occlusion(both)
    before, after = reports(plain), reports(both)
    for name in ("results.csv", "comparisons.csv", "ablation.csv", "curves.csv"):
        assert before[name] == after[name], name
    assert before["occlusion.csv"] == ",".join(OCCLUSION_COLUMNS) + "\n"
    assert "Occlusion" not in before["results.md"]
    assert 'id="occlusion"' not in before["index.html"]
    start, section = after["results.md"].split("## Occlusion")
    assert before["results.md"].startswith(start)
    assert len([line for line in section.splitlines() if line.startswith("| ")]) < 12  # of some 76 settings
    (flag,) = [one.apart for one in EVALUATIONS if one.name == "occlusion"]
    assert flag


def test_the_table_for_people_has_a_row_for_each_method_probe_and_fill(run: Run) -> None:
    (block,) = kept_blocks(table_of(run))
    assert block.benchmark == "irds-xsub"
    assert block.header == (
        "method", "setting", "probe", "fill", "undamaged, %", "part, % kept", "frames_absolute, % kept",
        "noise, % kept", "all, % kept",
    )  # fmt: skip
    assert [row[:4] for row in block.rows] == [
        (method, "pooling=max †", *rest)
        for method in ("random", "mtmc")
        for rest in (("clean", "zero"), ("clean", "hold"), ("adapted", "-"))
    ]
    zero, hold, adapted = block.rows[3:]
    assert zero[5] == hold[5] != "-"  # a part is never seen: nothing to hold
    assert zero[7] == hold[7] != adapted[7]  # noise fills nothing
    assert zero[6] != hold[6]
    assert adapted[5:7] == ("-", "-")  # not measured
    kept = table_of(run, method="mtmc", setting="pooling=max", probe="clean", kind="all", fill="hold")
    assert hold[8] == f"{100 * kept['kept'].item():.1f} ± {100 * kept['kept_std'].item():.1f}"


def test_the_page_has_the_table_a_chart_for_each_kind_and_fill_and_the_words(run: Run) -> None:
    text = reports(run)["index.html"]
    assert '<a href="#occlusion">Occlusion</a>' in text
    (block,) = kept_blocks(table_of(run))
    assert all(cell in text for row in block.rows for cell in row)
    charts = [
        part.split('"')[0]
        for part in text.split('aria-label="')[1:]
        if "top1 over levels of damage" in part[:70]
    ]
    titles = ["part, zero", "frames_absolute, zero", "frames_absolute, hold", "noise"]
    assert [chart.split(":")[0] for chart in charts] == titles
    for _, row in table_of(run, method="mtmc", chosen=True, fill="hold", kind="frames_absolute").iterrows():
        if row["level"] != "mean":
            assert f"{100 * row['mean']:.1f} at {row['level']}" in charts[2]
    for name in ("occlusion", "part", "frames_absolute", "noise", "zero", "hold", "clean", "adapted"):
        assert f"<dt>{name}</dt>" in text
    assert "<dt>flicker</dt>" not in text


def test_every_drawing_has_all_methods_and_ids_of_its_own(run: Run) -> None:
    ((_, charts),) = level_charts(collect(run.root, run.config))
    assert len(charts) == 4
    for number, chart in enumerate(charts):
        assert f'id="o0-{number}-' in chart.svg
        assert "mtmc max" in chart.svg
        assert "random max" in chart.svg
    assert "left_arm" in charts[0].svg
    assert charts[1].caption.endswith("the line joins their means.")
    assert charts[0].caption.endswith("the bar is their mean.")


def test_only_methods_that_run_names_are_asked_for_and_a_gap_is_told(make_run: MakeRun) -> None:
    run = make_run(benchmarks=("irds-xsub",), seeds=(0, 1), occlusion=("mtmc",))
    add_occlusion(run, methods=("mtmc",))
    found = collect(run.root, run.config)
    assert found.missing == ()
    assert {curve.cell.method for curve in damage_curves(found)} == {"mtmc"}
    (run.root / "results/occlusion/irds-xsub/mtmc/seed-1.npz").unlink()
    found = collect(run.root, run.config)
    assert found.missing == (
        "irds-xsub mtmc occlusion: no scores in results/occlusion/irds-xsub/mtmc (seed 1)",
    )
    assert {curve.seeds for curve in damage_curves(found)} == {(0,)}


def test_a_readme_table_shows_what_is_kept_in_percent(run: Run) -> None:
    write_reports(run.root, collect(run.root, run.config), run.statistics)
    readme = run.root / "README.md"
    order = (
        "reports/occlusion.csv method=mtmc kind=all,noise level=mean chosen=True columns=probe,kind,fill,kept"
    )
    readme.write_text(f"<!-- table: {order} -->\n<!-- end -->\n")
    update_readme(readme, run.root)
    (kept,) = table_of(
        run, method="mtmc", setting="pooling=max", probe="clean", kind="all", fill="hold"
    ).to_dict("records")
    shown = f"{100 * kept['kept']:.1f} ± {100 * kept['kept_std']:.1f}"
    assert f"| clean | all | hold | {shown} |" in readme.read_text()
    assert "| probe | kind | fill | % kept |" in readme.read_text()


def test_leaked_clips_are_left_out_beside(run: Run) -> None:
    path = run.root / "data/benchmarks/irds-xsub/test.parquet"
    table = pd.read_parquet(path)
    table.assign(leaked=table.index < 30).to_parquet(path)
    row = table_of(run, method="mtmc", setting="pooling=max", kind="none").iloc[0]
    found = collect(run.root, run.config)
    setting = setting_of("max", "clean", UNDAMAGED)
    (cell,) = [one for one in found.apart if (one.method, one.setting) == ("mtmc", setting)]
    assert row["unleaked_mean"] == pytest.approx((cell.ranks[:, 30:] == 0).mean(), abs=1e-4)
    assert row["num_leaked"] == 30
    csv = pd.read_csv(io.StringIO(reports(run)["occlusion.csv"]))
    assert len(csv) == len(table_of(run))
