"""Fit linear probes on few labels to every seed: `python stages/few.py <benchmark> <method>`."""

from functools import partial

from kinemask.evaluation.few import FewConfig, LabelsConfig, probe_few
from kinemask.evaluation.run_probe import ProbeParams, run_probe
from kinemask.record import Clock
from kinemask.section import load_params
from kinemask.stage import run_stage

READS = {"seeds": "plan.seeds", "hardware": "hardware"}
READS |= {"few": "evaluation.few", "labels": "evaluation.labels"}


class Params(ProbeParams):
    """What this stage reads of the plan of the method and of params.yaml."""

    few: FewConfig
    labels: LabelsConfig


def main(benchmark: str, method: str) -> None:
    clock = Clock()
    params = load_params(Params, READS, method=method)
    run_probe(
        partial(probe_few, config=params.few, draw=params.labels.draw),
        stage="few",
        benchmark=benchmark,
        method=method,
        params=params,
        clock=clock,
        poolings=params.few.poolings,
    )


if __name__ == "__main__":
    run_stage(main)
