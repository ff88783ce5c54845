"""Runs in MLflow: one parent for a pipeline, one child for a record."""

import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kinemask.record import Record
from kinemask.tracking.artifacts import files_of, pictures_of
from kinemask.tracking.fields import (
    Point,
    metrics_of,
    params_of,
    record_hash,
    record_name,
    series_of,
    shown_name,
    tags_of,
)
from kinemask.tracking.models import PIPELINE_TAG, Models
from kinemask.tracking.pipeline import Pipeline
from kinemask.tracking.store import Store, TrackingError, without_password

if TYPE_CHECKING:
    from mlflow.entities import Run

EXPERIMENT = "kinemask"
RECORD_TAG = "kinemask.record"
HASH_TAG = "kinemask.record_sha256"  # set last: a child without it is a live or a broken one
OPENED_TAG = "kinemask.opened"  # in seconds; a run's own start is that of its stage
PARENT_TAG = "mlflow.parentRunId"

_DEAD_AFTER_SECONDS = 24 * 3600  # a run that is still open then was left by a process that was killed
_MAX_METRICS = 1000  # MLflow's limits for one call
_MAX_FIELDS = 100


class View:
    """The runs of one pipeline in one store. Whatever MLflow raises comes out as TrackingError."""

    def __init__(self, *, store: Store, pipeline: Pipeline) -> None:
        self._store = store
        self._pipeline = pipeline
        self._opened: set[str] = set()
        store.probe()
        with _failures(store), store.lock():
            from mlflow import MlflowClient

            for name in ("mlflow", "alembic"):
                logging.getLogger(name).setLevel(logging.ERROR)
            self._client = MlflowClient(tracking_uri=store.uri)
            self._experiment = self._find_experiment()
            self._parent = self._find_parent()

    def present(self) -> dict[str, str]:
        """The records that MLflow holds whole: name -> hash of the content."""
        with _failures(self._store):
            tags = [run.data.tags for run in self._runs() if HASH_TAG in run.data.tags]
        return {found[RECORD_TAG]: found[HASH_TAG] for found in tags}

    def probe(self) -> None:
        """Raises TrackingError if the store has gone away since."""
        self._store.probe()

    def start(self, record: Record) -> str:
        """Open a run for a record that is still to come, in place of what a killed stage left; its id."""
        with _failures(self._store), self._store.lock():
            for run in self._runs(record_name(record)):
                if HASH_TAG not in run.data.tags:
                    self._remove(run)
            run_id = self._create(record)
            self._describe(run_id, record)
        return run_id

    def log(self, run_id: str, points: Sequence[Point]) -> None:
        """Add points to the series of a run."""
        from mlflow.entities import Metric

        now = _now()
        with _failures(self._store):
            for start in range(0, len(points), _MAX_METRICS):
                chunk = points[start : start + _MAX_METRICS]
                metrics = [Metric(name, value, now, step) for name, step, value in chunk]
                self._client.log_batch(run_id, metrics=metrics)

    def stop(self, run_id: str) -> None:
        """Mark a run whose stage ended without a record."""
        with _failures(self._store):
            self._client.set_terminated(run_id, status="KILLED")

    def send(self, record: Record, live: str | None = None, sent: frozenset[int] = frozenset()) -> bool:
        """Make MLflow hold this record, once; False if it already did.

        `live` is the run that `start` opened for it and `sent` the steps logged there. Otherwise a new run
        takes the place of all others of this record: MLflow lets nobody change a param or take back a point.
        """
        with _failures(self._store), self._store.lock():
            try:
                return self._send(record, live, sent)
            except TrackingError:
                # No lock of ours keeps senders on a server apart: another one may have removed a run of ours.
                # The second try sees what it left; if the server has gone away, there is none.
                self._store.probe()
                return self._send(record, None, frozenset())

    def gather(self) -> None:
        """Leave one parent with all children, and of a record that is there no run of a killed process.

        Two machines that start at once may both have made a parent.
        """
        with _failures(self._store), self._store.lock():
            try:
                self._gather()
            except TrackingError:
                self._store.probe()  # as in `send`
                self._gather()

    def add_models(self, records: Iterable[Record]) -> None:
        """Give the runs of these records, once they are whole, their encoders as models, each once."""

        def runs() -> dict[str, str]:
            tags = {run.info.run_id: run.data.tags for run in self._runs()}
            return {run_id: own[RECORD_TAG] if HASH_TAG in own else "" for run_id, own in tags.items()}

        with _failures(self._store):
            Models(
                client=self._client,
                experiment=self._experiment,
                pipeline=self._pipeline.key,
                store=self._store,
            ).sync(records, runs)

    def _find_experiment(self) -> str:
        from mlflow.exceptions import MlflowException

        found = self._client.get_experiment_by_name(EXPERIMENT)
        if found is None:
            place = None if self._store.artifacts is None else self._store.artifacts.as_uri()
            # The kind spares the user a question when they open the page for the first time.
            tags = {"mlflow.experimentKind": "custom_model_development"}
            try:
                return str(self._client.create_experiment(EXPERIMENT, artifact_location=place, tags=tags))
            except MlflowException:
                found = self._client.get_experiment_by_name(EXPERIMENT)
                if found is None:
                    raise
        if found.lifecycle_stage == "deleted":
            self._client.restore_experiment(found.experiment_id)
        return str(found.experiment_id)

    def _find_parent(self) -> str:
        runs = [run for run in self._runs() if RECORD_TAG not in run.data.tags]
        if runs:
            return str(min(runs, key=lambda run: (run.info.start_time, run.info.run_id)).info.run_id)
        pipeline = self._pipeline
        tags = {"mlflow.runName": pipeline.name, "commit": pipeline.commit, PIPELINE_TAG: pipeline.key}
        run_id: str = self._client.create_run(self._experiment, tags=tags).info.run_id
        self._client.log_text(run_id, pipeline.params_text, "params.yaml")
        return run_id

    def _runs(self, name: str | None = None) -> Iterator["Run"]:
        """The pipeline's runs, or those of one record."""
        query = f"tags.`{PIPELINE_TAG}` = '{self._pipeline.key}'"
        query += "" if name is None else f" AND tags.`{RECORD_TAG}` = '{name}'"
        token = None
        while True:
            page = self._client.search_runs([self._experiment], query, page_token=token)
            yield from page
            token = page.token
            if not token:
                return

    def _holds(self, record: Record, digest: str) -> bool:
        return any(run.data.tags.get(HASH_TAG) == digest for run in self._runs(record_name(record)))

    def _create(self, record: Record) -> str:
        name = record_name(record)
        tags = {
            "mlflow.runName": shown_name(record),
            "mlflow.source.name": f"stages/{record.stage}.py",
            "mlflow.source.type": "LOCAL",
            PARENT_TAG: self._parent,
            PIPELINE_TAG: self._pipeline.key,
            RECORD_TAG: name,
            OPENED_TAG: str(int(time.time())),
        }
        # A record that arrives later began before: the page shows how long the stage took.
        began = _now() - int(1000 * sum(record.seconds.values()))
        run_id: str = self._client.create_run(self._experiment, start_time=began, tags=tags).info.run_id
        self._opened.add(run_id)
        return run_id

    def _send(self, record: Record, live: str | None, sent: frozenset[int]) -> bool:
        digest = record_hash(record)
        with _failures(self._store):
            is_new = not self._holds(record, digest)
            if is_new:
                run_id = live or self._create(record)
                self._complete(run_id, record, sent)
                self._client.set_tag(run_id, HASH_TAG, digest)
            if self._keep_one(record, digest) and not self._holds(record, digest):
                raise TrackingError(f"another sender removed the run of {record_name(record)}")
        return is_new

    def _gather(self) -> None:
        with _failures(self._store):
            self._parent = self._find_parent()
            runs = list(self._runs())
            whole = {run.data.tags.get(RECORD_TAG) for run in runs if HASH_TAG in run.data.tags}
            for run in runs:
                name = run.data.tags.get(RECORD_TAG)
                is_left = name in whole and HASH_TAG not in run.data.tags and _is_dead(run)
                if is_left or (name is None and run.info.run_id != self._parent):
                    self._remove(run)
                elif name is not None and run.data.tags.get(PARENT_TAG) != self._parent:
                    self._client.set_tag(run.info.run_id, PARENT_TAG, self._parent)
            self._client.set_terminated(self._parent)

    def _describe(self, run_id: str, record: Record) -> None:
        from mlflow.entities import Param, RunTag

        params = [Param(name, value) for name, value in params_of(record).items()]
        fields = tags_of(record, self._pipeline.dataset(record.subject))
        tags = [RunTag(name, value) for name, value in fields.items()]
        for start in range(0, max(len(params), len(tags)), _MAX_FIELDS):
            some = slice(start, start + _MAX_FIELDS)
            self._client.log_batch(run_id, params=params[some], tags=tags[some])

    def _complete(self, run_id: str, record: Record, sent: frozenset[int]) -> None:
        self._describe(run_id, record)
        rows = [row for row in record.history if int(row["step"]) not in sent]
        self.log(run_id, [*series_of(record.stage, rows), *metrics_of(record)])
        self._client.log_text(run_id, record.model_dump_json(indent=1) + "\n", "record.json")
        for path in files_of(record, self._store.root):
            self._client.log_artifact(run_id, str(path))
        for name, picture in pictures_of(record, self._store.root).items():
            self._client.log_text(run_id, picture, f"pictures/{name}.svg")
        self._client.set_terminated(run_id)

    def _keep_one(self, record: Record, digest: str) -> bool:
        """Remove what the record's whole run replaces; whether there was anything.

        Two senders that see two whole runs keep the same one. A run that another sender is filling stays.
        """
        runs = list(self._runs(record_name(record)))
        kept = min((run.info.run_id for run in runs if run.data.tags.get(HASH_TAG) == digest), default=None)
        others = [run for run in runs if run.info.run_id != kept]
        gone = [run for run in others if HASH_TAG in run.data.tags or self._is_ours(run) or _is_dead(run)]
        for run in gone:
            self._remove(run)
        return bool(gone)

    def _remove(self, run: "Run") -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._client.delete_run(run.info.run_id)
        except MlflowException:
            # Another sender was first: deleting twice is an error to MLflow, not to us.
            if self._client.get_run(run.info.run_id).info.lifecycle_stage != "deleted":
                raise

    def _is_ours(self, run: "Run") -> bool:
        return run.info.run_id in self._opened


def _is_dead(run: "Run") -> bool:
    """Whether nobody will fill this open run any more."""
    age = time.time() - float(run.data.tags.get(OPENED_TAG, 0))
    return run.info.status != "RUNNING" or age > _DEAD_AFTER_SECONDS


def _now() -> int:
    return int(1000 * time.time())


@contextmanager
def _failures(store: Store) -> Iterator[None]:
    """Whatever MLflow raises becomes one line."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        line = (
            without_password(str(error).strip().splitlines()[0][:300]) if str(error).strip() else repr(error)
        )
        raise TrackingError(
            f"MLflow at {store.shown} failed: {line.replace(store.uri, store.shown)}"
        ) from error
