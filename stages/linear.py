"""Fit a linear probe to every seed and pooling: `python stages/linear.py <benchmark> <method>`."""

from functools import partial

from kinemask.evaluation.linear_probe import LinearConfig, probe_linear
from kinemask.evaluation.run_probe import ProbeParams, run_probe
from kinemask.record import Clock
from kinemask.section import load_params
from kinemask.stage import run_stage

READS = {"seeds": "plan.seeds", "linear": "evaluation.linear", "hardware": "hardware"}


class Params(ProbeParams):
    """What this stage reads of the plan of the method and of params.yaml."""

    linear: LinearConfig


def main(benchmark: str, method: str) -> None:
    clock = Clock()
    params = load_params(Params, READS, method=method)
    probe = partial(probe_linear, config=params.linear)
    run_probe(probe, stage="linear", benchmark=benchmark, method=method, params=params, clock=clock)


if __name__ == "__main__":
    run_stage(main)
