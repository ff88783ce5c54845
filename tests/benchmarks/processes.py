"""`prepare` in a process of its own, on some of the cores: how long, and how much memory at most.

    python tests/benchmarks/processes.py <zip> <empty folder> <processes>

prints one line of JSON: what the call has taken, without start-up.
"""

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from kinemask.workers import usable_cores  # noqa: E402
from tests.benchmarks.machine import memory_mib  # noqa: E402
from tests.benchmarks.readers import from_zip, pack  # noqa: E402
from tests.benchmarks.recordings import Recordings  # noqa: E402


def measure_processes(sizes: Sequence[Recordings], folder: Path, repeats: int) -> list[dict[str, float]]:
    """Each set of recordings with one process and with all cores: the quickest of all repeats."""
    cases = [(recordings, num) for recordings in sizes for num in sorted({1, usable_cores()})]
    found: list[list[dict[str, float]]] = [[] for _ in cases]
    for _ in range(repeats):
        for number, (recordings, num) in enumerate(cases):
            found[number].append(_measure_one(recordings, folder, num))
    rows = [min(runs, key=lambda run: run["wall_s"]) for runs in found]
    alone = {row["clips"]: row["wall_s"] for row in rows if row["processes"] == 1}
    return [{**row, "speed_up": alone[row["clips"]] / row["wall_s"]} for row in rows]


def _measure_one(recordings: Recordings, folder: Path, num: int) -> dict[str, float]:
    shutil.rmtree(folder, ignore_errors=True)
    command = [sys.executable, __file__, str(recordings.archive), str(folder), str(num)]
    environment = {**os.environ, "TQDM_DISABLE": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main(archive: str, folder: str, num: str) -> None:
    """Pack once and say what it took."""
    started, cpu_before = time.perf_counter(), sum(os.times()[:4])
    info = pack(partial(from_zip, Path(archive)), Path(folder), processes=int(num))
    wall_s = time.perf_counter() - started
    cpu_s = sum(os.times()[:4]) - cpu_before
    # What getrusage says of a process starts at what its parent had; for workers there is nothing better.
    workers = resource.getrusage(resource.RUSAGE_CHILDREN)
    row = {
        "clips": info.num_clips,
        "processes": int(num),
        "wall_s": wall_s,
        "clips_per_s": info.num_clips / wall_s,
        "cpu_s": cpu_s,  # of all processes
        "main_peak_mib": memory_mib("VmHWM"),
        "worker_peak_mib": workers.ru_maxrss / 1024,  # of the largest
    }
    print(json.dumps(row))  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
