"""The packed form: what goes in comes out, and nothing half-written or damaged is taken for whole."""

import subprocess
import sys
import textwrap
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kinemask.skeleton.clip import Clip
from kinemask.skeleton.layout import KINECT25
from kinemask.skeleton.packed import DatasetInfo, Dropped, PackedError, PackedWriter, open_packed
from tests.new_process import in_new_process

LEFT_OUT = Dropped("e", "on the list", damaged=False)


def _clip(
    name: str, *, seed: int = 0, num_frames: int = 4, persons: int = 2, label: int = 0, subject: int = 1
) -> Clip:
    joints = np.random.default_rng(seed).normal(size=(num_frames, persons, 25, 3)).astype(np.float32)
    present = np.ones((num_frames, persons), np.bool_)
    present[:, 1:] = False
    joints[~present] = 0
    return Clip(name, label, subject, joints, present)


def _odd(clips: pd.DataFrame) -> pd.Series:
    return clips["subject"].map(lambda subject: "train" if subject % 2 else "test")


def _write(folder: Path, clips: Sequence[Clip | Dropped], **changes: object) -> DatasetInfo:
    finish = {
        "name": "tiny",
        "class_names": ("sit", "stand"),
        "protocols": {"xsub": _odd},
        "symmetries": ("mirror",),
    }
    with PackedWriter(folder, KINECT25, 2) as writer:
        for clip in clips:
            writer.add(clip)
        return writer.finish(**(finish | changes))  # type: ignore[arg-type]


def test_clips_come_out_as_they_went_in(tmp_path: Path) -> None:
    clips = [_clip("a", seed=1, num_frames=3), _clip("b", seed=2, num_frames=5, label=1, subject=2)]
    _write(tmp_path / "tiny", clips)
    packed = open_packed(tmp_path / "tiny")
    assert isinstance(packed.joints, np.memmap)
    assert packed.joints.dtype == np.float32
    assert packed.clips["offset"].tolist() == [0, 3]
    assert packed.clips["length"].tolist() == [3, 5]
    assert packed.clips["persons"].tolist() == [1, 1]
    for clip, row in zip(clips, packed.clips.itertuples(), strict=True):
        frames = slice(row.offset, row.offset + row.length)
        assert np.array_equal(packed.joints[frames], clip.joints)
        assert np.array_equal(packed.present[frames], clip.present)


def test_info_counts_clips_frames_parts_and_what_was_dropped(tmp_path: Path) -> None:
    clips = [_clip("a", subject=1), _clip("b", subject=2), _clip("c", subject=3)]
    info = _write(tmp_path / "tiny", [*clips, Dropped("d", "empty")], left_out=[LEFT_OUT], complete=False)
    assert (info.num_clips, info.num_frames, info.persons) == (3, 12, 2)
    assert info.counts == {"xsub": {"train": 2, "test": 1}}
    assert info.dropped == (LEFT_OUT, Dropped("d", "empty"))
    assert info.layout == KINECT25
    assert not info.complete
    assert open_packed(tmp_path / "tiny").info == info


def test_what_cleaning_took_out_is_summed_over_clips(tmp_path: Path) -> None:
    first, second = _clip("a"), _clip("b")
    first.cleaned.update(empty_frames=2)
    second.cleaned.update(empty_frames=3, short_bodies=1)
    assert _write(tmp_path / "tiny", [first, second]).cleaned == {"empty_frames": 5, "short_bodies": 1}


def test_traits_and_protocols_become_columns(tmp_path: Path) -> None:
    clip = _clip("a")
    clip.traits.update(group="healthy")
    _write(tmp_path / "tiny", [clip])
    assert open_packed(tmp_path / "tiny").clips.loc[0, ["group", "xsub"]].tolist() == ["healthy", "train"]


