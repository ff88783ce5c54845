import shutil
import socket
from pathlib import Path

import pytest

from kinemask.record import Record
from kinemask.tracking.store import DATABASE

PARAMS = "run: {seeds: [0, 1]}\nbenchmarks: {sim-xsub: {dataset: sim}}\n"


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory) -> Path:
    """MLflow takes seconds to create its tables: once for all tests."""
    from mlflow import MlflowClient

    path = tmp_path_factory.mktemp("template") / DATABASE
    MlflowClient(tracking_uri=f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def project(tmp_path, monkeypatch, empty_database) -> Path:
    """The root of a project with params and an empty store; it is the current folder."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(PARAMS)
    shutil.copy(empty_database, tmp_path / DATABASE)
    return tmp_path


@pytest.fixture
def silent_server():
    """The address of a server that takes every connection and never answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@pytest.fixture
def refusing_server() -> str:
    """The address of a port at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def make_record(**changes) -> Record:
    values = {
        "stage": "pretrain",
        "subject": "sim-xsub",
        "method": "mtmc",
        "seed": 0,
        "params": {"encoder": {"width": 64}, "learning_rate": 0.001},
        "metrics": {},
        "history": [{"step": step, "loss": 1.0 / (1 + step)} for step in range(5)],
        "inputs": {"data/packed/sim": "ab" * 32},
        "hardware": {"device": "cpu"},
        "environment": {"python": "3.11"},
        "commit": "0123456789",
        "seconds": {"startup": 2.0, "work": 10.0},
        "peak_memory_mib": 512.0,
    }
    return Record(**(values | changes))


def make_probe(**changes) -> Record:
    metrics = {"pooling=mean": {"top1": 0.5, "top5": 0.75}, "pooling=last": {"top1": 0.25, "top5": 0.5}}
    return make_record(**({"stage": "linear", "metrics": metrics, "history": []} | changes))


class Store:
    """What MLflow holds, read past our own code."""

    def __init__(self, root: Path) -> None:
        from mlflow import MlflowClient

        self.client = MlflowClient(tracking_uri=f"sqlite:///{root / DATABASE}")

    def runs(self) -> list:
        experiment = self.client.get_experiment_by_name("kinemask")
        return [] if experiment is None else list(self.client.search_runs([experiment.experiment_id]))

    def children(self) -> list:
        return [run for run in self.runs() if "mlflow.parentRunId" in run.data.tags]

    def parents(self) -> list:
        return [run for run in self.runs() if "mlflow.parentRunId" not in run.data.tags]

    def child(self, name: str):
        (run,) = (run for run in self.children() if run.info.run_name == name)
        return run

    def series(self, run, name: str) -> list[tuple[int, float]]:
        points = self.client.get_metric_history(run.info.run_id, name)
        return sorted((point.step, point.value) for point in points)

    def files(self, run) -> list[str]:
        return sorted(file.path for file in self.client.list_artifacts(run.info.run_id))


@pytest.fixture
def store(project) -> Store:
    return Store(project)
