"""What the README says of own recordings runs as it stands there, from the folder to the tables."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from kinemask.datasets.own.section import RawFolderConfig
from kinemask.skeleton.benchmark import read_benchmark
from kinemask.skeleton.body import BodyConfig
from kinemask.skeleton.layout import KINECT25
from kinemask.skeleton.packed import open_packed
from tests.own_recordings import waving, write_recording
from tests.project import ROOT, Project, make_tiny, stages_run

SECTION = (ROOT / "README.md").read_text().split("## Your own recordings\n")[1].split("\n## ")[0]


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", SECTION, re.DOTALL)


def test_the_example_of_the_readme_runs_as_it_stands_there(tmp_path):
    example, labels = yaml.safe_load(blocks("yaml")[0]), blocks("csv")[0]
    folder = tmp_path / "recordings"
    shown = {}
    for number, row in enumerate(csv.DictReader(labels.splitlines())):
        shown[row["file"]] = waving(KINECT25, seed=number)
        write_recording(folder / row["file"], KINECT25, shown[row["file"]])
    (folder / "labels.csv").write_text(labels)

    def edit(params):
        make_tiny(params)
        for section, entries in example.items():
            params[section] |= entries
        params["run"]["benchmarks"] = ["mine-xsub"]

    project = Project.copy(tmp_path, edit)
    project.run("python", "stages/check_params.py")
    for stage, name in (("download", "mine"), ("preprocess", "mine"), ("split", "mine-xsub")):
        project.run("python", f"stages/{stage}.py", name)
    about = read_benchmark(tmp_path / "data/benchmarks/mine-xsub")
    assert (about.num_train, about.num_test, about.class_names) == (4, 2, ("clap", "wave"))
    info = open_packed(tmp_path / "data/packed/mine").info
    assert (info.complete, info.dropped, info.layout) == (True, (), KINECT25)
    packed = np.load(tmp_path / "data/packed/mine/joints.npy")
    expected = np.concatenate([shown[file] for file in sorted(shown)])[:, None]
    np.testing.assert_allclose(packed, expected, atol=1e-5)  # six digits after the point in .bvh


def test_the_bodies_of_the_readme_are_bodies():
    body, mocap = (yaml.safe_load(block)["layout"] for block in blocks("yaml")[1:])
    layout = BodyConfig.model_validate_json(json.dumps(body)).layout()
    assert layout.joints[layout.root] == "hip"
    section = yaml.safe_load(blocks("yaml")[0])["datasets"]["mine"] | {"layout": mocap}
    assert RawFolderConfig.model_validate_json(json.dumps(section)).layout.bvh == "cleo/wave.bvh"


STICK = {
    "name": "stick15",
    "joints": [
        "hip", "spine", "neck", "head", "left_shoulder", "left_elbow", "left_hand", "right_shoulder",
        "right_elbow", "right_hand", "left_hip", "left_foot", "right_hip", "right_foot", "nose",
    ],
    "parents": {
        "spine": "hip", "neck": "spine", "head": "neck", "nose": "head",
        "left_shoulder": "neck", "left_elbow": "left_shoulder", "left_hand": "left_elbow",
        "right_shoulder": "neck", "right_elbow": "right_shoulder", "right_hand": "right_elbow",
        "left_hip": "hip", "left_foot": "left_hip", "right_hip": "hip", "right_foot": "right_hip",
    },
    "parts": {
        "trunk": ["hip", "spine", "neck", "head", "nose"],
        "left_arm": ["left_shoulder", "left_elbow", "left_hand"],
        "right_arm": ["right_shoulder", "right_elbow", "right_hand"],
        "legs": ["left_hip", "left_foot", "right_hip", "right_foot"],
    },
    "mirrored": [
        ["left_shoulder", "right_shoulder"], ["left_elbow", "right_elbow"], ["left_hand", "right_hand"],
        ["left_hip", "right_hip"], ["left_foot", "right_foot"],
    ],
}  # fmt: skip


def write_stick_folder(folder: Path) -> None:
    """Two classes by four people: slow waving and fast waving."""
    layout = BodyConfig.model_validate_json(json.dumps(STICK)).layout()
    rows = ["file,label,subject"]
    for subject in range(1, 5):
        for take in range(4):
            for label, speed in (("slow", 0.2), ("fast", 1.1)):
                rows.append(f"{label}-{subject}-{take}.npy,{label},{subject}")
                joints = waving(layout, num_frames=24 + take, seed=10 * subject + take, speed=speed)
                write_recording(folder / f"{label}-{subject}-{take}.npy", layout, joints)
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")


def of_sticks(params):
    make_tiny(params)
    own = yaml.safe_load(blocks("yaml")[0])["datasets"]["mine"]
    own |= {"layout": STICK, "protocols": {"xsub": {"column": "subject", "train": [1, 2]}}}
    params["datasets"]["mine"] = own
    params["benchmarks"]["mine-xsub"] = {"dataset": "mine", "protocol": "xsub", "size": "small"}
    params["run"] |= {"benchmarks": ["mine-xsub"], "methods": ["mtmc"], "seeds": [0]}
    params["methods"]["mtmc"]["small"]["training"]["budget"] = {"steps": 10}
    for name in ("mtmc", "raw"):  # and all that inherit from them
        params["methods"][name]["small"]["inputs"]["origin_joint"] = "hip"


@pytest.mark.slow
def test_the_whole_graph_runs_on_a_body_of_ones_own_and_notices_a_changed_recording(tmp_path):
    write_stick_folder(tmp_path / "recordings")
    project = Project.copy(tmp_path, of_sticks)
    project.repro("tables")
    with (tmp_path / "reports/results.csv").open() as file:
        scored = {(row["method"], row["evaluation"]) for row in csv.DictReader(file)}
    probes = ("linear", "knn", "few")
    assert scored == {("mtmc", probe) for probe in probes}
    about = read_benchmark(tmp_path / "data/benchmarks/mine-xsub")
    assert (about.num_train, about.num_test) == (16, 16)
    splitting = "stages/dvc.yaml:split@mine-xsub"
    assert stages_run(project.repro(splitting)) == []
    changed = tmp_path / "recordings/slow-1-0.npy"
    np.save(changed, np.load(changed)[:-1])
    ran = stages_run(project.repro(splitting))
    assert ran == ["stages/dvc.yaml:download@mine", "stages/dvc.yaml:preprocess@mine", splitting]
