"""Mirrors: their order, and that one which cannot be meant is told."""

from pathlib import Path

import pytest

from kinemask.datasets.archives.mirrors import local_path, mirrors_in_order, misnamed, named
from kinemask.datasets.reader import DatasetError


def test_environment_variable_is_the_first_mirror(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KINEMASK_MIRROR", raising=False)
    assert mirrors_in_order(["a", "b"]) == ("a", "b")
    monkeypatch.setenv("KINEMASK_MIRROR", "c")
    assert mirrors_in_order(["a", "b"]) == ("c", "a", "b")


def test_home_of_nobody_is_one_line() -> None:
    with pytest.raises(DatasetError) as raised:
        local_path("~nobody_here/x")
    assert str(raised.value) == (
        "~nobody_here/x: this machine knows no home of ~nobody_here: write the path from /, in "
        "KINEMASK_MIRROR or in download.mirrors of params.yaml"
    )


def test_mirror_that_is_no_folder_is_named_with_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert named("https://example.org") == "https://example.org"
    assert named(str(tmp_path)) == str(tmp_path)
    assert named(f"{tmp_path}/file") == f"{tmp_path}/file (a file, no folder)"
    assert named("gone") == "gone (no such folder)"


def test_file_is_no_mirror_and_the_variable_names_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "ntu.zip"
    file.touch()
    mirrors = [f"{tmp_path}/later", str(file), str(tmp_path), "https://example.org"]
    cure = f"name the folder that holds the archives, which is {tmp_path} for this file"
    monkeypatch.delenv("KINEMASK_MIRROR", raising=False)
    assert list(misnamed(mirrors_in_order(mirrors))) == [
        f"download.mirrors of params.yaml names {file} (a file, no folder): {cure}"
    ]
    monkeypatch.setenv("KINEMASK_MIRROR", str(file))
    assert list(misnamed(mirrors_in_order([]))) == [
        f"KINEMASK_MIRROR names {file} (a file, no folder): {cure}"
    ]
    monkeypatch.setenv("KINEMASK_MIRROR", f"{tmp_path}/typo")
    assert list(misnamed(mirrors_in_order(["later"]))) == [
        f"KINEMASK_MIRROR names {tmp_path}/typo (no such folder): name the folder that holds the archives"
    ]
