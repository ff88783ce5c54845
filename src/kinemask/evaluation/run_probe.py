"""What every probe stage does: find the features, probe them side by side, keep scores and records."""

from collections.abc import Callable, Sequence
from pathlib import Path

from kinemask.evaluation.fit_pool import run_fits
from kinemask.evaluation.frozen import (
    FeaturesError,
    Pooling,
    Probed,
    ProbeTask,
    find_tasks,
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


def first_offered(tasks: Sequence[ProbeTask], poolings: Sequence[Pooling], place: str) -> list[ProbeTask]:
    """The tasks under the first of `poolings` that their folder has; `place` is that of `poolings` in params.

    Raises FeaturesError if a folder has none of them.
    """
    offered: dict[Path, list[str]] = {}
    for task in tasks:
        offered.setdefault(task.features.parent, []).append(task.pooling)
    chosen = {}
    for folder, found in offered.items():
        wanted = [pooling for pooling in poolings if pooling in found]
        if not wanted:
            raise FeaturesError(
                f"{place}: {folder} offers {', '.join(found)}, none of {', '.join(poolings)}: add one"
            )
        chosen[folder] = wanted[0]
    return [task for task in tasks if task.pooling == chosen[task.features.parent]]
