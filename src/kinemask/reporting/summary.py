"""What `make reproduce` ends with: the short result table, where to look further, and where the time went."""

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from kinemask.record import Record, read_records
from kinemask.reporting.blocks import CHOSEN, WITHOUT_LEAKS, leak_sentence, spread
from kinemask.reporting.scores import ReportError
from kinemask.reporting.tables import UNLEAKED, apart_from_pooling, chosen_settings
from kinemask.reporting.timing import time_split

RESULTS_CSV = Path("reports/results.csv")
REPORT = Path("reports/index.html")
METRIC = "top1"
_MINUTE_SECONDS = 60


def print_summary(root: Path, started: float | None = None, console: Console | None = None) -> None:
    """Print the results below `root`, the way to the report and to MLflow, and the time split.

    `started` (seconds since 1970) is when the run of the graph began: only what was recorded since then
    counts as its time, and what no record covers is DVC and the start and end of processes. Raises
    ReportError if there is no result.
    """
    console = console or Console()
    path = root / RESULTS_CSV
    if not path.is_file():
        raise ReportError(f"{RESULTS_CSV} is not there: run `dvc repro`")
    records = read_records(root)
    results = pd.read_csv(path)
    for benchmark, part in results[results["metric"] == METRIC].groupby("benchmark", sort=False):
        console.print(_result_table(str(benchmark), part, records))
        if "num_leaked" in part:  # not in the tables of earlier versions
            counts = (int(part[name].iloc[0]) for name in ("num_leaked", "num_test"))
            console.print(Text(leak_sentence(*counts)))
    console.print(
        Text(f"Mean ± std over seeds [interval]; {CHOSEN} pooling chosen by training folds, or the only one")
    )
    console.print(Text(f"Report: {(root / REPORT).resolve()}"), soft_wrap=True)
    console.print(Text("MLflow: make ui"))
    since = [one for one in records if (root / one.path).stat().st_mtime >= (started or 0.0)]
    console.print(Text(_time_text(since, None if started is None else time.time() - started)))


def _result_table(benchmark: str, results: pd.DataFrame, records: Iterable[Record]) -> Table:
    """A benchmark's rows with the chosen poolings; narrow enough for 80 letters unless clips are leaked."""
    chosen = chosen_settings(records)
    prefixes = ("", UNLEAKED) if "num_leaked" in results and results["num_leaked"].any() else ("",)
    scores = (f"{METRIC}, %", f"{WITHOUT_LEAKS}, %")[: len(prefixes)]
    table = Table(title=Text(benchmark), title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in ("method", "probe", "setting", *scores, "seeds"):
        table.add_column(name, justify="right" if name == "seeds" else "left")
    for line in map(_named, results.to_dict("records")):
        names = (line["benchmark"], line["method"], line["evaluation"])
        best = chosen.get((*names, apart_from_pooling(line["setting"])))
        if best in (None, line["setting"]):
            setting = f"{line['setting']} {CHOSEN}" if best else line["setting"]
            values = (spread(line, prefix) for prefix in prefixes)
            table.add_row(*map(Text, (*names[1:], setting, *values, str(line["num_seeds"]))))
    return table


def _named(line: dict[Any, Any]) -> dict[str, Any]:
    return {str(name): value for name, value in line.items()}


def _time_text(records: list[Record], total_seconds: float | None) -> str:
    if not records:
        return "Time: nothing ran, everything was up to date"
    split = time_split(records, total_seconds)
    return (
        f"Time: {_clock(split.total)} in all, {_clock(split.work)} of it work; "
        f"start-up {_clock(split.startup + split.overhead)} = {100 * split.startup_share:.0f} % "
        f"(imports {_clock(split.startup)}, DVC and the rest {_clock(split.overhead)})"
    )


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), _MINUTE_SECONDS)
    return f"{minutes} min {rest:02d} s" if minutes else f"{seconds:.1f} s"
