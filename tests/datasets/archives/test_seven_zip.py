"""7z archives: what they hold, their files one after another, damage, and the memory it takes."""

import gc
import lzma
import os
import threading
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from py7zr import SevenZipFile

from kinemask.datasets.archives.seven_zip import _Sinks, stream_7z
from kinemask.datasets.archives.zip_members import list_zip
from tests.datasets.archives.seven_zip_archive import (
    BZIP2,
    COPY,
    DEFLATE,
    FILES,
    LZMA1,
    LZMA2,
    SIGNATURE_BYTES,
    is_text,
    list_texts,
    noise,
    stream_texts,
    write_7z,
)
from tests.datasets.conftest import write_zip
from tests.new_process import in_new_process


def _damaged(path: Path, place: int) -> Path:
    data = bytearray(path.read_bytes())
    data[place] ^= 0xFF
    path.write_bytes(data)
    return path


def test_files_of_nested_folders_and_several_blocks_come_in_the_order_of_the_archive(tmp_path: Path) -> None:
    blocks = [{"x/c.txt": b"1", "y/z/a.txt": b"22", "x/a.png": b"3"}, {"b.txt": b"444", "x/d.txt": b"5"}]
    path = write_7z(tmp_path / "a.7z", *blocks)
    listing = list_texts(path)
    assert [member.path for member in listing.members] == ["x/c.txt", "y/z/a.txt", "b.txt", "x/d.txt"]
    assert [member.name for member in listing.members] == ["c", "a", "b", "d"]
    assert [member.size for member in listing.members] == [1, 2, 3, 1]
    assert listing.refused == ()
    found = stream_texts(path)
    assert list(found.items()) == [
        ("x/c.txt", b"1"),
        ("y/z/a.txt", b"22"),
        ("b.txt", b"444"),
        ("x/d.txt", b"5"),
    ]


def test_only_the_asked_files_come_whatever_their_order(tmp_path: Path) -> None:
    path = write_7z(tmp_path / "a.7z", {f"{n}.txt": bytes([n]) * 9 for n in range(6)}, {"x.txt": b"x"})
    assert list(stream_texts(path, ["x.txt", "4.txt", "1.txt"])) == ["1.txt", "4.txt", "x.txt"]
    assert stream_texts(path, []) == {}


def test_empty_files_come_first_and_folders_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "in" / "folder.txt").mkdir(parents=True)
    (tmp_path / "in" / "empty.txt").touch()
    (tmp_path / "in" / "full.txt").write_bytes(b"full")
    path = tmp_path / "a.7z"
    with SevenZipFile(path, "w") as archive:
        archive.writeall(tmp_path / "in", "in")
        archive.writestr(b"", "in/none.txt")
    assert [member.name for member in list_texts(path).members] == ["empty", "none", "full"]
    assert list_texts(path).refused == ()
    assert stream_texts(path) == {"in/empty.txt": b"", "in/none.txt": b"", "in/full.txt": b"full"}


