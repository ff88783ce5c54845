"""Which members of an archive count, and a digest that repacking does not change."""

import hashlib
import zipfile
from pathlib import Path, PurePosixPath

import pytest

from kinemask.datasets.archive import content_digest, count_clips, members, open_archive, read_member
from kinemask.datasets.reader import DamagedError
from tests.datasets.conftest import write_zip

FILES = {"data/b.txt": b"two", "data/a.txt": b"one"}


def _is_text(path: PurePosixPath) -> bool:
    return path.suffix == ".txt"


def _digest(path: Path) -> str:
    with open_archive(path) as archive:
        return content_digest(archive, members(archive, _is_text))


def test_digest_is_over_hashes_and_names_sorted(tmp_path: Path) -> None:
    lines = f"{hashlib.sha256(b'one').hexdigest()}  a.txt\n{hashlib.sha256(b'two').hexdigest()}  b.txt\n"
    assert _digest(write_zip(tmp_path / "a.zip", FILES)) == hashlib.sha256(lines.encode()).hexdigest()


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
def test_digest_does_not_depend_on_packing_folder_order_or_other_files(tmp_path: Path, method: int) -> None:
    other = {
        "top/data/a.txt": b"one",
        "top/data/b.txt": b"two",
        "top/README": b"read",
        "__MACOSX/top/data/._a.txt": b"x",
    }
    expected = _digest(write_zip(tmp_path / "a.zip", FILES))
    assert _digest(write_zip(tmp_path / "b.zip", other, method=method)) == expected


@pytest.mark.parametrize(
    "files",
    [{**FILES, "data/b.txt": b"tow"}, {"data/a.txt": b"one"}, {"data/a.txt": b"one", "data/c.txt": b"two"}],
)
def test_digest_changes_with_content_number_and_names(tmp_path: Path, files: dict[str, bytes]) -> None:
    assert _digest(write_zip(tmp_path / "a.zip", FILES)) != _digest(write_zip(tmp_path / "b.zip", files))


def test_damaged_member_is_damage_for_reader_and_digest(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", FILES, method=zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(b"two", b"tow"))
    with open_archive(path) as archive:
        with pytest.raises(DamagedError, match="cannot be unpacked"):
            read_member(archive, "data/b.txt")
        with pytest.raises(DamagedError, match=r"data/b\.txt cannot be unpacked"):
            content_digest(archive, ["data/a.txt", "data/b.txt"])


def test_slice_takes_every_nth_by_name(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {f"data/{number}.txt": b"" for number in range(7)})
    assert [count_clips(path, _is_text, one_in=n) for n in (1, 2, 3, 10)] == [7, 4, 3, 1]
