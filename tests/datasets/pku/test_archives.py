"""PKU-MMD's archives: what is missing, damaged or foreign is named; the known counts are asserted."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from kinemask.datasets import DATASETS
from kinemask.datasets.archives.gated import AbsentError, locate
from kinemask.datasets.pku.archives import read_label_archive
from kinemask.datasets.pku.phases import PHASE1, gated
from kinemask.datasets.pku.survey import survey
from kinemask.datasets.prepare import prepare
from kinemask.datasets.reader import DatasetError
from kinemask.skeleton.packed import Dropped
from tests.datasets.pku.pku_archive import (
    FOLDERS,
    label_text,
    make,
    phase1_names,
    phase2_names,
    write_7z,
)
from tests.datasets.pku.pku_runs import LABELS2, config, fetched, prepared, refused, small


def test_zip_of_the_same_files_gives_the_same_clips(tmp_path: Path) -> None:
    made = small()
    one = prepared(tmp_path / "one", made)
    two = prepared(tmp_path / "two", made, kind="zip")
    assert one.info.data_sha256 == two.info.data_sha256
    sources = [
        json.loads((tmp_path / folder / "data/raw/pku1/source.json").read_text()) for folder in ("one", "two")
    ]
    assert sources[0]["content_sha256"] == sources[1]["content_sha256"]


def test_reading_goes_on_from_any_recording(tmp_path: Path) -> None:
    made = small()
    made.recordings[list(made.recordings)[5]] = b""  # has no place of its own in a 7z
    raw = fetched(tmp_path, made)
    reading = DATASETS["pku1"].open(config(), "pku1", raw)
    order = [video.name for video in reading.recordings(0)]
    assert sorted(order) == sorted(made.recordings)
    for start in (1, 7, len(order)):
        assert [video.name for video in reading.recordings(start)] == order[start:]


def test_label_file_without_recording_and_the_reverse_are_named_and_make_the_data_partial(
    tmp_path: Path,
) -> None:
    made = small()
    first, second, *_ = made.recordings
    del made.recordings[first], made.labels[second]
    info = prepared(tmp_path, made).info
    assert f"Skeleton.7z: {first}" in info.missing
    assert f"Label_PKUMMD.7z: {second}" in info.missing
    assert not info.complete
    verdict = DATASETS["pku1"].check(config(), "pku1", [str(tmp_path / "mirror")])
    assert verdict.state == "partial"
    assert {f"missing: Skeleton.7z: {first}", f"missing: Label_PKUMMD.7z: {second}"} <= set(verdict.problems)


def test_label_files_that_are_empty_or_of_no_video_are_named(tmp_path: Path) -> None:
    made = small()
    first = next(iter(made.recordings))
    made.labels |= {first: b"\n", "notes": b"1,1,1,1\n"}
    info = prepared(tmp_path, made).info
    assert Dropped(first, "its label file has no row", damaged=False) in info.dropped
    assert "notes" in {one.name for one in info.dropped}


def test_archives_of_the_other_phase_are_refused(tmp_path: Path) -> None:
    made = small(2)
    made.archives = ("Skeleton", "Label_PKUMMD")
    made.splits = small(1).splits
    message = refused(tmp_path, made)
    assert "holds no file of PKU-MMD I, whose videos are named XXXX-V (0002-L); it has A01N01-L" in message


def test_absent_files_say_where_to_ask_and_where_to_put_them(tmp_path: Path) -> None:
    with pytest.raises(AbsentError) as caught:
        DATASETS["pku1"].fetch(config(), "pku1", tmp_path / "raw", [str(tmp_path / "mirror")])
    asked = ("Skeleton.7z", "cross_view.txt", "Peking", str(tmp_path / "mirror" / "pku1"))
    assert all(word in str(caught.value) for word in asked)
    verdict = DATASETS["pku1"].check(config(), "pku1", [str(tmp_path / "mirror")])
    assert verdict.state == "absent"
    assert verdict.problems == (str(caught.value),)


def flip(path: Path, share: float) -> None:
    """Change a byte at this share of the file."""
    data = bytearray(path.read_bytes())
    data[int(len(data) * share)] ^= 0xFF
    path.write_bytes(bytes(data))


def test_damage_in_the_archive_costs_named_videos_and_is_no_surprise_at_the_end(tmp_path: Path) -> None:
    made = small()
    folder = made.write(tmp_path / "mirror" / "pku1")
    flip(folder / "Skeleton.7z", 0.5)
    raw, packed = tmp_path / "data/raw/pku1", tmp_path / "data/packed/pku1"
    reader = DATASETS["pku1"]
    reader.fetch(config(), "pku1", raw, [str(tmp_path / "mirror")])
    info = prepare(reader, config(), name="pku1", raw=raw, packed=packed, processes=1)
    damaged = [one for one in info.dropped if one.damaged]
    assert 0 < len(damaged) < 120
    assert all("cannot be unpacked" in one.reason for one in damaged)
    assert info.num_clips + len(info.dropped) == 120
    strict = config(max_damaged_share=0.01)
    with pytest.raises(DatasetError, match=r"of \d+ clips are damaged, at most the share 0.01"):
        prepare(reader, strict, name="pku1", raw=raw, packed=tmp_path / "other", processes=1)


def test_encrypted_archive_is_read_with_the_password_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = small()
    plain = prepared(tmp_path / "plain", made)
    made.passwords = {"Skeleton": "right"}
    monkeypatch.setenv("KINEMASK_ARCHIVE_PASSWORD", "right")
    assert prepared(tmp_path / "right", made).info.data_sha256 == plain.info.data_sha256
    monkeypatch.setenv("KINEMASK_ARCHIVE_PASSWORD", "wrong")
    wrong = DATASETS["pku1"].check(config(), "pku1", [str(tmp_path / "right" / "mirror")])
    monkeypatch.delenv("KINEMASK_ARCHIVE_PASSWORD")
    without = DATASETS["pku1"].check(config(), "pku1", [str(tmp_path / "right" / "mirror")])
    for verdict in (wrong, without):
        assert verdict.state == "unusable"
        assert "KINEMASK_ARCHIVE_PASSWORD" in " ".join(verdict.problems)


def test_unsafe_path_and_second_file_of_a_name_are_named_and_not_read(tmp_path: Path) -> None:
    made = small()
    folder = made.write(tmp_path / "mirror" / "pku1")
    first, second, *_ = made.recordings
    members = {f"{FOLDERS[0]}/{name}.txt": data for name, data in made.recordings.items()}
    members[f"../../{second}.txt"] = members.pop(f"{FOLDERS[0]}/{second}.txt")
    members[f"again/{first}.txt"] = b"other"
    members[f"again/{first}.skeleton"] = b"other"
    fourth = list(made.recordings)[3]
    members[f"again/{fourth}.skeleton"] = made.recordings[fourth]
    members["notes/README.txt"] = b"hello"
    write_7z(folder / "Skeleton.7z", members)
    third = list(made.labels)[2]
    rows = {f"{FOLDERS[1]}/{name}.txt": data for name, data in made.labels.items()}
    write_7z(folder / "Label_PKUMMD.7z", rows | {f"again/{third}.txt": b"1,1,1,1\n"})
    raw = tmp_path / "data/raw/pku1"
    DATASETS["pku1"].fetch(config(), "pku1", raw, [str(tmp_path / "mirror")])
    reading = DATASETS["pku1"].open(config(), "pku1", raw)
    reasons = {(one.name, one.damaged): one.reason for one in reading.left_out}
    assert f"the recording {second}: Skeleton.7z: " in reasons[f"{second}_001", True]
    assert "unsafe" in reasons[f"{second}_001", True]
    assert "twice, with other content" in reasons[first, True]
    assert "twice, with the same content" in reasons[fourth, False]
    assert (fourth, True) not in reasons
    assert "Label_PKUMMD.7z" in reasons[third, True]
    assert "no video of PKU-MMD I" in reasons["README", False]
    assert [video.name for video in reading.recordings(0)] == [n for n in made.recordings if n != second]


def test_check_reads_the_first_videos_and_says_how_long_it_will_take(tmp_path: Path) -> None:
    made = small()
    made.recordings[next(iter(made.recordings))] = b"1 2 3\n" * 30
    made.write(tmp_path / "mirror")
    verdict = DATASETS["pku1"].check(config(), "pku1", [str(tmp_path / "mirror")])
    facts = "\n".join(verdict.facts)
    assert "18 videos with recording and labels, of 1,076" in facts
    assert "120 instances of 51 classes, of 21,545 instances" in facts
    assert "xview: 12 videos to train on and 6 to test on, by cross_view.txt" in facts
    assert re.search(r"the first \d+ videos of the archive were read: \d+ damaged instances", facts)
    assert "preprocess will take about" in facts
    assert any("is damaged" in line for line in verdict.problems)
    unnamed = "cross_subject.txt and cross_view.txt name 18 of the 1,076 videos of PKU-MMD I"
    assert unnamed in verdict.problems
    info = prepared(tmp_path, made).info
    assert (info.missing, info.complete) == ((), False)


def test_some_of_the_files_are_a_part_and_what_lacks_is_named(tmp_path: Path) -> None:
    folder = small().write(tmp_path / "mirror" / "pku1")
    (folder / "cross_view.txt").unlink()
    verdict = DATASETS["pku1"].check(config(), "pku1", [str(tmp_path / "mirror")])
    assert verdict.state == "partial"
    assert len(verdict.facts) == 3
    assert "pku1 (PKU-MMD I) lacks cross_view.txt; looked in" in verdict.problems[0]


def test_recording_that_is_refused_counts_with_all_its_instances(tmp_path: Path) -> None:
    """One of 18 videos has 6 or 7 of the 120 instances: more than three in a hundred."""
    made = small()
    folder = made.write(tmp_path / "mirror" / "pku1")
    second = list(made.recordings)[1]
    members = {f"{FOLDERS[0]}/{name}.txt": data for name, data in made.recordings.items()}
    members[f"../../{second}.txt"] = members.pop(f"{FOLDERS[0]}/{second}.txt")
    write_7z(folder / "Skeleton.7z", members)
    made.labels[second] += b"1,9,8,1\n"  # damaged by itself
    rows = {f"{FOLDERS[1]}/{name}.txt": data for name, data in made.labels.items()}
    write_7z(folder / "Label_PKUMMD.7z", rows)
    raw, packed = tmp_path / "data/raw/pku1", tmp_path / "data/packed/pku1"
    DATASETS["pku1"].fetch(config(), "pku1", raw, [str(tmp_path / "mirror")])
    left_out = DATASETS["pku1"].open(config(), "pku1", raw).left_out
    num_rows = len(made.labels[second].split())
    assert [one.name for one in left_out] == [f"{second}_{row:03}" for row in range(1, num_rows + 1)]
    assert all(one.damaged for one in left_out)
    with pytest.raises(DatasetError, match=rf"{num_rows} of \d+ clips are damaged"):
        prepare(DATASETS["pku1"], config(max_damaged_share=0.03), name="pku1", raw=raw, packed=packed)
    problems = DATASETS["pku1"].check(config(), "pku1", [str(tmp_path / "mirror")]).problems
    said = f"({num_rows - 1}) are damaged: the recording {second}: Skeleton.7z: its path"
    assert sum(said in line for line in problems) == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"num_instances": 121}, "the label files have 120 rows, expected 121"),
        ({"num_instances": 119}, "the label files have 120 rows, expected 119"),
        ({"num_classes": 41}, "the label files have 51 classes, expected 41"),
    ],
)
def test_other_counts_are_an_error_where_no_video_is_missing(
    tmp_path: Path, changes: dict[str, int], said: str
) -> None:
    small().write(tmp_path)
    known = replace(PHASE1, num_videos=18, num_instances=120)
    paths = locate(gated(known), "pku1", [str(tmp_path)]).paths
    assert survey(known, paths).missing == ()
    with pytest.raises(DatasetError, match=said):
        survey(replace(known, **changes), paths)


def test_other_counts_are_no_error_where_a_label_file_is_missing(tmp_path: Path) -> None:
    made = small()
    first = made.labels.popitem()[0]
    made.write(tmp_path)
    known = replace(PHASE1, num_videos=18, num_instances=120)
    found = survey(known, locate(gated(known), "pku1", [str(tmp_path)]).paths)
    assert found.missing == (f"Label_PKUMMD.7z: {first}",)


def test_label_archive_is_unpacked_once_until_it_changes(tmp_path: Path) -> None:
    made = small()
    path = made.write(tmp_path) / "Label_PKUMMD.7z"
    found = read_label_archive(PHASE1, path)
    assert read_label_archive(PHASE1, path) is found
    name = next(iter(made.labels))
    made.labels[name] = b"7,1,2,1\n"
    made.write(tmp_path)
    assert [row.label for row in read_label_archive(PHASE1, path).files[name].rows] == [7]


@pytest.mark.slow
def test_all_videos_of_both_phases_are_counted(tmp_path: Path) -> None:
    """Full name scale: 1,076 and 1,009 videos, 21,545 instances, the known splits of Phase II."""
    names = phase1_names()
    made = make(names, num_instances=21_545, labels=range(1, 52), phase=1)
    one = prepared(tmp_path, made)
    assert one.info.complete
    assert one.info.missing == ()
    assert one.info.num_clips + len(one.info.dropped) == 21_545
    assert not any(dropped.damaged for dropped in one.info.dropped)
    names = phase2_names()
    two = prepared(tmp_path, make(names, num_instances=7000, labels=LABELS2, phase=2), config("pku2"))
    assert two.info.complete
    assert len(two.info.class_names) == 41
    videos = two.clips.assign(video=two.clips["name"].str.partition("_")[0]).groupby("video")
    parts = {protocol: videos[protocol].first().value_counts().to_dict() for protocol in ("xsub", "xview")}
    assert parts == {"xsub": {"train": 775, "test": 234}, "xview": {"train": 671, "test": 338}}
    assert set(two.clips.loc[two.clips["xsub"] == "test", "subject"]) == {2, 3, 7}
    verdict = DATASETS["pku2"].check(config("pku2"), "pku2", [str(tmp_path / "mirror")])
    assert verdict.state == "whole"
    made.labels[phase1_names()[0]] = label_text([(1, 1, 1, 1)])
    made.write(tmp_path / "other" / "pku1")
    short = DATASETS["pku1"].check(config(), "pku1", [str(tmp_path / "other")])
    assert short.state == "unusable"
    assert re.search(r"the label files have 21,5\d\d rows, expected 21,545", short.problems[0])
