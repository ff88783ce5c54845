"""Zip archives: which members count, what is read, damage, and the two digests."""

import hashlib
import pickle
import struct
import subprocess
import sys
import zipfile
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from kinemask.datasets.archives.member_rules import directory_digest
from kinemask.datasets.archives.zip_members import content_digest, list_zip, read_member
from kinemask.datasets.reader import DamagedError, DatasetError
from tests.datasets.archives.zip_archive import METHODS, is_text, list_texts, listed_as
from tests.datasets.conftest import write_zip

FILES = {"data/b.txt": b"two", "data/a.txt": b"one"}


def test_members_are_sorted_by_file_name_without_folders_and_what_desktops_add(tmp_path: Path) -> None:
    files = {
        "z/a.txt": b"1",
        "a/": b"",
        "a/c.txt": b"2",
        "b.txt": b"3",
        "__MACOSX/z/._a.txt": b"4",
        "a.png": b"5",
    }
    listing = list_zip(write_zip(tmp_path / "a.zip", files), is_text)
    assert [member.path for member in listing.members] == ["z/a.txt", "b.txt", "a/c.txt"]
    assert [member.name for member in listing.members] == ["a", "b", "c"]
    assert listing.refused == ()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("content", [b"", b"x", bytes(range(256)) * 1000])
def test_a_member_is_read_as_it_was_written(tmp_path: Path, method: int, content: bytes) -> None:
    files = {"data/é.txt": content, "data/b.txt": b"other"}  # a name in UTF-8
    listing = list_texts(write_zip(tmp_path / "a.zip", files, method=method))
    assert {member.name: read_member(member) for member in listing.members} == {"é": content, "b": b"other"}


def test_a_member_is_read_after_it_went_to_another_process(tmp_path: Path) -> None:
    (member, _) = list_texts(write_zip(tmp_path / "a.zip", FILES)).members
    data = pickle.dumps(member)
    assert read_member(pickle.loads(data)) == b"one"
    assert len(data) < 400


def test_a_zip64_member_and_a_long_extra_field_before_the_data_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        with archive.open("data/a.txt", "w", force_zip64=True) as file:
            file.write(b"one")
        info = zipfile.ZipInfo("data/b.txt")
        info.extra = struct.pack("<HH", 0x9999, 500) + bytes(500)
        archive.writestr(info, b"two")
    assert [read_member(member) for member in list_texts(path).members] == [b"one", b"two"]


def test_directory_digest_is_over_sorted_checksums_sizes_and_names(tmp_path: Path) -> None:
    lines = sorted(f"{zlib.crc32(data):08x} 3 {name}.txt\n" for name, data in (("a", b"one"), ("b", b"two")))
    expected = hashlib.sha256("".join(lines).encode()).hexdigest()
    assert list_texts(write_zip(tmp_path / "a.zip", FILES)).digest == expected
    assert directory_digest([(zlib.crc32(b"two"), 3, "b.txt"), (zlib.crc32(b"one"), 3, "a.txt")]) == expected


def test_content_digest_is_over_hashes_and_names_sorted(tmp_path: Path) -> None:
    lines = f"{hashlib.sha256(b'one').hexdigest()}  a.txt\n{hashlib.sha256(b'two').hexdigest()}  b.txt\n"
    digest = content_digest(list_texts(write_zip(tmp_path / "a.zip", FILES)).members)
    assert digest == hashlib.sha256(lines.encode()).hexdigest()


@pytest.mark.parametrize("method", METHODS)
def test_digests_do_not_depend_on_packing_folder_order_or_other_files(tmp_path: Path, method: int) -> None:
    other = {
        "top/data/a.txt": b"one",
        "top/data/b.txt": b"two",
        "top/README": b"read",
        "__MACOSX/top/data/._a.txt": b"x",
    }
    first = list_texts(write_zip(tmp_path / "a.zip", FILES))
    second = list_texts(write_zip(tmp_path / "b.zip", other, method=method))
    assert (first.digest, content_digest(first.members)) == (second.digest, content_digest(second.members))


@pytest.mark.parametrize(
    "files",
    [{**FILES, "data/b.txt": b"tow"}, {"data/a.txt": b"one"}, {"data/a.txt": b"one", "data/c.txt": b"two"}],
)
def test_digests_change_with_content_number_and_names(tmp_path: Path, files: dict[str, bytes]) -> None:
    first, second = (
        list_texts(write_zip(tmp_path / "a.zip", FILES)),
        list_texts(write_zip(tmp_path / "b.zip", files)),
    )
    assert first.digest != second.digest
    assert content_digest(first.members) != content_digest(second.members)


def test_data_that_lie_about_their_size_are_unpacked_no_further_than_it(tmp_path: Path) -> None:
    for method in METHODS[1:]:
        path = write_zip(tmp_path / f"{method}.zip", {"a.txt": bytes(1 << 20)}, method=method)
        # One byte too many is unpacked, to tell: even with a checksum that counts it, it does not pass.
        listed_as(path, 16, "<I", zlib.crc32(bytes(1001)))
        (member,) = list_texts(listed_as(path, 24, "<I", 1000)).members
        with pytest.raises(DamagedError, match="checksum"):
            read_member(member)


