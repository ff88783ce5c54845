"""An encoder given away, and what somebody else makes of it: the features the graph would have made."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from kinemask.cli import app
from kinemask.evaluation.features import EncoderError, embed
from kinemask.record import Record
from kinemask.release.card import CARD, WEIGHTS, release
from kinemask.release.features import make_features
from kinemask.skeleton.inputs import centre
from kinemask.skeleton.packed import open_packed
from kinemask.skeleton.resident import load_clips
from kinemask.storage import StorageError
from kinemask.tracking.encoder_model import load_encoder
from tests.evaluation.clips import save_fresh_encoders, write_classes
from tests.evaluation.test_finetune import EMBED
from tests.training.test_pretrain import presets

ENCODER = Path("results/pretrain/toy-odd/mtmc/seed-0.safetensors")
CLIPS = 5


def record(stage, subject, metrics, preset):
    return Record(
        stage=stage,
        subject=subject,
        method="mtmc",
        seed=0,
        params=preset.small.model_dump(mode="json"),
        metrics=metrics,
        inputs={},
        hardware={},
        environment={"torch": "2.13.0"},
        commit="0123456789",
        seconds={"startup": 1.0, "work": 62.4},
        peak_memory_mib=1.0,
    )


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A folder with an encoder, its records, and recordings that are clips of the data it knows."""
    folder = tmp_path_factory.mktemp("project")
    preset = presets(folder)["mtmc"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_classes("toy")
        save_fresh_encoders("toy-odd", "mtmc", preset)
        record("pretrain", "toy-odd", {"training": {"loss": 1.0}}, preset).write()
        # On another benchmark it is the same file, found done; of a third it is another one.
        for benchmark, percent in (("same-odd", 37.5), ("other-odd", 12.5)):
            weights = Path("results/pretrain", benchmark, "mtmc/seed-0.safetensors")
            weights.parent.mkdir(parents=True)
            weights.write_bytes(ENCODER.read_bytes() + b"." * (benchmark == "other-odd"))
            found = record("pretrain", benchmark, {"training": {"loss": 1.0}}, preset)
            found.model_copy(update={"seconds": {"startup": 1.0, "work": 0.4}}).write()
            record("linear", benchmark, {"pooling=mean": {"top1": percent / 100}}, preset).write()
        linear = {"pooling=mean": {"top1": 0.625}, "pooling=mean step=3": {"top1": 0.5}}
        record("linear", "toy-odd", linear, preset).write()
        record("linear", "goal-odd", {"pooling=mean": {"top1": 0.1}}, preset).write()
        both = {
            "from=toy-odd knn pooling=mean k=1": {"top1": 0.25},
            "from=goal-odd knn pooling=mean": {"top1": 0.2},
        }
        record("transfer", "goal-odd", both, preset).write()
        packed = open_packed(Path("data/packed/toy"))
        Path("recordings").mkdir()
        for row in range(CLIPS):
            frames = slice(
                packed.clips["offset"][row], packed.clips["offset"][row] + packed.clips["length"][row]
            )
            np.save(f"recordings/clip{row}.npy", packed.joints[frames])
    return folder


@pytest.fixture
def here(project, monkeypatch):
    monkeypatch.chdir(project)
    return project


def features(*paths, pooling="mean"):
    return make_features(
        ENCODER,
        [Path(path) for path in paths],
        pooling=pooling,
        crop_share=EMBED.crop_share,
        units="metres",
        up="y",
    )


def test_the_features_are_those_that_the_graph_makes(here):
    made = features("recordings")
    packed = open_packed(Path("data/packed/toy"))
    encoder = load_encoder(ENCODER)
    clips = centre(load_clips(packed, range(CLIPS)), config=encoder.inputs, layout=encoder.layout)
    expected = embed(
        encoder.encoder, clips, config=EMBED, inputs=encoder.inputs, layout=encoder.layout, name="expected"
    )
    assert made.table["file"].tolist() == [f"recordings/clip{row}.npy" for row in range(CLIPS)]
    np.testing.assert_allclose(made.table.drop(columns="file").to_numpy(), expected["mean"], atol=1e-6)


def test_damaged_recordings_are_left_out_and_named(here, tmp_path):
    (tmp_path / "bad.csv").write_text("1,2\n")
    made = features(tmp_path, "recordings/clip0.npy")
    assert made.table["file"].tolist() == ["recordings/clip0.npy"]
    (line,) = made.left_out
    assert line.startswith(f"{tmp_path / 'bad.csv'}: 2 numbers a frame")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["recordings", "--pooling", "joints"], "pools by mean, last, max, found --pooling 'joints'"),
        (["elsewhere"], "elsewhere: no folder, and no file of"),
        (["results/pretrain"], "results/pretrain: no file of"),
        (
            ["data/benchmarks"],
            "none of 1 files can be read: data/benchmarks/toy-odd/leaks.csv: there is no frame",
        ),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(here, arguments, said):
    found = CliRunner().invoke(app, ["features", str(ENCODER), *arguments])
    assert found.exit_code == 1
    assert said in found.output
    assert "Traceback" not in found.output


