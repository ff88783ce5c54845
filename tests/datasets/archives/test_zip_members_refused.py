"""Zip archives: members that are not read and why, and encrypted ones."""

import warnings
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from kinemask.datasets.archives.member_rules import PASSWORD_VARIABLE
from kinemask.datasets.archives.zip_members import read_member
from kinemask.datasets.reader import DamagedError, DatasetError
from tests.datasets.archives.zip_archive import encrypted_zip, list_texts, listed_as
from tests.datasets.conftest import write_zip


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/data/x.txt", "is absolute"),
        ("C:/data/x.txt", "is absolute"),
        ("data/../../x.txt", "leads out of the archive"),
        ("data\\x.txt", "has a backslash"),
        ("data/x.txt\0.png", r"'data/x.txt\x00.png' holds a character that cannot be printed"),
        ("data/\n/x.txt", r"'data/\n/x.txt' holds a character that cannot be printed"),
    ],
)
def test_an_unsafe_path_is_refused_by_name(tmp_path: Path, path: str, reason: str) -> None:
    # zipfile mends some paths when it writes: the bytes are changed afterwards.
    stand_in = "s" * len(path.encode())
    archive = write_zip(tmp_path / "a.zip", {stand_in: b"evil", "data/a.txt": b"one"})
    archive.write_bytes(archive.read_bytes().replace(stand_in.encode(), path.encode()))
    listing = list_texts(archive)
    assert [member.name for member in listing.members] == ["a"]
    (refused,) = listing.refused
    assert refused.name == "x"
    assert refused.reason.startswith("a.zip: its path ")
    assert reason in refused.reason
    assert "\n" not in refused.reason


def test_a_member_that_grows_absurdly_is_refused_and_a_small_one_is_not(tmp_path: Path) -> None:
    files = {"bomb.txt": bytes(2 << 20), "small.txt": bytes(1 << 20)}
    listing = list_texts(write_zip(tmp_path / "a.zip", files))
    assert [member.name for member in listing.members] == ["small"]
    (refused,) = listing.refused
    assert "to 2097152 bytes; more than 500-fold is no recording but a trap" in refused.reason


def test_a_member_too_large_for_any_recording_is_refused(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"a.txt": b"one"}, method=zipfile.ZIP_STORED)
    (refused,) = list_texts(listed_as(path, 24, "<I", 600 << 20)).refused
    assert "629145600 bytes unpacked; more than 512 MiB is no recording" in refused.reason


def test_more_packed_than_unpacked_bytes_are_refused_before_they_take_memory(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"a.txt": b"one"})
    (refused,) = list_texts(listed_as(path, 20, "<I", 1 << 30)).refused
    assert "the list of members is damaged" in refused.reason


@pytest.mark.parametrize(("second", "content"), [(b"one", "the same content"), (b"two", "other content")])
def test_of_two_members_of_one_name_the_first_is_kept(tmp_path: Path, second: bytes, content: str) -> None:
    paths = [write_zip(tmp_path / f"{n}.zip", {f"{n}/a.txt": d}) for n, d in ((1, b"one"), (2, second))]
    listing = list_texts(*paths)
    assert [read_member(member) for member in listing.members] == [b"one"]
    (refused,) = listing.refused
    assert refused.name == "a"
    assert refused.reason == (
        f"2.zip: the name is there twice, with {content}; kept is the first, {paths[0]}: 1/a.txt"
    )
    assert refused.damaged == (second != b"one")


def test_of_two_members_of_one_path_the_first_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        archive.writestr("a.txt", b"one")
        archive.writestr("a.txt", b"two")
    listing = list_texts(path)
    assert [read_member(member) for member in listing.members] == [b"one"]
    assert len(listing.refused) == 1


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        (10, 93, "is packed with method 93 that cannot be read here"),
        (10, 99, "is encrypted in a way that cannot be read here"),
        (8, 0x41, "is encrypted in a way that cannot be read here"),
    ],
)
def test_a_method_that_nobody_knows_is_refused(tmp_path: Path, field: int, value: int, reason: str) -> None:
    (refused,) = list_texts(
        listed_as(write_zip(tmp_path / "a.zip", {"a.txt": b"one"}), field, "<H", value)
    ).refused
    assert reason in refused.reason


def test_an_encrypted_archive_without_a_password_is_refused_with_advice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = encrypted_zip(tmp_path / "a.zip", b"one", b"open")
    monkeypatch.setenv(PASSWORD_VARIABLE, "open")
    (member,) = list_texts(path).members
    for word in ("", None):
        monkeypatch.delenv(PASSWORD_VARIABLE)
        if word is not None:
            monkeypatch.setenv(PASSWORD_VARIABLE, word)
        for use in (lambda: list_texts(path), lambda: read_member(member)):
            said = (
                rf"a\.zip is encrypted: put the password into the variable {PASSWORD_VARIABLE} and run again$"
            )
            with pytest.raises(DatasetError, match=said):
                use()


def test_an_archive_of_archives_is_refused_by_name_and_one_that_also_holds_what_is_wanted_is_not(
    tmp_path: Path,
) -> None:
    good = write_zip(tmp_path / "good.zip", {"a.txt": b"one", "more.zip": b"zip"})
    assert [member.name for member in list_texts(good).members] == ["a"]
    path = write_zip(tmp_path / "a.zip", {"README": b"", **{f"in/{n}.ZIP": b"zip" for n in range(4)}})
    with pytest.raises(DatasetError) as raised:
        list_texts(good, path)
    assert str(raised.value) == (
        f"{path} is an archive of archives ('in/0.ZIP', 'in/1.ZIP', 'in/2.ZIP', ...): unpack it, put what it "
        f"held into its place, and run again"
    )


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_an_encrypted_member_is_read_with_its_password_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: int
) -> None:
    content = b"1.25 -0.5 3.125\n" * 200
    path = encrypted_zip(tmp_path / "a.zip", content, b"open", method)
    monkeypatch.setenv(PASSWORD_VARIABLE, "open")
    (member,) = list_texts(path).members
    assert read_member(member) == content
    found = Counter[type[Exception]]()
    for number in range(1000):
        monkeypatch.setenv(PASSWORD_VARIABLE, f"wrong{number}")
        with pytest.raises(
            (DatasetError, DamagedError), match=f"the password in .*{PASSWORD_VARIABLE} is"
        ) as e:
            read_member(member)
        found[e.type] += 1
    assert 0 < found[DamagedError] < 20  # one wrong password in 256 passes the check byte
