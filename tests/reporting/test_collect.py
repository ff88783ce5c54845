import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from kinemask.looks import looks_path, write_looks
from kinemask.record import RecordError
from kinemask.reporting.collect import collect
from kinemask.reporting.scores import ReportError
from kinemask.run import Pair, RunConfig
from tests.test_looks import LOOKS

from .conftest import Run, write_record

MakeRun = Callable[..., Run]


def only_run(make_run: MakeRun) -> tuple[Run, Path]:
    run = make_run(benchmarks=("irds-xsub",), methods=("random",), seeds=(0, 1))
    return run, run.root / "results/linear/irds-xsub/random/seed-1.npz"


def test_finished_run_is_collected_whole(make_run: MakeRun) -> None:
    run = make_run()
    found = collect(run.root, run.config)
    assert found.missing == ()
    assert len(found.cells) == 2 * 2 * (
        2 + 4 + 2
    )  # benchmarks, methods, poolings of linear and of knn with two k, shares of few
    assert {cell.seeds for cell in found.cells} == {(0, 1, 2)}
    on_disk = {path.relative_to(run.root) for path in run.root.rglob("*") if path.is_file()}
    assert set(found.files) == on_disk
    assert {record.stage for record in found.records} == {
        *("download", "preprocess", "split", "pretrain", "embed", "linear", "knn", "few")
    }


def test_only_what_the_run_names_is_collected(make_run: MakeRun) -> None:
    run = make_run()
    narrow = run.config.model_copy(update={"benchmarks": ("irds-xsub",), "methods": ("mtmc",), "seeds": (1,)})
    found = collect(run.root, narrow)
    assert {(cell.benchmark, cell.method, cell.seeds) for cell in found.cells} == {
        ("irds-xsub", "mtmc", (1,))
    }
    assert {record.subject for record in found.records} == {"irds", "irds-xsub"}
    assert {record.seed for record in found.records} == {None, 1}


def test_only_methods_that_are_fine_tuned_have_such_results(make_run: MakeRun) -> None:
    run = make_run(benchmarks=("irds-xsub",), finetune=("mtmc",))

    def tuned(config: RunConfig) -> tuple[set[str], set[str | None]]:
        found = collect(run.root, config)
        assert found.missing == ()
        cells = {cell.method for cell in found.cells if cell.evaluation == "finetune"}
        return cells, {record.method for record in found.records if record.stage == "finetune"}

    assert tuned(run.config) == ({"mtmc"}, {"mtmc"})
    assert tuned(run.config.model_copy(update={"finetune": ()})) == (set(), set())
    (run.root / "results/finetune/irds-xsub/mtmc/seed-1.npz").unlink()
    (gap,) = collect(run.root, run.config).missing
    assert gap == "irds-xsub mtmc finetune: no scores in results/finetune/irds-xsub/mtmc (seed 1)"


def test_scores_on_the_target_of_a_pair_are_cells_of_the_target(make_run: MakeRun) -> None:
    pair = Pair(source="irds-xsub", target="kinesim-xsub")
    run = make_run(benchmarks=("irds-xsub",), transfer=(pair,), seeds=(0, 1))
    found = collect(run.root, run.config)
    assert found.missing == ()
    cells = [cell for cell in found.cells if cell.evaluation == "transfer"]
    assert {(cell.benchmark, cell.setting, cell.pair, cell.seeds) for cell in cells} == {
        ("kinesim-xsub", "from=irds-xsub pooling=mean", pair, (0, 1))
    }
    assert {cell.method for cell in cells} == {"random", "mtmc"}
    assert {cell.benchmark for cell in found.cells if cell.evaluation != "transfer"} == {"irds-xsub"}
    assert list(found.tests) == ["irds-xsub", "kinesim-xsub"]
    records = {record.subject for record in found.records if record.stage == "transfer"}
    assert records == {"irds-xsub-to-kinesim-xsub"}
    on_disk = {path.relative_to(run.root) for path in run.root.rglob("*") if path.is_file()}
    assert set(found.files) == on_disk
    (run.root / "records/transfer/irds-xsub-to-kinesim-xsub/mtmc/seed-1.json").unlink()
    (gap,) = collect(run.root, run.config).missing
    folder = "records/transfer/irds-xsub-to-kinesim-xsub/mtmc"
    assert gap == f"irds-xsub-to-kinesim-xsub mtmc transfer: no record in {folder} (seed 1)"
    alone = collect(run.root, run.config.model_copy(update={"transfer": ()}))
    assert list(alone.tests) == ["irds-xsub"]
    assert not any(record.stage == "transfer" for record in alone.records)


