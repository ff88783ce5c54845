"""Where MLflow keeps its runs, and whether it answers, found out in seconds and without importing MLflow."""

import os
import socket
import sqlite3
from collections.abc import Mapping
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import requests
from filelock import FileLock

from kinemask.errors import KinemaskError

DATABASE = "mlflow.db"
ARTIFACTS = "mlartifacts"
PROBE_SECONDS = 3.0
LOCK_SECONDS = 60.0
_DATABASE_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}


class TrackingError(KinemaskError):
    """MLflow cannot be reached or refuses what it is sent; the records themselves are unharmed."""


@dataclass(frozen=True)
class Store:
    """MLflow's address. `artifacts` is where files go, None if the server decides."""

    uri: str
    root: Path
    artifacts: Path | None

    @property
    def shown(self) -> str:
        """The address without the password it may hold."""
        return without_password(self.uri)

    def lock(self) -> AbstractContextManager[object]:
        """Keeps local senders apart: two that create the same SQLite file at once break it."""
        if not self.uri.startswith("sqlite:"):
            return nullcontext()
        return FileLock(str(self.root / f"{DATABASE}.lock"), timeout=LOCK_SECONDS)

    def probe(self) -> None:
        """Raises TrackingError if the store does not answer: MLflow would try again for minutes."""
        parts = urlsplit(self.uri)
        try:
            if parts.scheme in ("http", "https"):
                requests.get(f"{self.uri.rstrip('/')}/health", timeout=PROBE_SECONDS)
            elif parts.scheme.startswith("sqlite"):
                _probe_sqlite(Path(parts.path.removeprefix("/")))
            elif parts.hostname:
                port = parts.port or _DATABASE_PORTS.get(parts.scheme.partition("+")[0], 443)
                socket.create_connection((parts.hostname, port), timeout=PROBE_SECONDS).close()
        except (OSError, ValueError, sqlite3.Error) as error:
            raise TrackingError(f"MLflow at {self.shown} does not answer: {_cause(error)}") from None


def find_store(root: Path = Path(), variables: Mapping[str, str] = os.environ) -> Store:
    """The server that MLFLOW_TRACKING_URI names, or else a SQLite file in the root of the project."""
    root = root.resolve()
    uri = variables.get("MLFLOW_TRACKING_URI", "")
    if uri:
        return Store(uri=uri, root=root, artifacts=None)
    return Store(uri=f"sqlite:///{root / DATABASE}", root=root, artifacts=root / ARTIFACTS)


def without_password(uri: str) -> str:
    """The address with `***` in place of a password."""
    password = urlsplit(uri).password
    return uri.replace(f":{password}@", ":***@") if password else uri


def _probe_sqlite(path: Path) -> None:
    """Raises sqlite3.Error or OSError if the file is no database or cannot be written."""
    for place in (path.parent, path) if path.exists() else (path.parent,):
        if not os.access(place, os.W_OK):
            raise PermissionError(f"{place} cannot be written")
    if path.exists():
        # A read, because another process may be writing for longer than we wait here.
        with closing(sqlite3.connect(path, timeout=PROBE_SECONDS)) as connection:
            connection.execute("PRAGMA schema_version")


def _cause(error: Exception) -> str:
    if isinstance(error, requests.Timeout):
        return f"no answer within {PROBE_SECONDS:g} s"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    return " ".join(str(error).split())
