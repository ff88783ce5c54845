"""Make the tables and the report from all records and scores of the runs: `python stages/tables.py`."""

import sys
from pathlib import Path

from kinemask.evaluation.statistics import StatisticsConfig
from kinemask.record import Clock, Record, commit, environment, hash_files, peak_memory_mib
from kinemask.reporting.collect import collect
from kinemask.reporting.write import write_reports
from kinemask.run import RunConfig
from kinemask.section import Section, load_params
from kinemask.stage import run_stage

READS = {"run": "run", "statistics": "evaluation.statistics"}


class Params(Section):
    """What this stage reads of params.yaml."""

    run: RunConfig
    statistics: StatisticsConfig


def main() -> None:
    clock = Clock()
    params = load_params(Params, READS)
    clock.begin_work()
    collected = collect(Path(), params.run)
    counts = write_reports(Path(), collected, params.statistics)
    for gap in collected.missing:
        sys.stderr.write(f"missing: {gap}\n")
    Record(
        stage="tables",
        subject="all",
        params=params.model_dump(mode="json"),
        metrics={"all": counts},
        inputs=hash_files(collected.files),
        hardware={},
        environment=environment(),
        commit=commit(),
        seconds=clock.seconds(),
        peak_memory_mib=peak_memory_mib(),
    ).write()


if __name__ == "__main__":
    run_stage(main)