def test_same_data_have_the_same_bytes_and_hash_and_other_data_another(tmp_path: Path) -> None:
    one = _write(tmp_path / "one", [_clip("a")])
    same = _write(tmp_path / "same", [_clip("a")])
    other = _write(tmp_path / "other", [_clip("a", seed=1)])
    relabelled = _write(tmp_path / "relabelled", [_clip("a", label=1)])
    assert one == same
    for name in ("joints.npy", "present.npy", "clips.parquet", "dataset.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "same" / name).read_bytes()
    assert len({one.data_sha256, other.data_sha256, relabelled.data_sha256}) == 3


def test_recording_of_several_clips_is_added_at_once(tmp_path: Path) -> None:
    with PackedWriter(tmp_path / "tiny", KINECT25, 2) as writer:
        writer.add(_clip("a", num_frames=3), Dropped("b", "empty"), _clip("c", num_frames=5))
        writer.add(Dropped("d", "empty"))
        assert (writer.num_recordings, writer.num_clips, writer.num_frames) == (2, 2, 8)
        assert writer.names == {"a", "c"}
        assert writer.dropped == [Dropped("b", "empty"), Dropped("d", "empty")]
        assert writer.table({})["offset"].tolist() == [0, 3]
        with pytest.raises(PackedError, match="two clips are named e"):
            writer.add(_clip("e"), _clip("e"))


def test_clips_of_recordings_added_together_must_fit_each_other(tmp_path: Path) -> None:
    other = _clip("b")
    other.traits.update(group="healthy")
    with PackedWriter(tmp_path / "tiny", KINECT25, 2) as writer:
        with pytest.raises(PackedError, match="two clips are named a"):
            writer.extend([[_clip("a")], [_clip("a")]])
        with pytest.raises(PackedError, match="b: its traits group are not those of the others"):
            writer.extend([[_clip("a")], [other]])
        assert (writer.num_recordings, writer.num_clips, writer.num_frames) == (0, 0, 0)


def test_content_hash_tells_content_and_not_names() -> None:
    clip = _clip("a")
    assert _clip("b").content_sha256 == clip.content_sha256
    assert _clip("a", num_frames=5).content_sha256 != clip.content_sha256
    one_person = Clip("a", 0, 1, clip.joints[:, :1], clip.present[:, :1])
    assert one_person.content_sha256 != clip.content_sha256
    moved = clip.joints.copy()
    moved[0, 0, 0, 0] += 1
    assert Clip("a", 0, 1, moved, clip.present).content_sha256 != clip.content_sha256


def test_content_hash_tells_who_is_where_though_the_joints_are_the_same() -> None:
    joints = np.ones((4, 1, 25, 3), np.float32)
    four_frames = Clip("a", 0, 1, joints, np.ones((4, 1), np.bool_))
    two_persons = Clip("a", 0, 1, joints.reshape(2, 2, 25, 3), np.ones((2, 2), np.bool_))
    assert four_frames.content_sha256 != two_persons.content_sha256
    gap = np.ones((4, 1), np.bool_)
    gap[1] = False
    early = Clip("a", 0, 1, joints * gap[..., None, None], gap)
    late = Clip("a", 0, 1, early.joints[::-1], gap[::-1])
    assert early.content_sha256 != late.content_sha256


def test_traits_of_all_clips_must_be_the_same_ones(tmp_path: Path) -> None:
    clip = _clip("b")
    clip.traits.update(group="healthy")
    with pytest.raises(PackedError, match="b: its traits group are not those of the others"):
        _write(tmp_path / "tiny", [_clip("a"), clip])


def test_leaks_are_in_the_info(tmp_path: Path) -> None:
    clips = [_clip("a", subject=1), _clip("b", subject=2), _clip("c", seed=1, subject=2)]
    assert _write(tmp_path / "tiny", clips).leaks == {"xsub": (("a", "b"),)}
    assert open_packed(tmp_path / "tiny").info.leaks == {"xsub": (("a", "b"),)}


def test_duplicate_name_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(PackedError, match="two clips are named a"):
        _write(tmp_path / "tiny", [_clip("a"), _clip("a", seed=1)])


@pytest.mark.parametrize(
    ("clip", "reason"),
    [
        (_clip("a", persons=3), "expected"),
        (_clip("a", num_frames=0), "at least one frame"),
    ],
)
def test_clip_of_another_shape_is_refused(tmp_path: Path, clip: Clip, reason: str) -> None:
    with pytest.raises(PackedError, match=reason):
        _write(tmp_path / "tiny", [clip])


def test_coordinates_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    clip = _clip("a")
    clip.joints[0, 0, 0, 0] = np.nan
    with pytest.raises(PackedError, match="finite"):
        _write(tmp_path / "tiny", [clip])


def test_absent_person_with_coordinates_is_refused(tmp_path: Path) -> None:
    clip = _clip("a")
    clip.joints[0, 1, 0, 0] = 1
    with pytest.raises(PackedError, match="absent"):
        _write(tmp_path / "tiny", [clip])


def test_label_without_a_class_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PackedError, match="the first is b with 2"):
        _write(tmp_path / "tiny", [_clip("a"), _clip("b", label=2)])


