"""Which pipeline records are shown under: the params and the commit in force when they are sent."""

import contextlib
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kinemask.record import commit
from kinemask.section import PARAMS_FILE, read_yaml


@dataclass(frozen=True)
class Pipeline:
    """One state of params.yaml at one commit."""

    key: str
    commit: str
    params: dict[str, Any]
    params_text: str

    @classmethod
    def of(cls, root: Path) -> "Pipeline":
        """The pipeline of the project at `root`. Raises ParamsError if its params.yaml cannot be read."""
        path = root / PARAMS_FILE
        params = read_yaml(path)
        with contextlib.chdir(root):
            found = commit()
        # Of the values, so that a comment or another layout of the file does not make another pipeline.
        digest = hashlib.sha256(json.dumps([params, found], sort_keys=True, default=str).encode()).hexdigest()
        return cls(key=digest[:16], commit=found, params=params, params_text=path.read_text())

    @property
    def name(self) -> str:
        """How its run is called in MLflow."""
        return f"pipeline {self.commit} params {self.key[:6]}"

    def dataset(self, benchmark: str) -> str | None:
        """The dataset of a benchmark, if params.yaml says so."""
        section = self.params.get("benchmarks")
        entry = section.get(benchmark) if isinstance(section, dict) else None
        found = entry.get("dataset") if isinstance(entry, dict) else None
        return found if isinstance(found, str) else None
