"""Train the encoders of a method without labels: `python stages/pretrain.py <benchmark> <method>`."""

import torch

from kinemask.hardware import HardwareConfig, require_device
from kinemask.record import Clock, make_record
from kinemask.section import Section, load_params
from kinemask.stage import run_stage
from kinemask.tracking.tracker import Tracker
from kinemask.training.pretrain import open_pretraining, save_encoders, save_looks
from kinemask.training.recipe import Preset
from kinemask.training.seeds_pool import run_seeds

READS = {"seeds": "plan.seeds", "method": "plan.method", "hardware": "hardware"}


class Params(Section):
    """What this stage reads of the plan of the method and of params.yaml."""

    seeds: tuple[int, ...]
    method: Preset
    hardware: HardwareConfig


def main(benchmark: str, method: str) -> None:
    clock = Clock()
    params = load_params(Params, READS, method=method)
    torch.set_num_threads(1)
    require_device(params.hardware.device)
    clock.begin_work()
    work = open_pretraining(benchmark, method, preset=params.method, hardware=params.hardware)
    tracker = Tracker()  # silent
    if work.recipe.training is not None:  # there is something to watch
        recipe = work.recipe.model_dump(mode="json")
        tracker = Tracker.start(
            stage="pretrain", subject=benchmark, method=method, seeds=params.seeds, params=recipe
        )
    trained = run_seeds(work.run, params.seeds, hardware=params.hardware, on_log=tracker.log)
    save_encoders(benchmark, method, work, dict(zip(params.seeds, trained, strict=True)))
    save_looks(benchmark, method, work, params.seeds[0], trained[0])
    records = [
        make_record(
            stage="pretrain",
            subject=benchmark,
            method=method,
            seed=seed,
            params=work.recipe,
            metrics={"all": one.result.summary()},
            history=one.result.history,
            inputs={"data": work.data_sha256},
            hardware=params.hardware,
            clock=clock,
        ).write()
        for seed, one in zip(params.seeds, trained, strict=True)
    ]
    tracker.finish(records)


if __name__ == "__main__":
    run_stage(main)
