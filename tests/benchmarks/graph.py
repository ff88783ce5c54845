"""How long DVC takes to find that there is nothing to do, in the default graph and in a large one.

    make bench
    python tests/benchmarks/graph.py --repeats 3

The graphs are those of the project, in folders of their own in which nothing was trained: the files that
stages make are small made-up ones, as many as of the real, and DVC has written them down as made. Seconds on
the clock and of the processor, the least of all repeats; `dvc repro` and `dvc status` take turns. The figures
go to reports/speed/graph.csv, for the README.
"""

import argparse
import contextlib
import os
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from kinemask.run import EVALUATIONS  # noqa: E402
from tests.project import NOTHING_NAMED, Project, stages_run  # noqa: E402

_REPORTS = ROOT / "reports/speed"
_BENCHMARKS = (
    "kinesim-xsub", "kinesim-xview", "irds-xsub", "irds-xgroup", "irds-xpos", "wmft-xsub", "wmft-xcond",
    "wmft-xboth",
)  # fmt: skip
_METHODS = ("mtmc", "jmm_tgt", "random", "pcm3", "mamp", "moco")  # whose encoders can be fine-tuned
_PAIRS = (("kinesim-xsub", "irds-xsub"), ("irds-xsub", "wmft-xsub"), ("wmft-xsub", "irds-xsub"))
_SEEDS = (0, 1, 2, 3, 4)
_FEATURES = 4  # files of features a seed: one a pooling

Edit = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Timing:
    """What a command took on a graph that is up to date."""

    graph: str
    instances: int
    command: str
    wall_s: float
    cpu_s: float
    goal_s: float


def main() -> None:
    """Make both graphs, time both commands, print it, write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--reports", type=Path, default=_REPORTS, help="folder for the figures")
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="kinemask-graph-"))
    graphs: tuple[tuple[str, Edit, float], ...] = (
        ("default", lambda params: None, 5.0),
        ("8 benchmarks, 6 methods, 5 seeds, all evaluations", _take_all, 60.0),
    )
    timings: list[Timing] = []
    try:
        for number, (name, edit, goal_s) in enumerate(graphs):
            project = Project.copy(folder / str(number), edit)
            instances = _finish(project)
            _say(f"{name}: {instances} instances")
            for command, (wall_s, cpu_s) in _time(project, asked.repeats).items():
                timings.append(Timing(name, instances, command, round(wall_s, 2), round(cpu_s, 2), goal_s))
                _say(f"  {command}: {wall_s:.2f} s, {cpu_s:.2f} s of the processor, goal {goal_s:g} s")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    asked.reports.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(list(map(asdict, timings))).to_csv(asked.reports / "graph.csv", index=False)


def _take_all(params: dict[str, Any]) -> None:
    """Every evaluation of every method."""
    stages = (ROOT / "dvc.yaml").read_text()
    named: dict[str, Any] = dict(NOTHING_NAMED)
    for one in EVALUATIONS:
        if f"run.{one.name}}}" in stages:
            named[one.name] = [{"source": a, "target": b} for a, b in _PAIRS] if one.pairs else list(_METHODS)
    chosen = {"benchmarks": list(_BENCHMARKS), "methods": list(_METHODS), "seeds": list(_SEEDS)}
    params["run"] = {**chosen, **named}


def _finish(project: Project) -> int:
    """Leave the project as a `dvc repro` would that ran everything; the number of stage instances."""
    from dvc.repo import Repo
    from dvc.repo.reproduce import collect_stages, get_active_graph, plan_repro
    from dvc.stage.serialize import to_single_stage_lockfile
    from dvc.utils.serialize import dump_yaml

    project.run(sys.executable, "stages/check_params.py")
    with _within(project.folder), Repo() as repo, repo.lock:
        stages = plan_repro(get_active_graph(repo.index.graph), collect_stages(repo, ["dvc.yaml"]))
        locks: dict[str, dict[str, Any]] = {}
        for stage in stages:
            for out in stage.outs:
                _make(Path(out.fs_path))
            stage.save(run_cache=False)
            stage.commit()
            lock = str(Path(stage.path).with_suffix(".lock"))
            locks.setdefault(lock, {})[stage.name] = to_single_stage_lockfile(stage)
        # In one go: stage by stage DVC would write the whole file anew for each.
        for lock, entries in locks.items():
            dump_yaml(lock, {"schema": "2.0", "stages": entries})
    return len(stages)


def _make(out: Path) -> None:
    """A file, or a folder with as many files as a stage makes for all seeds; what is there stays."""
    if out.exists():
        return
    if out.suffix:
        files = [out]
    elif "embed" in out.parts and "results" in out.parts:
        files = [out / f"seed-{seed}/{number}.npy" for seed in _SEEDS for number in range(_FEATURES)]
    else:
        files = [out / f"seed-{seed}" for seed in _SEEDS]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{file}\n")


def _time(project: Project, repeats: int) -> dict[str, tuple[float, float]]:
    """The least seconds of each command on the clock, and of the processor."""
    taken: dict[str, list[tuple[float, float]]] = {"dvc repro": [], "dvc status": []}
    for _ in range(repeats):
        for command, times in taken.items():
            began, cpu_began = time.perf_counter(), _cpu_of_children()
            done = project.run(*command.split())
            times.append((time.perf_counter() - began, _cpu_of_children() - cpu_began))
            assert stages_run(done.stdout) == []
            # `dvc status` also names what other datasets would need, all in stages/dvc.yaml.
            told = [line for line in done.stdout.splitlines() if line.endswith(":") and line[0] != "\t"]
            assert all(line.startswith("stages/dvc.yaml:") for line in told), done.stdout
    return {command: (min(w for w, _ in times), min(c for _, c in times)) for command, times in taken.items()}


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@contextlib.contextmanager
def _within(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
