import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from safetensors.numpy import save_file

from kinemask.looks import looks_path, write_looks
from kinemask.pictures import attention_pictures, encoder_pictures, standalone_svg, step_pictures
from kinemask.record import RecordError
from kinemask.section import ParamsError
from kinemask.tracking.fields import record_name
from kinemask.tracking.mlflow_run import HASH_TAG, OPENED_TAG, PARENT_TAG, PIPELINE_TAG
from kinemask.tracking.store import DATABASE, TrackingError
from kinemask.tracking.track import (
    SECONDS_A_RECORD,
    WAIT_SECONDS,
    TrackSummary,
    track_all,
    track_bounded,
)
from tests.test_looks import ATTENDING, LOOKS

from .conftest import Store, make_probe, make_record


def test_every_record_is_sent_once_below_one_parent(project, store):
    records = [make_record(seed=seed) for seed in (0, 1)] + [make_probe(seed=seed) for seed in (0, 1)]
    for record in records:
        record.write(project)
    assert (track_all(project).sent, track_all(project).sent) == (4, 0)
    (parent,) = store.parents()
    assert sorted(run.data.tags["kinemask.record"] for run in store.children()) == sorted(
        map(record_name, records)
    )
    assert {run.data.tags[PARENT_TAG] for run in store.children()} == {parent.info.run_id}
    assert {run.info.status for run in store.runs()} == {"FINISHED"}
    assert store.files(parent) == ["params.yaml"]


def test_a_run_holds_the_series_the_results_the_params_and_the_record(project, store):
    make_record(metrics={"": {"accuracy": 0.5}}).write(project)
    track_all(project)
    run = store.child("pretrain mtmc 0 sim-xsub")
    assert store.series(run, "pretrain/loss") == [(0, 1.0), (1, 1 / 2), (2, 1 / 3), (3, 1 / 4), (4, 1 / 5)]
    assert store.series(run, "pretrain/accuracy") == [(4, 0.5)]
    assert run.data.params == {"encoder.width": "64", "learning_rate": "0.001", "hardware.device": "cpu"}
    assert run.data.tags["dataset"] == "sim"
    assert store.files(run) == ["record.json"]
    assert run.info.end_time - run.info.start_time >= 12_000


def test_weights_and_reports_go_with_their_records(project, store):
    make_record().write(project)
    make_record(stage="tables", subject="all", method=None, seed=None, history=[]).write(project)
    weights = project / "results/pretrain/sim-xsub/mtmc/seed-0.safetensors"
    weights.parent.mkdir(parents=True)
    save_file({}, weights, metadata={"kinemask": "{}"})
    (project / "reports").mkdir()
    (project / "reports/results.md").write_text("| method |")
    track_all(project)
    assert store.files(store.child("pretrain mtmc 0 sim-xsub")) == ["record.json", "seed-0.safetensors"]
    assert store.files(store.child("tables all")) == ["record.json", "results.md"]


def test_the_run_of_the_seed_that_was_looked_at_has_its_pictures(project, store):
    make_record(seed=4).write(project)
    make_record(seed=5).write(project)
    write_looks(project / looks_path("sim-xsub", "mtmc"), LOOKS)  # of seed 4
    track_all(project)
    run = store.child("pretrain mtmc 4 sim-xsub")
    assert store.files(run) == ["pictures", "record.json"]
    kept = [file.path for file in store.client.list_artifacts(run.info.run_id, "pictures")]
    assert sorted(kept) == ["pictures/clap.svg", "pictures/wave.svg"]
    local = Path(store.client.download_artifacts(run.info.run_id, "pictures/wave.svg"))
    assert local.read_text() == standalone_svg("wave", step_pictures(LOOKS, LOOKS.clips[0]))
    assert store.files(store.child("pretrain mtmc 5 sim-xsub")) == ["record.json"]


