"""Simulate the people that a method is trained on too: `python stages/simulate.py <method>`."""

from collections.abc import Mapping

from kinemask.datasets.raw_kinesim import SimulatedDataset
from kinemask.datasets.simulated import simulate
from kinemask.record import Clock, make_record
from kinemask.section import Section, load_params
from kinemask.skeleton.packed import SIMULATED
from kinemask.stage import run_stage

READS = {"simulated": "plan.simulated"}


class Params(Section):
    """What this stage reads of the plan of the method."""

    simulated: Mapping[str, SimulatedDataset | None]  # by size; None: nobody is simulated


def main(method: str) -> None:
    clock = Clock()
    params = load_params(Params, READS, method=method)
    clock.begin_work()
    found = simulate(SIMULATED / method, method, params.simulated)
    make_record(
        stage="simulate",
        subject=method,
        params=params,
        metrics={size: {"clips": info.num_clips, "frames": info.num_frames} for size, info in found.items()},
        inputs={},
        hardware=Section(),
        clock=clock,
    ).write()


if __name__ == "__main__":
    run_stage(main)
