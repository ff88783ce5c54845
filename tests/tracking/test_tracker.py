import subprocess
import sys
import threading
import time

import psutil
import pytest

from kinemask.tracking.tracker import MAX_BACKLOG_BYTES, Tracker

from .conftest import make_record

IDENTITY = {"stage": "pretrain", "subject": "sim-xsub", "method": "mtmc", "seeds": [0]}
PARAMS = {"encoder": {"width": 64}, "learning_rate": 0.001}
LATER = "The records are safe; `kinemask track` sends them later.\n"


def _children() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE]


def test_a_stage_ends_up_whole_in_mlflow(project, store, capfd):
    before = _children()
    tracker = Tracker.start(**IDENTITY, params=PARAMS)
    for row in make_record().history:
        tracker.log(0, int(row["step"]), {"loss": row["loss"]})
    assert tracker.finish([make_record()], wait_seconds=60.0)
    run = store.child("pretrain mtmc 0 sim-xsub")
    assert run.info.status == "FINISHED"
    assert len(store.series(run, "pretrain/loss")) == 5
    assert capfd.readouterr().err == ""
    assert _children() == before


def test_logging_costs_nothing_while_nobody_listens(project, capfd):
    before = _children()
    began = time.monotonic()
    tracker = Tracker.start(**IDENTITY, params=PARAMS)
    assert tracker._process is not None
    sender = psutil.Process(tracker._process.pid)
    sender.suspend()
    release = threading.Timer(10.0, sender.resume)  # so that a call that blocks fails the test, not stops it
    release.start()
    for step in range(20_000):
        tracker.log(0, step, {"a_loss_with_a_long_name": 1.0, "another_loss_with_a_long_name": 1.0})
    assert time.monotonic() - began < 6
    release.cancel()
    assert len(tracker._backlog) < MAX_BACKLOG_BYTES + 1000
    began = time.monotonic()
    assert not tracker.finish([make_record()], wait_seconds=1.0)
    assert time.monotonic() - began < 3
    assert capfd.readouterr().err == f"MLflow did not answer within 1 s. {LATER}"
    assert _children() == before


def test_a_server_that_refuses_costs_one_line(project, monkeypatch, refusing_server, capfd):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", refusing_server)
    tracker = Tracker.start(**IDENTITY, params=PARAMS)
    tracker.log(0, 0, {"loss": 1.0})
    assert not tracker.finish([make_record()])
    expected = f"MLflow at {refusing_server} does not answer: no connection. {LATER}"
    assert capfd.readouterr().err == expected


def test_a_sender_that_was_killed_costs_one_line(project, capfd):
    tracker = Tracker.start(**IDENTITY, params=PARAMS)
    assert tracker._process is not None
    tracker._process.kill()
    tracker._process.wait()
    for step in range(1000):
        tracker.log(0, step, {"loss": 1.0})
    assert not tracker.finish([make_record()])
    assert capfd.readouterr().err.startswith("the process that talks to MLflow ended with code -9")


def test_without_mlflow_a_stage_runs_as_ever(project, monkeypatch, capfd):
    monkeypatch.setattr("kinemask.tracking.track.find_spec", lambda name: None)
    tracker = Tracker.start(**IDENTITY, params=PARAMS)
    tracker.log(0, 0, {"loss": 1.0})
    assert not tracker.finish([make_record()])
    assert capfd.readouterr().err.startswith("MLflow is not installed here")


@pytest.mark.parametrize("server", ["silent_server", "refusing_server"])
def test_a_stage_that_dies_without_finishing_leaves_at_once(project, monkeypatch, request, server):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", request.getfixturevalue(server))
    code = (
        "from kinemask.tracking.tracker import Tracker\n"
        f"tracker = Tracker.start(**{IDENTITY!r}, params={PARAMS!r})\n"
        "tracker.log(0, 0, {'loss': 1.0})\n"
        "raise SystemExit(7)\n"
    )
    began = time.monotonic()
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 7
    assert time.monotonic() - began < 5