def test_a_file_that_is_no_encoder_is_refused(here, tmp_path):
    path = tmp_path / "no.safetensors"
    path.write_bytes(b"12345678 nothing")
    with pytest.raises(EncoderError, match="holds no encoder"):
        make_features(path, [Path("recordings")], pooling="mean", crop_share=1.0, units="metres", up="y")


def test_the_command_writes_a_table_and_overwrites_nothing_else(here, tmp_path):
    out = tmp_path / "made.csv"
    found = CliRunner().invoke(app, ["features", str(ENCODER), "recordings", "--out", str(out)])
    assert found.exit_code == 0
    assert "5 recordings, 24 features each" in found.output
    assert pd.read_csv(out).shape == (5, 25)
    assert [path.name for path in tmp_path.iterdir()] == ["made.csv"]


def test_a_released_encoder_is_the_pretrained_one_with_a_card_of_its_own_results(here, tmp_path):
    written = release(here, "toy-odd", "mtmc", seed=0, out=tmp_path / "out")
    assert (written.folder / WEIGHTS).read_bytes() == ENCODER.read_bytes()
    card = (written.folder / CARD).read_text()
    assert card.startswith("# mtmc, pretrained on toy-odd (seed 0)\n")
    rows = [line for line in card.splitlines() if "top1" not in line and line.endswith(("5 |", "25.0 |"))]
    assert rows == [
        "| same-odd | linear | pooling=mean | 37.5 |",
        "| toy-odd | linear | pooling=mean | 62.5 |",
        "| goal-odd | transfer | from=toy-odd knn pooling=mean k=1 | 25.0 |",
    ]
    # What another encoder reached, and earlier weights of this one, are not its own.
    assert " 10.0 |" not in card
    assert " 20.0 |" not in card
    assert " 50.0 |" not in card
    assert "62 s of pretraining" in card


def test_a_release_may_be_made_again_but_never_over_somebodys_files(here, tmp_path):
    out = tmp_path / "out"
    release(here, "toy-odd", "mtmc", seed=0, out=out)
    release(here, "toy-odd", "mtmc", seed=0, out=out)
    (out / "thesis.tex").write_text("years of work")
    with pytest.raises(StorageError, match=r"holds thesis\.tex: name a new folder"):
        release(here, "toy-odd", "mtmc", seed=0, out=out)
    assert (out / "thesis.tex").read_text() == "years of work"


def test_an_encoder_that_was_never_trained_is_not_released(here, tmp_path):
    found = CliRunner().invoke(
        app, ["release", "toy-odd", "mtmc", "--seed", "9", "--out", str(tmp_path / "out")]
    )
    assert found.exit_code == 1
    assert "seed-9.safetensors is not there: put toy-odd, mtmc and seed 9 into `run`" in found.output
    assert not (tmp_path / "out").exists()
