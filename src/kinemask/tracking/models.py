"""Encoders as models in MLflow, each beside the run of its record: safetensors, YAML and a signature."""

import json
import re
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter
from safetensors import SafetensorError, safe_open

from kinemask.record import Record
from kinemask.skeleton.layout import Layout
from kinemask.tracking.fields import record_name
from kinemask.tracking.store import Store, TrackingError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel
    from mlflow.models import ModelSignature

LOADER = "kinemask.tracking.encoder_model"
PIPELINE_TAG = "kinemask.pipeline"
DEFAULT_POOLING = "mean"
# What the loader imports besides kinemask, which is on no package index: the metadata name its commit.
NEEDS = ("einops", "jaxtyping", "numpy", "pydantic", "pyyaml", "safetensors", "torch")

_NUM_COORDINATES = 3
_LAYOUT = TypeAdapter(Layout)
_DEAD_AFTER_SECONDS = 3600  # a model that is unfinished then was left by a process that was killed
_NOT_IN_NAMES = re.compile(r"[^\w-]", re.ASCII)


@dataclass(frozen=True)
class EncoderFile:
    """A file of weights and what it says of itself: encoder, inputs, layout, persons."""

    path: Path
    about: dict[str, Any]


class Models:
    """The models of one pipeline. Raises what MLflow raises, and TrackingError for a damaged file."""

    def __init__(self, *, client: "MlflowClient", experiment: str, pipeline: str, store: Store) -> None:
        self._client = client
        self._experiment = experiment
        self._pipeline = pipeline
        self._store = store

    def sync(self, records: Iterable[Record], runs: Callable[[], dict[str, str]]) -> None:
        """Log the encoders that are missing, and remove the models of runs that are gone.

        `runs` finds all runs of the pipeline: id -> name of the record, or nothing for one that is not whole.
        A damaged file is reported when all others are logged.
        """
        with self._store.lock():
            models = list(self._found())  # before the runs, so that no run of these is too young to be seen
            run_ids = runs()
            for model in models:
                if model.source_run_id not in run_ids or _is_dead(model):
                    self._remove(model.model_id)
        ready = {model.source_run_id for model in models if _is_ready(model)}
        lacking = {name: run_id for run_id, name in run_ids.items() if name and run_id not in ready}
        problems = []
        for record in records:
            if record.stage == "pretrain" and record_name(record) in lacking:
                try:
                    encoder = read_encoder_file(weights_of(record, self._store.root))
                except TrackingError as error:
                    problems.append(str(error))
                    continue
                if encoder is not None:
                    self._log_one(lacking[record_name(record)], record, encoder)
        if problems:
            raise TrackingError("; ".join(problems))

    def _log_one(self, run_id: str, record: Record, encoder: EncoderFile) -> None:
        with self._store.lock():
            self._log(run_id, record, encoder)
            # Another sender may have done so since `sync` looked: both keep the same one.
            for model_id in sorted(model.model_id for model in self._found(run_id) if _is_ready(model))[1:]:
                self._remove(model_id)

    def _log(self, run_id: str, record: Record, encoder: EncoderFile) -> None:
        from mlflow.entities import LoggedModelOutput

        tags = {"benchmark": record.subject, "method": record.method, "seed": record.seed}
        tags |= {"commit": record.commit, PIPELINE_TAG: self._pipeline}
        model = self._client.create_logged_model(
            self._experiment,
            name=_NOT_IN_NAMES.sub("-", f"{record.subject}-{record.method}-{record.seed}"),
            source_run_id=run_id,
            tags={name: str(value) for name, value in tags.items() if value not in (None, "")},
            params={f"encoder.{name}": str(value) for name, value in encoder.about["encoder"].items()},
            model_type="encoder",
        )
        with TemporaryDirectory() as folder:
            place = Path(folder) / "model"
            _save(place, encoder, model=model, run_id=run_id, commit=record.commit)
            self._client.log_model_artifacts(model.model_id, str(place))
        last = max((int(row["step"]) for row in record.history), default=0)
        self._client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=last)])
        self._client.finalize_logged_model(model.model_id, "READY")  # last: others are unfinished or broken

    def _remove(self, model_id: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._client.delete_logged_model(model_id)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":  # another sender was first
                raise

    def _found(self, run_id: str | None = None) -> Iterator["LoggedModel"]:
        """The pipeline's models, or those of one run."""
        query = f"tags.`{PIPELINE_TAG}` = '{self._pipeline}'"
        query += "" if run_id is None else f" AND source_run_id = '{run_id}'"
        token = None
        while True:
            page = self._client.search_logged_models([self._experiment], query, page_token=token)
            yield from page
            token = page.token
            if not token:
                return


def weights_of(record: Record, root: Path) -> Path:
    """Where pretrain writes the encoder of a record."""
    return root / "results" / f"{record_name(record)}.safetensors"


def read_encoder_file(path: Path) -> EncoderFile | None:
    """What the file says of itself; None if it is absent or has no weights, as the encoder of `raw`.

    Raises TrackingError if it is damaged. Only its head is read, and torch is not imported.
    """
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="np") as file:
            about = json.loads((file.metadata() or {})["kinemask"])
            if not file.keys():
                return None
            _LAYOUT.validate_python(about["layout"])
            return EncoderFile(path, about)
    except (SafetensorError, KeyError, ValueError) as error:
        problem = " ".join(repr(error).split())
        raise TrackingError(f"{path} is no encoder of this version ({problem}): run pretrain") from error


def signature_of(about: dict[str, Any]) -> "ModelSignature":
    """Arrays by name, N clips each, to one vector a clip; the pooling is a parameter."""
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema, TensorSpec

    frames = (-1, about["inputs"]["num_frames"], about["persons"])
    body = (len(about["layout"]["joints"]), _NUM_COORDINATES)
    arrays: list[ColSpec | TensorSpec] = [
        TensorSpec(np.dtype(np.float32), (*frames, *body), "joints"),
        TensorSpec(np.dtype(np.bool_), frames, "present"),
    ]
    return ModelSignature(
        inputs=Schema(arrays),
        outputs=Schema([TensorSpec(np.dtype(np.float32), (-1, -1))]),
        params=ParamSchema([ParamSpec("pooling", "string", DEFAULT_POOLING)]),
    )


def _save(place: Path, encoder: EncoderFile, *, model: "LoggedModel", run_id: str, commit: str) -> None:
    """Write the folder that MLflow keeps."""
    import mlflow.pyfunc
    from mlflow.models import Model

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it wants an example of the input, which would import torch here
        mlflow.pyfunc.save_model(
            place,
            loader_module=LOADER,
            data_path=str(encoder.path),
            signature=signature_of(encoder.about),
            metadata={"kinemask": encoder.about, "commit": commit},
            # Without local parts such as +cpu; and given, so that MLflow does not try them out.
            pip_requirements=[f"{name}=={version(name).partition('+')[0]}" for name in NEEDS],
            mlflow_model=Model(
                artifact_path=model.artifact_location,
                model_uuid=model.model_id,
                model_id=model.model_id,
                run_id=run_id,
            ),
        )


def _is_ready(model: "LoggedModel") -> bool:
    return str(model.status.value) == "READY"


def _is_dead(model: "LoggedModel") -> bool:
    age = time.time() - model.creation_timestamp / 1000
    return not _is_ready(model) and age > _DEAD_AFTER_SECONDS
