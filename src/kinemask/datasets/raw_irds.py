"""IRDS (IntelliRehabDS): nine rehabilitation gestures of patients and healthy people, Kinect v2, CC BY 4.0.

Miron et al., Data 2021, 6(5), 46. https://doi.org/10.3390/data6050046 ; https://zenodo.org/records/4610859
"""

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
from einops import rearrange
from jaxtyping import Float32

from kinemask.datasets.archives.fetch import Archive, check_archive, fetch_archive
from kinemask.datasets.archives.zip_reading import open_zip
from kinemask.datasets.protocols import odd_subjects, trait, without
from kinemask.datasets.reader import (
    DamagedError,
    DatasetReader,
    Expected,
    Reading,
    RecordedSection,
    Verdict,
    frames_of,
)
from kinemask.skeleton.clip import Clip
from kinemask.skeleton.layout import KINECT25
from kinemask.skeleton.packed import Rule

CLASS_NAMES = (
    "elbow flexion left", "elbow flexion right", "shoulder flexion left", "shoulder flexion right",
    "shoulder abduction left", "shoulder abduction right", "shoulder forward elevation",
    "side tap left", "side tap right",
)  # fmt: skip

_NAME = re.compile(r"(\d+)_\d+_(\d+)_(\d+)_([123])_([A-Za-z-]+)")
_VALUES = KINECT25.num_joints * 3
# 1xx and 3xx are healthy people, 2xx patients.
_GROUPS = {"1": "healthy", "2": "patient", "3": "healthy"}
# The authors' third label, twelve clips "poorly executed", is left out by their paper. The clips stay in the
# packed data, so that its counts are those of the archive, and every protocol leaves them unused.
_POOR = "3"
_STANDING = ("stand", "Stand-frame")
_SEATED = ("chair", "sit", "wheelchair")


class IrdsConfig(RecordedSection):
    """`datasets.irds` of params.yaml."""

    name: Literal["irds"]


def _is_clip(path: PurePosixPath) -> bool:
    """The original archive also holds RawData/, the same joints with more columns."""
    return path.suffix == ".txt" and "Simplified" in path.parts[:-1]


ARCHIVE = Archive(
    dataset="irds",
    file="irds.zip",
    names=("irds-simplified.zip", "SkeletonData.zip"),
    url="https://zenodo.org/records/4610859/files/SkeletonData.zip?download=1",
    sha256=(
        "78f2c4cf73502046ccdf4ea25a72804daf6a4c2ca0c9cea7a9e210c7eb8d3239",
        # The original as others record it; never seen here.
        "a5fa88829f8538d415e0f0a24d5cdf473a006e23cba5d845ed0f0176cb6c8106",
    ),
    content_sha256="1c248262eed191fc488647e9fb7adab3b5dbedce8d47fcd101566003916ec45f",
    wanted=_is_clip,
)

EXPECTED = Expected(
    clips=2589,
    frames=228_301,
    parts={"xsub": (1418, 1159), "xgroup": (1406, 1171), "xpos": (1266, 1311)},
    classes={
        ("xsub", "train"): (162, 175, 209, 159, 132, 147, 157, 139, 138),
        ("xsub", "test"): (96, 104, 166, 158, 143, 110, 101, 132, 149),
        ("xgroup", "train"): (151, 160, 153, 151, 161, 156, 160, 157, 157),
        ("xgroup", "test"): (107, 119, 222, 166, 114, 101, 98, 114, 130),
        ("xpos", "train"): (138, 145, 121, 131, 152, 114, 135, 151, 179),
        ("xpos", "test"): (120, 134, 254, 186, 123, 143, 123, 120, 108),
    },
)


def protocols(config: IrdsConfig) -> dict[str, Rule]:
    """Across subjects; from healthy people to patients; from standing to seated."""
    rules: dict[str, Rule] = {
        "xsub": odd_subjects,
        "xgroup": trait("group", train=("healthy",), test=("patient",)),
        "xpos": trait("position", train=_STANDING, test=_SEATED),
    }
    return {name: without(rule, "correct", (_POOR,)) for name, rule in rules.items()}


def fetch(config: IrdsConfig, name: str, folder: Path, mirrors: Sequence[str]) -> None:
    """The archive of a mirror or of Zenodo, all of it even for a slice: only the whole can be verified."""
    fetch_archive(ARCHIVE, folder, mirrors)


def open_raw(config: IrdsConfig, name: str, folder: Path) -> Reading:
    """The clips, sorted by name."""
    return open_zip(folder / ARCHIVE.file, _is_clip, _clip, one_in=config.one_clip_in)


def check(config: IrdsConfig, name: str, mirrors: Sequence[str]) -> Verdict:
    """Whether a folder of the mirrors has the archive, or from where it would come."""
    return check_archive(ARCHIVE, mirrors)


def _clip(name: str, data: bytes) -> Clip:
    parts = _NAME.fullmatch(name)
    if parts is None or parts[1][0] not in _GROUPS or int(parts[2]) >= len(CLASS_NAMES):
        raise DamagedError("the name is not Subject_Date_Gesture_Repetition_Correct_Position")
    joints = read_frames(data)
    return Clip(
        name=name,
        label=int(parts[2]),
        subject=int(parts[1]),
        joints=rearrange(joints, "T V C -> T 1 V C"),
        present=np.ones((len(joints), 1), np.bool_),
        replication=int(parts[3]),
        traits={"group": _GROUPS[parts[1][0]], "correct": parts[4], "position": parts[5]},
    )


def read_frames(data: bytes) -> Float32[np.ndarray, "T V C"]:
    """The joints of a clip: one line a frame, 75 numbers with commas between them. Raises DamagedError."""
    lines = data.split()
    if not lines:
        raise DamagedError("the file is empty")
    for number, line in enumerate(lines, start=1):
        if line.count(b",") != _VALUES - 1:
            raise DamagedError(f"frame {number}: {line.count(b',') + 1} values, expected {_VALUES}")
    try:
        values = np.array(b",".join(lines).split(b","), dtype=np.float64).astype(np.float32)
    except ValueError as error:
        raise DamagedError(f"not a number: {error}") from None
    return frames_of(values, KINECT25.num_joints)


IRDS = DatasetReader(
    config=IrdsConfig,
    layout=lambda config: KINECT25,
    persons=lambda config: 1,
    symmetries=lambda config: ("reversal",),  # left and right are different classes; all go there and back
    class_names=lambda config, folder: CLASS_NAMES,
    protocols=protocols,
    expected=lambda config: EXPECTED if config.complete else None,
    fetch=fetch,
    open=open_raw,
    check=check,
)
