"""PKU-MMD's split files: read however they are written, refused where they do not belong."""

import re
from pathlib import Path

import pytest

from kinemask.datasets.raw_pku import PHASES
from kinemask.skeleton.packed import Dropped
from tests.datasets.pku.pku_archive import (
    is_test_subject,
    is_test_view,
    phase1_names,
    phase2_names,
    split_text,
)
from tests.datasets.pku.pku_runs import fetched, prepared, refused, small


@pytest.mark.parametrize("names", [("cross_subject", "cross-view"), ("cross-subject", "cross_view")])
@pytest.mark.parametrize("phase", [1, 2])
def test_split_files_are_found_in_every_spelling(tmp_path: Path, phase: int, names: tuple[str, str]) -> None:
    made = small(phase)
    suffix = {1: "", 2: "-v2"}[phase]
    made.splits = {
        f"{name}{suffix}.txt": data for name, data in zip(names, made.splits.values(), strict=True)
    }
    raw = fetched(tmp_path, made, f"pku{phase}")
    found = {path.name for path in raw.iterdir()}
    assert found == {
        f"{PHASES[f'pku{phase}'].skeletons}.7z",
        f"{PHASES[f'pku{phase}'].labels}.7z",
        *PHASES[f"pku{phase}"].splits.values(),
        "source.json",
    }


@pytest.mark.parametrize(
    "text",
    [
        b"Training videos:\n{train}\nValidation videos:\n{test}",
        b"\xef\xbb\xbfTraining videos: \r\n{train}, \r\n\r\nValidataion videos: \r\n{test}, \r\n",
        b"train\n{train}\ntest:\n{test}\n",
    ],
)
def test_split_file_is_read_however_it_is_written(tmp_path: Path, text: bytes) -> None:
    made = small()
    for file, is_test in zip(list(made.splits), (is_test_subject, is_test_view), strict=True):
        train, test = (
            ", ".join(f"{name}.txt" for name in made.recordings if is_test(name) == part).encode()
            for part in (False, True)
        )
        made.splits[file] = text.replace(b"{train}", train).replace(b"{test}", test)
    clips = prepared(tmp_path, made).clips
    videos = clips["name"].str.partition("_")[0]
    assert ((clips["xsub"] == "test") == videos.map(is_test_subject)).all()
    assert ((clips["xview"] == "test") == videos.map(is_test_view)).all()


def test_split_file_of_the_other_phase_is_refused(tmp_path: Path) -> None:
    """PCM3's v1 files are byte for byte its v2 files: nothing would train, all would test."""
    made = small()
    made.splits["cross-subject.txt"] = small(2).splits["cross_subject_v2.txt"]
    assert re.search(
        r"cross_subject.txt does not belong to PKU-MMD I, .* 18 of its 18 names .*: A01N01-L, A01N01-M, "
        r"A01N01-R, \.\.\.",
        refused(tmp_path, made),
    )


def test_split_file_that_was_cut_is_refused(tmp_path: Path) -> None:
    made = small()
    names = list(made.recordings)
    made.splits["cross_view.txt"] = split_text(names[:-2], [name for name in names if is_test_view(name)])
    message = refused(tmp_path, made)
    assert "cross_view.txt names 16 of the 1076 videos of PKU-MMD I, and 2 of the 18 recordings" in message
    assert f": {names[-2]}, {names[-1]}." in message


def test_split_file_with_a_video_in_both_parts_is_refused(tmp_path: Path) -> None:
    made = small()
    name = next(name for name in made.recordings if is_test_subject(name))
    text = made.splits["cross-subject.txt"]
    made.splits["cross-subject.txt"] = text.replace(b"Training videos: \n", f"Train:\n{name},\n".encode())
    assert f"names 1 video(s) to train on and to test on: {name}." in refused(tmp_path, made)


def test_split_files_that_were_exchanged_are_refused(tmp_path: Path) -> None:
    made = small()
    made.splits = dict(zip(made.splits, reversed(made.splits.values()), strict=True))
    assert "6 of 6 sequences to train on and to test on, which xsub keeps apart" in refused(tmp_path, made)


def move(text: bytes, *videos: str) -> bytes:
    """The split file with these videos of the test to train on."""
    for video in videos:
        assert text.rindex(f"{video}, ".encode()) > text.index(b"Validataion")
        text = text.replace(f"{video}, ".encode(), b"")
    return text.replace(b"Training videos: \n", f"Training videos: \n{', '.join(videos)}, ".encode())


