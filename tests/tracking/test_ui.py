import os
import signal
import socket
import subprocess
import sys
import time

import psutil
import pytest
import requests

from kinemask.tracking.store import DATABASE, TrackingError, find_store
from kinemask.tracking.track import track_all
from kinemask.tracking.ui import ui_address, ui_command

from .conftest import make_probe


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_the_page_is_served_to_this_machine_only(project):
    command = ui_command(find_store(project), _free_port())
    assert command[command.index("--host") + 1] == "127.0.0.1"


def test_a_project_that_never_ran_is_told_what_to_do(project):
    with pytest.raises(TrackingError, match="holds no runs yet: run `kinemask track` first"):
        ui_address(find_store(project), 5000)
    (project / DATABASE).unlink()
    with pytest.raises(TrackingError, match="run `kinemask track` first"):
        ui_command(find_store(project), _free_port())


def test_a_port_that_is_taken_is_named_with_the_cure(project):
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        port = listening.getsockname()[1]
        with pytest.raises(TrackingError, match=f"port {port} is taken: try `kinemask ui --port {port + 1}`"):
            ui_command(find_store(project), port)


def test_a_server_of_the_team_has_its_own_page(project, monkeypatch, refusing_server):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", refusing_server)
    with pytest.raises(TrackingError, match="open that server's page"):
        ui_command(find_store(project), 5000)


@pytest.mark.slow
def test_the_page_answers_and_ends_with_all_its_processes(project):
    make_probe().write(project)
    track_all(project)
    port = _free_port()
    command = [sys.executable, "-m", "kinemask.cli", "ui", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        assert f"http://127.0.0.1:{port}/#/experiments/" in server.stdout.readline()
        _wait_for(f"http://127.0.0.1:{port}/health")
        processes = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
        os.kill(server.pid, signal.SIGTERM)
        _, alive = psutil.wait_procs(processes, timeout=20)
    assert len(processes) <= 3
    assert not alive


def _wait_for(address: str) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            requests.get(address, timeout=5).raise_for_status()
            return
        except requests.RequestException:
            time.sleep(0.3)
    raise AssertionError(f"{address} never answered")
