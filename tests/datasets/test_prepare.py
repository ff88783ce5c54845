"""From raw to packed: what is damaged is counted, named and limited; known counts are asserted."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kinemask.datasets.prepare import check_damage, prepare
from kinemask.datasets.protocols import odd_subjects
from kinemask.datasets.reader import AnyReader, DatasetError, DatasetReader, Expected, RecordedSection
from kinemask.skeleton.clip import Clip
from kinemask.skeleton.layout import KINECT25
from kinemask.skeleton.packed import Dropped, PackedError, open_packed


def _read(config: RecordedSection, folder: Path) -> Iterator[Clip | Dropped]:
    """Four clips, and two damaged ones among them if the folder says so."""
    joints, present = np.ones((10, 1, 25, 3), np.float32), np.ones((10, 1), np.bool_)
    for number in range(4):
        if folder.name == "damaged" and number < 2:
            yield Dropped(f"bad{number}", f"reason{number}")
        yield Clip(f"clip{number}", number % 2, number, joints, present, "")


READER: AnyReader = DatasetReader(
    config=RecordedSection,
    layout=KINECT25,
    persons=1,
    mirror_keeps_label=True,
    class_names=lambda config: ("sit", "stand"),
    protocols=lambda config: {"xsub": odd_subjects},
    expected=lambda config: Expected(clips=4, frames=40, parts={"xsub": (2, 2)}) if config.complete else None,
    fetch=lambda config, folder, mirrors: None,
    count=lambda config, folder: 4,
    read=_read,
)


def _config(share: float = 0.0, one_clip_in: int = 1) -> RecordedSection:
    return RecordedSection(max_damaged_share=share, one_clip_in=one_clip_in)


def test_clips_are_packed_and_known_counts_hold(tmp_path: Path) -> None:
    info = prepare(READER, _config(), name="tiny", raw=Path("raw"), packed=tmp_path / "tiny")
    assert (info.num_clips, info.num_frames, info.complete) == (4, 40, True)
    assert open_packed(tmp_path / "tiny").clips["xsub"].tolist() == ["test", "train", "test", "train"]


def test_damaged_clips_below_the_share_are_listed_in_the_info(tmp_path: Path) -> None:
    info = prepare(READER, _config(0.4), name="tiny", raw=Path("damaged"), packed=tmp_path / "tiny")
    assert info.dropped == (Dropped("bad0", "reason0"), Dropped("bad1", "reason1"))
    assert info.num_clips == 4
    assert not info.complete


def test_too_many_damaged_clips_stop_with_names_reasons_and_cure(tmp_path: Path) -> None:
    with pytest.raises(DatasetError) as raised:
        prepare(READER, _config(0.3), name="tiny", raw=Path("damaged"), packed=tmp_path / "tiny")
    assert str(raised.value) == (
        "tiny: 2 of 6 clips are damaged, at most the share 0.3 may be: bad0 (reason0); bad1 (reason1). "
        "Get the files again, or raise datasets.tiny.max_damaged_share in params.yaml"
    )
    assert list(tmp_path.iterdir()) == []


def test_only_the_first_names_are_shown() -> None:
    dropped = [Dropped(f"bad{number}", "reason") for number in range(9)]
    with pytest.raises(DatasetError, match=r"9 of 10 clips .*bad2 \(reason\); \.\.\.\. Get"):
        check_damage("tiny", dropped, num_read=10, most=0.0)


def test_share_itself_is_still_allowed() -> None:
    check_damage("tiny", [Dropped("bad", "reason")], num_read=10, most=0.1)


def test_all_clips_damaged_stops_even_where_all_may_be(tmp_path: Path) -> None:
    reader = replace(READER, read=lambda config, folder: iter([Dropped("bad", "reason")]))
    with pytest.raises(PackedError, match="no clip"):
        prepare(reader, _config(1.0), name="tiny", raw=Path("raw"), packed=tmp_path / "tiny")


def test_counts_that_are_not_the_known_ones_stop(tmp_path: Path) -> None:
    wrong = Expected(clips=5, frames=40, parts={"xsub": (3, 2)})
    reader = replace(READER, expected=lambda config: wrong)
    with pytest.raises(DatasetError, match=r"clips 4, expected 5; xsub \(2, 2\), expected \(3, 2\)"):
        prepare(reader, _config(), name="tiny", raw=Path("raw"), packed=tmp_path / "tiny")
    assert list(tmp_path.iterdir()) == []


def test_slice_is_not_complete(tmp_path: Path) -> None:
    info = prepare(READER, _config(one_clip_in=2), name="tiny", raw=Path("raw"), packed=tmp_path / "tiny")
    assert not info.complete
