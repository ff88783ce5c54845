"""Simulated people that are trained on: packed as any dataset is, below the size that asks for them."""

import json
from pathlib import Path

import numpy as np

from kinemask.datasets.raw_kinesim import KinesimConfig
from kinemask.datasets.simulated import simulate
from kinemask.section import read_yaml
from kinemask.skeleton.packed import open_packed
from tests.project import ROOT

WRITTEN = read_yaml(ROOT / "params.yaml")["datasets"]["kinesim"]


def tiny(seed: int) -> KinesimConfig:
    section = {**WRITTEN, "actions": 2, "subjects": 2, "seed": seed}
    return KinesimConfig.model_validate_json(json.dumps(section))


def test_each_size_has_the_people_that_it_asks_for(tmp_path: Path) -> None:
    folder = tmp_path / "mtmc"
    found = simulate(folder, "mtmc", {"small": tiny(1), "paper": None})
    assert sorted(path.name for path in folder.iterdir()) == ["simulated.json", "small"]
    packed = open_packed(folder / "small")
    assert found["small"] == packed.info
    assert packed.info.num_clips == 2 * 2 * len(WRITTEN["cameras"]["degrees"])
    assert json.loads((folder / "simulated.json").read_text()) == {"small": packed.info.data_sha256}
    assert np.isfinite(packed.joints).all()


def test_another_seed_gives_other_people_and_the_same_the_same(tmp_path: Path) -> None:
    infos = [
        simulate(tmp_path / name, name, {"small": tiny(seed)})["small"]
        for name, seed in (("one", 1), ("again", 1), ("other", 2))
    ]
    assert infos[0].data_sha256 == infos[1].data_sha256 != infos[2].data_sha256


def test_where_nobody_is_simulated_that_is_said_and_what_was_there_is_gone(tmp_path: Path) -> None:
    simulate(tmp_path / "mtmc", "mtmc", {"small": tiny(1)})
    assert simulate(tmp_path / "mtmc", "mtmc", {"small": None}) == {}
    assert [path.name for path in (tmp_path / "mtmc").iterdir()] == ["simulated.json"]
    assert (tmp_path / "mtmc/simulated.json").read_text() == "{}\n"
