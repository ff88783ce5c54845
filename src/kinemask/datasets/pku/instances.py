"""From the recording of a PKU-MMD video and its label rows to clips: one clip a row, overlapping or not."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from einops import rearrange
from jaxtyping import Float32
from pydantic import Field, model_validator

from kinemask.datasets.pku.labels import LabelRow
from kinemask.datasets.pku.phases import NUM_BODIES, NUM_COLUMNS, Phase
from kinemask.datasets.reader import DamagedError, RecordedSection
from kinemask.skeleton.clip import Clip
from kinemask.skeleton.layout import KINECT25
from kinemask.skeleton.packed import Dropped


class PkuSection(RecordedSection):
    """What both phases choose."""

    # A sequence is the unit of a slice, with its three cameras: single clips would leave cross-view a camera.
    one_clip_in: int = Field(ge=1)
    interval: Literal["one_based_inclusive", "zero_based_exclusive"]  # AimCLR; CMD, MAMP and PCM3
    zero_clips: Literal["drop", "keep"]  # instances without anybody: MAMP drops them, CMD and PCM3 keep them
    empty_frames: Literal["drop", "keep"]  # of an instance; the field keeps them

    @model_validator(mode="after")
    def _frames_remain(self) -> "PkuSection":
        if self.zero_clips == "keep" and self.empty_frames == "drop":
            raise ValueError(
                "zero_clips: keep needs empty_frames: keep, as no frame of such a clip would remain"
            )
        return self


@dataclass(frozen=True)
class Video:
    """The recording of a video as text, or why there is none, and what its label file says."""

    name: str
    data: bytes | DamagedError
    rows: tuple[LabelRow, ...]
    lists: Mapping[str, str]  # trait -> in which list of a split file it stands


class Frames:
    """The frames of a recording. A damaged line costs the instances that hold it, not the whole video."""

    def __init__(self, data: bytes) -> None:
        self._lines: list[bytes] = []
        self._bodies: Float32[np.ndarray, "T M V C"] | None = None
        try:
            self._bodies = read_bodies(data)
            self.num = len(self._bodies)
        except DamagedError:
            self._lines = data.rstrip().splitlines()
            self.num = len(self._lines)

    def bodies(self, frames: range) -> Float32[np.ndarray, "T M V C"]:
        """The two bodies in each of these frames. Raises DamagedError."""
        if self._bodies is not None:
            return self._bodies[frames.start : frames.stop]
        try:
            return read_bodies(b"\n".join(self._lines[frames.start : frames.stop]))
        except DamagedError as error:
            raise DamagedError(f"counted from line {frames.start + 1} of the recording, {error}") from None


def read_bodies(data: bytes) -> Float32[np.ndarray, "T M V C"]:
    """The two bodies of every line. Raises DamagedError, also for what is no place in a room."""
    # Imported late: the parser is compiled when it is first called, and no other stage needs it.
    from kinemask.datasets.kinect.skeleton_text import read_rows

    rows = read_rows(data, NUM_COLUMNS)
    return rearrange(rows, "T (M V C) -> T M V C", M=NUM_BODIES, V=KINECT25.num_joints)


def read_video(
    video: Video, *, phase: Phase, config: PkuSection, classes: tuple[int, ...]
) -> list[Clip | Dropped]:
    """The clips of a video in the order of its label rows, and in their place the ones left out.

    `classes` are the labels as the file numbers them; a clip's label is the place in these.
    """
    if isinstance(video.data, DamagedError):
        return [Dropped(row.name, f"the recording {video.name} {video.data}") for row in video.rows]
    frames = Frames(video.data)
    clips: list[Clip | Dropped] = []
    for row in video.rows:
        try:
            clips.append(_instance(frames, row, video, phase, config, classes.index(row.label)))
        except DamagedError as error:
            clips.append(Dropped(row.name, str(error)))
    return clips


def frames_of_row(row: LabelRow, interval: str) -> range:
    """The frames of an instance, counted from 0, as a label row means them by this convention."""
    return range(row.start - 1, row.end) if interval == "one_based_inclusive" else range(row.start, row.end)


def _instance(
    frames: Frames, row: LabelRow, video: Video, phase: Phase, config: PkuSection, label: int
) -> Clip | Dropped:
    meant = frames_of_row(row, config.interval)
    within = range(max(meant.start, 0), min(meant.stop, frames.num))
    if not within:
        raise DamagedError(
            f"its frames, {row.start} to {row.end} ({config.interval}), "
            f"are none of the {frames.num} of the recording"
        )
    joints = frames.bodies(within)
    present = (joints != 0).any(axis=(2, 3))
    seen = present.any(axis=1)
    if config.zero_clips == "drop" and not seen.any():
        return Dropped(row.name, "nobody is seen in any of its frames", damaged=False)
    cleaned = {"clipped_intervals": 1} if within != meant else {}
    if config.empty_frames == "drop" and not seen.all():
        cleaned["empty_frames"] = int((~seen).sum())
        joints, present = joints[seen], present[seen]
    subject, camera = phase.subject_and_camera(video.name)
    said = {"start": str(row.start), "end": str(row.end), "confidence": str(row.confidence)}
    return Clip(
        name=row.name,
        label=label,
        subject=subject,
        camera=camera,
        joints=joints,
        present=present,
        traits={**video.lists, **said},
        cleaned=cleaned,
    )
