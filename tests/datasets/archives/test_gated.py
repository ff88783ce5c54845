"""Gated archives: where they are looked for, what a user without them is told, and that nothing is copied."""

import hashlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path

import pytest

from kinemask.datasets.archives.fetch import read_source
from kinemask.datasets.archives.gated import (
    AbsentError,
    Companion,
    Gated,
    GatedFile,
    about_remotes,
    absence,
    check_unchanged,
    content_of,
    fetch_gated,
    locate,
    open_gated,
    remotes_in,
)
from kinemask.datasets.reader import DatasetError

BOTH = GatedFile(("one.zip", "1.zip", "both.zip")), GatedFile(("two.zip", "both.zip"))
TINY = Gated("Tiny Set", BOTH, "the tiny lab, by the form at https://example.org")
LIST = Companion("list.txt", b"a\r\nb\r\n", "digest of the list", "https://example.org/list.txt")


def _digests(paths: Mapping[str, Path]) -> dict[str, str]:
    return {"all": hashlib.sha256(b"".join(path.read_bytes() for path in paths.values())).hexdigest()}


def _fetch(folder: Path, mirrors: list[str]) -> None:
    fetch_gated(TINY, "tiny", folder, mirrors, digests=_digests, companion=lambda: LIST)


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    folder = tmp_path / "mirror"
    (folder / "tiny").mkdir(parents=True)
    (folder / "tiny" / "one.zip").write_bytes(b"first")
    (folder / "two.zip").write_bytes(b"second")
    return folder


@pytest.fixture
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))  # the configuration of who runs the tests
    return Path("data/raw/tiny")


@pytest.mark.parametrize("place", ["tiny/one.zip", "tiny/1.zip", "one.zip", "1.zip"])
def test_file_is_found_under_either_spelling_below_the_dataset_and_at_the_top(
    tmp_path: Path, place: str
) -> None:
    path = tmp_path / place
    path.parent.mkdir(exist_ok=True)
    path.touch()
    located = locate(TINY, "tiny", ["https://example.org/mirror", str(tmp_path / "nowhere"), str(tmp_path)])
    assert located.paths == {"one.zip": path}
    assert located.absent == (BOTH[1],)


def test_one_archive_that_holds_both_counts_once(tmp_path: Path, raw: Path) -> None:
    (tmp_path / "both.zip").write_bytes(b"all")
    assert locate(TINY, "tiny", [str(tmp_path)]).distinct == (("one.zip", tmp_path / "both.zip"),)
    _fetch(raw, [str(tmp_path)])
    assert sorted(path.name for path in raw.iterdir()) == ["list.txt", "one.zip", "source.json"]
    assert list(open_gated(TINY, "tiny", raw)) == ["one.zip"]


def test_archives_are_linked_where_they_are_and_the_list_is_copied(mirror: Path, raw: Path) -> None:
    _fetch(raw, ["mirror"])
    assert {path.name: path.is_symlink() for path in raw.iterdir()} == {
        "one.zip": True, "two.zip": True, "list.txt": False, "source.json": False,
    }  # fmt: skip
    assert (raw / "one.zip").readlink() == mirror.resolve() / "tiny" / "one.zip"
    source = read_source(raw)
    assert {file.name: (file.bytes, file.origin) for file in source.files} == {
        "one.zip": (5, str(mirror / "tiny" / "one.zip")),
        "two.zip": (6, str(mirror / "two.zip")),
        "list.txt": (6, LIST.origin),
    }
    found = _digests({"one.zip": mirror / "tiny" / "one.zip", "two.zip": mirror / "two.zip"})
    assert source.content_sha256 == content_of({**found, "list.txt": LIST.digest})
    assert [path.read_bytes() for path in open_gated(TINY, "tiny", raw).values()] == [b"first", b"second"]


def test_absent_files_are_answered_by_where_to_ask_where_to_put_them_and_how_to_go_on(
    mirror: Path, raw: Path
) -> None:
    (mirror / "two.zip").unlink()
    mirror.with_name("file").touch()
    with pytest.raises(AbsentError) as raised:
        _fetch(raw, ["elsewhere", "https://example.org/mirror", "mirror", "file"])
    assert str(raised.value).splitlines() == [
        "tiny (Tiny Set) lacks two.zip; looked in elsewhere (no such folder), mirror, file (a file, no "
        "folder).",
        "  1. Ask for it, under the licence of the owners: the tiny lab, by the form at https://example.org.",
        "  2. Put it, as given out, into mirror/tiny, or name the folder where it is in KINEMASK_MIRROR or "
        "in download.mirrors of params.yaml.",
        "  3. Run `kinemask data check tiny`, which takes seconds; then put benchmarks of it into "
        "run.benchmarks of params.yaml, and run `dvc repro`.",
    ]
    assert not raw.exists()


def test_several_absent_files_are_listed_one_a_line(tmp_path: Path) -> None:
    lines = absence(TINY, "tiny", BOTH, []).splitlines()
    assert lines[:3] == [
        "tiny (Tiny Set) lacks 2 files; looked in no folder, as none is named.",
        "    one.zip",
        "    two.zip",
    ]
    assert [line.split(",")[0] for line in lines[3:5]] == ["  1. Ask for them", "  2. Put them"]


