"""From raw to packed: what is damaged is counted, named and limited; known counts are asserted."""

from dataclasses import replace
from pathlib import Path

import pytest

from kinemask.datasets.prepare import check_damage, prepare
from kinemask.datasets.reader import DatasetError, Expected
from kinemask.skeleton.packed import DatasetInfo, Dropped, open_packed
from tests.datasets.generated import READER, STARTS, GeneratedConfig, make_config


def _prepare(root: Path, config: GeneratedConfig, reader=READER, processes: int | None = None) -> DatasetInfo:
    raw = root / "raw"
    reader.fetch(config, "tiny", raw, [])
    packed = root / "packed" / "tiny"
    return prepare(reader, config, name="tiny", raw=raw, packed=packed, processes=processes)


def _whole(**changes: object) -> GeneratedConfig:
    return make_config(one_clip_in=1, **changes)


def test_clips_are_packed_and_known_counts_hold(tmp_path: Path) -> None:
    info = _prepare(tmp_path, _whole())
    assert (info.num_clips, info.complete, info.cleaned) == (5, True, {"empty_frames": 2})
    clips = open_packed(tmp_path / "packed/tiny").clips
    assert clips["name"].tolist() == ["R00000a", "R00001a", "R00002a", "R00002b", "R00003a"]
    assert clips["xsub"].tolist() == ["test", "train", "test", "test", "train"]
    assert [path.name for path in (tmp_path / "packed").iterdir()] == ["tiny"]


def test_damaged_clips_below_the_share_are_listed_in_the_info_and_told(tmp_path: Path, caplog) -> None:
    info = _prepare(tmp_path, _whole(share=0.4, damaged=(0, 2)))
    assert info.dropped == (Dropped("R00000a", "reason0"), Dropped("R00002a", "reason2"))
    assert (info.num_clips, info.complete) == (3, False)
    assert "tiny: 2 clips are damaged and left out: R00000a (reason0); R00002a (reason2)" in caplog.text


def test_too_many_damaged_clips_stop_with_names_reasons_and_cure(tmp_path: Path) -> None:
    with pytest.raises(DatasetError) as raised:
        _prepare(tmp_path, _whole(share=0.39, damaged=(0, 2)))
    assert str(raised.value) == (
        "tiny: 2 of 5 clips are damaged, at most the share 0.39 may be: R00000a (reason0); R00002a (reason2)"
        ". Get the files again, or raise datasets.tiny.max_damaged_share in params.yaml"
    )
    assert not (tmp_path / "packed/tiny").exists()


def test_after_too_much_damage_nothing_is_read_again_and_a_higher_share_is_enough(tmp_path: Path) -> None:
    STARTS.clear()
    for _ in range(2):
        with pytest.raises(DatasetError, match="2 of 5"):
            _prepare(tmp_path, _whole(share=0.1, damaged=(0, 2)))
    assert _prepare(tmp_path, _whole(share=0.4, damaged=(0, 2))).num_clips == 3
    assert STARTS == [0]


def test_only_the_first_names_are_shown() -> None:
    dropped = [Dropped(f"bad{number}", "reason") for number in range(9)]
    with pytest.raises(DatasetError, match=r"9 of 10 clips .*bad2 \(reason\); \.\.\.\. Get"):
        check_damage("tiny", dropped, num_read=10, most=0.0)


def test_share_itself_is_still_allowed() -> None:
    check_damage("tiny", [Dropped("bad", "reason")], num_read=10, most=0.1)


def test_what_is_left_out_by_a_rule_is_listed_and_is_no_damage(tmp_path: Path) -> None:
    info = _prepare(tmp_path, _whole(left_out=("S001", "S002")))
    assert info.dropped == tuple(Dropped(name, "on the list", damaged=False) for name in ("S001", "S002"))
    assert info.complete


def test_all_clips_damaged_stops_even_where_all_may_be(tmp_path: Path) -> None:
    for share in (0.0, 1.0):  # no share helps, so that none is advised
        with pytest.raises(DatasetError) as raised:
            _prepare(tmp_path, _whole(share=share, recordings=2, damaged=(0, 1)))
        assert str(raised.value) == (
            "tiny: all 2 clips are damaged: R00000a (reason0); R00001a (reason1). Get the files again"
        )


def test_counts_that_are_not_the_known_ones_stop_again_and_again_and_nothing_is_read_twice(
    tmp_path: Path,
) -> None:
    wrong = Expected(clips=6, frames=None, parts={"xsub": (3, 2)})
    reader = replace(READER, expected=lambda config: wrong)
    STARTS.clear()
    for _ in range(2):
        with pytest.raises(DatasetError, match=r"clips 5, expected 6; xsub \(2, 3\), expected \(3, 2\)"):
            _prepare(tmp_path, _whole(), reader)
        assert not (tmp_path / "packed/tiny").exists()
    assert STARTS == [0]


def test_slice_is_not_complete(tmp_path: Path) -> None:
    assert not _prepare(tmp_path, make_config()).complete


def test_partial_data_are_told_by_name_and_packed(tmp_path: Path, caplog) -> None:
    names = tuple(f"S{number:03}" for number in range(5))
    info = _prepare(tmp_path, _whole(recordings=3, missing=names))
    assert (info.missing, info.complete, info.num_clips) == (names, False, 4)
    (line,) = caplog.messages
    assert line == (
        "tiny is partial: 5 recordings of the whole data set are missing: S000, S001, S002, ...; "
        "dataset.json names all"
    )


@pytest.mark.parametrize("processes", [None, 1])  # one by one, or several together
def test_of_two_recordings_with_one_name_the_second_is_damage(tmp_path: Path, processes: int | None) -> None:
    info = _prepare(tmp_path, _whole(share=0.5, same_name={3: 1}), processes=processes)
    reason = "two recordings have this name, the first is kept"
    assert info.dropped == (Dropped("R00001a", reason),)
    assert open_packed(tmp_path / "packed/tiny").clips["subject"].tolist() == [0, 1, 2, 2]


def test_the_same_content_on_both_sides_is_named(tmp_path: Path, caplog) -> None:
    info = _prepare(tmp_path, _whole(same_content={3: 0}))
    assert info.leaks == {"xsub": (("R00000a", "R00003a"),)}
    assert caplog.messages == [
        "tiny: 1 group(s) of equal clips stand on both sides of xsub: R00000a = R00003a; "
        "dataset.json names all"
    ]


def test_a_raw_folder_without_its_source_says_what_to_run(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    with pytest.raises(DatasetError, match=r"source\.json is missing or damaged: run download"):
        prepare(READER, make_config(), name="tiny", raw=tmp_path / "raw", packed=tmp_path / "tiny")
