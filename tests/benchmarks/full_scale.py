"""The licence-gated data sets at their full number of recordings, made up and short: counts, time, memory.

    KINEMASK_MIRROR=/path/to/mirror python tests/benchmarks/full_scale.py --reports reports/speed

The mirror holds NTU's official lists of missing skeletons (ntu_lists/); without it they come from their
owners' repository. Every name is the official one; a recording has a few frames. Writes full_scale.csv.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import psutil

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from kinemask.datasets import DATASETS  # noqa: E402
from kinemask.datasets.archives.mirrors import mirrors_in_order  # noqa: E402
from kinemask.datasets.prepare import prepare  # noqa: E402
from kinemask.params import check  # noqa: E402
from tests.datasets.ntu.ntu_archive import all_names, write_archive  # noqa: E402
from tests.datasets.pku.pku_archive import make, phase1_names, phase2_names  # noqa: E402
from tests.datasets.pku.pku_runs import LABELS2  # noqa: E402

_SAMPLE_SECONDS = 0.1
_HALVES = ("nturgbd_skeletons_s001_to_s017.zip", "nturgbd_skeletons_s018_to_s032.zip")
_FIRST_HALF = 56_880
_INSTANCES = {"pku1": 21_545, "pku2": 6_945}  # the second is no published number


def write_ntu(name: str, folder: Path) -> None:
    """Both halves of NTU RGB+D 120, or the first."""
    names = all_names(name)
    for archive, half in zip(_HALVES, (names[:_FIRST_HALF], names[_FIRST_HALF:]), strict=True):
        if half:
            write_archive(folder / archive, half)


def write_pku(name: str, folder: Path) -> None:
    """The four files of a phase of PKU-MMD."""
    phase = int(name[-1])
    names, labels = (phase1_names(), list(range(1, 52))) if phase == 1 else (phase2_names(), LABELS2)
    make(names, num_instances=_INSTANCES[name], labels=labels, phase=phase).write(folder)


WRITE: dict[str, Callable[[str, Path], None]] = {
    "ntu60": write_ntu, "ntu120": write_ntu, "pku1": write_pku, "pku2": write_pku,
}  # fmt: skip


def prepare_one(name: str, folder: Path) -> None:
    """Fetch and prepare by the section of params.yaml, and print what came of it."""
    config = check(ROOT / "params.yaml").datasets[name]
    reader = DATASETS[config.name]
    mirrors = [str(folder), *mirrors_in_order(())]  # the second for the official lists
    started = time.perf_counter()
    reader.fetch(config, name, folder / "raw", mirrors)
    fetched = time.perf_counter()
    info = prepare(reader, config, name=name, raw=folder / "raw", packed=folder / "packed")
    packed = time.perf_counter()
    row = {
        "clips": info.num_clips,
        "left_out": len(info.dropped),
        "missing": len(info.missing),
        "complete": info.complete,
        "splits": "; ".join(f"{p} {n['train']}/{n['test']}" for p, n in info.counts.items()),
        "download_s": round(fetched - started, 1),
        "preprocess_s": round(packed - fetched, 1),
    }
    print(json.dumps(row))  # noqa: T201


def measure_one(name: str, folder: Path) -> dict[str, object]:
    """A process of its own, and the most memory that it and its workers hold together."""
    WRITE[name](name, folder / name)
    process = subprocess.Popen(
        [sys.executable, __file__, "--one", name, str(folder / name)], stdout=subprocess.PIPE, text=True
    )
    peak = [0]
    watch = threading.Thread(target=_watch, args=(psutil.Process(process.pid), peak), daemon=True)
    watch.start()
    out, _ = process.communicate()
    watch.join()
    if process.returncode:
        raise SystemExit(f"{name} ended with status {process.returncode}")
    return {"dataset": name, **json.loads(out), "peak_mib": round(peak[0] / 2**20)}


def _watch(process: psutil.Process, peak: list[int]) -> None:
    """Pages that several processes share count once: PSS."""
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        total = 0
        for one in [process, *process.children(recursive=True)]:
            try:
                total += one.memory_full_info().pss
            except psutil.Error:  # it has just ended
                continue
        peak[0] = max(peak[0], total)
        time.sleep(_SAMPLE_SECONDS)


def main() -> None:
    """Measure the data sets that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("datasets", nargs="*", help="of ntu60, ntu120, pku1, pku2; none is all")
    parser.add_argument("--reports", type=Path, default=ROOT / "reports/speed")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        name, folder = options.datasets
        prepare_one(name, Path(folder))
        return
    rows = []
    for name in options.datasets or list(WRITE):
        with tempfile.TemporaryDirectory(prefix="kinemask-full-") as folder:
            rows.append(measure_one(name, Path(folder)))
        sys.stderr.write(f"{rows[-1]}\n")
    options.reports.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_csv(options.reports / "full_scale.csv", index=False)


if __name__ == "__main__":
    main()
