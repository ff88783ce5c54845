"""Make the tables and the report from all records and scores of the runs: `python stages/tables.py`."""

import sys
from pathlib import Path

from kinemask.evaluation.ensemble import EnsembleConfig
from kinemask.evaluation.statistics import StatisticsConfig
from kinemask.record import Clock, hash_files, make_record
from kinemask.reporting.collect import collect
from kinemask.reporting.ensembles import with_ensembles
from kinemask.reporting.write import write_reports
from kinemask.run import RunConfig
from kinemask.section import Section, load_params
from kinemask.stage import run_stage
from kinemask.tracking.track import track_bounded

READS = {"run": "run", "ensembles": "ensembles", "statistics": "evaluation.statistics"}


class Params(Section):
    """What this stage reads of params.yaml."""

    run: RunConfig
    ensembles: dict[str, EnsembleConfig]
    statistics: StatisticsConfig


def main() -> None:
    clock = Clock()
    params = load_params(Params, READS)
    clock.begin_work()
    collected = with_ensembles(Path(), collect(Path(), params.run), params.ensembles)
    counts = write_reports(Path(), collected, params.statistics)
    for gap in collected.missing:
        sys.stderr.write(f"missing: {gap}\n")
    make_record(
        stage="tables",
        subject="all",
        params=params,
        metrics={"all": counts},
        inputs=hash_files(collected.files),
        hardware=Section(),
        clock=clock,
    ).write()
    # Everything the graph made so far, also what came back from the cache.
    sys.stderr.write(f"{track_bounded()}\n")


if __name__ == "__main__":
    run_stage(main)