def test_any_sequence_on_both_sides_of_phase_one_is_refused(tmp_path: Path) -> None:
    """Two of six have one camera to train on and two to test on, which a majority would not show."""
    made = small()
    made.splits["cross-subject.txt"] = move(made.splits["cross-subject.txt"], "0290-L", "0291-R")
    message = refused(tmp_path, made)
    assert "cross_subject.txt has 2 of 6 sequences to train on and to test on, which xsub keeps" in message
    assert ": 0290, 0291. " in message


def test_any_subject_on_both_sides_of_phase_two_is_refused(tmp_path: Path) -> None:
    """A whole sequence of N02 moved to train on: no sequence crosses, its subject does."""
    made = small(2, num=54)
    videos = [f"A01N02-{camera}" for camera in "LMR"]
    made.splits["cross_subject_v2.txt"] = move(made.splits["cross_subject_v2.txt"], *videos)
    assert "has 1 of 13 subjects to train on and to test on, which xsub keeps apart: 02. " in refused(
        tmp_path, made, "pku2"
    )


def test_any_camera_on_both_sides_is_refused(tmp_path: Path) -> None:
    made = small()
    text = made.splits["cross_view.txt"].replace(b"\r\n", b"\n")
    made.splits["cross_view.txt"] = move(text, "0286-L")
    assert "has 1 of 3 cameras to train on and to test on, which xview keeps apart: L. " in refused(
        tmp_path, made
    )


def test_split_file_of_more_videos_than_there_are_is_refused(tmp_path: Path) -> None:
    made = small()
    names = [*phase1_names(), "9998-L"]
    made.splits["cross_view.txt"] = split_text(names, [name for name in names if is_test_view(name)])
    assert "cross_view.txt names 1077 videos, PKU-MMD I has 1076. " in refused(tmp_path, made)


def test_split_files_that_together_name_more_videos_than_there_are_are_refused(tmp_path: Path) -> None:
    made = small()
    names = phase1_names()
    other = [*names[:-1], "9998-L"]
    made.splits = {
        "cross_subject.txt": split_text(names, [name for name in names if is_test_subject(name)]),
        "cross_view.txt": split_text(other, [name for name in other if is_test_view(name)]),
    }
    assert "name 1,077 videos together, PKU-MMD I has 1,076" in refused(tmp_path, made)


@pytest.mark.parametrize(
    "text", [b"", b"0286-L, 0286-M\n", b"Training videos:\n\nValidataion videos:\n0286-L\n"]
)
def test_text_that_is_no_split_file_is_refused(tmp_path: Path, text: bytes) -> None:
    made = small()
    made.splits["cross_view.txt"] = text
    assert "cross_view.txt is no split file of PKU-MMD I" in refused(tmp_path, made)


def test_whole_official_list_leaves_a_foreign_video_out(tmp_path: Path) -> None:
    """A list of 1,076 names is whole: a video that it does not name is none of the data set."""
    made = small()
    names = phase1_names()
    made.recordings["9999-L"] = next(iter(made.recordings.values()))
    made.labels["9999-L"] = b"1,2,3,1\n"  # where somebody is seen
    made.splits = {
        "cross_subject.txt": split_text(names, [name for name in names if is_test_subject(name)]),
        "cross_view.txt": split_text(names, [name for name in names if is_test_view(name)]),
    }
    packed = prepared(tmp_path, made)
    info = packed.info
    assert not packed.clips["name"].str.startswith("9999").any()
    assert Dropped("9999-L", "no split file names it", damaged=False) in info.dropped
    assert len(info.missing) == 2 * (1076 - 18)
    assert "Skeleton.7z: 0002-L" in info.missing


def test_counts_of_phase_two_are_asserted(tmp_path: Path) -> None:
    """The official file has 775 and 234: with the 78 videos of N07 moved it is another file."""
    made = small(2)
    names = phase2_names()
    tests = [name for name in names if is_test_subject(name)]
    made.splits["cross_subject_v2.txt"] = split_text(names, [name for name in tests if "N07" not in name])
    assert (
        "names (853, 156) videos to train on and to test on, the official file of PKU-MMD II (775, 234)"
        in (refused(tmp_path, made, "pku2"))
    )