def test_the_run_of_an_encoder_that_attends_has_its_topology_bias_too(project, store):
    make_record(seed=4).write(project)
    write_looks(project / looks_path("sim-xsub", "mtmc"), ATTENDING)
    track_all(project)
    run = store.child("pretrain mtmc 4 sim-xsub")
    kept = [file.path for file in store.client.list_artifacts(run.info.run_id, "pictures")]
    assert sorted(kept) == ["pictures/clap.svg", "pictures/topology bias.svg", "pictures/wave.svg"]
    bias = Path(store.client.download_artifacts(run.info.run_id, "pictures/topology bias.svg"))
    assert bias.read_text() == standalone_svg("topology bias", encoder_pictures(ATTENDING))
    clip = ATTENDING.clips[0]
    wave = Path(store.client.download_artifacts(run.info.run_id, "pictures/wave.svg"))
    pictures = [*step_pictures(ATTENDING, clip), *attention_pictures(ATTENDING, clip)]
    assert wave.read_text() == standalone_svg("wave", pictures)


def test_a_changed_record_takes_the_place_of_the_old_one(project, store):
    make_probe().write(project)
    track_all(project)
    make_probe(params={"encoder": {"width": 32}}, metrics={"pooling=mean": {"top1": 0.9}}).write(project)
    assert str(track_all(project)).startswith("1 record sent, 0 already there")
    run = store.child("linear mtmc 0 sim-xsub")
    assert run.data.params["encoder.width"] == "32"
    assert store.series(run, "linear/top1 pooling-mean") == [(0, 0.9)]


def test_more_params_and_points_than_one_call_takes_are_all_sent(project, store):
    history = [{"step": step, "loss": 1.0, "rate": 2.0} for step in range(1100)]
    make_record(params={f"p{number}": number for number in range(250)}, history=history).write(project)
    track_all(project)
    run = store.child("pretrain mtmc 0 sim-xsub")
    assert len(run.data.params) == 251
    assert len(store.series(run, "pretrain/loss")) == len(store.series(run, "pretrain/rate")) == 1100


def test_other_params_are_another_pipeline_and_a_comment_is_not(project, store):
    make_probe().write(project)
    track_all(project)
    (project / "params.yaml").write_text("# said again\n" + (project / "params.yaml").read_text())
    assert track_all(project).sent == 0
    (project / "params.yaml").write_text("run: {seeds: [0, 1, 2]}\n")
    assert track_all(project).sent == 1
    assert len(store.parents()) == 2


def test_two_that_send_at_once_into_a_new_store_send_each_record_once(project):
    (project / DATABASE).unlink()
    for seed in range(6):
        make_probe(seed=seed).write(project)
    command = [sys.executable, "-m", "kinemask.cli", "track"]
    senders = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    lines = [sender.communicate(timeout=120)[0] for sender in senders]
    assert [sender.returncode for sender in senders] == [0, 0]
    assert sum(int(line.split()[0]) for line in lines) == 6
    store = Store(project)
    assert Counter(run.info.run_name for run in store.children()).most_common(1)[0][1] == 1
    assert (len(store.children()), len(store.parents())) == (6, 1)


def test_two_parents_of_one_pipeline_become_one(project, store):
    make_probe().write(project)
    track_all(project)
    child, (parent,) = store.child("linear mtmc 0 sim-xsub"), store.parents()
    tags = {PIPELINE_TAG: parent.data.tags[PIPELINE_TAG]}
    second = store.client.create_run(child.info.experiment_id, tags=tags)
    store.client.set_tag(child.info.run_id, PARENT_TAG, second.info.run_id)
    track_all(project)
    assert [run.info.run_id for run in store.parents()] == [parent.info.run_id]
    assert store.child("linear mtmc 0 sim-xsub").data.tags[PARENT_TAG] == parent.info.run_id


