"""NTU from archives of the official names: what is read, left out for a reason, and said to be missing."""

import hashlib
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from kinemask.datasets.archives.fetch import FetchError, read_source
from kinemask.datasets.archives.gated import AbsentError
from kinemask.datasets.ntu.sets import LIST_FILE, SETS, NtuConfig, NtuSet
from kinemask.datasets.ntu.survey import LISTED
from kinemask.datasets.prepare import prepare
from kinemask.datasets.raw_ntu import NTU
from kinemask.datasets.reader import DatasetError, Reading
from kinemask.section import read_yaml
from kinemask.skeleton.clip import Clip
from kinemask.skeleton.packed import DatasetInfo, Dropped, open_packed
from tests.datasets.ntu.ntu_archive import FIRST, SECOND, all_names, generated_list, write_archive
from tests.project import ROOT

NAMES = [f"S001C00{camera}P001R001A00{action}" for camera in (1, 2, 3) for action in (1, 2, 3, 4)]
UNLISTED = "S002C002P003R001A001"  # on the list that stands here for the official one
SECTION = read_yaml(ROOT / "params.yaml")["datasets"]["ntu60"]
CONFIG = NtuConfig.model_validate_json(json.dumps(SECTION))
CONFIG_120 = NtuConfig.model_validate_json(json.dumps(SECTION | {"name": "ntu120"}))


