"""An ensemble is a sum of stored scores, and one more method in every table."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from kinemask.evaluation.ensemble import EnsembleConfig
from kinemask.evaluation.metrics import score_metrics
from kinemask.reporting.ablation import ablation_table
from kinemask.reporting.charts import label_charts
from kinemask.reporting.collect import Collected, collect
from kinemask.reporting.ensembles import with_ensembles
from kinemask.reporting.report import glossary
from kinemask.reporting.tables import chosen_of, comparisons_table, results_table
from kinemask.run import Pair

from .conftest import Run, write_record

MakeRun = Callable[..., Run]
METHODS = ("random", "mtmc", "mtmc-no-drop")
BOTH = EnsembleConfig(methods=("mtmc", "mtmc-no-drop"), weights=(3.0, 1.0))


def collected(run: Run, **ensembles: EnsembleConfig) -> Collected:
    return with_ensembles(run.root, collect(run.root, run.config), ensembles or {"both": BOTH})


def probabilities(run: Run, place: str, setting: str) -> np.ndarray:
    with np.load(run.root / f"results/{place}.npz") as archive:
        shares = np.exp(archive[setting].astype(np.float64))
    return shares / shares.sum(axis=1, keepdims=True)


def test_results_of_an_ensemble_are_those_of_the_weighted_probabilities_of_each_seed(
    make_run: MakeRun,
) -> None:
    run = make_run(benchmarks=("irds-xsub",), methods=METHODS, seeds=(0, 1))
    found = collected(run)
    labels = found.tests["irds-xsub"].labels
    told = []
    for seed in (0, 1):
        first, second = (
            probabilities(run, f"knn/irds-xsub/{name}/seed-{seed}", "pooling=last k=20")
            for name in BOTH.methods
        )
        told.append(score_metrics(np.log((3 * first + second) / 4), labels))
    results = results_table(found, run.statistics)
    own = results[
        (results[["method", "evaluation", "setting"]] == ["both", "knn", "pooling=last k=20"]).all(axis=1)
    ].set_index("metric")
    for metric in ("top1", "top5", "mean_recall", "macro_f1", "calibration_error"):
        assert own.loc[metric, "mean"] == pytest.approx(np.mean([one[metric] for one in told]), abs=1e-4)
    settings = results[results["method"] == "both"].groupby("evaluation")["setting"].nunique()
    assert settings.to_dict() == {"linear": 2, "knn": 4, "few": 2}


def test_an_ensemble_has_the_settings_and_seeds_that_all_members_have(make_run: MakeRun) -> None:
    run = make_run(benchmarks=("irds-xsub",), methods=METHODS, seeds=(0, 1, 2), finetune=("mtmc",))
    (run.root / "records/linear/irds-xsub/mtmc/seed-1.json").unlink()
    for path in (run.root / "results/few/irds-xsub/mtmc-no-drop").iterdir():
        with np.load(path) as archive:
            kept = {"pooling=mean labels=10%": archive["pooling=mean labels=10%"]}
        np.savez(path, **kept)
    cells = [cell for cell in collected(run).cells if cell.method == "both"]
    assert {cell.seeds for cell in cells if cell.evaluation == "linear"} == {(0, 2)}
    assert {cell.seeds for cell in cells if cell.evaluation == "knn"} == {(0, 1, 2)}
    assert [cell.setting for cell in cells if cell.evaluation == "few"] == ["pooling=mean labels=10%"]
    assert not [cell for cell in cells if cell.evaluation == "finetune"]


def test_an_ensemble_whose_members_do_not_all_run_is_left_out(make_run: MakeRun) -> None:
    run = make_run(benchmarks=("irds-xsub",), methods=("random", "mtmc"), seeds=(0,))
    found = collected(run)
    assert found.ensembles == {}
    assert {cell.method for cell in found.cells} == {"random", "mtmc"}


def test_an_ensemble_has_the_pooling_that_folds_chose_for_its_members_together(make_run: MakeRun) -> None:
    run = make_run(benchmarks=("irds-xsub",), methods=METHODS, seeds=(0,))
    before = chosen_of(collected(run))
    assert before["irds-xsub", "both", "knn", "k=20"] == "pooling=mean k=20"
    record = collect(run.root, run.config).of_run("linear", "irds-xsub", "mtmc")[0]
    metrics = {name: dict(values) for name, values in record.metrics.items()}
    metrics["pooling=last"]["validation_top1"] = 0.9  # and 0.5 of the other member: 0.7 over 0.56
    record.model_copy(update={"metrics": metrics}).write(run.root)
    assert chosen_of(collected(run))["irds-xsub", "both", "linear", ""] == "pooling=last"
    assert before["irds-xsub", "both", "linear", ""] == "pooling=mean"


def test_an_ensemble_is_compared_named_and_traced_as_a_method_is(make_run: MakeRun) -> None:
    run = make_run(benchmarks=("irds-xsub",), methods=METHODS, seeds=(0, 1), reference="mtmc")
    params = {"recipe": {"inputs": {"stream": "bone"}}}
    for seed in (0, 1):
        write_record(run.root, "pretrain", "irds-xsub", "mtmc-no-drop", seed, params=params, commit="fedc")
    found = collected(run)
    results = results_table(found, run.statistics)
    own = results[results["method"] == "both"]
    assert set(own["stream"]) == {"bone+joint"}
    assert set(own["commit"]) == {"0123456789+fedc"}
    assert "both" in set(comparisons_table(found, run.statistics)["method"])
    ablation = ablation_table(found, run.statistics)
    line = ablation[(ablation[["method", "evaluation"]] == ["both", "linear"]).all(axis=1)].iloc[0]
    assert (line["role"], line["reference"], line["num_pairs"]) == ("ensemble", "mtmc", 2)
    assert dict(glossary(found))["both"].endswith(
        "added clip by clip, 3 of mtmc, 1 of mtmc-no-drop; nothing is fitted."
    )
    (_, (chart,)) = label_charts(found)[0]
    assert "both: " in chart.alt


def test_scores_on_a_target_are_added_too(make_run: MakeRun) -> None:
    pair = Pair(source="irds-xsub", target="kinesim-xsub")
    run = make_run(benchmarks=("irds-xsub",), methods=METHODS, transfer=(pair,), seeds=(0,))
    found = collected(run)
    (cell,) = [cell for cell in found.cells if (cell.method, cell.evaluation) == ("both", "transfer")]
    assert (cell.benchmark, cell.pair) == ("kinesim-xsub", pair)
    order = [cell.benchmark for cell in found.cells]
    assert order == sorted(order)  # what is on one benchmark stays together
    assert pd.notna(results_table(found, run.statistics)["mean"]).all()
