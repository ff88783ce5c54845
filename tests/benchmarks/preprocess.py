"""How fast recordings become arrays: ours against the field's three scripts and the libraries there are.

    make bench
    python tests/benchmarks/preprocess.py --files 1000 --repeats 3

CPU seconds of one process for 1,000 files of NTU's size, the least of all repeats; the ways take turns, so
that the ratios hold on a busy machine. Libraries that are not installed are left out: pysimdjson, orjson,
polars, zlib-ng and deflate are no dependencies of ours. The figures go to reports/speed, for the README.
"""

import argparse
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from itertools import groupby
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
os.environ["TQDM_DISABLE"] = "1"  # read when tqdm is loaded

from tests.benchmarks import ways  # noqa: E402
from tests.benchmarks.machine import commit, processor  # noqa: E402
from tests.benchmarks.many import write_many  # noqa: E402
from tests.benchmarks.measure import OURS, Timing, measure, together  # noqa: E402
from tests.benchmarks.processes import measure_processes  # noqa: E402
from tests.benchmarks.recordings import Recordings, write_recordings  # noqa: E402

_REPORTS = ROOT / "reports/speed"
_SEED = 3
_FEW = 3  # repeats of what takes half a minute
_COLUMNS = {
    "cpu_s": "cpu_s_per_1000_files",
    "cpu_s_median": "median",
    "wall_s": "wall",
    "mb_per_s": "MB_per_s",
}


def main() -> None:
    """Measure all, print it, write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=1000, help="recordings made for the chains")
    parser.add_argument("--clips", type=int, default=24000, help="recordings made for all cores")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--reports", type=Path, default=_REPORTS, help="folder for the figures")
    asked = parser.parse_args()
    asked.reports.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="kinemask-bench-"))
    try:
        _say(f"making {asked.files} recordings in {folder}")
        recordings = write_recordings(folder / "few", asked.files, seed=_SEED)
        machine = pd.DataFrame([_machine(recordings)])
        _write(machine, asked.reports / "machine.csv")
        _say(machine.T.to_string(header=False))
        timings = _timings(recordings, folder / "work", asked.repeats)
        table = pd.DataFrame(list(map(asdict, timings))).rename(columns=_COLUMNS)
        table[f"times_{OURS}"] = _times_ours(timings)
        _write(table, asked.reports / "preprocess.csv")
        _show(timings)
        _say(f"\n{asked.clips // 2} and {asked.clips} clips, by one process and by all cores")
        many = [
            write_many(folder / f"many_{num}" / "skeletons.zip", num, seed=_SEED)
            for num in (asked.clips // 2, asked.clips)
        ]
        repeats = min(asked.repeats, _FEW)
        processes = pd.DataFrame(measure_processes(many, folder / "processes", repeats))
        _write(processes, asked.reports / "processes.csv")
        _say(processes.to_string(index=False, float_format=lambda value: f"{value:.4g}"))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _write(figures: pd.DataFrame, path: Path) -> None:
    figures.to_csv(path, index=False, float_format="%.3g")


def _timings(recordings: Recordings, work: Path, repeats: int) -> list[Timing]:
    """Every job, each with its ways in turns."""
    _say(f"chains, {repeats} repeats")
    chains = measure(
        [partial(ways.chain, recordings, work / "chain"), partial(ways.ours, recordings, work / "ours")],
        repeats,
    )
    difference = ways.largest_difference(recordings, work / "chain", work / "ours")
    assert difference == 0, f"the clips of the three scripts and ours differ by up to {difference:g} m"
    unzip, *scripts = chains[:4]
    chain_rows = [
        together(ways.FROM_FILES, "three scripts", scripts),
        together(ways.FROM_ZIP, "unzip, three scripts", [unzip, *scripts]),
    ]
    _say("parsers and inflaters")
    alone = measure(
        [
            partial(ways.text_to_float32, recordings),
            partial(ways.rows_to_float32, _SEED),
            partial(ways.inflate, recordings),
            partial(ways.seven_zip, work / "seven_zip", _SEED),
        ],
        repeats,
    )
    inflating = next(timing for timing in alone if (timing.part, timing.what) == (ways.INFLATE, OURS))
    floor = together(ways.FROM_ZIP, "inflate alone: the floor", [inflating])
    order = [
        ways.FROM_FILES,
        ways.FROM_ZIP,
        ways.CHAIN_STEPS,
        ways.OUR_STEPS,
        ways.TEXT,
        ways.INFLATE,
        ways.ROWS,
        ways.SEVEN_ZIP,
    ]
    return sorted([*chain_rows, floor, *chains, *alone], key=lambda timing: order.index(timing.part))


def _times_ours(timings: Sequence[Timing]) -> list[float | None]:
    """How many times our CPU seconds a way takes; None for the steps of a way."""
    ours = {timing.part: timing.cpu_s for timing in timings if timing.what == OURS}
    return [timing.cpu_s / ours[timing.part] if timing.part in ours else None for timing in timings]


def _machine(recordings: Recordings) -> dict[str, object]:
    """Where and on what it was measured."""
    return {
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        **{package: version(package) for package in ("numpy", "numba", "isal")},
        "files": len(recordings.names),
        "kB_of_text": round(recordings.num_bytes / len(recordings.names) / 1e3, 1),
        "kB_packed": round(recordings.archive.stat().st_size / len(recordings.names) / 1e3, 1),
        "commit": commit(),
    }


def _show(timings: Sequence[Timing]) -> None:
    rows = zip(timings, _times_ours(timings), strict=True)
    for part, group in groupby(rows, key=lambda row: row[0].part):
        _say(f"\n{part:32s} CPU s / 1,000 files: min   median     wall     MB/s   times {OURS}")
        for timing, ratio in group:
            times = "" if ratio is None else f"{ratio:10.2f}"
            _say(
                f"  {timing.what:44s} {timing.cpu_s:9.3f} {timing.cpu_s_median:8.3f} {timing.wall_s:8.3f}"
                f" {timing.mb_per_s:8.0f} {times}"
            )


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
