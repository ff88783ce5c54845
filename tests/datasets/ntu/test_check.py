"""What `kinemask data check` says of NTU's archives: whole, partial, absent or unusable, and why."""

import errno
import json
import zipfile
from pathlib import Path

import pytest

from kinemask.datasets.ntu.sets import SETS, NtuConfig
from kinemask.datasets.raw_ntu import NTU
from kinemask.datasets.reader import Verdict
from kinemask.section import read_yaml
from tests.datasets.conftest import write_zip
from tests.datasets.ntu.ntu_archive import FIRST, SECOND, all_names, generated_list, write_archive
from tests.project import ROOT

SECTION = read_yaml(ROOT / "params.yaml")["datasets"]["ntu60"]
CONFIG = NtuConfig.model_validate_json(json.dumps(SECTION))
LIST_URL = SETS["ntu60"].listed.url


def _check(*mirrors: Path) -> Verdict:
    return NTU.check(CONFIG, "ntu60", list(map(str, mirrors)))


@pytest.mark.slow
def test_whole_archive_is_said_to_be_whole_with_its_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, facts = generated_list(SETS["ntu60"])
    (tmp_path / "NTU_RGBD_samples_with_missing_skeletons.txt").write_bytes(text)
    monkeypatch.setitem(SETS, "ntu60", facts)
    write_archive(tmp_path / FIRST, all_names("ntu60"), num_frames=1)
    verdict = _check(tmp_path)
    assert (verdict.state, verdict.problems) == ("whole", ())
    said = "\n".join(verdict.facts)
    assert f"{tmp_path}/{FIRST}, " in said
    assert "56,578 recordings to read; the 302 of the official list of missing skeletons are left out" in said
    assert "xsub: 40,091 to train on, 16,487 to test on (whole: 40,091 and 16,487)" in said
    assert "xview: 37,646 to train on, 18,932 to test on" in said
    assert "60 recordings, spread evenly, were read: 0 damaged" in said
    assert "preprocess will take about" in said


def test_list_that_is_not_here_is_no_problem_as_download_gets_it(tmp_path: Path) -> None:
    write_archive(tmp_path / FIRST, all_names("ntu60")[:3])
    verdict = _check(tmp_path)
    assert verdict.facts[1] == (
        f"3 recordings to read; the official list of missing skeletons is not here, download gets {LIST_URL}"
    )
    assert not any("list" in problem for problem in verdict.problems)


def test_partial_archive_names_setups_and_recordings_that_are_missing(tmp_path: Path) -> None:
    some = [name for name in all_names("ntu60") if name[:4] in ("S001", "S002")]
    write_archive(tmp_path / FIRST, [name for name in some if not name.endswith(("R001A001", "R001A002"))])
    verdict = _check(tmp_path)
    assert verdict.state == "partial"
    assert verdict.problems[0] == "setup 3: all 3,240 recordings are missing"
    assert len([line for line in verdict.problems if line.startswith("setup")]) == 15
    # Two actions of 17 pairs of setup and performer, by three cameras.
    assert (
        "102 recording(s) are missing: S001C001P001R001A001, S001C001P001R001A002, S001"
        in verdict.problems[-1]
    )
    assert verdict.problems[-1].endswith(" and 82 more")


def test_absent_archive_is_answered_as_download_answers(tmp_path: Path) -> None:
    verdict = _check(tmp_path)
    assert (verdict.state, verdict.facts) == ("absent", ())
    (problem,) = verdict.problems
    assert "https://rose1.ntu.edu.sg/dataset/actionRecognition" in problem
    assert f"{tmp_path}/ntu60" in problem


def test_one_of_two_archives_is_partial_and_the_other_is_asked_for(tmp_path: Path) -> None:
    path = write_archive(tmp_path / FIRST, ["S001C001P001R001A001"])
    config = NtuConfig.model_validate_json(json.dumps(SECTION | {"name": "ntu120"}))
    verdict = NTU.check(config, "ntu120", [str(tmp_path)])
    assert verdict.state == "partial"
    assert verdict.facts == (f"{path}, 0.0 MiB",)
    assert f"lacks {SECOND}; looked in" in verdict.problems[0]


