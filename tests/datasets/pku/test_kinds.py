"""PKU-MMD's two archives of text: one under the name of the other is named as such, by check and download."""

import shutil
from pathlib import Path

import pytest

from kinemask.datasets import DATASETS
from kinemask.datasets.reader import DatasetError
from tests.datasets.pku.pku_runs import config, small


def _refused(mirror: Path) -> str:
    """The one line of both."""
    with pytest.raises(DatasetError) as raised:
        DATASETS["pku1"].fetch(config(), "pku1", mirror.parent / "raw", [str(mirror)])
    verdict = DATASETS["pku1"].check(config(), "pku1", [str(mirror)])
    assert (verdict.state, verdict.problems) == ("unusable", (str(raised.value),))
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize("kind", ["7z", "zip"])
def test_exchanged_archives_are_named(tmp_path: Path, kind: str) -> None:
    made = small()
    made.recordings[next(iter(made.recordings))] = b""  # says nothing, and comes first
    made.recordings, made.labels = made.labels, made.recordings
    folder = made.write(tmp_path / "mirror", kind=kind)
    assert _refused(folder) == (
        f"{folder}/Skeleton.{kind} holds the label files and {folder}/Label_PKUMMD.{kind} the recordings: "
        f"they are exchanged, give each the name of the other"
    )


@pytest.mark.parametrize(
    ("file", "other", "said"),
    [
        ("Skeleton.7z", "Label_PKUMMD.7z", "Skeleton.7z holds label files, expected recordings"),
        ("Label_PKUMMD.7z", "Skeleton.7z", "Label_PKUMMD.7z holds recordings, expected label files"),
    ],
)
def test_copy_under_the_name_of_the_other_is_named(tmp_path: Path, file: str, other: str, said: str) -> None:
    folder = small().write(tmp_path / "mirror")
    shutil.copy(folder / other, folder / file)
    assert _refused(folder) == f"{folder}/{said}: put the owners' archive of this name into its place"


def test_first_recording_or_label_file_that_is_damaged_is_not_taken_for_the_other(tmp_path: Path) -> None:
    made = small()
    first = next(iter(made.recordings))
    made.recordings[first], made.labels[first] = b"1 2 3\n", b"?\n"
    made.write(tmp_path / "mirror")
    assert DATASETS["pku1"].check(config(), "pku1", [str(tmp_path / "mirror")]).state == "partial"
    made.recordings, made.labels = dict.fromkeys(made.recordings, b""), dict.fromkeys(made.labels, b"")
    made.write(tmp_path / "mirror")
    assert DATASETS["pku1"].check(config(), "pku1", [str(tmp_path / "mirror")]).state == "partial"
