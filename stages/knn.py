"""Seek nearest neighbours for every seed and pooling: `python stages/knn.py <benchmark> <method>`."""

from functools import partial

from kinemask.evaluation.knn import KnnConfig, probe_knn
from kinemask.evaluation.run_probe import ProbeParams, run_probe
from kinemask.record import Clock
from kinemask.section import load_params
from kinemask.stage import run_stage

READS = {"seeds": "plan.seeds", "knn": "evaluation.knn", "hardware": "hardware"}


class Params(ProbeParams):
    """What this stage reads of the plan of the method and of params.yaml."""

    knn: KnnConfig


def main(benchmark: str, method: str) -> None:
    clock = Clock()
    params = load_params(Params, READS, method=method)
    probe = partial(probe_knn, config=params.knn)
    run_probe(probe, stage="knn", benchmark=benchmark, method=method, params=params, clock=clock)


if __name__ == "__main__":
    run_stage(main)