def _put_list(folder: Path, monkeypatch: pytest.MonkeyPatch, facts: NtuSet, text: bytes) -> None:
    path = folder / "ntu_lists" / facts.listed.names[0]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text)
    monkeypatch.setitem(SETS, facts.listed.dataset, facts)


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A mirror with a list of one name, which stands for the official one, and no archive yet."""
    folder = tmp_path / "mirror"
    digest = hashlib.sha256(f"{UNLISTED}\n".encode()).hexdigest()
    for facts in (SETS["ntu60"], SETS["ntu120"]):
        text = f"one sample\r\nhas no skeleton\r\n\r\n{UNLISTED}\r\n".encode()
        _put_list(folder, monkeypatch, replace(facts, listed_sha256=digest), text)
    return folder


def _opened(mirror: Path, config: NtuConfig = CONFIG) -> Reading:
    raw = mirror.parent / "data" / "raw" / "ntu60"
    NTU.fetch(config, "ntu60", raw, [str(mirror)])
    return NTU.open(config, "ntu60", raw)


def _prepared(mirror: Path) -> DatasetInfo:
    raw = mirror.parent / "data" / "raw" / "ntu60"
    NTU.fetch(CONFIG, "ntu60", raw, [str(mirror)])
    config = CONFIG.model_copy(update={"max_damaged_share": 0.5})
    return prepare(NTU, config, name="ntu60", raw=raw, packed=mirror.parent / "packed")


def _clips(reading: Reading) -> list[Clip | Dropped]:
    return [clip for item in reading.recordings(0) for clip in reading.read(item)]


def test_recordings_are_read_in_order_of_their_names_from_where_they_are(mirror: Path) -> None:
    write_archive(mirror / "ntu60" / FIRST, reversed([*NAMES, UNLISTED]))
    reading = _opened(mirror)
    clips = _clips(reading)
    assert [clip.name for clip in clips] == NAMES
    assert (reading.num_recordings, reading.num_clips) == (12, 12)
    first = clips[5]
    assert isinstance(first, Clip)
    assert (first.label, first.subject, first.camera, first.setup, first.replication) == (1, 1, 2, 1, 1)
    assert first.joints.shape[1:] == (2, 25, 3)
    assert reading.left_out == (Dropped(UNLISTED, LISTED, damaged=False),)


def test_reading_goes_on_anywhere(mirror: Path) -> None:
    write_archive(mirror / FIRST, NAMES)
    reading = _opened(mirror)
    assert [member.name for member in reading.recordings(10)] == NAMES[10:]


def test_slice_takes_every_nth_recording_by_name_and_is_not_complete(mirror: Path) -> None:
    write_archive(mirror / FIRST, NAMES)
    config = CONFIG.model_copy(update={"one_clip_in": 5})
    assert [clip.name for clip in _clips(_opened(mirror, config))] == NAMES[::5]
    assert NTU.expected(config) is None
    assert NTU.expected(CONFIG) == SETS["ntu60"].expected


def test_slice_has_its_part_of_what_is_damaged(mirror: Path) -> None:
    path = write_archive(mirror / FIRST, NAMES[2:])
    with zipfile.ZipFile(path, "a") as archive:
        for name in NAMES[:2]:
            archive.writestr(f"../{name}.skeleton", b"")
    reading = _opened(mirror, CONFIG.model_copy(update={"one_clip_in": 4}))
    assert [clip.name for clip in _clips(reading)] == NAMES[4::4]
    assert [one.name for one in reading.left_out] == NAMES[:1]


def test_partial_archive_says_what_is_missing_and_is_not_complete(mirror: Path) -> None:
    write_archive(mirror / FIRST, NAMES)
    info = _prepared(mirror)
    assert not info.complete
    assert info.num_clips == 12
    # All names there are, without those that are here and the one on the list.
    assert len(info.missing) == 56_880 - 12 - 1
    assert "S001C001P001R001A005" in info.missing
    assert not {NAMES[0], UNLISTED} & set(info.missing)


def test_whole_archive_of_both_halves_serves_the_first_half_too(mirror: Path) -> None:
    other = [f"S0{setup}C001P008R001A0{action}" for setup in (18, 20) for action in (61, 62, 63)]
    write_archive(mirror / "nturgbd_skeletons_s001_to_s032.zip", [*NAMES, *other])
    reading = _opened(mirror)
    assert len(_clips(reading)) == 12
    # Whole setups are told by one entry each: 57,600 of their own would be read with every dataset.json.
    reason = "3 recording(s) of a setup of NTU RGB+D 120 alone"
    assert reading.left_out == (
        Dropped("S018", reason, damaged=False),
        Dropped("S020", reason, damaged=False),
    )


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("S001C004P001R001A001", "camera 4, expected 1 to 3"),
        ("S001C001P107R001A001", "performer 107 is not in setup 1"),
        ("S001C001P009R001A001", "performer 9 is not in setup 1"),
        ("S033C001P001R001A001", "setup 33, expected 1 to 17"),
        ("backup", "the name is not SsssCcccPpppRrrrAaaa"),
    ],
)
def test_recording_outside_the_data_set_is_named_and_harms_nothing(
    mirror: Path, name: str, reason: str
) -> None:
    write_archive(mirror / FIRST, [*NAMES, name])
    reading = _opened(mirror)
    assert reading.left_out == (Dropped(name, reason, damaged=False),)
    assert len(_clips(reading)) == 12


def test_two_archives_make_the_larger_set_and_one_alone_does_not(mirror: Path) -> None:
    second = ["S018C001P008R001A061", "S032C003P106R002A120"]
    write_archive(mirror / "ntu120" / FIRST, NAMES)
    raw = mirror.parent / "data" / "raw" / "ntu120"
    with pytest.raises(AbsentError, match=f"lacks {SECOND}; looked in"):
        NTU.fetch(CONFIG_120, "ntu120", raw, [str(mirror)])
    write_archive(mirror / SECOND, second)
    NTU.fetch(CONFIG_120, "ntu120", raw, [str(mirror)])
    clips = _clips(NTU.open(CONFIG_120, "ntu120", raw))
    assert [clip.name for clip in clips] == [*NAMES, *second]
    assert isinstance(clips[-1], Clip)
    assert clips[-1].label == 119
    assert len(NTU.class_names(CONFIG_120, raw)) == 120


def test_content_is_the_same_however_the_recordings_are_packed(mirror: Path) -> None:
    raw = mirror.parent / "data" / "raw" / "ntu60"
    write_archive(mirror / FIRST, NAMES)
    NTU.fetch(CONFIG, "ntu60", raw, [str(mirror)])
    first = read_source(raw).content_sha256
    with zipfile.ZipFile(mirror / FIRST) as archive:
        files = {name: archive.read(name) for name in archive.namelist() if name.endswith("n")}
    with zipfile.ZipFile(mirror / FIRST, "w", zipfile.ZIP_STORED) as archive:
        for name, data in reversed(files.items()):
            archive.writestr(name.split("/")[1], data)
    NTU.fetch(CONFIG, "ntu60", raw, [str(mirror)])
    assert read_source(raw).content_sha256 == first


def test_wrong_list_is_refused_and_the_cure_is_said(mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_archive(mirror / FIRST, NAMES)
    facts = SETS["ntu60"]
    closed = replace(facts.listed, url="http://127.0.0.1:9/list.txt")
    monkeypatch.setitem(SETS, "ntu60", replace(facts, listed=closed))
    for path in (mirror / "ntu_lists").iterdir():
        path.write_text(f"{NAMES[0]}\n")
    with pytest.raises(FetchError) as raised:
        _opened(mirror)
    assert "names 1 recordings of NTU RGB+D 60 whose digest is" in str(raised.value)
    assert "http://127.0.0.1:9/list.txt cannot be reached" in str(raised.value)
    assert "Put NTU_RGBD_samples_with_missing_skeletons.txt or" in str(raised.value)
    assert not (mirror.parent / "data" / "raw" / "ntu60").exists()


def test_list_is_copied_beside_the_links(mirror: Path) -> None:
    write_archive(mirror / FIRST, NAMES)
    _opened(mirror)
    raw = mirror.parent / "data" / "raw" / "ntu60"
    assert UNLISTED in (raw / LIST_FILE).read_text()
    (raw / LIST_FILE).unlink()
    with pytest.raises(DatasetError, match=r"missing_skeletons\.txt is missing: run download"):
        NTU.open(CONFIG, "ntu60", raw)


def test_archive_that_changed_since_download_is_found_out(mirror: Path) -> None:
    path = write_archive(mirror / FIRST, NAMES)
    _opened(mirror)
    write_archive(path, NAMES[:-1])
    with pytest.raises(DatasetError, match=r"the archives are not those that download found .* run download"):
        NTU.open(CONFIG, "ntu60", mirror.parent / "data" / "raw" / "ntu60")


def test_archive_cut_short_is_no_archive(mirror: Path) -> None:
    path = write_archive(mirror / FIRST, NAMES)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DatasetError, match=f"{FIRST} is not a whole zip archive"):
        _opened(mirror)


def test_archive_without_recordings_is_refused_by_download(mirror: Path) -> None:
    with zipfile.ZipFile(mirror / FIRST, "w") as archive:
        archive.writestr("readme.txt", "skeletons are elsewhere")
    with pytest.raises(
        DatasetError, match=r"no recording can be read from .* \(it holds no .skeleton file\)"
    ):
        _opened(mirror)


def test_damage_of_single_recordings_is_named_and_the_rest_is_packed(mirror: Path) -> None:
    broken = {NAMES[0]: b"2\n1\n", NAMES[1]: b"", NAMES[2]: b"1\n0\n"}
    path = write_archive(mirror / FIRST, NAMES, replaced=broken)
    with zipfile.ZipFile(path) as archive:
        member = archive.infolist()[-1]
    data = bytearray(path.read_bytes())
    data[member.header_offset + 80 + member.compress_size // 2] ^= 0xFF
    path.write_bytes(data)
    info = _prepared(mirror)
    assert {one.name: one.reason.split(":")[0] for one in info.dropped} == {
        NAMES[0]: "the file ends in frame 1 of the 2 frames announced",
        NAMES[1]: "the file is empty",
        NAMES[2]: "no body in any frame",
        NAMES[-1]: "cannot be unpacked",
    }
    assert info.num_clips == 8
    assert not info.complete


def test_unsafe_and_absurd_members_are_refused_by_name(mirror: Path) -> None:
    path = write_archive(mirror / FIRST, NAMES[2:])
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"../{NAMES[0]}.skeleton", b"1\n0\n")
        archive.writestr(f"{NAMES[1]}.skeleton", b"0" * 20_000_000)
    reading = _opened(mirror)
    assert [(one.name, one.damaged) for one in reading.left_out] == [(NAMES[0], True), (NAMES[1], True)]
    assert "leads out of the archive" in reading.left_out[0].reason
    assert "20000000 bytes; more than 500-fold" in reading.left_out[1].reason
    # They are there, if not to be read: they are not missing.
    assert not set(NAMES) & set(reading.missing)


def test_second_copy_harms_nothing_and_another_recording_of_the_same_name_does(mirror: Path) -> None:
    path = write_archive(mirror / FIRST, NAMES)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"copy/{NAMES[0]}.skeleton", archive.read(f"nturgb+d_skeletons/{NAMES[0]}.skeleton"))
        archive.writestr(f"copy/{NAMES[1]}.skeleton", b"another")
    reading = _opened(mirror)
    assert [(one.name, one.damaged) for one in reading.left_out] == [(NAMES[1], True), ("S001", False)]
    assert len(_clips(reading)) == 12


def test_second_copies_are_told_by_setup(mirror: Path) -> None:
    path = write_archive(mirror / FIRST, [*NAMES, "S002C001P003R001A001"])
    with zipfile.ZipFile(path, "a") as archive:
        for inside in [inside for inside in archive.namelist() if inside.endswith(".skeleton")]:
            archive.writestr(f"copy/{inside}", archive.read(inside))
    what = "second copies with the same content, of which nothing is lost"
    assert _opened(mirror).left_out == (
        Dropped("S001", f"12 {what}", damaged=False),
        Dropped("S002", f"1 {what}", damaged=False),
    )


def test_damage_on_the_official_list_counts_for_nothing(mirror: Path) -> None:
    path = write_archive(mirror / FIRST, NAMES)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"../{UNLISTED}.skeleton", b"")
    assert [one.damaged for one in _opened(mirror).left_out] == [False]


@pytest.mark.slow
def test_all_names_make_the_known_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Those of ntu120, twice as many, are made and counted by tests/benchmarks/full_scale.py.
    text, facts = generated_list(SETS["ntu60"])
    _put_list(tmp_path, monkeypatch, facts, text)
    every = all_names("ntu60")
    write_archive(tmp_path / FIRST, every)
    raw = tmp_path / "data" / "raw" / "ntu60"
    NTU.fetch(CONFIG, "ntu60", raw, [str(tmp_path)])
    info = prepare(NTU, CONFIG, name="ntu60", raw=raw, packed=tmp_path / "packed")
    assert info.complete
    assert info.num_clips == facts.expected.clips
    assert {name: (found["train"], found["test"]) for name, found in info.counts.items()} == (
        facts.expected.parts
    )
    assert len(info.dropped) == len(every) - facts.expected.clips
    assert info.leaks == {name: () for name in facts.rules}
    assert open_packed(tmp_path / "packed").clips["content_sha256"].is_unique
