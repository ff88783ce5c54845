"""The data stages as a user runs them: outputs where dvc.yaml says, and one line when the input is wrong."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kinemask.datasets.archives.fetch import write_source
from kinemask.datasets.raw_irds import ARCHIVE
from kinemask.record import read_records
from kinemask.section import read_yaml
from kinemask.skeleton.benchmark import read_benchmark, read_split
from kinemask.skeleton.packed import open_packed
from kinemask.skeleton.truth import read_test_labels
from tests.datasets.conftest import write_zip
from tests.project import write_sections

STAGES = Path(__file__).parents[2] / "stages"
PARAMS = """
download: {mirrors: [mirror]}
datasets:
  irds: {name: irds, one_clip_in: 2, max_damaged_share: 0.3}
benchmarks:
  irds-xsub: {dataset: irds, protocol: xsub, size: small}
  irds-xview: {dataset: irds, protocol: xview, size: small}
"""
FRAME = b",".join([b"0.5"] * 75) + b"\n"


def _run(stage: str, name: str, root: Path) -> subprocess.CompletedProcess[str]:
    # A proxy that is not there keeps the owners' address out of reach.
    closed = {"https_proxy": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9", "KINEMASK_MIRROR": ""}
    return subprocess.run(
        [sys.executable, STAGES / f"{stage}.py", name],
        cwd=root,
        env=os.environ | closed,
        capture_output=True,
        text=True,
        check=False,
    )


def write_params(root: Path, text: str) -> None:
    (root / "params.yaml").write_text(text)
    write_sections(read_yaml(root / "params.yaml"), root)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with a raw folder of eight clips, of which a slice of four is read, one of them damaged."""
    write_params(tmp_path, PARAMS)
    names = [f"{subject}_18_{gesture}_1_1_stand" for subject in (101, 102) for gesture in range(4)]
    files = {f"Simplified/{name}.txt": FRAME * 5 for name in names}
    files[f"Simplified/{names[2]}.txt"] = FRAME[:-9]
    raw = tmp_path / "data" / "raw" / "irds"
    write_zip(raw / ARCHIVE.file, files)
    write_source(raw, content_sha256="2", files=[])
    return tmp_path


def _last_line(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return done.stderr.splitlines()[-1]


def test_recordings_become_packed_clips_and_a_split(root: Path) -> None:
    for stage, name in (("preprocess", "irds"), ("split", "irds-xsub")):
        done = _run(stage, name, root)
        assert done.returncode == 0, done.stderr
    packed = open_packed(root / "data" / "packed" / "irds")
    assert packed.clips["name"].tolist() == [
        "101_18_0_1_1_stand", "102_18_0_1_1_stand", "102_18_2_1_1_stand",
    ]  # fmt: skip
    assert np.unique(packed.joints).tolist() == [0.5]
    assert [dropped.name for dropped in packed.info.dropped] == ["101_18_2_1_1_stand"]
    benchmark = root / "data" / "benchmarks" / "irds-xsub"
    assert read_split(benchmark, "train", with_labels=True)["row"].tolist() == [0]
    assert read_test_labels(benchmark).tolist() == [0, 2]
    assert not read_benchmark(benchmark).complete
    records = {record.stage: record for record in read_records(root)}
    assert records["preprocess"].metrics["all"] == {
        "clips": 3, "frames": 15, "dropped": 1, "missing": 0, "leaked_clips": 3, "damaged_share": 0.25,
    }  # fmt: skip
    # Every frame of this test is the same, so both test clips are the training clip under another name.
    assert records["split"].metrics["all"] == {"train": 1, "test": 2, "leaked_test": 2, "classes": 9}
    leaks = (benchmark / "leaks.csv").read_text().splitlines()
    assert leaks == [
        "group,part,name,label,class_name",
        "1,train,101_18_0_1_1_stand,0,elbow flexion left",
        "1,test,102_18_0_1_1_stand,0,elbow flexion left",
        "1,test,102_18_2_1_1_stand,2,shoulder flexion left",
    ]
    assert "irds-xsub: 2 of 2 test clips stand in the training part as well" in done.stderr


def test_too_many_damaged_clips_end_preprocess_with_one_line(root: Path) -> None:
    write_params(root, PARAMS.replace("0.3", "0.2"))
    line = _last_line(_run("preprocess", "irds", root))
    assert "irds: 1 of 4 clips are damaged" in line
    assert "101_18_2_1_1_stand (frame 1: 73 values, expected 75)" in line
    assert not (root / "data" / "packed" / "irds").exists()


def test_unknown_protocol_ends_split_with_those_that_exist(root: Path) -> None:
    assert _run("preprocess", "irds", root).returncode == 0
    assert "no protocol 'xview', it has xsub, xgroup, xpos" in _last_line(_run("split", "irds-xview", root))


def test_split_before_preprocess_says_what_to_run(root: Path) -> None:
    assert "run preprocess" in _last_line(_run("split", "irds-xsub", root))


def test_an_unknown_dataset_is_named_with_its_place(root: Path) -> None:
    said = _last_line(_run("download", "irdss", root))
    assert (
        "data/plan/datasets/irdss.json is missing, beside it are irds: if there is datasets.irdss in " in said
    )


def test_download_names_a_mirror_that_is_a_file(root: Path) -> None:
    (root / "mirror").touch()
    done = _run("download", "irds", root)
    assert done.stderr.startswith(
        "download.mirrors of params.yaml names mirror (a file, no folder): name the folder that holds"
    )
    assert "mirror (a file, no folder) does not hold it" in _last_line(done)


def test_download_without_mirror_and_network_says_where_to_put_the_archive(root: Path) -> None:
    (root / "mirror").mkdir()
    (root / "mirror" / "SkeletonData.zip").write_bytes(b"half")
    line = _last_line(_run("download", "irds", root))
    assert "mirror/SkeletonData.zip is refused: its sha256 is" in line
    assert "SkeletonData.zip?download=1 cannot be reached" in line
    assert "Put irds-simplified.zip or SkeletonData.zip into a folder" in line