def test_no_clips_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PackedError, match="no clip"):
        _write(tmp_path / "tiny", [])


def test_refused_clips_leave_nothing_behind_and_keep_what_was_there(tmp_path: Path) -> None:
    info = _write(tmp_path / "tiny", [_clip("a")])
    with pytest.raises(PackedError):
        _write(tmp_path / "tiny", [_clip("a"), _clip("a")])
    assert [path.name for path in tmp_path.iterdir()] == ["tiny"]
    assert open_packed(tmp_path / "tiny").info == info


def test_unfinished_writer_leaves_nothing(tmp_path: Path) -> None:
    with PackedWriter(tmp_path / "tiny", KINECT25, 2) as writer:
        writer.add(_clip("a"))
    assert list(tmp_path.iterdir()) == []


def test_missing_file_is_named(tmp_path: Path) -> None:
    _write(tmp_path / "tiny", [_clip("a")])
    (tmp_path / "tiny" / "present.npy").unlink()
    with pytest.raises(PackedError, match=r"present\.npy missing: run preprocess"):
        open_packed(tmp_path / "tiny")


@pytest.mark.parametrize("name", ["joints.npy", "present.npy", "clips.parquet", "dataset.json"])
@pytest.mark.parametrize("kept", [0, 0.5, -1])
def test_cut_file_is_never_taken_for_whole(tmp_path: Path, name: str, kept: float) -> None:
    _write(tmp_path / "tiny", [_clip("a")])
    path = tmp_path / "tiny" / name
    data = path.read_bytes()
    # dataset.json ends in a line break, which carries nothing.
    path.write_bytes(data[:-2] if kept == -1 else data[: int(len(data) * kept)])
    with pytest.raises(PackedError, match="damaged") as raised:
        open_packed(tmp_path / "tiny")
    assert "\n" not in str(raised.value)


def test_file_of_another_dataset_is_noticed(tmp_path: Path) -> None:
    _write(tmp_path / "one", [_clip("a")])
    _write(tmp_path / "two", [_clip("a"), _clip("b")])
    (tmp_path / "two" / "joints.npy").replace(tmp_path / "one" / "joints.npy")
    with pytest.raises(PackedError, match="damaged"):
        open_packed(tmp_path / "one")


def _peak_clips(folder: Path) -> float:
    """The most memory while 60 clips are written, in clips."""
    clip = _clip("", num_frames=1000)  # 0.6 MB
    tracemalloc.start()
    with PackedWriter(folder, KINECT25, 2) as writer:
        for number in range(60):
            writer.add(Clip(str(number), 0, 1, clip.joints, clip.present))
        return tracemalloc.get_traced_memory()[1] / clip.joints.nbytes


def test_memory_does_not_grow_with_the_clips(tmp_path: Path) -> None:
    assert in_new_process(_peak_clips, tmp_path / "tiny") < 4


def test_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    script = f"""
        import resource
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        import numpy as np
        from pathlib import Path
        from kinemask.skeleton.clip import Clip
        from kinemask.skeleton.layout import KINECT25
        from kinemask.skeleton.packed import PackedWriter
        from kinemask.storage import StorageError
        joints, present = np.ones((100, 1, 25, 3), np.float32), np.ones((100, 1), np.bool_)
        try:
            with PackedWriter(Path({str(tmp_path)!r}, "tiny"), KINECT25, 1) as writer:
                writer.add(Clip("a", 0, 1, joints, present))
        except StorageError as error:
            print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"cannot write {tmp_path}/tiny: File too large; free some space and run again\n"
    assert list(tmp_path.iterdir()) == []


def test_packing_and_datasets_do_not_import_torch() -> None:
    code = "import sys, kinemask.datasets, kinemask.skeleton.benchmark; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
