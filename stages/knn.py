"""Seek nearest neighbours for every seed and pooling: `python stages/knn.py <benchmark> <method>`."""

from functools import partial

from kinemask.evaluation.fit_pool import run_fits
from kinemask.evaluation.frozen import find_tasks, keep_results
from kinemask.evaluation.knn import KnnConfig, probe_knn
from kinemask.hardware import HardwareConfig
from kinemask.record import Clock
from kinemask.section import Section, load_params
from kinemask.stage import run_stage

READS = {"seeds": "plan.seeds", "knn": "evaluation.knn", "hardware": "hardware"}


class Params(Section):
    """What this stage reads of the plan of the method and of params.yaml."""

    seeds: tuple[int, ...]
    knn: KnnConfig
    hardware: HardwareConfig


def main(benchmark: str, method: str) -> None:
    clock = Clock()
    params = load_params(Params, READS, method=method)
    clock.begin_work()
    probed = run_fits(
        partial(probe_knn, config=params.knn),
        find_tasks(benchmark, method, params.seeds),
        processes=params.hardware.processes,
        threads=params.hardware.threads,
        name=f"knn {benchmark} {method}",
    )
    keep_results(
        [one for of_task in probed for one in of_task],
        stage="knn",
        benchmark=benchmark,
        method=method,
        params=params,
        hardware=params.hardware,
        clock=clock,
    )


if __name__ == "__main__":
    run_stage(main)