def test_archive_that_may_not_be_read_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    path = write_archive(tmp_path / FIRST, ["S001C001P001R001A001"])
    monkeypatch.setattr(zipfile, "ZipFile", refuse)  # root, as in a container, may read every file
    verdict = _check(tmp_path)
    (problem,) = verdict.problems
    assert verdict.state == "unusable"
    assert problem.startswith(f"{path} cannot be read (Permission denied): give this user the right")


def test_archive_that_is_none_is_unusable(tmp_path: Path) -> None:
    (tmp_path / FIRST).write_bytes(b"<html>please log in</html>")
    verdict = _check(tmp_path)
    assert verdict.state == "unusable"
    (problem,) = verdict.problems
    assert "is not a whole zip archive" in problem
    assert "copy it again from where you got it" in problem
    assert "remove" not in problem


@pytest.mark.parametrize(
    ("inside", "said"),
    [
        ("skeletons.zip", "{path} is an archive of archives ('skeletons.zip'): unpack it, put what it held"),
        ("readme.txt", "ntu60: no recording can be read from {path} (it holds no .skeleton file)"),
    ],
)
def test_archive_without_recordings_is_one_line_and_no_list_of_what_is_missing(
    tmp_path: Path, inside: str, said: str
) -> None:
    path = write_zip(tmp_path / FIRST, {inside: b"x"})
    verdict = _check(tmp_path)
    assert verdict.state == "unusable"
    (problem,) = verdict.problems
    assert problem.startswith(said.format(path=path))
    assert "\n" not in problem


def test_damage_in_the_sample_is_named(tmp_path: Path) -> None:
    names = all_names("ntu60")[:59]
    write_archive(tmp_path / FIRST, names, replaced={names[7]: b"1\n"})
    verdict = _check(tmp_path)
    assert f"{names[7]} is damaged: the file ends in frame 1 of the 1 frames announced" in verdict.problems
    assert "59 recordings, spread evenly, were read: 1 damaged" in verdict.facts


def test_refused_and_foreign_members_are_named(tmp_path: Path) -> None:
    names = all_names("ntu60")[:20]
    path = write_archive(tmp_path / FIRST, [*names[1:], "S001C004P001R001A001", "S018C001P008R001A061"])
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"/{names[0]}.skeleton", b"")
    verdict = _check(tmp_path)
    assert any(line.startswith(f"{names[0]} is refused: ") for line in verdict.problems)
    assert "left out: S001C004P001R001A001 (camera 4, expected 1 to 3)" in verdict.facts
    assert "left out: S018 (1 recording(s) of a setup of NTU RGB+D 120 alone)" in verdict.facts


def test_encrypted_archive_without_the_password_is_unusable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KINEMASK_ARCHIVE_PASSWORD", raising=False)
    path = write_archive(tmp_path / FIRST, all_names("ntu60")[:3])
    _pretend_encrypted(path)
    verdict = _check(tmp_path)
    assert verdict.state == "unusable"
    assert any(
        "put the password into the variable KINEMASK_ARCHIVE_PASSWORD" in one for one in verdict.problems
    )
    monkeypatch.setenv("KINEMASK_ARCHIVE_PASSWORD", "wrong")
    verdict = _check(tmp_path)
    assert verdict.state == "unusable"
    assert any("KINEMASK_ARCHIVE_PASSWORD is wrong" in one for one in verdict.problems)


def _pretend_encrypted(path: Path) -> None:
    """Set the flag in every header: to who reads it, the data are encrypted with some password."""
    data = bytearray(path.read_bytes())
    for signature, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = data.find(signature)
        while start >= 0:
            data[start + place] |= 1
            start = data.find(signature, start + 4)
    path.write_bytes(data)
