"""A writer that goes on after another ends with the same bytes, whatever the other left."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from kinemask.skeleton.clip import Clip
from kinemask.skeleton.layout import KINECT25
from kinemask.skeleton.packed import Dropped, PackedWriter
from kinemask.storage import StorageError

FILES = ("joints.npy", "present.npy", "clips.parquet", "dataset.json")


def _recording(number: int) -> list[Clip | Dropped]:
    """One clip, two clips, or a dropped one."""
    items: list[Clip | Dropped] = []
    for place in range((1, 2, 0)[number % 3]):
        rng = np.random.default_rng([number, place])
        present = np.ones((3 + number % 2, 2), np.bool_)
        present[1:, 1] = False
        joints = rng.normal(size=(len(present), 2, 25, 3)).astype(np.float32)
        joints[~present] = 0
        items.append(Clip(f"{number}-{place}", 0, number, joints, present, traits={"group": "ü"}))
    return items or [Dropped(str(number), "reason", damaged=number % 2 == 0)]


RECORDINGS = [_recording(number) for number in range(9)]


def _go_on(folder: Path, *, until: int = 9, key: str = "key") -> int:
    """From which recording a writer went on."""
    with PackedWriter(folder, KINECT25, 2, key=key) as writer:
        start = writer.num_recordings
        for items in RECORDINGS[start:until]:
            writer.add(*items)
        if until == 9:
            writer.finish(name="tiny", class_names=("sit",), protocols={}, symmetries=("mirror",))
    return start


def _bytes(folder: Path) -> list[bytes]:
    assert sorted(path.name for path in folder.parent.iterdir()) == ["tiny"]
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    return [(folder / name).read_bytes() for name in FILES]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    folder = tmp_path_factory.mktemp("whole") / "tiny"
    assert _go_on(folder) == 0
    return _bytes(folder)


@pytest.mark.parametrize("num", [2, 4, 9])
def test_recordings_added_together_are_the_same_bytes(tmp_path: Path, whole: list[bytes], num: int) -> None:
    _go_on(tmp_path / "tiny", until=1)
    with PackedWriter(tmp_path / "tiny", KINECT25, 2, key="key") as writer:
        for start in range(1, 9, num):
            writer.extend(RECORDINGS[start : start + num])
            assert writer.num_recordings == min(9, start + num)
    assert _go_on(tmp_path / "tiny") == 9
    assert _bytes(tmp_path / "tiny") == whole


@pytest.mark.parametrize("until", [0, 1, 2, 3, 8])
def test_it_goes_on_after_what_is_there(tmp_path: Path, whole: list[bytes], until: int) -> None:
    assert _go_on(tmp_path / "tiny", until=until) == 0
    assert not (tmp_path / "tiny").exists()
    assert _go_on(tmp_path / "tiny") == until
    assert _bytes(tmp_path / "tiny") == whole


def test_a_journal_cut_anywhere_costs_a_recording_at_most(tmp_path: Path, whole: list[bytes]) -> None:
    _go_on(tmp_path / "left" / "tiny", until=5)
    journal = (tmp_path / "left/.tiny.journal").read_bytes()
    ends = [place + 1 for place, byte in enumerate(journal) if byte == ord("\n")]
    for size in sorted({0, *range(5, len(journal), 67), *ends, *(end - 1 for end in ends)}):
        shutil.copytree(tmp_path / "left", tmp_path / "cut")
        (tmp_path / "cut/.tiny.journal").write_bytes(journal[:size])
        assert _go_on(tmp_path / "cut/tiny", until=7) == max(0, journal[:size].count(b"\n") - 1)
        assert _go_on(tmp_path / "cut/tiny") == 7  # what was cut is not in the way
        assert _bytes(tmp_path / "cut/tiny") == whole
        shutil.rmtree(tmp_path / "cut")


@pytest.mark.parametrize("name", ["joints.npy", "present.npy"])
@pytest.mark.parametrize("damage", ["cut", "zeros", "removed", "longer"])
def test_damaged_arrays_cost_what_is_damaged(
    tmp_path: Path, whole: list[bytes], name: str, damage: str
) -> None:
    _go_on(tmp_path / "tiny", until=6)
    path = tmp_path / ".tiny.partial" / name
    data = path.read_bytes()
    rows = {"joints.npy": 2 * 25 * 3 * 4, "present.npy": 2}[name]
    broken = {
        "cut": data[: -rows // 2],
        "zeros": data[: -3 * rows] + bytes(3 * rows),  # as a machine that stops may leave it
        "removed": None,
        "longer": data + b"what no journal tells of",
    }[damage]
    if broken is None:
        path.unlink()
    else:
        path.write_bytes(broken)
    assert _go_on(tmp_path / "tiny") == {"cut": 4, "zeros": 4, "removed": 0, "longer": 6}[damage]
    assert _bytes(tmp_path / "tiny") == whole


def test_absent_persons_with_coordinates_are_damage_too(tmp_path: Path, whole: list[bytes]) -> None:
    _go_on(tmp_path / "tiny", until=6)
    path = tmp_path / ".tiny.partial" / "joints.npy"
    data = bytearray(path.read_bytes())
    data[-2] = 0x3F  # the second person is absent in the last frame
    path.write_bytes(data)
    assert _go_on(tmp_path / "tiny") == 4
    assert _bytes(tmp_path / "tiny") == whole


def test_another_key_starts_afresh(tmp_path: Path, whole: list[bytes]) -> None:
    _go_on(tmp_path / "tiny", until=5)
    assert _go_on(tmp_path / "tiny", key="yek") == 0
    assert _bytes(tmp_path / "tiny") == whole


def test_killed_before_the_folder_is_placed_nothing_is_read_again(tmp_path: Path, whole: list[bytes]) -> None:
    _go_on(tmp_path / "tiny", until=8)
    with PackedWriter(tmp_path / "tiny", KINECT25, 2, key="key") as writer:
        writer.add(*RECORDINGS[8])
    for name in ("clips.parquet", "dataset.json"):
        (tmp_path / ".tiny.partial" / name).write_bytes(b"half")
    assert _go_on(tmp_path / "tiny") == 9
    assert _bytes(tmp_path / "tiny") == whole


def test_killed_after_the_folder_is_placed_the_next_starts_afresh(tmp_path: Path, whole: list[bytes]) -> None:
    _go_on(tmp_path / "tiny", until=8)
    journal = (tmp_path / ".tiny.journal").read_bytes()
    _go_on(tmp_path / "tiny")
    (tmp_path / ".tiny.journal").write_bytes(journal)
    assert _go_on(tmp_path / "tiny") == 0
    assert _bytes(tmp_path / "tiny") == whole


def test_a_second_writer_at_the_same_time_is_refused(tmp_path: Path, whole: list[bytes]) -> None:
    _go_on(tmp_path / "tiny", until=3)
    with (
        PackedWriter(tmp_path / "tiny", KINECT25, 2, key="key"),
        pytest.raises(StorageError, match=r"\.tiny\.journal is in use: another process packs these clips"),
    ):
        _go_on(tmp_path / "tiny")
    assert _go_on(tmp_path / "tiny") == 3
    assert _bytes(tmp_path / "tiny") == whole
