"""What every probe stage does: find the features, probe them side by side, keep scores and records."""

from collections.abc import Callable, Sequence

from kinemask.evaluation.fit_pool import run_fits
from kinemask.evaluation.frozen import (
    Pooling,
    Probed,
    ProbeTask,
    find_tasks,
    first_offered,
)
from kinemask.evaluation.scoring import keep_results
from kinemask.hardware import HardwareConfig
from kinemask.record import Clock
from kinemask.section import Section


class ProbeParams(Section):
    """What every probe stage reads of the plan of the method and of params.yaml, beside its own section."""

    seeds: tuple[int, ...]
    hardware: HardwareConfig


def run_probe(
    probe: Callable[[ProbeTask], list[Probed]],
    *,
    stage: str,
    benchmark: str,
    method: str,
    params: ProbeParams,
    clock: Clock,
    poolings: Sequence[Pooling] | None = None,
) -> None:
    """Probe the features of every seed; leave its scores and its record.

    `poolings`: of these the first that the features offer; None: every pooling there is. Raises FeaturesError
    if a seed has no features, or none under the poolings asked for.
    """
    clock.begin_work()
    tasks = find_tasks(benchmark, method, params.seeds)
    probed = run_fits(
        probe,
        tasks if poolings is None else first_offered(tasks, poolings, f"evaluation.{stage}.poolings"),
        processes=params.hardware.processes,
        threads=params.hardware.threads,
        name=f"{stage} {benchmark} {method}",
    )
    keep_results(
        [one for of_task in probed for one in of_task],
        stage=stage,
        benchmark=benchmark,
        method=method,
        params=params,
        hardware=params.hardware,
        clock=clock,
    )
