"""Archives of `.skeleton` files: names become facts, damaged files become reasons and reading goes on."""

import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from kinemask.datasets.kinect.cleaning import Cleaning
from kinemask.datasets.kinect.skeleton_zip import open_skeletons
from kinemask.datasets.reader import DatasetError
from kinemask.skeleton.clip import Clip
from kinemask.skeleton.packed import Dropped
from tests.datasets.conftest import skeleton_text, write_zip
from tests.datasets.kinect.test_cleaning_reference import KINESIM

CLEANING = Cleaning.model_validate(KINESIM)
JOINTS = np.random.default_rng(0).normal(size=(25, 3)).astype(np.float32)
TEXT = skeleton_text([[("1", JOINTS)], [], [("1", JOINTS + 1)]])


def _read(path: Path) -> list[Clip | Dropped]:
    reading = open_skeletons(path, cleaning=CLEANING, num_classes=20)
    assert not reading.left_out
    return [item for recording in reading.recordings(0) for item in reading.read(recording)]


def test_name_and_content_become_a_clip(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"folder/S003C002P011R001A020.skeleton": TEXT, "readme.txt": b"x"})
    (clip,) = _read(path)
    assert isinstance(clip, Clip)
    assert (clip.name, clip.label, clip.subject) == ("S003C002P011R001A020", 19, 11)
    assert (clip.camera, clip.setup, clip.replication) == (2, 3, 1)
    assert clip.joints.shape == (2, 2, 25, 3)
    assert np.array_equal(clip.joints[:, 0], [JOINTS, JOINTS + 1])
    assert clip.present.tolist() == [[True, False]] * 2
    assert clip.cleaned == {"empty_frames": 1}


def test_damaged_files_are_named_and_reading_goes_on(tmp_path: Path) -> None:
    files = {
        "S001C001P001R001A001.skeleton": TEXT,
        "S001C001P001R001A002.skeleton": b"",
        "S001C001P001R001A003.skeleton": b"2\n0\n0\n",
        "S001C001P001R001A021.skeleton": TEXT,
        "S001C001P001R001.skeleton": TEXT,
        "S001C001P001R002A001.skeleton": TEXT,
    }
    path = write_zip(tmp_path / "a.zip", files)
    found = _read(path)
    assert len(found) == 6
    assert [item.name for item in found if isinstance(item, Clip)] == [
        "S001C001P001R001A001",
        "S001C001P001R002A001",
    ]
    assert {item.name: item.reason for item in found if isinstance(item, Dropped)} == {
        "S001C001P001R001": "the name is not SsssCcccPpppRrrrAaaa",
        "S001C001P001R001A002": "the file is empty",
        "S001C001P001R001A003": "no body in any frame",
        "S001C001P001R001A021": "action 21, expected 1 to 20",
    }


def test_recordings_go_to_processes_and_from_any_number_on(tmp_path: Path) -> None:
    files = {f"S001C001P001R001A00{action}.skeleton": TEXT for action in (2, 1, 3)}
    path = write_zip(tmp_path / "a.zip", files)
    reading = open_skeletons(path, cleaning=CLEANING, num_classes=20)
    assert (reading.num_recordings, reading.num_clips) == (3, 3)
    read, later = pickle.loads(pickle.dumps((reading.read, list(reading.recordings(1)))))
    assert [read(recording)[0].name[-4:] for recording in later] == ["A002", "A003"]


def test_member_whose_bytes_changed_on_disk_is_dropped(tmp_path: Path) -> None:
    files = {"S001C001P001R001A001.skeleton": TEXT, "S001C001P001R001A002.skeleton": TEXT}
    path = write_zip(tmp_path / "a.zip", files, method=zipfile.ZIP_STORED)
    data = path.read_bytes()
    path.write_bytes(data.replace(b" 1 2 3 4 ", b" 1 2 3 5 ", 1))
    first, second = _read(path)
    assert isinstance(first, Dropped)
    assert first.reason.startswith("cannot be unpacked: the checksum")
    assert isinstance(second, Clip)


def test_cut_archive_is_one_line(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"S001C001P001R001A001.skeleton": TEXT})
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DatasetError, match=r"a\.zip is not a whole zip archive .*run download again"):
        _read(path)


def test_absent_archive_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"a\.zip is missing: run download"):
        _read(tmp_path / "a.zip")