def test_looks_of_the_selected_methods_are_collected_and_damaged_ones_told(make_run: MakeRun) -> None:
    run = make_run(benchmarks=("irds-xsub",), methods=("random", "mtmc"), seeds=(0,))
    assert collect(run.root, run.config).looks == {}
    path = looks_path("irds-xsub", "mtmc")
    write_looks(run.root / path, LOOKS)
    found = collect(run.root, run.config)
    assert found.looks == {("irds-xsub", "mtmc"): LOOKS}
    assert path in found.files
    narrow = run.config.model_copy(update={"methods": ("random",)})
    assert collect(run.root, narrow).looks == {}
    (run.root / path).write_text("{}")
    with pytest.raises(RecordError, match=r"looks\.json holds no looks .*: remove it and run `dvc repro`"):
        collect(run.root, run.config)


def test_own_record_of_the_tables_is_not_read(make_run: MakeRun) -> None:
    run = make_run()
    before = collect(run.root, run.config)
    write_record(run.root, "tables", "all")
    after = collect(run.root, run.config)
    assert (after.records, after.files) == (before.records, before.files)


def test_missing_runs_are_named_with_place_and_seeds(make_run: MakeRun) -> None:
    run = make_run(benchmarks=("irds-xsub",), methods=("random", "mtmc"), seeds=(0, 1, 2))
    for seed in (1, 2):
        (run.root / f"records/linear/irds-xsub/mtmc/seed-{seed}.json").unlink()
    (run.root / "results/knn/irds-xsub/mtmc/seed-0.npz").unlink()
    (run.root / "records/pretrain/irds-xsub/random/seed-0.json").unlink()
    wanted = run.config.model_copy(update={"benchmarks": ("irds-xsub", "wmft-xsub")})
    found = collect(run.root, wanted)
    assert found.missing == (
        "wmft-xsub: no data/benchmarks/wmft-xsub",
        "irds-xsub random pretrain: no record in records/pretrain/irds-xsub/random (seed 0)",
        "irds-xsub mtmc linear: no record in records/linear/irds-xsub/mtmc (seed 1, 2)",
        "irds-xsub mtmc knn: no scores in results/knn/irds-xsub/mtmc (seed 0)",
    )
    seeds = {(cell.method, cell.evaluation): cell.seeds for cell in found.cells}
    assert seeds["mtmc", "linear"] == (0,)
    assert seeds["mtmc", "knn"] == (1, 2)


def test_setting_that_a_seed_lacks_is_missing_for_that_seed(make_run: MakeRun) -> None:
    run, path = only_run(make_run)
    with np.load(path) as archive:
        kept = archive["pooling=mean"]
    np.savez(path, **{"pooling=mean": kept})
    found = collect(run.root, run.config)
    place = "results/linear/irds-xsub/random"
    assert found.missing == (
        f"irds-xsub random linear pooling=last: not among the scores in {place} (seed 1)",
    )


def test_nothing_at_all_is_an_error_that_says_what_to_run(make_run: MakeRun) -> None:
    run = make_run()
    wanted = run.config.model_copy(update={"methods": ("jmm_tgt",)})
    with pytest.raises(ReportError, match=r"nothing to tabulate.*jmm_tgt linear.*run `dvc repro`"):
        collect(run.root, wanted)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 cut short"])
def test_damaged_scores_are_named(make_run: MakeRun, content: bytes) -> None:
    run, path = only_run(make_run)
    path.write_bytes(content)
    with pytest.raises(ReportError, match=r"results/linear/irds-xsub/random/seed-1\.npz cannot be read"):
        collect(run.root, run.config)


@pytest.mark.parametrize(
    ("scores", "problem"),
    [(np.zeros((3, 6), np.float32), r"shape \(3, 6\)"), (np.full((90, 6), np.nan, np.float32), "not finite")],
)
def test_scores_that_cannot_be_are_refused(make_run: MakeRun, scores: np.ndarray, problem: str) -> None:
    run, path = only_run(make_run)
    np.savez(path, **{"pooling=mean": scores})
    with pytest.raises(ReportError, match=problem):
        collect(run.root, run.config)


def test_scores_of_another_run_than_their_record_are_refused(make_run: MakeRun) -> None:
    run, _ = only_run(make_run)
    record = run.root / "records/linear/irds-xsub/random/seed-1.json"
    values = json.loads(record.read_text())
    values["metrics"]["pooling=mean"]["top1"] += 1 / 90
    record.write_text(json.dumps(values))
    with pytest.raises(ReportError, match="are of different runs"):
        collect(run.root, run.config)
