"""WMFT: names become facts, bytes become frames, and the protocols are the ones described."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kinemask.datasets.raw_wmft import ARCHIVE, EXPECTED, WMFT, WmftConfig, protocols, read_frames
from kinemask.datasets.reader import DamagedError
from kinemask.skeleton.clip import Clip
from kinemask.skeleton.packed import Dropped
from tests.datasets.conftest import read_all, write_zip

ALL = WmftConfig(name="wmft", one_clip_in=1, max_damaged_share=0.0)
JOINTS = np.random.default_rng(0).normal(size=(3, 25, 3)).astype("<f4")


@pytest.mark.parametrize("folder", ["data", "WMFT_JBHI-47da8b27504bd9e851c21537d29e623796d928a7/data"])
def test_name_and_bytes_become_a_clip_from_either_zip(tmp_path: Path, folder: str) -> None:
    files = {f"{folder}/S07_moderate_task15.bin": JOINTS.tobytes(), "other/S07_mild_task15.bin": b"x"}
    write_zip(tmp_path / ARCHIVE.file, files)
    (clip,) = read_all(WMFT.open(ALL, "wmft", tmp_path))
    assert isinstance(clip, Clip)
    assert (clip.name, clip.label, clip.subject) == ("S07_moderate_task15", 14, 7)
    assert clip.traits == {"condition": "moderate"}
    assert np.array_equal(clip.joints, JOINTS[:, None])
    assert clip.present.all()


@pytest.mark.parametrize("name", ["S07_severe_task01", "S07_mild_task16", "S7_mild_task01", "x"])
def test_foreign_name_is_dropped(tmp_path: Path, name: str) -> None:
    write_zip(tmp_path / ARCHIVE.file, {f"data/{name}.bin": JOINTS.tobytes()})
    (dropped,) = read_all(WMFT.open(ALL, "wmft", tmp_path))
    assert isinstance(dropped, Dropped)
    assert "the name is not" in dropped.reason


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file is empty"),
        (JOINTS.tobytes()[:-4], "896 bytes, expected a multiple of 300: the file is cut"),
        (np.full((1, 25, 3), np.nan, "<f4").tobytes(), "frame 1: a coordinate is not finite"),
    ],
)
def test_damage_has_its_own_reason(data: bytes, reason: str) -> None:
    with pytest.raises(DamagedError, match=reason):
        read_frames(data)


def test_protocols_are_the_ones_described() -> None:
    clips = pd.DataFrame(
        [(subject, condition) for subject in (1, 2) for condition in ("healthy", "mild", "moderate")],
        columns=["subject", "condition"],
    )
    found = {name: rule(clips).tolist() for name, rule in protocols(ALL).items()}
    assert found == {
        "xsub": ["train"] * 3 + ["test"] * 3,
        "xcond": ["train", "unused", "test"] * 2,
        "xboth": ["train", "unused", "unused", "unused", "test", "test"],
    }


def test_known_counts_agree_with_one_another() -> None:
    for name, (train, test) in EXPECTED.parts.items():
        assert sum(EXPECTED.classes[name, "train"]) == train
        assert sum(EXPECTED.classes[name, "test"]) == test