def test_an_archive_of_nothing_but_empty_files_is_read(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").touch()
    with SevenZipFile(tmp_path / "a.7z", "w") as archive:
        archive.write(tmp_path / "empty.txt", "empty.txt")
    assert stream_texts(tmp_path / "a.7z") == {"empty.txt": b""}


@pytest.mark.parametrize("filters", [None, LZMA2, LZMA1, COPY, BZIP2, DEFLATE])
def test_files_of_every_method_are_read_as_they_were_written(tmp_path: Path, filters: Any) -> None:
    files = {f"{number}.txt": noise(number, 100_000 * number + 1) for number in range(4)}
    assert stream_texts(write_7z(tmp_path / "a.7z", files, filters=filters)) == files


def test_the_digest_is_that_of_a_zip_of_the_same_files(tmp_path: Path) -> None:
    listing = list_texts(write_7z(tmp_path / "a.7z", FILES, {"__MACOSX/data/._c.txt": b"x", "d.png": b"y"}))
    assert listing.digest == list_zip(write_zip(tmp_path / "a.zip", FILES), is_text).digest
    other = list_texts(write_7z(tmp_path / "b.7z", {**FILES, "data/b.txt": b"tow"}))
    assert listing.digest != other.digest


@pytest.mark.parametrize("filters", [LZMA2, COPY, BZIP2])
def test_damage_takes_the_rest_of_its_block_by_name_and_no_other_block(tmp_path: Path, filters: Any) -> None:
    blocks = [{f"{block}{n}.txt": noise(10 * block + n, 40_000) for n in range(3)} for block in (1, 2)]
    path = write_7z(tmp_path / "a.7z", *blocks, filters=filters)
    found = stream_texts(_damaged(path, SIGNATURE_BYTES + 60_000))
    assert list(found) == ["10.txt", "11.txt", "12.txt", "20.txt", "21.txt", "22.txt"]
    lost = [name for name, it in found.items() if isinstance(it, str)]
    assert {"11.txt", "12.txt"} <= set(lost) <= set(blocks[0])
    first = found[lost[0]]
    assert isinstance(first, str)
    assert first.startswith("cannot be unpacked: ")
    for name in lost[1:]:
        assert found[name] == f"cannot be unpacked: it follows {lost[0]}, where the archive is damaged"
    assert {name: found[name] for name in blocks[1]} == blocks[1]


def test_a_damaged_file_that_nobody_asked_for_takes_those_behind_it(tmp_path: Path) -> None:
    path = write_7z(tmp_path / "a.7z", {f"{n}.txt": noise(n) for n in range(3)}, filters=COPY)
    found = stream_texts(_damaged(path, SIGNATURE_BYTES + 100), ["1.txt", "2.txt"])
    assert found == {
        "1.txt": "cannot be unpacked: its checksum is wrong",
        "2.txt": "cannot be unpacked: it follows 1.txt, where the archive is damaged",
    }


def test_a_file_that_the_archive_no_longer_holds_is_named(tmp_path: Path) -> None:
    found = stream_texts(write_7z(tmp_path / "a.7z", FILES), ["data/b.txt", "data/gone.txt"])
    assert found["data/b.txt"] == b"two"
    assert "the archive has changed" in str(found["data/gone.txt"])


def test_a_consumer_that_stops_early_stops_the_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []
    create = _Sinks.create
    monkeypatch.setattr(_Sinks, "create", lambda sinks, name: (begun.append(name), create(sinks, name))[1])
    files = {f"{number:03d}.txt": noise(number, 50_000) for number in range(50)}
    path = write_7z(tmp_path / "a.7z", files, filters=COPY)
    before = threading.active_count()
    stream = stream_7z(path, list(files))
    assert next(stream) == ("000.txt", files["000.txt"])
    assert threading.active_count() == before + 1
    del stream
    gc.collect()
    assert threading.active_count() == before
    assert len(begun) < 10


def test_an_error_that_nobody_foresaw_is_raised_where_the_files_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise KeyError("a bug")

    path = write_7z(tmp_path / "a.7z", FILES)
    monkeypatch.setattr(SevenZipFile, "extract", fail)
    with pytest.raises(KeyError, match="a bug"):
        list(stream_7z(path, ["data/b.txt"]))


def _peak_bytes(path: Path, slow: float = 0) -> int:
    """The most memory while the files come, behind the first: the list of files takes more, once."""
    names = [member.path for member in list_texts(path).members]
    tracemalloc.start()
    stream = stream_7z(path, names)
    next(stream)
    tracemalloc.reset_peak()
    time.sleep(slow)  # a slow consumer does not let files pile up
    assert sum(1 for _ in stream) == len(names) - 1
    return tracemalloc.get_traced_memory()[1]


def test_memory_is_that_of_a_few_files(tmp_path: Path) -> None:
    size = 1 << 20
    # The dictionary of LZMA takes its own memory: stored files show what we hold.
    path = write_7z(tmp_path / "a.7z", {f"{n}.txt": noise(n, size) for n in range(20)}, filters=COPY)
    assert in_new_process(_peak_bytes, path, 0.5) < 6 * size


def test_well_packed_files_do_not_let_packed_data_pile_up(tmp_path: Path) -> None:
    # Six megabytes packed: reading ahead by a megabyte a file, py7zr would hold nearly all of them.
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 16}]
    files = {f"{n}.txt": noise(n, 60_000) + bytes(140_000) for n in range(100)}
    path = write_7z(tmp_path / "a.7z", files, filters=filters)
    assert in_new_process(_peak_bytes, path) < 3_000_000


def test_nothing_is_written_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_7z(tmp_path / "a.7z", FILES, {"c.txt": noise(1, 1 << 20)})
    (tmp_path / "work" / "temporary").mkdir(parents=True)
    # A link of the same name as a folder of the archive must not matter either.
    (tmp_path / "work" / "data").symlink_to("/")
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "work" / "temporary"))
    opened: list[object] = []
    real = os.open
    monkeypatch.setattr(os, "open", lambda *args, **options: (opened.append(args), real(*args, **options))[1])
    assert stream_texts(path) == {**FILES, "c.txt": noise(1, 1 << 20)}
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")) == [
        "a.7z", "work", "work/data", "work/temporary",
    ]  # fmt: skip
    assert opened == []
