"""IRDS: names become facts, lines become frames, and the twelve poor clips are in no protocol."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kinemask.datasets.raw_irds import ARCHIVE, EXPECTED, IRDS, IrdsConfig, protocols, read_frames
from kinemask.datasets.reader import DamagedError
from kinemask.skeleton.clip import Clip
from kinemask.skeleton.packed import Dropped
from tests.datasets.conftest import read_all, write_zip

ALL = IrdsConfig(name="irds", one_clip_in=1, max_damaged_share=0.0)
JOINTS = np.random.default_rng(0).normal(size=(3, 25, 3)).astype(np.float32)


def text(joints: np.ndarray) -> bytes:
    return b"".join(b",".join(b"%.9g" % value for value in frame.ravel()) + b"\n" for frame in joints)


def test_name_and_lines_become_a_clip(tmp_path: Path) -> None:
    files = {
        "SkeletonData/RawData/303_18_4_10_1_stand.txt": b"other columns",
        "SkeletonData/Simplified/303_18_4_10_1_stand.txt": text(JOINTS),
        "SkeletonData/Simplified/.DS_Store": b"x",
        "__MACOSX/SkeletonData/Simplified/._303_18_4_10_1_stand.txt": b"x",
    }
    write_zip(tmp_path / ARCHIVE.file, files)
    (clip,) = read_all(IRDS.open(ALL, "irds", tmp_path))
    assert isinstance(clip, Clip)
    assert (clip.name, clip.label, clip.subject, clip.replication) == ("303_18_4_10_1_stand", 4, 303, 10)
    assert clip.traits == {"group": "healthy", "correct": "1", "position": "stand"}
    assert clip.joints.shape == (3, 1, 25, 3)
    assert np.array_equal(clip.joints[:, 0], JOINTS)
    assert clip.present.all()


@pytest.mark.parametrize(
    ("subject", "group"), [(101, "healthy"), (307, "healthy"), (201, "patient"), (217, "patient")]
)
def test_first_digit_of_the_subject_says_who_is_a_patient(tmp_path: Path, subject: int, group: str) -> None:
    write_zip(tmp_path / ARCHIVE.file, {f"Simplified/{subject}_18_0_1_1_sit.txt": text(JOINTS)})
    (clip,) = read_all(IRDS.open(ALL, "irds", tmp_path))
    assert isinstance(clip, Clip)
    assert clip.traits["group"] == group


def test_slice_takes_every_nth_clip_by_name_and_is_not_complete(tmp_path: Path) -> None:
    names = [f"101_18_0_{number}_1_stand" for number in range(1, 8)]
    write_zip(tmp_path / ARCHIVE.file, {f"Simplified/{name}.txt": text(JOINTS) for name in names})
    config = IrdsConfig(name="irds", one_clip_in=3, max_damaged_share=0.0)
    assert [clip.name for clip in read_all(IRDS.open(config, "irds", tmp_path))] == names[::3]
    assert not config.complete
    assert IRDS.expected(config) is None
    assert IRDS.expected(ALL) == EXPECTED


@pytest.mark.parametrize("name", ["303_18_4_10_1", "403_18_4_10_1_stand", "303_18_9_10_1_stand", "x"])
def test_foreign_name_is_dropped(tmp_path: Path, name: str) -> None:
    write_zip(tmp_path / ARCHIVE.file, {f"Simplified/{name}.txt": text(JOINTS)})
    (dropped,) = read_all(IRDS.open(ALL, "irds", tmp_path))
    assert isinstance(dropped, Dropped)
    assert dropped.reason == "the name is not Subject_Date_Gesture_Repetition_Correct_Position"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file is empty"),
        (text(JOINTS)[:-200], "frame 3: .* values, expected 75"),
        (text(JOINTS) + b"0,0\n", "frame 4: 2 values, expected 75"),
        (b"0," * 74 + b"x\n", "not a number"),
        (b"0," * 74 + b"nan\n", "frame 1: a coordinate is not finite"),
        (b"0," * 74 + b"1e4\n", "frame 1: a coordinate is not finite or beyond 100 m"),
    ],
)
def test_damage_has_its_own_reason(data: bytes, reason: str) -> None:
    with pytest.raises(DamagedError, match=reason):
        read_frames(data)


def test_protocols_are_the_ones_described_and_leave_poor_clips_out() -> None:
    clips = pd.DataFrame(
        [
            (101, "healthy", "1", "stand"),
            (102, "healthy", "2", "chair"),
            (201, "patient", "1", "Stand-frame"),
            (202, "patient", "2", "wheelchair"),
            (203, "patient", "1", "sit"),
            (101, "healthy", "3", "stand"),
        ],
        columns=["subject", "group", "correct", "position"],
    )
    found = {name: rule(clips).tolist() for name, rule in protocols(ALL).items()}
    assert found == {
        "xsub": ["train", "test", "train", "test", "train", "unused"],
        "xgroup": ["train", "train", "test", "test", "test", "unused"],
        "xpos": ["train", "test", "train", "test", "test", "unused"],
    }


def test_known_counts_agree_with_one_another() -> None:
    for name, (train, test) in EXPECTED.parts.items():
        assert sum(EXPECTED.classes[name, "train"]) == train
        assert sum(EXPECTED.classes[name, "test"]) == test
        assert train + test == 2577
