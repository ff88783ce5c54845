"""Train every seed's encoder and a head with few labels: `python stages/semi.py <benchmark> <method>`."""

from itertools import chain

import torch

from kinemask.evaluation.few import LabelsConfig
from kinemask.evaluation.finetune import TuneParams, open_finetuning
from kinemask.evaluation.finetune_config import SemiConfig
from kinemask.evaluation.scoring import keep_results
from kinemask.evaluation.semi import with_shares
from kinemask.hardware import require_device
from kinemask.record import Clock
from kinemask.section import load_params
from kinemask.stage import run_stage
from kinemask.tracking.tracker import Tracker
from kinemask.training.seeds_pool import run_seeds

READS = {"seeds": "plan.seeds", "method": "plan.method", "hardware": "hardware"}
READS |= {name: f"evaluation.{name}" for name in ("embed", "finetune", "labels", "semi")}


class Params(TuneParams):
    """What this stage reads of the plan of the method and of params.yaml."""

    labels: LabelsConfig
    semi: SemiConfig


def main(benchmark: str, method: str) -> None:
    clock = Clock()
    params = load_params(Params, READS, method=method)
    torch.set_num_threads(1)
    require_device(params.hardware.device)
    clock.begin_work()
    hardware, seeds = params.hardware, params.seeds
    whole = open_finetuning(
        benchmark, method, preset=params.method, config=params.finetune, embed=params.embed, hardware=hardware
    )
    work = with_shares(whole, params.semi, params.labels)
    used = work.used.model_dump(mode="json")
    tracker = Tracker.start(stage="semi", subject=benchmark, method=method, seeds=seeds, params=used)
    records = keep_results(
        [*chain.from_iterable(run_seeds(work.run, seeds, hardware=hardware, on_log=tracker.log))],
        stage="semi",
        benchmark=benchmark,
        method=method,
        params=work.used,
        hardware=hardware,
        clock=clock,
        encoders={seed: whole.weights(seed) for seed in seeds},
    )
    tracker.finish(records)


if __name__ == "__main__":
    run_stage(main)