def test_an_open_run_of_another_process_stays_until_it_must_be_dead(project, store):
    make_probe().write(project)
    track_all(project)
    whole = store.child("linear mtmc 0 sim-xsub")
    tags = {key: value for key, value in whole.data.tags.items() if key != HASH_TAG}
    store.client.create_run(whole.info.experiment_id, tags=tags)
    track_all(project)
    (other,) = (run for run in store.children() if run.info.run_id != whole.info.run_id)
    store.client.set_tag(other.info.run_id, OPENED_TAG, "0")
    track_all(project)
    assert [run.info.run_id for run in store.children()] == [whole.info.run_id]


def test_a_run_deleted_on_the_page_is_sent_again(project, store):
    make_probe().write(project)
    track_all(project)
    for run in store.runs():
        store.client.delete_run(run.info.run_id)
    assert track_all(project).sent == 1
    assert (len(store.children()), len(store.parents())) == (1, 1)


def test_a_deleted_experiment_comes_back(project, store):
    make_probe().write(project)
    track_all(project)
    store.client.delete_experiment(store.parents()[0].info.experiment_id)
    track_all(project)
    assert len(store.children()) == 1


def test_without_records_nothing_is_asked_of_mlflow(project, monkeypatch, refusing_server):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", refusing_server)
    assert track_all(project) == TrackSummary(sent=0, present=0, store=refusing_server)


def test_half_a_record_is_named(project):
    path = project / "records/linear/sim-xsub/mtmc/seed-0.json"
    path.parent.mkdir(parents=True)
    path.write_text(make_probe().model_dump_json()[:100])
    with pytest.raises(RecordError, match=r"seed-0\.json is no record"):
        track_all(project)


def test_a_project_without_params_is_named(project):
    make_probe().write(project)
    (project / "params.yaml").unlink()
    with pytest.raises(ParamsError, match=r"params.yaml is missing"):
        track_all(project)


def test_a_full_disk_is_one_line(project, monkeypatch):
    from mlflow import MlflowClient

    def refuse(*arguments, **options):
        raise OSError(28, "No space left on device")

    make_probe().write(project)
    monkeypatch.setattr(MlflowClient, "log_text", refuse)
    with pytest.raises(TrackingError, match=r"No space left on device$"):
        track_all(project)


def test_mlflow_that_is_not_installed_is_said(project, monkeypatch):
    monkeypatch.setattr("kinemask.tracking.track.find_spec", lambda name: None)
    with pytest.raises(TrackingError, match="not installed"):
        track_all(project)


def test_usage_reporting_is_off_also_in_started_processes():
    code = "import kinemask.tracking, mlflow.telemetry.utils as u; print(u.is_telemetry_disabled())"
    known = {"PATH", "HOME", "LANG", "PYTHONPATH"}
    bare = {name: value for name, value in os.environ.items() if name in known}
    found = subprocess.run([sys.executable, "-c", code], env=bare, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "True"


def test_holding_a_tracker_imports_neither_mlflow_nor_torch():
    code = "import sys, kinemask.tracking.tracker; print({'mlflow', 'torch', 'pandas'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


def test_what_goes_wrong_with_mlflow_is_one_line_and_nothing_else(project, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    make_record().write(project)
    said = track_bounded(project)
    assert said.startswith("MLflow: ")
    assert "kinemask track" in said
    assert "\n" not in said


def test_mlflow_that_takes_too_long_is_left_behind(project):
    make_record().write(project)
    started = time.monotonic()
    assert "did not take the records within 0.05 s" in track_bounded(project, wait_seconds=0.05)
    assert time.monotonic() - started < 5


def test_more_records_are_given_more_time(project, monkeypatch):
    waited = []

    def run(command, timeout, **settings):
        waited.append(timeout)
        return subprocess.CompletedProcess(command, 0, stdout="4 records sent", stderr="")

    monkeypatch.setattr("kinemask.tracking.track.subprocess.run", run)
    track_bounded(project)
    for seed in range(4):
        make_probe(seed=seed).write(project)
    track_bounded(project)
    assert waited == [WAIT_SECONDS, WAIT_SECONDS + 4 * SECONDS_A_RECORD]
