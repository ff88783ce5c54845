import pytest

from kinemask.tracking import sender as sender_module
from kinemask.tracking.fields import record_name
from kinemask.tracking.sender import serve
from kinemask.tracking.store import Store, TrackingError
from kinemask.tracking.track import track_all

from .conftest import make_record

START = {
    "start": {
        "stage": "pretrain",
        "subject": "sim-xsub",
        "method": "mtmc",
        "seeds": [0, 1],
        "params": {"encoder": {"width": 64}, "learning_rate": 0.001},
    }
}
NAME = "pretrain mtmc 0 sim-xsub"


@pytest.fixture(autouse=True)
def _send_at_once(monkeypatch):
    monkeypatch.setattr(sender_module, "FLUSH_SECONDS", 0.0)


def _row(seed: int, step: int) -> dict:
    return {"log": [seed, step, {"loss": 1.0 / (1 + step)}]}


def _records(*records) -> dict:
    return {"records": [record.model_dump(mode="json") for record in records]}


def test_a_stage_is_seen_while_it_runs(project, store):
    def batches():
        yield [START, _row(0, 0)]
        run = store.child(NAME)
        assert run.info.status == "RUNNING"
        assert store.series(run, "pretrain/loss") == [(0, 1.0)]
        assert run.data.params["encoder.width"] == "64"

    serve(batches())


def test_the_run_that_was_watched_is_completed_with_no_point_twice(project, store):
    seen = []

    def batches():
        yield [START, _row(0, 0), _row(0, 2)]
        seen.append(store.child(NAME).info.run_id)
        yield [_row(1, 0), _records(make_record(seed=0), make_record(seed=1))]

    assert serve(batches()) == {"sent": 2}
    run = store.child(NAME)
    assert [run.info.run_id] == seen
    assert run.info.status == "FINISHED"
    assert store.series(run, "pretrain/loss") == [(step, 1.0 / (1 + step)) for step in range(5)]
    assert len(store.children()) == 2


def test_a_record_that_was_sent_live_is_not_sent_again(project):
    records = [make_record(seed=seed) for seed in (0, 1)]
    for record in records:
        record.write(project)
    serve(iter([[START], [_records(*records)]]))
    assert track_all(project).sent == 0


def test_a_stage_that_was_killed_is_marked_and_its_next_run_takes_the_place(project, store):
    serve(iter([[START, _row(0, 0)]]))
    assert {run.info.status for run in store.children()} == {"KILLED"}

    def batches():
        yield [START, _row(0, 1)]
        assert [run.info.status for run in store.children()] == ["RUNNING", "RUNNING"]
        yield [_records(make_record(seed=0), make_record(seed=1))]

    serve(batches())
    assert {run.info.status for run in store.children()} == {"FINISHED"}
    assert len(store.children()) == 2


def test_the_old_result_stays_until_the_new_one_is_whole(project, store):
    serve(iter([[_records(make_record())]]))
    serve(iter([[START]]))
    statuses = sorted(run.info.status for run in store.children() if run.info.run_name == NAME)
    assert statuses == ["FINISHED", "KILLED"]
    serve(iter([[_records(make_record(peak_memory_mib=1.0))]]))
    assert store.child(NAME).data.metrics["memory/peak_mib"] == 1.0


def test_a_failure_in_between_neither_stops_the_sender_nor_doubles_a_point(project, store, monkeypatch):
    from mlflow import MlflowClient

    log_batch = MlflowClient.log_batch

    def log_then_fail(*arguments, **options):
        log_batch(*arguments, **options)
        raise OSError("the connection was lost")

    def batches():
        yield [START]
        monkeypatch.setattr(MlflowClient, "log_batch", log_then_fail)
        yield [_row(0, 0)]
        monkeypatch.setattr(MlflowClient, "log_batch", log_batch)
        yield [_row(0, 1)]
        yield [_records(make_record(seed=0), make_record(seed=1))]

    assert serve(batches()) == {"sent": 2}
    assert len(store.series(store.child(NAME), "pretrain/loss")) == 5


def test_a_second_sender_that_removes_our_run_is_survived(project, store, monkeypatch):
    from mlflow import MlflowClient

    log_text, removed = MlflowClient.log_text, []

    def remove_then_log(client, run_id, text, name):
        if name == "record.json" and not removed:
            removed.append(run_id)
            client.delete_run(run_id)
        log_text(client, run_id, text, name)

    monkeypatch.setattr(MlflowClient, "log_text", remove_then_log)
    assert serve(iter([[_records(make_record())]])) == {"sent": 1}
    assert store.child(NAME).info.run_id not in removed


def test_two_senders_that_remove_each_others_runs_leave_one(project, store, monkeypatch):
    from mlflow import MlflowClient

    delete_run, removed = MlflowClient.delete_run, []

    def delete_both(client, run_id):
        delete_run(client, run_id)
        if not removed:
            (whole,) = (
                run.info.run_id for run in store.children() if "kinemask.record_sha256" in run.data.tags
            )
            removed.append(whole)
            delete_run(client, whole)

    serve(iter([[START]]))
    monkeypatch.setattr(MlflowClient, "delete_run", delete_both)
    assert serve(iter([[_records(make_record())]])) == {"sent": 1}
    assert store.child(NAME).info.run_id not in removed


def test_a_dead_server_is_answered_with_the_problem(project, monkeypatch, refusing_server):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", refusing_server)
    answer = serve(iter([[START], [_row(0, 0)], [_records(make_record())]]))
    assert answer == {"problem": f"MLflow at {refusing_server} does not answer: no connection"}


def test_a_server_that_went_away_is_found_out_before_it_is_sent_to(project, store, monkeypatch):
    def gone(self):
        raise TrackingError("it went away")

    def batches():
        yield [START]
        monkeypatch.setattr(Store, "probe", gone)
        yield [_records(make_record(seed=0), make_record(seed=1))]

    assert serve(batches()) == {"problem": "it went away"}
    assert {run.info.status for run in store.children()} == {"RUNNING"}


def test_a_server_that_comes_back_gets_the_record(project, store, monkeypatch, refusing_server):
    def batches():
        monkeypatch.setenv("MLFLOW_TRACKING_URI", refusing_server)
        yield [START]
        monkeypatch.delenv("MLFLOW_TRACKING_URI")
        yield [_records(make_record())]

    assert serve(batches()) == {"sent": 1}
    assert store.child(NAME).data.tags["kinemask.record"] == record_name(make_record())
