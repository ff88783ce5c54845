"""Run the frozen encoders once over every clip: `python stages/embed.py <benchmark> <method>`."""

import torch

from kinemask.evaluation.features import EmbedConfig, open_embedding, save_features
from kinemask.evaluation.frozen import FEATURES
from kinemask.hardware import HardwareConfig, require_device
from kinemask.record import Clock, hash_files, make_record
from kinemask.section import Section, load_params
from kinemask.stage import run_stage
from kinemask.training.recipe import Preset
from kinemask.training.seeds_pool import run_seeds

READS = {
    "seeds": "plan.seeds",
    "method": "plan.method",
    "embed": "evaluation.embed",
    "hardware": "hardware",
}


class Params(Section):
    """What this stage reads of the plan of the method and of params.yaml."""

    seeds: tuple[int, ...]
    method: Preset
    embed: EmbedConfig
    hardware: HardwareConfig


def main(benchmark: str, method: str) -> None:
    clock = Clock()
    params = load_params(Params, READS, method=method)
    torch.set_num_threads(1)
    require_device(params.hardware.device)
    clock.begin_work()
    work = open_embedding(
        benchmark, method, preset=params.method, config=params.embed, device=params.hardware.device
    )
    embedded = run_seeds(work.run, params.seeds, hardware=params.hardware, on_log=lambda *row: None)
    save_features(FEATURES / benchmark / method, dict(zip(params.seeds, embedded, strict=True)))
    for seed, one in zip(params.seeds, embedded, strict=True):
        make_record(
            stage="embed",
            subject=benchmark,
            method=method,
            seed=seed,
            params=params.embed,
            metrics={f"pooling={name}": {"width": float(v.shape[1])} for name, v in one.last.items()},
            inputs=hash_files(work.files(seed).values()) | {"data": work.packed.info.data_sha256},
            hardware=params.hardware,
            clock=clock,
        ).write()


if __name__ == "__main__":
    run_stage(main)
