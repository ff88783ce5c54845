"""From made-up archives of PKU-MMD to packed clips, for the tests of its parts."""

from pathlib import Path

import pytest

from kinemask.datasets import DATASETS
from kinemask.datasets.prepare import prepare
from kinemask.datasets.raw_pku import Pku1Config, Pku2Config, PkuConfig
from kinemask.datasets.reader import DatasetError
from kinemask.skeleton.packed import PackedClips, open_packed
from tests.datasets.pku.pku_archive import (
    Made,
    make,
    phase1_names,
    phase2_names,
)

LABELS2 = [label for label in range(1, 52) if label % 5]  # 41 of the 51
INTERVALS = ("one_based_inclusive", "zero_based_exclusive")


def config(name: str = "pku1", **choices: object) -> PkuConfig:
    given = {
        "name": name,
        "one_clip_in": 1,
        "max_damaged_share": 1.0,
        "interval": "one_based_inclusive",
        "zero_clips": "drop",
        "empty_frames": "keep",
    } | choices
    return (Pku1Config if name == "pku1" else Pku2Config).model_validate(given)


def small(phase: int = 1, num: int = 18, num_instances: int = 120) -> Made:
    """A few sequences of people who train and of people who test, from three cameras."""
    if phase == 1:
        names = [name for name in phase1_names() if 286 <= int(name[:4]) < 293][:num]
        return make(names, num_instances=num_instances, labels=range(1, 52), phase=1)
    return make(phase2_names()[:num], num_instances=num_instances, labels=LABELS2, phase=2)


def fetched(tmp_path: Path, made: Made, name: str = "pku1", kind: str = "7z") -> Path:
    made.write(tmp_path / "mirror" / name, kind=kind)
    raw = tmp_path / "data" / "raw" / name
    DATASETS[name].fetch(config(name), name, raw, [str(tmp_path / "mirror")])
    return raw


def prepared(tmp_path: Path, made: Made, section: PkuConfig | None = None, kind: str = "7z") -> PackedClips:
    section = section or config()
    raw = fetched(tmp_path, made, section.name, kind)
    packed = tmp_path / "data" / "packed" / section.name
    prepare(DATASETS[section.name], section, name=section.name, raw=raw, packed=packed, processes=1)
    return open_packed(packed)


def refused(tmp_path: Path, made: Made, name: str = "pku1") -> str:
    with pytest.raises(DatasetError) as caught:
        fetched(tmp_path, made, name)
    message = str(caught.value)
    assert "\n" not in message
    verdict = DATASETS[name].check(config(name), name, [str(tmp_path / "mirror")])
    assert verdict.state == "unusable"
    assert verdict.problems == (message,)
    return message
