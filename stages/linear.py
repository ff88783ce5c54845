"""Fit a linear probe to every seed and pooling: `python stages/linear.py <benchmark> <method>`."""

from functools import partial

from kinemask.evaluation.fit_pool import run_fits
from kinemask.evaluation.frozen import find_tasks, keep_results
from kinemask.evaluation.linear_probe import LinearConfig, probe_linear
from kinemask.hardware import HardwareConfig
from kinemask.record import Clock
from kinemask.section import Section, load_params
from kinemask.stage import run_stage

READS = {"seeds": "plan.seeds", "linear": "evaluation.linear", "hardware": "hardware"}


class Params(Section):
    """What this stage reads of the plan of the method and of params.yaml."""

    seeds: tuple[int, ...]
    linear: LinearConfig
    hardware: HardwareConfig


def main(benchmark: str, method: str) -> None:
    clock = Clock()
    params = load_params(Params, READS, method=method)
    clock.begin_work()
    probed = run_fits(
        partial(probe_linear, config=params.linear),
        find_tasks(benchmark, method, params.seeds),
        processes=params.hardware.processes,
        threads=params.hardware.threads,
        name=f"linear {benchmark} {method}",
    )
    keep_results(
        [one for of_task in probed for one in of_task],
        stage="linear",
        benchmark=benchmark,
        method=method,
        params=params,
        hardware=params.hardware,
        clock=clock,
    )


if __name__ == "__main__":
    run_stage(main)