def test_two_names_of_one_file_are_refused_where_there_must_be_two(tmp_path: Path) -> None:
    apart = Gated("Pair", (GatedFile(("a.7z", "a.zip")), GatedFile(("b.7z", "b.zip"))), "nobody")
    (tmp_path / "a.7z").touch()
    (tmp_path / "b.7z").symlink_to("a.7z")
    with pytest.raises(
        DatasetError, match=rf"pair: a\.7z and b\.7z are one file here, {tmp_path}/a\.7z: they"
    ):
        locate(apart, "pair", [str(tmp_path)])
    # An archive that may hold both may be linked under either name.
    (tmp_path / "one.zip").touch()
    (tmp_path / "two.zip").symlink_to("one.zip")
    assert locate(TINY, "tiny", [str(tmp_path)]).distinct == (("one.zip", tmp_path / "one.zip"),)


def test_archive_that_is_none_leaves_what_was_there(mirror: Path, raw: Path) -> None:
    def refuse(paths: Mapping[str, Path]) -> dict[str, str]:
        raise DatasetError("no archive")

    _fetch(raw, ["mirror"])
    with pytest.raises(DatasetError, match="no archive"):
        fetch_gated(TINY, "tiny", raw, ["mirror"], digests=refuse)
    assert len(open_gated(TINY, "tiny", raw)) == 2
    assert [path.name for path in raw.parent.iterdir()] == ["tiny"]


def test_archive_that_is_gone_is_named(mirror: Path, raw: Path) -> None:
    _fetch(raw, ["mirror"])
    (mirror / "two.zip").unlink()
    with pytest.raises(DatasetError, match=r"mirror/two\.zip is gone: put it back, or remove "):
        open_gated(TINY, "tiny", raw)


def test_archives_that_changed_since_download_are_refused(mirror: Path, raw: Path) -> None:
    _fetch(raw, ["mirror"])
    digests = {**_digests({"1": mirror / "tiny/one.zip", "2": mirror / "two.zip"}), "list.txt": LIST.digest}
    check_unchanged("tiny", raw, digests)
    with pytest.raises(
        DatasetError, match=r"tiny: the archives are not those that download found .* run down"
    ):
        check_unchanged("tiny", raw, {**digests, "all": "another"})


def test_remotes_of_both_configurations_are_known(tmp_path: Path) -> None:
    shared, own = tmp_path / "config", tmp_path / "config.local"
    shared.write_text(
        "[core]\n    analytics = false\n    remote = team\n['remote \"team\"']\n    url = s3://b%/x\n"
    )
    assert remotes_in([shared, own]) == ("team",)
    own.write_text("['remote \"mine\"']\n    url = /disk\n    jobs = 2\n")
    assert remotes_in([shared, own]) == ("team", "mine")
    assert remotes_in([own.with_name("none")]) == ()
    own.write_bytes(b"no configuration \xff\n[\n")
    assert remotes_in([own]) == ()


def test_remote_of_the_user_for_all_projects_is_known(raw: Path, tmp_path: Path) -> None:
    assert about_remotes(tmp_path) is None
    path = tmp_path / "home" / "dvc" / "config"
    path.parent.mkdir(parents=True)
    path.write_text("[core]\n    remote = disk\n['remote \"disk\"']\n    url = /disk\n")
    about = about_remotes(tmp_path)
    assert about is not None
    assert "there is a DVC remote (disk)" in about


def test_remote_that_came_after_download_is_warned_of_before_archives_are_read(
    mirror: Path, raw: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _fetch(raw, ["mirror"])
    digests = {**_digests({"1": mirror / "tiny/one.zip", "2": mirror / "two.zip"}), "list.txt": LIST.digest}
    Path(".dvc").mkdir()
    Path(".dvc/config").write_text("['remote \"team\"']\n    url = /disk\n")
    with caplog.at_level(logging.WARNING):
        check_unchanged("tiny", raw, digests)
    (message,) = caplog.messages
    assert message.startswith("tiny is licence-gated, and there is a DVC remote (team): ")


def test_remote_is_warned_of_once_and_none_is_silent(
    mirror: Path, raw: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        _fetch(raw, ["mirror"])
        assert caplog.messages == []
        Path(".dvc").mkdir()
        Path(".dvc/config").write_text("['remote \"team\"']\n    url = /disk\n")
        _fetch(raw, ["mirror"])
    (message,) = caplog.messages
    assert "tiny is licence-gated, and there is a DVC remote (team)" in message
    assert "push: false" in message


def test_source_is_json_for_people_too(mirror: Path, raw: Path) -> None:
    _fetch(raw, ["mirror"])
    source = json.loads((raw / "source.json").read_text())
    assert source["files"][0] == {
        "name": "one.zip", "bytes": 5, "sha256": None, "origin": str(mirror / "tiny" / "one.zip"),
    }  # fmt: skip
    assert source["files"][2]["sha256"] == hashlib.sha256(LIST.data).hexdigest()
