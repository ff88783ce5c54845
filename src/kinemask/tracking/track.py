"""Sends to MLflow every record on disk that it lacks."""

import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from kinemask.progress import progress
from kinemask.record import RECORDS, Record, read_records
from kinemask.tracking.fields import record_hash, record_name
from kinemask.tracking.pipeline import Pipeline
from kinemask.tracking.store import TrackingError, find_store

WAIT_SECONDS = 120.0
SECONDS_A_RECORD = (
    0.5  # twice what a file of SQLite takes: a grid of 2,000 records is sent whole, in its time
)
MANY = 20  # records that take longer than a moment, so that a bar is shown
_LATER = "the records are safe, `kinemask track` sends them later"


@dataclass(frozen=True)
class TrackSummary:
    """How many records were sent, how many MLflow already held, and where it is."""

    sent: int
    present: int
    store: str

    def __str__(self) -> str:
        records = "record" if self.sent == 1 else "records"
        return f"{self.sent} {records} sent, {self.present} already there ({self.store})"


def track_all(root: Path = Path()) -> TrackSummary:
    """Send what is missing, under the pipeline of the present params.yaml and commit.

    Raises RecordError for a damaged record, and TrackingError, within seconds, if MLflow does not answer. A
    second call goes on where one stopped.
    """
    require_mlflow()
    store = find_store(root)
    records = read_records(root)
    if not records:
        return TrackSummary(sent=0, present=0, store=store.shown)
    store.probe()
    pipeline = Pipeline.of(root)
    from kinemask.tracking.mlflow_run import View

    view = View(store=store, pipeline=pipeline)
    present = view.present()
    missing = [record for record in records if present.get(record_name(record)) != record_hash(record)]
    shown: Iterable[Record] = missing
    if len(missing) > MANY:
        shown = progress(missing, name="to MLflow", unit="record")
    sent = sum(view.send(record) for record in shown)
    view.gather()
    view.add_models(records)
    return TrackSummary(sent=sent, present=len(records) - sent, store=store.shown)


def track_bounded(root: Path = Path(), wait_seconds: float | None = None) -> str:
    """Send what is missing from a process of its own, and say how that went, in one line.

    Whatever happens there, or if it takes longer than told: this returns, and the records are safe. Untold,
    more records are given more time.
    """
    if wait_seconds is None:
        wait_seconds = WAIT_SECONDS + SECONDS_A_RECORD * len(list((root / RECORDS).rglob("*.json")))
    command = [sys.executable, "-m", "kinemask.cli", "track", "--root", str(root)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=wait_seconds)
    except subprocess.TimeoutExpired:
        return f"MLflow did not take the records within {wait_seconds:g} s; {_LATER}"
    said = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines() or ["nothing was said"]
    return f"MLflow: {said[-1]}" + ("" if done.returncode == 0 else f"; {_LATER}")


def require_mlflow() -> None:
    """Raises TrackingError where MLflow is not installed, as on a node that only computes."""
    if find_spec("mlflow") is None:
        raise TrackingError(
            "MLflow is not installed here: install kinemask[pipeline], or run this where it is"
        )
