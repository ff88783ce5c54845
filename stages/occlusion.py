"""Test probes of every seed on damaged clips: `python stages/occlusion.py <benchmark> <method>`."""

import torch

from kinemask.evaluation.features import EmbedConfig
from kinemask.evaluation.kept import kept_metrics
from kinemask.evaluation.linear_probe import LinearConfig
from kinemask.evaluation.occlusion import OcclusionConfig
from kinemask.evaluation.run_occlusion import open_occlusion
from kinemask.evaluation.scoring import keep_results
from kinemask.hardware import HardwareConfig, require_device
from kinemask.record import Clock
from kinemask.section import Section, load_params
from kinemask.stage import run_stage
from kinemask.training.recipe import Preset
from kinemask.training.seeds_pool import run_seeds

READS = {"seeds": "plan.seeds", "method": "plan.method", "hardware": "hardware", "embed": "evaluation.embed"}
READS |= {"linear": "evaluation.linear", "occlusion": "evaluation.occlusion"}


class Params(Section):
    """What this stage reads of the plan of the method and of params.yaml."""

    seeds: tuple[int, ...]
    method: Preset
    embed: EmbedConfig
    linear: LinearConfig
    occlusion: OcclusionConfig
    hardware: HardwareConfig


def main(benchmark: str, method: str) -> None:
    clock = Clock()
    params = load_params(Params, READS, method=method)
    torch.set_num_threads(1)
    require_device(params.hardware.device)
    clock.begin_work()
    config, linear, embed, hardware = params.occlusion, params.linear, params.embed, params.hardware
    work = open_occlusion(
        benchmark, method, preset=params.method, config=config, linear=linear, embed=embed, hardware=hardware
    )
    found = run_seeds(work.run, params.seeds, hardware=hardware, on_log=lambda *row: None)
    keep_results(
        [probed for of_seed in found for probed in of_seed],
        stage="occlusion",
        benchmark=benchmark,
        method=method,
        params=work.used,
        hardware=hardware,
        clock=clock,
        encoders={seed: work.encoder_file(seed) for seed in params.seeds},
        summary=kept_metrics,
    )


if __name__ == "__main__":
    run_stage(main)
