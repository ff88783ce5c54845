"""NTU's names: how many there are, what they say, and why another name is none of them."""

import hashlib
import os
from pathlib import Path

import pytest

from kinemask.datasets.archives.fetch import RefusedError
from kinemask.datasets.archives.mirrors import MIRROR_VARIABLE
from kinemask.datasets.kinect.skeleton_name import parse_name
from kinemask.datasets.ntu.names import (
    CLASS_NAMES,
    FIRST_HALF,
    SECOND_HALF,
    performers,
    why_outside,
)
from kinemask.datasets.ntu.sets import SETS, official_names, read_list
from kinemask.datasets.ntu.survey import table_of
from tests.datasets.ntu.ntu_archive import all_names, generated_list

MIRROR = Path(os.environ.get(MIRROR_VARIABLE, Path(__file__).parents[4] / "shared" / "data"))
BOTH = pytest.mark.parametrize("dataset", ["ntu60", "ntu120"])


@pytest.mark.parametrize(("dataset", "num", "people"), [("ntu60", 56_880, 40), ("ntu120", 114_480, 106)])
def test_names_are_as_many_as_their_owners_say(dataset: str, num: int, people: int) -> None:
    found = all_names(dataset)
    assert len(found) == num
    assert found == sorted(set(found))
    assert set(table_of(found)["subject"]) == set(range(1, people + 1))


def test_ranges_of_performers_are_unfolded() -> None:
    assert performers(2) == (3, 7, 8, 9, 10, 11, 12, 13, 14)
    assert performers(33) == ()


def test_every_action_has_one_name_and_none_is_of_a_side() -> None:
    assert len(set(CLASS_NAMES)) == 120
    assert (CLASS_NAMES[0], CLASS_NAMES[59], CLASS_NAMES[119]) == (
        "drink water", "walk apart", "finger-guessing game",
    )  # fmt: skip
    # Mirrored clips keep their label for that reason.
    assert not any(side in name.split() for name in CLASS_NAMES for side in ("left", "right"))


@pytest.mark.parametrize(
    ("name", "setups", "reason"),
    [
        ("S001C004P001R001A001", FIRST_HALF, "camera 4, expected 1 to 3"),
        ("S001C001P001R003A001", FIRST_HALF, "replication 3, expected 1 to 2"),
        ("S001C001P001R001A061", FIRST_HALF, "action 61, expected 1 to 60"),
        ("S018C001P008R001A060", SECOND_HALF, "action 60, expected 61 to 120"),
        ("S018C001P008R001A061", FIRST_HALF, "setup 18, expected 1 to 17"),
        ("S032C001P107R001A061", SECOND_HALF, "performer 107 is not in setup 32"),
        ("S001C001P009R001A001", FIRST_HALF, "performer 9 is not in setup 1"),
    ],
)
def test_name_outside_the_data_set_is_told_why(name: str, setups: range, reason: str) -> None:
    said = parse_name(name)
    assert said is not None
    assert why_outside(said, setups) == reason


@pytest.mark.parametrize(
    ("dataset", "digest"), [("ntu60", "529874000b9e888c"), ("ntu120", "4242c1de770452f6")]
)
def test_names_are_those_that_agree_with_the_official_lists_and_all_counts(dataset: str, digest: str) -> None:
    assert hashlib.sha256("\n".join(all_names(dataset)).encode()).hexdigest()[:16] == digest


def test_protocols_are_those_of_the_papers() -> None:
    clips = "S017C002P008R001A001", "S032C003P103R001A120", "S004C002P020R001A001", "S001C001P003R001A001"
    found = {
        (dataset, name): rule(table_of(clips)).tolist()
        for dataset, facts in SETS.items()
        for name, rule in facts.rules.items()
    }
    assert found == {
        ("ntu60", "xsub"): ["train", "train", "test", "test"],
        ("ntu60", "xview"): ["train", "train", "train", "test"],
        ("ntu120", "xsub"): ["train", "train", "test", "test"],
        ("ntu120", "xset"): ["test", "train", "train", "test"],
    }


@BOTH
def test_protocols_have_the_known_counts_by_names_alone(dataset: str) -> None:
    text, facts = generated_list(SETS[dataset])
    listed, digest = read_list(text, facts.setups)
    assert digest == facts.listed_sha256
    _assert_counts(dataset, listed)


def _assert_counts(dataset: str, listed: frozenset[str]) -> None:
    facts = SETS[dataset]
    table = table_of([name for name in all_names(dataset) if name not in listed])
    assert len(table) == facts.expected.clips
    for protocol, rule in facts.rules.items():
        part = rule(table)
        assert ((part == "train").sum(), (part == "test").sum()) == facts.expected.parts[protocol]


@BOTH
def test_official_list_leaves_the_known_counts(dataset: str) -> None:
    path = MIRROR / "ntu_lists" / SETS[dataset].listed.names[0]
    if not path.is_file():
        pytest.skip(f"no mirror with ntu_lists/{path.name}, which is not part of the repository")
    listed = official_names(path, SETS[dataset])
    assert listed < set(all_names(dataset))
    _assert_counts(dataset, listed)


def test_larger_official_list_serves_the_smaller_data_set() -> None:
    path = MIRROR / "ntu_lists" / SETS["ntu120"].listed.names[0]
    if not path.is_file():
        pytest.skip(f"no mirror with ntu_lists/{path.name}, which is not part of the repository")
    assert len(official_names(path, SETS["ntu60"])) == 302


def test_list_is_known_by_its_names_with_or_without_a_head(tmp_path: Path) -> None:
    text, facts = generated_list(SETS["ntu60"])
    lines = text.decode().splitlines()[3:]
    path = tmp_path / "list.txt"
    for other in (
        text,
        "\n".join(reversed(lines)).encode(),
        "".join(f" {n}.skeleton\n" for n in lines).encode(),
    ):
        path.write_bytes(other)
        assert len(official_names(path, facts)) == 302
    path.write_text("\n".join(lines[1:]))
    with pytest.raises(RefusedError, match="names 301 recordings of NTU RGB"):
        official_names(path, facts)
