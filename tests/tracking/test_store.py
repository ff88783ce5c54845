import time

import pytest

from kinemask.tracking.store import DATABASE, Store, TrackingError, find_store


def _store(uri, root) -> Store:
    return Store(uri=uri, root=root, artifacts=None)


def test_without_a_server_the_store_is_a_file_in_the_project(tmp_path):
    store = find_store(tmp_path, {})
    assert store.uri == f"sqlite:///{tmp_path}/mlflow.db"
    assert store.artifacts == tmp_path / "mlartifacts"


def test_the_variable_names_a_server(tmp_path):
    store = find_store(tmp_path, {"MLFLOW_TRACKING_URI": "http://mlflow.example.org"})
    assert (store.uri, store.artifacts) == ("http://mlflow.example.org", None)


def test_a_password_is_never_shown(tmp_path, refusing_server):
    uri = refusing_server.replace("http://", "postgresql+psycopg://someone:secret@")
    with pytest.raises(TrackingError) as raised:
        _store(uri, tmp_path).probe()
    assert "secret" not in str(raised.value)
    assert "someone:***@127.0.0.1" in str(raised.value)


def test_a_server_that_refuses_is_named(tmp_path, refusing_server):
    with pytest.raises(TrackingError, match=f"{refusing_server} does not answer: no connection"):
        _store(refusing_server, tmp_path).probe()


def test_a_server_that_never_answers_costs_seconds(tmp_path, silent_server):
    began = time.monotonic()
    with pytest.raises(TrackingError, match="no answer within 3 s"):
        _store(silent_server, tmp_path).probe()
    assert time.monotonic() - began < 6


def test_a_file_that_is_no_database_is_named(tmp_path):
    (tmp_path / DATABASE).write_text("this is no database, but long enough to look like one" * 20)
    with pytest.raises(TrackingError, match=r"mlflow\.db does not answer: file is not a database"):
        find_store(tmp_path, {}).probe()


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(TrackingError, match="nowhere cannot be written"):
        find_store(tmp_path / "nowhere", {}).probe()


def test_an_address_that_is_none_is_named(tmp_path):
    with pytest.raises(TrackingError, match="does not answer"):
        _store("postgresql://host:port/x", tmp_path).probe()
