import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from kinemask.encoders import EncoderConfig, build_encoder
from kinemask.encoders.coordinates import CoordinatesConfig
from kinemask.encoders.gru import GRUConfig
from kinemask.skeleton.inputs import InputConfig, as_input
from kinemask.skeleton.layout import LAYOUTS
from kinemask.tracking import models as models_module
from kinemask.tracking.models import PIPELINE_TAG, read_encoder_file, signature_of
from kinemask.tracking.sender import serve
from kinemask.tracking.store import DATABASE, TrackingError
from kinemask.tracking.track import track_all
from tests.conftest import make_batch

from .conftest import make_record

GRU = GRUConfig(name="gru", form="bigru", hidden=3, depth=1, input_norm="batch", norm_statistics="clean")
INPUTS = InputConfig(stream="motion", num_frames=8, origin="first_frame", origin_joint="spine_base")
LAYOUT = next(layout for layout in LAYOUTS.values() if layout.num_joints == 25)
NAME = "pretrain mtmc 0 sim-xsub"


def save_encoder(root: Path, config: EncoderConfig = GRU, seed: int = 0, inputs: InputConfig = INPUTS):
    """The file that pretrain writes, below the root of a project."""
    torch.manual_seed(seed)
    encoder = build_encoder(config, num_persons=2, num_joints=25, num_frames=inputs.num_frames).eval()
    sections = {"encoder": config.model_dump(mode="json"), "inputs": inputs.model_dump(mode="json")}
    about = sections | {"layout": asdict(LAYOUT), "persons": 2}
    path = root / f"results/pretrain/sim-xsub/mtmc/seed-{seed}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(encoder.state_dict(), path, metadata={"kinemask": json.dumps(about)})
    return encoder


def send(root: Path, **changes) -> None:
    make_record(**changes).write(root)
    track_all(root)


@pytest.fixture
def logged(store):
    def found() -> list:
        experiment = store.client.get_experiment_by_name("kinemask")
        return list(store.client.search_logged_models([experiment.experiment_id]))

    return found


def test_a_logged_encoder_gives_the_features_of_the_encoder(project, store, logged, monkeypatch):
    import mlflow.pyfunc

    encoder, batch = save_encoder(project), make_batch()
    send(project)
    (model,) = logged()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{project / DATABASE}")
    loaded = mlflow.pyfunc.load_model(f"models:/{model.model_id}")
    arrays = {"joints": batch.joints.numpy(), "present": batch.present.numpy()}
    with torch.no_grad():
        encoded = encoder(as_input(batch, config=INPUTS, layout=LAYOUT))
        for pooling in encoder.poolings:
            expected = encoder.pool(encoded, pooling).numpy()
            np.testing.assert_array_equal(loaded.predict(arrays, params={"pooling": pooling}), expected)
        np.testing.assert_array_equal(loaded.predict(arrays), encoder.pool(encoded, "mean").numpy())


def test_joints_of_absent_persons_are_not_looked_at(project):
    from kinemask.tracking.encoder_model import load_encoder

    plain = GRU.model_copy(update={"input_norm": "none"})
    save_encoder(project, plain, inputs=INPUTS.model_copy(update={"stream": "joint"}))
    loaded = load_encoder(project / "results/pretrain/sim-xsub/mtmc/seed-0.safetensors")
    batch = make_batch()
    filled = torch.where(batch.present[..., None, None], batch.joints, torch.nan)
    clean, dirty = (
        loaded.predict({"joints": joints.numpy(), "present": batch.present.numpy()}, {"pooling": "mean"})
        for joints in (batch.joints, filled)
    )
    np.testing.assert_array_equal(clean, dirty)


def test_the_signature_names_the_arrays_and_refuses_others(project, logged):
    import mlflow.pyfunc
    from mlflow.exceptions import MlflowException

    save_encoder(project)
    send(project)
    loaded = mlflow.pyfunc.load_model(logged()[0].artifact_location)
    shapes = {spec.name: (spec.type, spec.shape) for spec in loaded.metadata.signature.inputs.inputs}
    assert shapes == {
        "joints": (np.dtype("float32"), (-1, 8, 2, 25, 3)),
        "present": (np.dtype("bool"), (-1, 8, 2)),
    }
    joints = np.zeros((1, 7, 2, 25, 3), np.float32)
    with pytest.raises(MlflowException, match=r"shape"):
        loaded.predict({"joints": joints, "present": np.ones((1, 7, 2), bool)})
    with pytest.raises(MlflowException, match=r"present"):
        loaded.predict({"joints": joints})


