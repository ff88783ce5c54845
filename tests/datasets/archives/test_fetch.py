"""Archives: which sources are tried in which order, and that only the right bytes ever get a name."""

import hashlib
import json
import logging
from dataclasses import replace
from pathlib import Path

import pytest

from kinemask.datasets.archives import http
from kinemask.datasets.archives.fetch import (
    Archive,
    FetchError,
    Source,
    SourceFile,
    fetch_archive,
    file_sha256,
    read_source,
)
from kinemask.datasets.archives.zip_members import content_digest, list_zip
from kinemask.datasets.reader import DatasetError
from kinemask.storage import StorageError
from tests.datasets.archives.zip_archive import encrypted_zip
from tests.datasets.conftest import Server, write_zip

FILES = {"data/a.txt": b"one" * 20_000, "data/b.txt": b"two"}
WRONG = {"data/a.txt": b"another"}
DEAD = "http://127.0.0.1:9"  # the discard port, closed


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "PAUSE_SECONDS", 0.0)


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    path = write_zip(tmp_path / "original.zip", FILES)
    content = content_digest(list_zip(path, lambda path: path.suffix == ".txt").members)
    return Archive(
        dataset="tiny",
        file="tiny.zip",
        names=("tiny.zip", "original.zip"),
        url=f"{DEAD}/original.zip",
        sha256=(file_sha256(path),),
        content_sha256=content,
        wanted=lambda path: path.suffix == ".txt",
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data" / "raw" / "tiny"


def _leftovers(folder: Path) -> list[str]:
    """Files below data, apart from the folder itself."""
    data = folder.parent.parent
    return [str(path) for path in data.rglob("*") if path.is_file() and folder not in path.parents]


@pytest.mark.parametrize("place", ["tiny/tiny.zip", "tiny/original.zip", "tiny.zip", "original.zip"])
def test_mirror_folder_is_searched_below_the_dataset_and_at_the_top(
    tmp_path: Path, archive: Archive, folder: Path, place: str
) -> None:
    path = write_zip(tmp_path / "mirror" / place, FILES)
    fetch_archive(archive, folder, [str(tmp_path / "mirror")])
    assert sorted(item.name for item in folder.iterdir()) == ["source.json", "tiny.zip"]
    file = SourceFile(name="tiny.zip", bytes=path.stat().st_size, sha256=file_sha256(path), origin=str(path))
    assert read_source(folder) == Source(content_sha256=archive.content_sha256, files=(file,))
    assert _leftovers(folder) == []


def test_mirror_may_be_a_file_address(tmp_path: Path, archive: Archive, folder: Path) -> None:
    write_zip(tmp_path / "a mirror" / "tiny.zip", FILES)
    fetch_archive(archive, folder, [(tmp_path / "a mirror").as_uri()])
    assert (folder / "tiny.zip").is_file()


def test_other_zip_of_the_same_files_is_accepted(tmp_path: Path, archive: Archive, folder: Path) -> None:
    other = {f"top/{name}": data for name, data in FILES.items()} | {"top/README": b"more"}
    path = write_zip(tmp_path / "mirror" / "tiny.zip", other)
    assert file_sha256(path) not in archive.sha256
    fetch_archive(archive, folder, [str(tmp_path / "mirror")])
    assert (folder / "tiny.zip").read_bytes() == path.read_bytes()


def test_known_zip_is_accepted_whatever_its_content_hashes_to(
    tmp_path: Path, archive: Archive, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_zip(tmp_path / "mirror" / "tiny.zip", FILES)
    with caplog.at_level(logging.WARNING):
        fetch_archive(replace(archive, content_sha256="0"), folder, [str(tmp_path / "mirror")])
    assert read_source(folder).content_sha256 == archive.content_sha256
    assert f"the digest of its content is {archive.content_sha256}, expected 0" in caplog.text


def test_wrong_archive_is_refused_by_name_and_the_next_source_is_tried(
    tmp_path: Path, archive: Archive, folder: Path, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = write_zip(tmp_path / "wrong" / "tiny.zip", WRONG)
    server.files["/tiny/tiny.zip"] = write_zip(tmp_path / "right.zip", FILES).read_bytes()
    with caplog.at_level(logging.WARNING):
        fetch_archive(archive, folder, [str(tmp_path / "wrong"), server.url])
    assert read_source(folder).files[0].origin == f"{server.url}/tiny/tiny.zip"
    (message,) = caplog.messages
    for part in (str(wrong), file_sha256(wrong), archive.sha256[0], archive.content_sha256):
        assert part in message
    assert "\n" not in message
    assert _leftovers(folder) == []


def test_nothing_right_anywhere_is_one_line_with_every_source_and_the_cure(
    tmp_path: Path, archive: Archive, folder: Path, server: Server
) -> None:
    write_zip(tmp_path / "wrong" / "tiny.zip", WRONG)
    (tmp_path / "file").touch()
    mirrors = [*(str(tmp_path / name) for name in ("wrong", "nowhere", "file")), server.url]
    with pytest.raises(FetchError) as raised:
        fetch_archive(archive, folder, mirrors)
    message = str(raised.value)
    assert f"{tmp_path}/wrong/tiny.zip is refused: its sha256 is" in message
    assert f"{tmp_path}/nowhere (no such folder) does not hold it" in message
    assert f"{tmp_path}/file (a file, no folder) does not hold it" in message
    assert f"{server.url} does not hold it" in message
    assert f"{archive.url} cannot be reached: " in message
    assert "Put tiny.zip or original.zip into a folder" in message
    assert "KINEMASK_MIRROR or in download.mirrors" in message
    assert "\n" not in message
    assert not folder.exists()
    assert _leftovers(folder) == []


def test_half_an_archive_and_a_login_page_are_refused(
    tmp_path: Path, archive: Archive, folder: Path, server: Server
) -> None:
    whole = write_zip(tmp_path / "right.zip", FILES).read_bytes()
    server.files["/tiny/tiny.zip"] = whole[: len(whole) // 2]
    server.files["/tiny/original.zip"] = b"<html>Please log in</html>"
    with pytest.raises(FetchError, match="not a whole zip archive"):
        fetch_archive(archive, folder, [server.url])
    assert not folder.exists()
    assert _leftovers(folder) == []


def test_archive_that_cannot_be_looked_at_is_refused_with_the_reason(
    tmp_path: Path, archive: Archive, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KINEMASK_ARCHIVE_PASSWORD", raising=False)
    path = encrypted_zip(tmp_path / "mirror" / "tiny.zip", b"one", b"open")
    archives = {
        "it is encrypted: put the password into the variable KINEMASK_ARCHIVE_PASSWORD": path.read_bytes(),
        "it is an archive of archives ('a.zip'): unpack it": write_zip(path, {"a.zip": b""}).read_bytes(),
        "it holds no file of tiny": write_zip(path, {"README": b""}).read_bytes(),
        "it is not a whole zip archive (File is not a zip file)": b"<html>",
    }
    for reason, data in archives.items():
        path.write_bytes(data)
        with pytest.raises(FetchError) as raised:
            fetch_archive(archive, folder, [str(path.parent)])
        assert f"{path} is refused: its sha256 is {file_sha256(path)}, expected" in str(raised.value)
        assert f"; the digest of its content cannot be told: {reason}" in str(raised.value)
        assert ".partial" not in str(raised.value)


def test_archive_with_a_damaged_member_is_refused(tmp_path: Path, archive: Archive, folder: Path) -> None:
    path = write_zip(tmp_path / "mirror" / "tiny.zip", FILES)
    data = bytearray(path.read_bytes())
    data[60] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(FetchError, match="cannot be unpacked"):
        fetch_archive(archive, folder, [str(tmp_path / "mirror")])


def test_interrupted_download_goes_on_in_the_next_run(
    tmp_path: Path, archive: Archive, folder: Path, server: Server
) -> None:
    whole = write_zip(tmp_path / "right.zip", {**FILES, "pad.bin": bytes(range(256)) * 4000}).read_bytes()
    server.files["/tiny/tiny.zip"] = whole
    place = f"{server.url}/tiny/tiny.zip"
    part = folder.parent.parent / ".partial" / f"{hashlib.sha256(place.encode()).hexdigest()[:12]}-tiny.zip"
    part.parent.mkdir(parents=True)
    part.write_bytes(whole[:1000])
    fetch_archive(archive, folder, [server.url])
    assert server.requests == [("/tiny/tiny.zip", "bytes=1000-")]
    assert (folder / "tiny.zip").read_bytes() == whole
    assert _leftovers(folder) == []


def test_part_of_another_version_is_thrown_away_and_fetched_anew(
    tmp_path: Path, archive: Archive, folder: Path, server: Server
) -> None:
    whole = write_zip(tmp_path / "right.zip", FILES).read_bytes()
    server.files["/tiny/tiny.zip"] = whole
    place = f"{server.url}/tiny/tiny.zip"
    part = folder.parent.parent / ".partial" / f"{hashlib.sha256(place.encode()).hexdigest()[:12]}-tiny.zip"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * 100)
    fetch_archive(archive, folder, [server.url])
    assert [asked for _, asked in server.requests] == ["bytes=100-", None]
    assert (folder / "tiny.zip").read_bytes() == whole


def test_unreachable_mirror_is_asked_once_only(archive: Archive, folder: Path, server: Server) -> None:
    server.statuses = [403] * 10
    with pytest.raises(FetchError, match="answers 403 Forbidden"):
        fetch_archive(archive, folder, [server.url])
    assert len(server.requests) == 1


def test_folder_that_cannot_be_written_is_one_line_and_tries_no_other_source(
    tmp_path: Path, archive: Archive
) -> None:
    write_zip(tmp_path / "mirror" / "tiny.zip", FILES)
    (tmp_path / "data").touch()
    with pytest.raises(StorageError, match="cannot write"):
        fetch_archive(archive, tmp_path / "data" / "raw" / "tiny", [str(tmp_path / "mirror")])


def test_source_that_is_missing_or_damaged_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="run download"):
        read_source(tmp_path)
    (tmp_path / "source.json").write_text(json.dumps({"file": "a"})[:-3])
    with pytest.raises(DatasetError, match="run download"):
        read_source(tmp_path)
