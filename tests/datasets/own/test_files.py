import errno
import os
from pathlib import Path

import pytest

from kinemask.datasets.own.files import files_below
from kinemask.datasets.reader import DatasetError


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_linked_folders_are_followed_and_circles_end(tmp_path):
    own, elsewhere = tmp_path / "own", tmp_path / "elsewhere"
    touch(own / "a.npy")
    touch(elsewhere / "b.npy")
    touch(tmp_path / "c.npy")
    (own / "linked").symlink_to(elsewhere)
    (elsewhere / "back").symlink_to(own)
    (own / "up").symlink_to(tmp_path)
    (own / "gone").symlink_to(tmp_path / "nowhere")
    assert list(files_below(own).paths) == ["a.npy", "linked/b.npy"]


def test_names_are_found_however_unicode_spells_them(tmp_path):
    path = touch(tmp_path / "Zoe\u0308" / "cafe\u0301.npy")
    assert files_below(tmp_path).paths == {"Zo\u00eb/caf\u00e9.npy": path}
    touch(tmp_path / "Zoe\u0308" / "caf\u00e9.npy")
    with pytest.raises(DatasetError, match=r"another file has this name in another spelling: rename one"):
        files_below(tmp_path)


def test_a_folder_that_cannot_be_read_is_named_if_it_should_hold_something(tmp_path, monkeypatch):
    touch(tmp_path / "a.npy")
    touch(tmp_path / "shut" / "b.npy")
    scandir = os.scandir

    def refuse(path):
        if Path(path).name == "shut":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = files_below(tmp_path)
    assert list(found.paths) == ["a.npy"]
    found.require_open(["a.npy", "shutter/b.npy"])
    with pytest.raises(DatasetError, match=r"shut cannot be read \(Permission denied\): give this user"):
        found.require_open(["a.npy", "shut/b.npy"])
    assert list(found.closed) == ["shut"]
