"""What a stage did: one record per stage, benchmark, method and seed, the source of all reports."""

import hashlib
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil
from pydantic import BaseModel, ConfigDict, ValidationError

from kinemask.errors import KinemaskError
from kinemask.section import Section
from kinemask.storage import write_text

RECORDS = Path("records")
LOOKS = "looks.json"  # beside the records of a pretraining: what its method does with some clips
NO_RECORDS = (LOOKS,)
VERSIONS_OF = ("torch", "numpy", "scikit-learn", "pandas", "dvc", "mlflow")
# Not code: params stand in every record themselves, the others are rewritten by running the pipeline.
_NOT_CODE = ("params.yaml", "dvc.lock", "stages/dvc.lock", "reports")

Metrics = dict[str, dict[str, float]]


class Record(BaseModel):
    """One stage instance and seed, as it ran. `metrics` maps a setting ("pooling=mean") to named values."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    stage: str
    subject: str  # the dataset (download, preprocess) or the benchmark (all other stages)
    method: str | None = None
    seed: int | None = None
    params: dict[str, Any]
    metrics: Metrics
    history: list[dict[str, float]] = []  # rows with "step" and named values
    inputs: dict[str, str]  # what was read -> sha256
    hardware: dict[str, Any]
    environment: dict[str, str]
    commit: str
    seconds: dict[str, float]  # startup: process start to first work; work: the rest
    peak_memory_mib: float

    @property
    def path(self) -> Path:
        """Where this record lies below the root of the project."""
        parts = [part for part in (self.stage, self.subject, self.method) if part is not None]
        name = "record" if self.seed is None else f"seed-{self.seed}"
        return RECORDS.joinpath(*parts, f"{name}.json")

    def write(self, root: Path = Path()) -> "Record":
        """Write the record in one step, so that nobody ever reads half of one, and return it."""
        write_text(root / self.path, self.model_dump_json(indent=1) + "\n")
        return self


class RecordError(KinemaskError):
    """A record cannot be read: the message names the file and what to do."""


def read_record(path: Path) -> Record:
    """One record. Raises RecordError if the file is absent or damaged."""
    try:
        return Record.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        problem = " ".join(str(error).split())[:200]
        raise RecordError(f"{path} is no record ({problem}): remove it and run `dvc repro`") from error


def read_records(root: Path = Path()) -> list[Record]:
    """All records below `root`, sorted by path. Raises RecordError."""
    paths = (path for path in (root / RECORDS).rglob("*.json") if path.name not in NO_RECORDS)
    return [read_record(path) for path in sorted(paths)]


class Clock:
    """Splits the life of a stage's process into start-up (imports, reading params) and work."""

    def __init__(self) -> None:
        self._born = psutil.Process().create_time()
        self._began = time.time()

    def begin_work(self) -> None:
        """Call after imports and params, before the first data is read."""
        self._began = time.time()

    def seconds(self) -> dict[str, float]:
        """Seconds so far, by phase."""
        return {"startup": round(self._began - self._born, 3), "work": round(time.time() - self._began, 3)}


def make_record(
    *,
    stage: str,
    subject: str,
    method: str | None = None,
    seed: int | None = None,
    params: Section,
    metrics: Metrics,
    history: Sequence[Mapping[str, float | int]] = (),
    inputs: Mapping[str, str],
    hardware: Section,
    clock: Clock,
) -> Record:
    """A record with the fields every stage fills alike: environment, commit, seconds so far, peak memory.

    `params` is what the stage read; its fields "hardware" and "seeds", if any, are left out: they stand
    elsewhere in the record, and one more seed must not change the records of the others.
    `inputs` maps what was read to its sha256, see `hash_files`.
    """
    return Record(
        stage=stage,
        subject=subject,
        method=method,
        seed=seed,
        params=params.model_dump(mode="json", exclude={"hardware", "seeds"}),
        metrics=metrics,
        history=[dict(row) for row in history],
        inputs=dict(inputs),
        hardware=hardware.model_dump(mode="json"),
        environment=environment(),
        commit=commit(),
        seconds=clock.seconds(),
        peak_memory_mib=peak_memory_mib(),
    )


def hash_files(paths: Iterable[Path]) -> dict[str, str]:
    """The sha256 of each file by its path, which should be relative to the folder of the project."""
    hashes = {}
    for path in paths:
        with path.open("rb") as file:
            hashes[path.as_posix()] = hashlib.file_digest(file, "sha256").hexdigest()
    return hashes


def environment() -> dict[str, str]:
    """Versions of what computes, and the kind of machine."""
    found = {"python": platform.python_version(), "machine": platform.machine(), "system": platform.system()}
    for package in VERSIONS_OF:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "absent"
    return found


def commit() -> str:
    """The short git commit, with `-dirty` if the code differs from it, or `unknown` outside of git."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--", ".", *(f":!{path}" for path in _NOT_CODE))
        return git("rev-parse", "--short=10", "HEAD") + ("-dirty" if changed else "")
    except (subprocess.CalledProcessError, FileNotFoundError):
        return "unknown"


def peak_memory_mib() -> float:
    """The largest resident memory of this process or of any finished child, in MiB."""
    unit = 1 if sys.platform == "darwin" else 1024
    usage = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return round(max(usage) * unit / 2**20, 1)
