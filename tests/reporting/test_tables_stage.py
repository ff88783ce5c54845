import importlib.util
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from kinemask.record import read_records
from kinemask.section import ParamsError
from tests.project import write_sections

from .conftest import Run

STAGE = Path(__file__).parents[2] / "stages/tables.py"


@pytest.fixture
def stage() -> ModuleType:
    spec = importlib.util.spec_from_file_location("stages_tables", STAGE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write_params(run: Run, **changes: object) -> None:
    values = {
        "run": run.config.model_dump(mode="json"),
        "ensembles": {"both": {"methods": ["mtmc", "random"], "weights": [1.0, 1.0]}},
        "evaluation": {"statistics": run.statistics.model_dump()},
    }
    values["evaluation"]["statistics"] |= changes
    write_sections(values, run.root)


def test_stage_writes_all_reports_and_its_record(
    make_run: Callable[..., Run],
    stage: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = make_run()
    write_params(run)
    monkeypatch.chdir(run.root)
    stage.main()
    assert {path.name for path in Path("reports").iterdir()} == {
        *("results.csv", "comparisons.csv", "ablation.csv", "curves.csv", "occlusion.csv", "classes.csv"),
        *("label_efficiency.csv", "published.csv", "results.md", "tables.tex", "index.html"),
    }
    record = next(record for record in read_records() if record.stage == "tables")
    assert record.path == Path("records/tables/all/record.json")
    # 2 benchmarks; mtmc, random and their ensemble; 8 settings, 5 of them chosen, 2 over labels; 5 metrics.
    counts = {"results": 240.0, "comparisons": 132.0, "classes": 180.0, "label_efficiency": 12.0}
    counts |= {"ablation": 0.0, "curves": 0.0, "occlusion": 0.0, "published": 0.0, "missing": 0.0}
    assert record.metrics["all"] == counts
    assert "results/linear/irds-xsub/mtmc/seed-0.npz" in record.inputs
    first = {path.name: path.read_bytes() for path in Path("reports").iterdir()}
    stage.main()  # its own record is there now
    assert {path.name: path.read_bytes() for path in Path("reports").iterdir()} == first


def test_stage_says_what_is_missing(
    make_run: Callable[..., Run],
    stage: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = make_run(benchmarks=("irds-xsub",))
    write_params(run)
    (run.root / "records/linear/irds-xsub/mtmc/seed-1.json").unlink()
    monkeypatch.chdir(run.root)
    stage.main()
    assert capsys.readouterr().err.startswith(
        "missing: irds-xsub mtmc linear: no record in records/linear/irds-xsub/mtmc (seed 1)\n"
    )


def test_bad_statistics_stop_the_stage_before_it_reads(
    make_run: Callable[..., Run],
    stage: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = make_run(benchmarks=("irds-xsub",), seeds=(0,))
    write_params(run, confidence=95, resamples=0)
    monkeypatch.chdir(run.root)
    with pytest.raises(ParamsError, match=r"(?s)2 problem.*resamples.*confidence.*got 95"):
        stage.main()
    assert not Path("reports").exists()


def test_stage_does_not_import_torch() -> None:
    slow = "any(name in sys.modules for name in ('torch', 'mlflow', 'sklearn'))"
    code = f"import sys, runpy; runpy.run_path({str(STAGE)!r}); sys.exit({slow})"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
