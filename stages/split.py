"""Say which clips of a benchmark train and which test: `python stages/split.py <benchmark>`."""

import sys

from kinemask.record import Clock, make_record
from kinemask.section import Section, load_params
from kinemask.skeleton.benchmark import BENCHMARKS, BenchmarkConfig
from kinemask.skeleton.packed import PACKED, open_packed
from kinemask.skeleton.split import write_benchmark
from kinemask.stage import run_stage

READS = {"benchmark": "benchmarks.{benchmark}"}


class Params(Section):
    """What this stage reads of params.yaml."""

    benchmark: BenchmarkConfig


def main(name: str) -> None:
    clock = Clock()
    params = load_params(Params, READS, benchmark=name)
    config = params.benchmark
    clock.begin_work()
    packed = open_packed(PACKED / config.dataset)
    info = write_benchmark(BENCHMARKS / name, name=name, config=config, packed=packed)
    if info.num_leaked:
        sys.stderr.write(
            f"{name}: {info.num_leaked} of {info.num_test} test clips stand in the training part as well; "
            f"{BENCHMARKS / name / 'leaks.csv'} names them, the tables give every score without them too\n"
        )
    counts = {"train": info.num_train, "test": info.num_test, "leaked_test": info.num_leaked}
    make_record(
        stage="split",
        subject=name,
        params=params,
        metrics={"all": {**counts, "classes": len(info.class_names)}},
        inputs={"data": info.data_sha256},
        hardware=Section(),
        clock=clock,
    ).write()


if __name__ == "__main__":
    run_stage(main)
