"""Train every seed's encoder and a head with all labels: `python stages/finetune.py <benchmark> <method>`."""

import torch

from kinemask.evaluation.finetune import TuneParams, open_finetuning
from kinemask.evaluation.scoring import keep_results
from kinemask.hardware import require_device
from kinemask.record import Clock
from kinemask.section import load_params
from kinemask.stage import run_stage
from kinemask.tracking.tracker import Tracker
from kinemask.training.seeds_pool import run_seeds

READS = {"seeds": "plan.seeds", "method": "plan.method", "hardware": "hardware"}
READS |= {"embed": "evaluation.embed", "finetune": "evaluation.finetune"}


def main(benchmark: str, method: str) -> None:
    clock = Clock()
    params = load_params(TuneParams, READS, method=method)
    torch.set_num_threads(1)
    require_device(params.hardware.device)
    clock.begin_work()
    hardware, seeds = params.hardware, params.seeds
    work = open_finetuning(
        benchmark, method, preset=params.method, config=params.finetune, embed=params.embed, hardware=hardware
    )
    used = work.used.model_dump(mode="json")
    tracker = Tracker.start(stage="finetune", subject=benchmark, method=method, seeds=seeds, params=used)
    records = keep_results(
        run_seeds(work.run, seeds, hardware=hardware, on_log=tracker.log),
        stage="finetune",
        benchmark=benchmark,
        method=method,
        params=work.used,
        hardware=hardware,
        clock=clock,
        encoders={seed: work.weights(seed) for seed in seeds},
    )
    tracker.finish(records)


if __name__ == "__main__":
    run_stage(main)
