"""What a stage holds to be seen in MLflow while it runs."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kinemask.record import Record
from kinemask.tracking.store import TrackingError
from kinemask.tracking.track import require_mlflow

WAIT_SECONDS = 15.0  # the first run of all takes about 5: MLflow's import and the creation of its database
MAX_BACKLOG_BYTES = 1 << 20  # points that MLflow is too slow for are dropped here; the record has them all


class Tracker:
    """Live view of one stage. MLflow that is slow, hangs, is down or absent costs nothing until `finish`.

    >>> tracker = Tracker.start(stage="pretrain", subject="ntu60-xsub", method="mtmc", seeds=[0], params={})
    >>> tracker.log(0, 10, {"loss": 4.2})
    >>> tracker.finish(records)
    """

    def __init__(self, process: subprocess.Popen[bytes] | None = None, problem: str = "") -> None:
        self._process = process
        self._problem = problem
        self._backlog = bytearray()

    @classmethod
    def start(
        cls,
        *,
        stage: str,
        subject: str,
        method: str | None = None,
        seeds: Sequence[int | None] = (None,),
        params: Mapping[str, Any],
        root: Path = Path(),
    ) -> "Tracker":
        """Open a run for each seed, in a process of its own. Returns at once and never raises."""
        try:
            require_mlflow()
            process = subprocess.Popen(
                [sys.executable, "-m", "kinemask.tracking.sender"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                cwd=root,
            )
        except (TrackingError, OSError) as error:
            return cls(None, str(error))
        assert process.stdin is not None
        os.set_blocking(process.stdin.fileno(), False)
        tracker = cls(process)
        identity = {
            "stage": stage,
            "subject": subject,
            "method": method,
            "seeds": list(seeds),
            "params": params,
        }
        tracker._put({"start": identity})
        return tracker

    def log(self, seed: int | None, step: int, values: Mapping[str, float | int]) -> None:
        """Show a row of the history. Never blocks, never raises, may drop the row if MLflow is slow."""
        if len(self._backlog) < MAX_BACKLOG_BYTES:
            self._put({"log": [seed, step, {name: float(value) for name, value in values.items()}]})

    def finish(self, records: Sequence[Record], wait_seconds: float = WAIT_SECONDS) -> bool:
        """Send the records; True if MLflow has them. Its wait is bounded and it never raises."""
        if self._process is not None:
            self._problem = self._exchange(self._process, records, wait_seconds)
            self._process = None
        if self._problem:
            sys.stderr.write(f"{self._problem}. The records are safe; `kinemask track` sends them later.\n")
        return not self._problem

    def _exchange(
        self, process: subprocess.Popen[bytes], records: Sequence[Record], wait_seconds: float
    ) -> str:
        """Sends the records and ends the process; what went wrong, or nothing."""
        self._backlog += _line({"records": [record.model_dump(mode="json") for record in records]})
        try:
            answer, _ = process.communicate(bytes(self._backlog), timeout=wait_seconds)
            return str(json.loads(answer.splitlines()[-1]).get("problem", ""))
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return f"MLflow did not answer within {wait_seconds:g} s"
        except (ValueError, IndexError):
            return f"the process that talks to MLflow ended with code {process.returncode}"

    def _put(self, message: dict[str, Any]) -> None:
        """Hand over as much as the pipe takes now."""
        self._backlog += _line(message)
        if self._process is None or self._process.stdin is None:
            return
        try:
            del self._backlog[: os.write(self._process.stdin.fileno(), self._backlog)]
        except BlockingIOError:
            return  # the pipe is full: the rest goes with the next row
        except BrokenPipeError:
            return  # the process is gone: `finish` says so


def _line(message: dict[str, Any]) -> bytes:
    return json.dumps(message, default=str).encode() + b"\n"
