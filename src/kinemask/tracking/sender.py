"""The process beside a stage that talks to MLflow, so that the stage never does.

A process and not a thread: importing MLflow takes a second or two of the interpreter lock, a thread that
holds locks makes forking a pool of workers unsafe, and a process that hangs in a dead server can be ended.

It reads one JSON value a line: {"start": {...}}, {"log": [seed, step, {name: value}]}, at last
{"records": [...]}, and answers that with one line. If its input ends without records, the stage was killed.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kinemask.record import Record
from kinemask.section import ParamsError
from kinemask.tracking.fields import Point, series_of
from kinemask.tracking.pipeline import Pipeline
from kinemask.tracking.store import TrackingError, find_store

if TYPE_CHECKING:
    from kinemask.tracking.mlflow_run import View

FLUSH_SECONDS = 5.0  # points go to MLflow at most this often
HANGING_SECONDS = 120  # one exchange with MLflow that takes longer ends the process
NICENESS = 10  # what computes comes first

Message = dict[str, Any]


class Sender:
    """The runs of one stage while it runs. After the first failure it waits for the records."""

    def __init__(self) -> None:
        self._view: View | None = None
        self._live = True
        self._stage = ""
        self._runs: dict[int | None, str] = {}
        self._waiting: dict[int | None, list[Point]] = {}
        self._sent: dict[int | None, set[int]] = {}
        self._flushed = time.monotonic()

    def receive(self, messages: Iterable[Message]) -> None:
        """Open runs and send points, as far as MLflow lets us."""
        if not self._live:
            return
        try:
            for message in messages:
                if "start" in message:
                    self._start(**message["start"])
                else:
                    self._keep(*message["log"])
            if time.monotonic() - self._flushed >= FLUSH_SECONDS:
                self._flush()
        except (TrackingError, ParamsError):
            # How much of it arrived is unknown, so these runs are not gone on with: new ones replace them.
            self._live = False
            self._runs = {}

    def finish(self, records: list[Record]) -> int:
        """Send the records, each to the run of its seed; how many. Raises TrackingError or ParamsError."""
        view = self._connect()
        view.probe()
        count = 0
        for record in records:
            run_id = self._runs.pop(record.seed, None)
            count += view.send(record, run_id, frozenset(self._sent.get(record.seed, ())))
        view.gather()
        view.add_models(records)
        return count

    def stop(self) -> None:
        """Send what is left and mark the runs that got no record."""
        try:
            self._flush()
            for run_id in self._runs.values():
                self._connect().stop(run_id)
        except (TrackingError, ParamsError):
            self._live = False

    def _start(self, *, seeds: list[int | None], **identity: Any) -> None:
        self._stage = identity["stage"]
        for seed in seeds:
            self._runs[seed] = self._connect().start(_begun(seed=seed, **identity))

    def _keep(self, seed: int | None, step: int, values: dict[str, float | int]) -> None:
        self._waiting.setdefault(seed, []).extend(series_of(self._stage, [{"step": step, **values}]))

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for seed, points in waiting.items():
            if seed in self._runs:
                self._connect().log(self._runs[seed], points)
                self._sent.setdefault(seed, set()).update(step for _, step, _ in points)
        self._flushed = time.monotonic()

    def _connect(self) -> "View":
        if self._view is None:
            store = find_store()
            store.probe()
            from kinemask.tracking.mlflow_run import View

            self._view = View(store=store, pipeline=Pipeline.of(Path()))
        return self._view


def serve(batches: Iterable[list[Message]]) -> Message:
    """Serve one stage to the end of its input; the answer to its records."""
    sender = Sender()
    for batch in batches:
        *before, last = batch
        if "records" not in last:
            sender.receive(batch)
            continue
        sender.receive(before)
        try:
            return {"sent": sender.finish([Record.model_validate(record) for record in last["records"]])}
        except (TrackingError, ParamsError) as error:
            return {"problem": str(error)}
    sender.stop()
    return {"problem": "the stage ended without a record"}


def _begun(**identity: Any) -> Record:
    """The record of a stage instance that has only begun: who it is, with no results."""
    nothing: Message = {"metrics": {}, "inputs": {}, "hardware": {}, "environment": {}, "seconds": {}}
    return Record(**identity, **nothing, commit="", peak_memory_mib=0.0)


def _batches(descriptor: int) -> Iterator[list[Message]]:
    """The messages as they arrive, as many at a time as there are. A hang in between ends the process."""
    rest = b""
    while True:
        signal.alarm(0)
        chunk = os.read(descriptor, 1 << 20)
        signal.alarm(HANGING_SECONDS)
        if not chunk:
            return
        *lines, rest = (rest + chunk).split(b"\n")
        if lines:
            yield [json.loads(line) for line in lines]


def main() -> None:
    """Serve the stage that started this process."""
    # Ctrl-C reaches the whole group: the stage decides, and its end is the end of our input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(NICENESS)
    answer = serve(_batches(sys.stdin.fileno()))
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
