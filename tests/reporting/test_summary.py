import os
import time
from collections.abc import Callable

import pytest
from rich.console import Console

from kinemask.reporting.collect import collect
from kinemask.reporting.scores import ReportError
from kinemask.reporting.summary import print_summary
from kinemask.reporting.write import write_reports

from .conftest import Run

MakeRun = Callable[..., Run]


def printed(run: Run, started: float | None = None, width: int = 160) -> str:
    console = Console(record=True, width=width, file=open(os.devnull, "w"))  # noqa: SIM115, PTH123
    print_summary(run.root, started, console)
    return console.export_text()


def finished(make_run: MakeRun, **changes: object) -> Run:
    run = make_run(**changes)
    write_reports(run.root, collect(run.root, run.config), run.statistics)
    return run


def test_summary_shows_the_chosen_pooling_of_each_result(make_run: MakeRun) -> None:
    run = finished(make_run, benchmarks=("irds-xsub",))
    text = printed(run)
    assert "irds-xsub" in text
    lines = [line for line in text.splitlines() if "pooling=" in line]
    assert len(lines) == 2 * 5  # methods; linear, two k, two shares of the labels
    assert all("pooling=mean" in line and "±" in line for line in lines)


def test_results_fit_into_eighty_letters(make_run: MakeRun) -> None:
    run = finished(make_run, benchmarks=("irds-xsub",))
    lines = printed(run, width=80).splitlines()
    assert sum("knn" in line and "pooling=mean k=20 †" in line and "]" in line for line in lines) == 2
    assert sum("few" in line and "labels=10% †" in line and "]" in line for line in lines) == 2


def test_summary_says_where_to_look_further(make_run: MakeRun) -> None:
    run = finished(make_run)
    text = printed(run)
    assert str(run.root / "reports/index.html") in text
    assert "make ui" in text


def test_time_counts_only_what_ran_since_the_start(make_run: MakeRun) -> None:
    run = finished(make_run, benchmarks=("irds-xsub",), methods=("random",), seeds=(0, 1))
    now = time.time()
    for path in (run.root / "records").rglob("*.json"):
        os.utime(path, (now - 1000, now - 1000))
    new = [run.root / f"records/linear/irds-xsub/random/seed-{seed}.json" for seed in (0, 1)]
    for path in new:
        os.utime(path, (now, now))
    # One process: 1.5 s to start, 11 s of work by the later seed; 100 s passed, so 87.5 s are the rest.
    text = printed(run, now - 100)
    assert "1 min 40 s in all, 11.0 s of it work; start-up 1 min 29 s = 89 % (imports 1.5 s, DVC" in text


def test_nothing_ran_is_said(make_run: MakeRun) -> None:
    run = finished(make_run, benchmarks=("irds-xsub",))
    assert "everything was up to date" in printed(run, time.time() + 100)


def test_without_results_the_cure_is_said(make_run: MakeRun) -> None:
    with pytest.raises(ReportError, match=r"reports/results.csv is not there: run `dvc repro`"):
        printed(make_run(benchmarks=("irds-xsub",)))