def test_what_is_stored_is_weights_and_yaml_and_neither_pickle_nor_code(project, logged):
    save_encoder(project)
    send(project)
    folder = Path(logged()[0].artifact_location.removeprefix("file://"))
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    known = ["MLmodel", "conda.yaml", "data/seed-0.safetensors", "python_env.yaml", "requirements.txt"]
    assert files == known
    assert "kinemask" not in (folder / "requirements.txt").read_text()  # nobody owns that name on an index


def test_a_model_says_where_it_comes_from_and_its_run_shows_it(project, store, logged):
    save_encoder(project)
    send(project)
    (model,), run = logged(), store.child(NAME)
    assert (model.source_run_id, model.status.value) == (run.info.run_id, "READY")
    assert [(output.model_id, output.step) for output in run.outputs.model_outputs] == [(model.model_id, 4)]
    named = {"benchmark": "sim-xsub", "method": "mtmc", "seed": "0", "commit": "0123456789"}
    assert named.items() <= model.tags.items()
    assert model.params["encoder.hidden"] == "3"


def test_sent_twice_and_by_the_sender_and_by_track_is_one_model(project, logged):
    save_encoder(project)
    serve(iter([[{"records": [make_record().model_dump(mode="json")]}]]))
    (first,) = logged()
    send(project)
    track_all(project)
    assert [model.model_id for model in logged()] == [first.model_id]


def test_the_model_of_a_replaced_run_goes_with_it(project, store, logged):
    save_encoder(project)
    send(project)
    (old,) = logged()
    send(project, peak_memory_mib=1.0)
    (new,) = logged()
    assert new.model_id != old.model_id
    assert new.source_run_id == store.child(NAME).info.run_id


def test_an_encoder_without_weights_and_a_record_without_a_file_have_no_model(project, logged):
    save_encoder(project, CoordinatesConfig(name="coordinates"))
    make_record(seed=1).write(project)
    send(project)
    assert logged() == []


def test_a_damaged_file_is_reported_when_all_else_is_there(project, store, logged):
    save_encoder(project, seed=1)
    path = project / "results/pretrain/sim-xsub/mtmc/seed-0.safetensors"
    path.write_bytes(b"weights")
    make_record(seed=0).write(project)
    with pytest.raises(TrackingError, match=r"seed-0\.safetensors is no encoder .* run pretrain$"):
        send(project, seed=1)
    assert (len(store.children()), len(logged())) == (2, 1)


def test_a_model_that_failed_leaves_the_records_whole_and_comes_later(project, store, logged, monkeypatch):
    from mlflow import MlflowClient

    def refuse(*arguments, **options):
        raise OSError(28, "No space left on device")

    save_encoder(project)
    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "log_model_artifacts", refuse)
        with pytest.raises(TrackingError, match=r"No space left on device$"):
            send(project)
        assert store.child(NAME).info.status == "FINISHED"
        assert track_whole(store) == 1
        assert [model.status.value for model in logged()] == ["PENDING"]
    monkeypatch.setattr(models_module, "_DEAD_AFTER_SECONDS", -1)
    assert track_all(project).sent == 0
    assert [model.status.value for model in logged()] == ["READY"]


def track_whole(store) -> int:
    return sum("kinemask.record_sha256" in run.data.tags for run in store.children())


def test_of_two_models_that_two_senders_logged_one_stays(project, store, logged, monkeypatch):
    from mlflow import MlflowClient

    log_artifacts, seconds = MlflowClient.log_model_artifacts, []

    def log_a_second_one(client, model_id, *arguments):
        log_artifacts(client, model_id, *arguments)
        own = client.get_logged_model(model_id)
        tags = {PIPELINE_TAG: own.tags[PIPELINE_TAG]}
        other = client.create_logged_model(own.experiment_id, source_run_id=own.source_run_id, tags=tags)
        client.finalize_logged_model(other.model_id, "READY")
        seconds.extend([model_id, other.model_id])

    save_encoder(project)
    monkeypatch.setattr(MlflowClient, "log_model_artifacts", log_a_second_one)
    send(project)
    assert [model.model_id for model in logged()] == [min(seconds)]


def test_logging_a_model_does_not_import_torch(project):
    save_encoder(project)
    make_record().write(project)
    code = """
import sys
from pathlib import Path
from kinemask.tracking.track import track_all
track_all(Path())
print(sorted({"torch", "sklearn"} & set(sys.modules)))
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[-1] == "[]"
    assert "Warning" not in found.stderr


def test_the_signature_is_made_of_what_the_file_says(project):
    save_encoder(project)
    found = read_encoder_file(project / "results/pretrain/sim-xsub/mtmc/seed-0.safetensors")
    assert found is not None
    narrow = found.about | {"persons": 1, "inputs": found.about["inputs"] | {"num_frames": 5}}
    assert [spec.shape for spec in signature_of(narrow).inputs.inputs] == [(-1, 5, 1, 25, 3), (-1, 5, 1)]
