"""PKU-MMD: label rows become clips, as DATASETS.md reads them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from kinemask.datasets.pku.instances import Video, frames_of_row, read_video
from kinemask.datasets.pku.labels import LabelRow, read_labels
from kinemask.datasets.pku.phases import CLASS_NAMES, PHASE1
from kinemask.datasets.raw_pku import PkuConfig
from kinemask.datasets.reader import DamagedError
from kinemask.encoders.gru import GRUConfig, GRUEncoder
from kinemask.skeleton.batch import Batch
from kinemask.skeleton.clip import Clip
from kinemask.skeleton.packed import Dropped
from tests.datasets.pku.pku_archive import (
    skeleton_text,
)
from tests.datasets.pku.pku_runs import INTERVALS, LABELS2, config, prepared, small
from tests.datasets.pku.reference_pku import read_instances, read_parts


def one_video(frames: np.ndarray, rows: bytes, section: PkuConfig | None = None) -> list[Clip | Dropped]:
    """What becomes of one video with this label file."""
    labels = read_labels("0002-L", rows)
    video = Video(
        "0002-L", skeleton_text(frames), labels.rows, {"subject_list": "train", "view_list": "test"}
    )
    found = read_video(video, phase=PHASE1, config=section or config(), classes=tuple(range(1, 52)))
    return [*found, *labels.damaged]


def numbered(num: int) -> np.ndarray:
    """Frames in which body 1 stands at the number of its frame, from 1, and nobody else is seen."""
    frames = np.zeros((num, 2, 25, 3), np.float32)
    frames[:, 0] = np.arange(1, num + 1, dtype=np.float32)[:, None, None]
    return frames


def shown(clip: Clip | Dropped) -> list[int]:
    assert isinstance(clip, Clip)
    return clip.joints[:, 0, 0, 0].astype(int).tolist()


@pytest.mark.parametrize("interval", INTERVALS)
@pytest.mark.parametrize("phase", [1, 2])
def test_fast_reader_agrees_with_the_slow_reference_bit_for_bit(
    tmp_path: Path, phase: int, interval: str
) -> None:
    made = small(phase)
    packed = prepared(tmp_path, made, config(f"pku{phase}", interval=interval))
    reference = read_instances(made.recordings, made.labels, interval=interval)
    wanted = [one for one in reference if one.present.any()]
    clips = packed.clips
    assert len(wanted) > 50
    assert clips["name"].tolist() == [one.name for one in wanted]
    assert {one.name for one in packed.info.dropped} == {one.name for one in reference} - set(clips["name"])
    names = CLASS_NAMES if phase == 1 else [CLASS_NAMES[label - 1] for label in LABELS2]
    assert packed.info.class_names == tuple(names)
    xsub, xview = (read_parts(data) for data in made.splits.values())
    for row, one in zip(clips.itertuples(), wanted, strict=True):
        frames = slice(row.offset, row.offset + row.length)
        assert np.array_equal(packed.joints[frames].view(np.uint32), one.joints.view(np.uint32))
        assert np.array_equal(packed.present[frames], one.present)
        assert (names[row.label], row.camera, row.subject) == (
            CLASS_NAMES[one.label - 1],
            one.camera,
            one.subject,
        )
        assert (row.start, row.end, row.confidence) == (str(one.start), str(one.end), str(one.confidence))
        video = one.name.partition("_")[0]
        assert (row.xsub, row.xview) == (xsub[video], xview[video])


def test_interval_takes_the_frames_of_its_convention() -> None:
    """Row 2,4: frames 2, 3, 4 counted from one; by [start:end] the third and fourth, counted from zero."""
    (one,) = one_video(numbered(6), b"5,2,4,1\n")
    assert shown(one) == [2, 3, 4]
    (zero,) = one_video(numbered(6), b"5,2,4,1\n", config(interval="zero_based_exclusive"))
    assert shown(zero) == [3, 4]
    row = LabelRow("x_001", 5, 2, 4, 1)
    assert [frames_of_row(row, interval) for interval in INTERVALS] == [range(1, 4), range(2, 4)]


def test_every_row_is_a_clip_also_where_rows_overlap_and_where_there_is_only_one() -> None:
    clips = one_video(numbered(6), b"5,1,4,1\r\n\r\n 51 , 3 , 6 , 2 \r\n")
    assert [shown(clip) for clip in clips] == [[1, 2, 3, 4], [3, 4, 5, 6]]
    assert [(clip.name, clip.label) for clip in clips if isinstance(clip, Clip)] == [
        ("0002-L_001", 4),
        ("0002-L_002", 50),
    ]
    assert clips[1].traits == {
        "subject_list": "train",
        "view_list": "test",
        "start": "3",
        "end": "6",
        "confidence": "2",
    }
    (only,) = one_video(numbered(6), b"1,6,6,1")
    assert shown(only) == [6]


def test_interval_beyond_the_recording_is_clipped_and_counted_or_damaged() -> None:
    clipped, outside, before = one_video(numbered(6), b"5,5,9,1\n5,7,9,1\n5,0,2,1\n")
    assert shown(clipped) == [5, 6]
    assert isinstance(clipped, Clip)
    assert clipped.cleaned == {"clipped_intervals": 1}
    assert isinstance(outside, Dropped)
    assert outside.damaged
    assert outside.reason == "its frames, 7 to 9 (one_based_inclusive), are none of the 6 of the recording"
    assert shown(before) == [1, 2]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b"5,4,2,1", "starts after its end"),
        (b"0,1,2,1", "label 0, expected 1 to 51"),
        (b"52,1,2,1", "label 52, expected 1 to 51"),
        (b"5,1,2", "3 value"),
        (b"5,1,2,1,7", "5 value"),
        (b"5,1.5,2,1", "whole numbers"),
        (b"5,-1,2,1", "whole numbers"),
        (b"\xff,1,2,1", "whole numbers"),
    ],
)
def test_damaged_row_is_named_and_the_others_stay(row: bytes, reason: str) -> None:
    clip, damaged = one_video(numbered(6), row + b"\n7,1,2,1\n")
    assert isinstance(clip, Clip)
    assert clip.name == "0002-L_002"
    assert isinstance(damaged, Dropped)
    assert damaged.name == "0002-L_001"
    assert damaged.damaged
    assert reason in damaged.reason


def test_body_is_present_where_a_coordinate_is_not_zero() -> None:
    frames = np.zeros((4, 2, 25, 3), np.float32)
    frames[0:2, 0] = 1.0
    frames[2, 1, 24, 2] = -0.5
    (clip,) = one_video(frames, b"5,1,4,1\n")
    assert isinstance(clip, Clip)
    assert clip.present.tolist() == [[True, False], [True, False], [False, True], [False, False]]
    (without,) = one_video(frames, b"5,1,4,1\n", config(empty_frames="drop"))
    assert isinstance(without, Clip)
    assert without.present.tolist() == [[True, False], [True, False], [False, True]]
    assert without.cleaned == {"empty_frames": 1}


def test_instance_without_anybody_is_left_out_by_rule_or_kept() -> None:
    frames = numbered(4)
    frames[:2] = 0
    dropped, _ = one_video(frames, b"5,1,2,1\n5,3,4,1\n")
    assert dropped == Dropped("0002-L_001", "nobody is seen in any of its frames", damaged=False)
    kept, _ = one_video(frames, b"5,1,2,1\n5,3,4,1\n", config(zero_clips="keep"))
    assert isinstance(kept, Clip)
    assert not kept.present.any()
    with pytest.raises(ValueError, match="zero_clips: keep needs empty_frames: keep"):
        config(zero_clips="keep", empty_frames="drop")


def test_kept_clip_without_anybody_is_packed_with_no_person_and_pools_to_finite_features(
    tmp_path: Path,
) -> None:
    made = small()
    (video, text), *_ = made.recordings.items()
    made.recordings[video] = skeleton_text(np.zeros((text.count(b"\n"), 150)))
    packed = prepared(tmp_path, made, config(zero_clips="keep"))
    empty = packed.clips[packed.clips["persons"] == 0]
    assert video in set(empty["name"].str.partition("_")[0])
    encoder = GRUEncoder(
        config=GRUConfig(
            name="gru", form="bigru", hidden=4, depth=1, input_norm="batch", norm_statistics="clean"
        ),
        num_persons=2,
        num_joints=25,
    )
    batch = Batch(torch.zeros(1, 5, 2, 25, 3), torch.zeros(1, 5, 2, dtype=torch.bool))
    encoded = encoder.eval()(batch)
    assert all(encoder.pool(encoded, pooling).isfinite().all() for pooling in encoder.poolings)


def test_damaged_line_costs_only_the_instances_that_hold_it() -> None:
    text = skeleton_text(numbered(6)).splitlines(keepends=True)
    text[3] = b"1 2 3\n"
    labels = read_labels("0002-L", b"5,1,3,1\n6,3,5,1\n7,5,6,1\n")
    video = Video("0002-L", b"".join(text), labels.rows, {})
    first, second, third = read_video(video, phase=PHASE1, config=config(), classes=tuple(range(1, 52)))
    assert shown(first) == [1, 2, 3]
    assert isinstance(second, Dropped)
    assert "counted from line 3 of the recording, line 2: 3 number(s), expected 150" in second.reason
    assert shown(third) == [5, 6]


@pytest.mark.parametrize("value", ["nan", "inf", "250"])
def test_impossible_coordinate_costs_only_the_instances_that_hold_it(value: str) -> None:
    text = skeleton_text(numbered(4)).splitlines(keepends=True)
    text[3] = text[3].replace(b"4.000000", value.encode(), 1)
    labels = read_labels("0002-L", b"5,1,3,1\n6,3,4,1\n")
    video = Video("0002-L", b"".join(text), labels.rows, {})
    clip, dropped = read_video(video, phase=PHASE1, config=config(), classes=tuple(range(1, 52)))
    assert shown(clip) == [1, 2, 3]
    assert isinstance(dropped, Dropped)
    assert dropped.damaged


def test_recording_that_cannot_be_unpacked_costs_its_instances_by_name() -> None:
    rows = read_labels("0002-L", b"5,1,3,1\n6,3,4,1\n").rows
    video = Video("0002-L", DamagedError("cannot be unpacked: x"), rows, {})
    found = read_video(video, phase=PHASE1, config=config(), classes=tuple(range(1, 52)))
    assert found == [
        Dropped(f"0002-L_00{row}", "the recording 0002-L cannot be unpacked: x") for row in (1, 2)
    ]


def test_labels_of_phase_two_are_those_that_occur_without_gaps(tmp_path: Path) -> None:
    made = small(2)
    rows = {name: b"9,1,2,1\n51,1,1,1\n" for name in made.labels}
    made.labels = rows | {next(iter(rows)): b"2,1,2,1\n"}
    packed = prepared(tmp_path, made, config("pku2"))
    assert packed.info.class_names == tuple(CLASS_NAMES[label - 1] for label in (2, 9, 51))
    assert sorted(packed.clips["label"].unique()) == [0, 1, 2]


def test_there_are_fifty_one_names_in_order() -> None:
    assert len(set(CLASS_NAMES)) == 51
    assert (CLASS_NAMES[0], CLASS_NAMES[50]) == ("bow", "writing")
    assert list(CLASS_NAMES) == sorted(CLASS_NAMES)


def test_slice_keeps_whole_sequences_from_three_cameras(tmp_path: Path) -> None:
    made = small()
    packed = prepared(tmp_path, made, config(one_clip_in=3))
    sequences = sorted({name[:4] for name in made.recordings})[::3]
    kept = packed.clips["name"].str.partition("_")[0]
    assert set(kept) == {name for name in made.recordings if name[:4] in sequences}
    assert not packed.info.complete


def test_sections_refuse_what_they_do_not_know() -> None:
    with pytest.raises(ValueError, match="interval"):
        config(interval="frames")
