"""7z archives: files that are not read and why, archives that cannot be used, and encrypted ones."""

import io
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from py7zr import SevenZipFile

from kinemask.datasets.archives.member_rules import PASSWORD_VARIABLE
from kinemask.datasets.archives.seven_zip import stream_7z
from kinemask.datasets.reader import DatasetError
from tests.datasets.archives.seven_zip_archive import (
    FILES,
    PPMD,
    SIGNATURE_BYTES,
    list_texts,
    noise,
    stream_texts,
    write_7z,
)


def _write_under(path: Path, name: str) -> None:
    """An archive with a file of a path that py7zr would mend: put in by its list of files."""
    stand_in = "s" * len(name)
    plain = io.BytesIO()
    with SevenZipFile(plain, "w") as archive:
        archive.set_encoded_header_mode(False)
        archive.writestr(b"evil", stand_in)
        archive.writestr(b"one", "data/a.txt")
    data = plain.getvalue().replace(stand_in.encode("utf-16-le"), name.encode("utf-16-le"))
    # The list of files, and what says where it lies, have checksums.
    offset, size = (int.from_bytes(data[at : at + 8], "little") for at in (12, 20))
    checksum = zlib.crc32(data[SIGNATURE_BYTES + offset :][:size]).to_bytes(4, "little")
    start = data[12:28] + checksum
    path.write_bytes(data[:8] + zlib.crc32(start).to_bytes(4, "little") + start + data[32:])


def test_a_method_that_cannot_be_read_safely_is_refused_in_one_line(tmp_path: Path) -> None:
    path = write_7z(tmp_path / "a.7z", FILES, filters=PPMD)
    with pytest.raises(
        DatasetError, match=r"a\.7z is packed with PPMd, .*: unpack it and pack it again with LZMA2"
    ):
        list_texts(path)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("/data/x.txt", "is absolute"),
        ("C:/data/x.txt", "is absolute"),
        ("data/../../x.txt", "leads out of the archive"),
        ("data/\n/x.txt", "holds a character that cannot be printed"),
    ],
)
def test_an_unsafe_path_is_refused_by_name_and_the_rest_read(tmp_path: Path, name: str, reason: str) -> None:
    _write_under(tmp_path / "a.7z", name)
    listing = list_texts(tmp_path / "a.7z")
    assert stream_texts(tmp_path / "a.7z") == {"data/a.txt": b"one"}
    (refused,) = listing.refused
    assert refused.name == "x"
    assert refused.reason.startswith("a.7z: its path ")
    assert reason in refused.reason


@pytest.mark.parametrize(("second", "content"), [(b"one", "the same content"), (b"two", "other content")])
@pytest.mark.parametrize("folder", ["x", "y"])
def test_of_two_files_of_one_name_the_first_is_read(
    tmp_path: Path, second: bytes, content: str, folder: str
) -> None:
    path = tmp_path / "a.7z"
    with SevenZipFile(path, "w") as archive:
        archive.writestr(b"one", "x/a.txt")
        archive.writestr(second, f"{folder}/a.txt")
        archive.writestr(b"b", "x/b.txt")
        archive.writestr(b"b", "x/b.txt")
    refused, other = list_texts(path).refused
    assert (refused.name, other.name) == ("a", "b")
    assert refused.reason == f"a.7z: the name is there twice, with {content}; kept is the first, x/a.txt"
    assert (refused.damaged, other.damaged) == (second != b"one", False)  # nothing is lost with a copy
    assert stream_texts(path) == {"x/a.txt": b"one", "x/b.txt": b"b"}


def test_a_block_that_grows_absurdly_is_refused_with_all_its_files(tmp_path: Path) -> None:
    path = write_7z(tmp_path / "a.7z", {f"{n}.txt": bytes(8 << 20) for n in range(2)}, {"b.txt": b"two"})
    listing = list_texts(path)
    assert [member.name for member in listing.members] == ["b"]
    assert [dropped.name for dropped in listing.refused] == ["0", "1"]
    assert "to 16777216 bytes; more than 4000-fold is no recording but a trap" in listing.refused[0].reason
    assert stream_texts(path) == {"b.txt": b"two"}


def test_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "target.txt").touch()
    (tmp_path / "link.txt").symlink_to("target.txt")
    with SevenZipFile(tmp_path / "a.7z", "w") as archive:
        archive.write(tmp_path / "link.txt", "link.txt")
    (refused,) = list_texts(tmp_path / "a.7z").refused
    assert refused.reason == "a.7z: it is a link or the like, no file"


@pytest.mark.parametrize("header_encryption", [False, True])
def test_an_encrypted_archive_is_read_with_its_password_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, header_encryption: bool
) -> None:
    files = {"a.txt": noise(1), "b.txt": b"", "c.txt": noise(2)}
    path = write_7z(tmp_path / "a.7z", files, password="open", header_encryption=header_encryption)
    monkeypatch.setenv(PASSWORD_VARIABLE, "open")
    assert stream_texts(path) == files
    for word, reason in (
        (None, rf"is encrypted: put the password into the variable {PASSWORD_VARIABLE}"),
        ("wrong", rf"the password in the variable {PASSWORD_VARIABLE} is wrong, or the archive is damaged"),
    ):
        if word is None:
            monkeypatch.delenv(PASSWORD_VARIABLE)
        else:
            monkeypatch.setenv(PASSWORD_VARIABLE, word)
        for use in (list_texts, lambda path: next(stream_7z(path, ["a.txt"]))):
            with pytest.raises(DatasetError, match=reason):
                use(path)


def test_a_password_that_an_archive_does_not_need_does_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PASSWORD_VARIABLE, "anything")
    assert stream_texts(write_7z(tmp_path / "a.7z", FILES)) == FILES


def test_what_is_no_whole_7z_is_said_in_one_line(tmp_path: Path) -> None:
    whole = write_7z(tmp_path / "a.7z", FILES).read_bytes()
    with SevenZipFile(tmp_path / "nothing.7z", "w"):
        pass
    path = tmp_path / "b.7z"
    for data in (b"", b"PK\x03\x04", whole[:10], whole[:40], whole[:-1], whole[:32]):
        path.write_bytes(data)
        with pytest.raises(
            DatasetError, match=r"b\.7z is not a whole 7z archive .*: copy it again from where"
        ):
            list_texts(path)
    with pytest.raises(DatasetError, match=r"c\.7z is missing: run download"):
        list_texts(tmp_path / "c.7z")
    with pytest.raises(DatasetError, match="Is a directory"):
        list_texts(tmp_path)
    with pytest.raises(DatasetError, match=r"c\.7z is missing"):
        next(stream_7z(tmp_path / "c.7z", ["a.txt"]))


def test_any_damage_to_an_archive_is_an_error_of_ours(tmp_path: Path) -> None:
    whole = write_7z(tmp_path / "a.7z", {f"{n}.txt": noise(n, 300) for n in range(5)}).read_bytes()
    path, generator = tmp_path / "b.7z", np.random.default_rng(0)
    outcomes = Counter[str]()
    for _ in range(200):
        data = bytearray(whole)
        data[generator.integers(len(data))] = generator.integers(256)
        path.write_bytes(data)
        try:
            found = stream_texts(path)
            outcomes["damaged" if any(isinstance(it, str) for it in found.values()) else "whole"] += 1
            assert len(found) == 5
        except DatasetError:
            outcomes["refused"] += 1
    assert outcomes["damaged"] > 0
    assert outcomes["refused"] > 0