def test_damage_is_found_in_data_header_and_length(tmp_path: Path) -> None:
    whole = write_zip(tmp_path / "a.zip", FILES, method=zipfile.ZIP_STORED).read_bytes()
    for old, new, reason in (
        (b"two", b"tow", "checksum"),
        (b"PK\x03\x04", b"PK\x00\x00", "has changed since its members were listed, or is damaged here"),
        (b"data/b.txtt", b"data/c.txtt", "has changed"),
    ):
        path = tmp_path / "b.zip"
        path.write_bytes(whole.replace(old, new))
        member = list_texts(path).members[1]
        with pytest.raises(DamagedError, match=f"cannot be unpacked: .*{reason}"):
            read_member(member)
        with pytest.raises(DamagedError, match=r"data/\w\.txt cannot be unpacked"):
            content_digest([member])


@pytest.mark.parametrize("method", METHODS)
def test_damaged_data_never_become_other_content(tmp_path: Path, method: int) -> None:
    content = bytes(range(256)) * 4
    path = write_zip(tmp_path / "a.zip", {"a.txt": content}, method=method)
    (member,) = list_texts(path).members
    whole = path.read_bytes()
    damaged = 0
    for place in range(35, 35 + member.compressed, 5):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        try:
            assert read_member(member) == content  # some bits say nothing
        except DamagedError:
            damaged += 1
    assert damaged > 0.5 * member.compressed / 5


def test_an_archive_that_is_cut_after_listing_is_damage_and_one_that_is_gone_is_not(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", FILES)
    member = list_texts(path).members[0]
    path.write_bytes(path.read_bytes()[: member.offset + 42])
    with pytest.raises(DamagedError, match="the archive is cut"):
        read_member(member)
    path.unlink()
    with pytest.raises(DatasetError, match=r"a\.zip cannot be read \(No such file .*\): put it back and run"):
        read_member(member)


def test_an_archive_that_takes_the_place_of_another_is_read_anew(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"a.txt": b"one"})
    assert read_member(list_texts(path).members[0]) == b"one"
    write_zip(tmp_path / "b.zip", {"a.txt": b"two"}).replace(path)
    assert read_member(list_texts(path).members[0]) == b"two"


def test_what_is_no_whole_zip_is_said_in_one_line(tmp_path: Path) -> None:
    whole = write_zip(tmp_path / "a.zip", {f"{n}.txt": b"content" for n in range(50)}).read_bytes()
    path = tmp_path / "b.zip"
    for data in (
        b"",
        b"no zip",
        whole[:-30],
        whole[: len(whole) // 2],
        whole[40:200],
        b"7z\xbc\xaf'\x1c" + bytes(50),
    ):
        path.write_bytes(data)
        with pytest.raises(
            DatasetError, match=r"b\.zip is not a whole zip archive .*: copy it again from where you got it"
        ) as e:
            list_texts(path)
        assert "\n" not in str(e.value)
    with pytest.raises(DatasetError, match=r"c\.zip is missing: run download"):
        list_texts(tmp_path / "c.zip")
    with pytest.raises(DatasetError, match="Is a directory"):
        list_texts(tmp_path)


def test_an_archive_cut_at_its_front_is_no_whole_zip_though_its_list_is_there(tmp_path: Path) -> None:
    whole = write_zip(tmp_path / "a.zip", FILES).read_bytes()
    path = tmp_path / "b.zip"
    for num in (1, 10, 60):
        path.write_bytes(whole[num:])
        said = (
            rf"b\.zip is not a whole zip archive \({num} byte\(s\) are missing at its front\): copy it again"
        )
        with pytest.raises(DatasetError, match=said):
            list_texts(path)
    path.write_bytes(b"unpacks itself" + whole)
    assert [read_member(member) for member in list_texts(path).members] == [b"one", b"two"]


READING = """
import sys
from pathlib import Path
from kinemask.datasets.archives.zip_members import list_zip, read_member
for path in sys.argv[1:]:
    for member in list_zip(Path(path), lambda inside: True).members:
        read_member(member)
print(len(list(Path("/proc/self/fd").iterdir())))
"""


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="only Linux lists what is open")
def test_few_archives_stay_open_and_none_is_warned_of_at_the_end(tmp_path: Path) -> None:
    paths = [str(write_zip(tmp_path / f"{number}.zip", FILES)) for number in range(40)]
    words = [sys.executable, "-W", "always::ResourceWarning", "-c", READING, *paths]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert int(done.stdout) < 20


def test_any_damage_to_an_archive_is_an_error_of_ours(tmp_path: Path) -> None:
    files = {f"é{number}.txt": b"content" * number for number in range(8)}
    whole = write_zip(tmp_path / "a.zip", files, method=zipfile.ZIP_LZMA).read_bytes()
    path, generator = tmp_path / "b.zip", np.random.default_rng(0)
    outcomes = Counter[str]()
    for _ in range(500):
        data = bytearray(whole)
        data[generator.integers(len(data))] = generator.integers(256)
        path.write_bytes(data)
        try:
            for member in list_texts(path).members:
                read_member(member)
            outcomes["whole"] += 1
        except (DamagedError, DatasetError) as error:
            outcomes[type(error).__name__] += 1
    assert set(outcomes) == {"whole", "DamagedError", "DatasetError"}
