"""MLflow's page on the runs, on this machine only."""

import os
import socket
import sqlite3
import sys
from contextlib import closing

from kinemask.tracking.mlflow_run import EXPERIMENT
from kinemask.tracking.store import DATABASE, Store, TrackingError
from kinemask.tracking.track import require_mlflow

HOST = "127.0.0.1"


def ui_command(store: Store, port: int) -> list[str]:
    """The command that serves it. Raises TrackingError if there is none or the port is taken."""
    require_mlflow()
    if store.artifacts is None:
        raise TrackingError(f"MLFLOW_TRACKING_URI names {store.shown}: open that server's page instead")
    if not (store.root / DATABASE).exists():
        raise TrackingError(f"there is no {DATABASE} in {store.root} yet: run `kinemask track` first")
    store.probe()
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            raise TrackingError(f"port {port} is taken: try `kinemask ui --port {port + 1}`") from None
    return [
        *(sys.executable, "-m", "mlflow", "ui", "--host", HOST, "--port", str(port)),
        *("--backend-store-uri", store.uri, "--registry-store-uri", store.uri),
        *("--default-artifact-root", store.artifacts.as_uri()),
        # One process answers one reader; its log of every request would hide the address.
        *("--workers", "1", "--uvicorn-opts", "--log-level warning"),
    ]


def ui_address(store: Store, port: int) -> str:
    """The page of our runs, with its menu for training. Raises TrackingError if no run was ever sent."""
    with closing(sqlite3.connect(store.root / DATABASE)) as connection:
        query = "SELECT experiment_id FROM experiments WHERE name = ?"
        try:
            found = connection.execute(query, (EXPERIMENT,)).fetchone()
        except sqlite3.OperationalError:
            found = None
    if found is None:
        raise TrackingError(f"{DATABASE} holds no runs yet: run `kinemask track` first")
    return f"http://{HOST}:{port}/#/experiments/{found[0]}/runs?workflowType=machine_learning"


def serve_ui(command: list[str]) -> None:
    """Become the server, so that Ctrl-C and kill reach it and nothing is left behind."""
    # Its queue of jobs is for other uses of MLflow, and costs seven processes.
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
    os.environ["PYTHONWARNINGS"] = "ignore"
    os.execv(command[0], command)
