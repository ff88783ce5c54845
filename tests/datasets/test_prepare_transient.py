"""What can be mended without other data stops `prepare` and is not noted: afterwards all is read."""

import os
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from kinemask.datasets.archives import seven_zip
from kinemask.datasets.archives.member_rules import PASSWORD_VARIABLE
from kinemask.datasets.archives.seven_zip import stream_7z
from kinemask.datasets.archives.zip_members import read_member
from kinemask.datasets.archives.zip_reading import open_zip
from kinemask.datasets.prepare import prepare
from kinemask.datasets.reader import DamagedError, DatasetError, Reading
from kinemask.skeleton.clip import Clip
from kinemask.skeleton.packed import DatasetInfo, Dropped
from tests.datasets.archives.seven_zip_archive import COPY, list_texts, noise, write_7z
from tests.datasets.archives.zip_archive import encrypted_zip, is_text
from tests.datasets.archives.zip_archive import list_texts as list_zipped_texts
from tests.datasets.conftest import write_zip
from tests.datasets.generated import READER, make_config


def _clip(name: str, data: bytes) -> Clip:
    return Clip(name, 0, 1, np.full((2, 2, 25, 3), len(data), np.float32), np.ones((2, 2), np.bool_))


def _prepare(root: Path, open_reading) -> DatasetInfo:
    reader = replace(READER, open=lambda config, name, raw: open_reading())
    reader.fetch(make_config(), "tiny", root / "raw", [])
    return prepare(reader, make_config(), name="tiny", raw=root / "raw", packed=root / "packed/tiny")


def _open_7z(path: Path) -> Reading:
    names = [member.path for member in list_texts(path).members]
    return Reading(
        num_recordings=len(names),
        num_clips=len(names),
        recordings=partial(_stream, path, names),
        read=_read,
    )


def _stream(path: Path, names: list[str], start: int) -> Iterator[tuple[str, bytes | DamagedError]]:
    return stream_7z(path, names[start:])


def _read(item: tuple[str, bytes | DamagedError]) -> list[Clip | Dropped]:
    name, data = item
    return [Dropped(name, str(data)) if isinstance(data, DamagedError) else _clip(name, data)]


def _unlucky_word(path: Path) -> str:
    """A wrong password that passes the check byte of the only member, as one in 256 does."""
    (member,) = list_zipped_texts(path).members
    for number in range(5000):
        os.environ[PASSWORD_VARIABLE] = f"wrong{number}"
        try:
            read_member(member)
        except DatasetError:
            continue
        except DamagedError:
            return f"wrong{number}"
    raise AssertionError("no such word")


@pytest.mark.parametrize("kind", ["zip", "unlucky zip", "7z"])
def test_after_a_wrong_password_the_right_one_is_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setenv(PASSWORD_VARIABLE, "wrong")
    if kind == "7z":
        path = write_7z(tmp_path / "a.7z", {"a.txt": noise(1)}, password="open")
        open_reading = partial(_open_7z, path)
    else:
        path = encrypted_zip(tmp_path / "a.zip", noise(1), b"open")
        open_reading = partial(open_zip, path, is_text, _clip)
    monkeypatch.setenv(PASSWORD_VARIABLE, _unlucky_word(path) if kind == "unlucky zip" else "wrong")
    for _ in range(2):
        with pytest.raises(DatasetError, match=f"the password in .*{PASSWORD_VARIABLE} is wrong") as raised:
            _prepare(tmp_path, open_reading)
        assert "\n" not in str(raised.value)
    monkeypatch.setenv(PASSWORD_VARIABLE, "open")
    assert _prepare(tmp_path, open_reading).num_clips == 1


def test_a_zip_that_is_moved_away_while_it_is_read_is_read_when_it_is_back(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {f"{number}.txt": b"x" * number for number in range(1, 5)})
    read: list[str] = []

    def clip_and_move(name: str, data: bytes) -> Clip:
        read.append(name)
        if len(read) == 2:
            path.rename(tmp_path / "away.zip")
        return _clip(name, data)

    open_reading = partial(open_zip, path, is_text, clip_and_move)
    with pytest.raises(
        DatasetError, match=r"a\.zip cannot be read \(No such file.*put it back and run again"
    ):
        _prepare(tmp_path, open_reading)
    (tmp_path / "away.zip").rename(path)
    info = _prepare(tmp_path, open_reading)
    assert (info.num_clips, info.dropped) == (4, ())
    assert read == ["1", "2", "3", "4"]  # what was read before is not read again


def test_a_7z_that_the_system_stops_giving_is_read_when_it_gives_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_7z(
        tmp_path / "a.7z", *({f"{number}.txt": noise(number)} for number in range(3)), filters=COPY
    )
    extract = seven_zip.extract

    def fail_from_the_second(archive, files, sinks) -> None:
        if files[0].filename != "0.txt":
            folder = os.open(tmp_path, os.O_RDONLY)  # reading a folder is an error of the system
            os.dup2(folder, archive.fp.fileno())
            os.close(folder)
        extract(archive, files, sinks)

    monkeypatch.setattr(seven_zip, "extract", fail_from_the_second)
    with pytest.raises(DatasetError, match=r"a\.7z cannot be read \(Is a directory\): look at the disk"):
        _prepare(tmp_path, partial(_open_7z, path))
    monkeypatch.setattr(seven_zip, "extract", extract)
    info = _prepare(tmp_path, partial(_open_7z, path))
    assert (info.num_clips, info.dropped) == (3, ())
