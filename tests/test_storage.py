"""Folders appear whole or not at all; a disk that does not take them is named in one line."""

import errno
from pathlib import Path

import pytest

from kinemask.storage import StorageError, whole_folder, writing


def test_folder_is_not_there_before_the_block_ends(tmp_path: Path) -> None:
    with whole_folder(tmp_path / "data") as partial:
        (partial / "a.txt").write_text("a")
        assert not (tmp_path / "data").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
    assert (tmp_path / "data" / "a.txt").read_text() == "a"


def _fail_half_way(folder: Path) -> None:
    with whole_folder(folder) as partial:
        (partial / "a.txt").write_text("half")
        raise ValueError("stop")


def test_failure_leaves_nothing_half_written_and_keeps_the_old_folder(tmp_path: Path) -> None:
    with whole_folder(tmp_path / "data") as partial:
        (partial / "a.txt").write_text("whole")
    with pytest.raises(ValueError, match="stop"):
        _fail_half_way(tmp_path / "data")
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
    assert (tmp_path / "data" / "a.txt").read_text() == "whole"


def test_new_folder_replaces_the_old_one_whole(tmp_path: Path) -> None:
    for name in ("old", "new"):
        with whole_folder(tmp_path / "data") as partial:
            (partial / name).touch()
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["new"]
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_what_a_killed_run_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".data.partial").mkdir()
    (tmp_path / ".data.partial" / "left").touch()
    with whole_folder(tmp_path / "data"):
        pass
    assert list((tmp_path / "data").iterdir()) == []


def test_folder_below_a_file_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError) as raised, whole_folder(tmp_path / "file" / "data"):
        pass
    message = str(raised.value)
    assert str(tmp_path / "file" / "data") in message
    assert "Not a directory" in message
    assert "move it away" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("number", "cure"),
    [
        (errno.ENOSPC, "free some space"),
        (errno.EROFS, "make the folder writable"),
        (errno.EACCES, "writable"),
    ],
)
def test_cause_and_cure_are_named(tmp_path: Path, number: int, cure: str) -> None:
    with pytest.raises(StorageError, match=cure) as raised, writing(tmp_path / "data"):
        raise OSError(number, "the cause")
    assert "the cause" in str(raised.value)
    assert str(tmp_path / "data") in str(raised.value)
