"""Score the encoders of one benchmark on another: `python stages/transfer.py <source> <target> <method>`."""

import torch

from kinemask.evaluation.scoring import keep_results
from kinemask.evaluation.transfer import STAGE, TransferParams, transfer
from kinemask.hardware import require_device
from kinemask.record import Clock
from kinemask.run import Pair
from kinemask.section import load_params
from kinemask.stage import run_stage

READS = {"seeds": "plan.seeds", "method": "plan.method", "hardware": "hardware"}
READS |= {
    name: f"evaluation.{name}" for name in ("embed", "linear", "knn", "labels", "few", "finetune", "transfer")
}


def main(source: str, target: str, method: str) -> None:
    clock = Clock()
    params = load_params(TransferParams, READS, method=method)
    torch.set_num_threads(1)
    require_device(params.hardware.device)
    clock.begin_work()
    pair = Pair(source=source, target=target)
    found = transfer(pair, method, params)
    keep_results(
        found.probed,
        stage=STAGE,
        benchmark=target,
        method=method,
        params=found.used,
        hardware=params.hardware,
        clock=clock,
        encoders=found.encoders,
        pair=pair.name,
    )


if __name__ == "__main__":
    run_stage(main)
