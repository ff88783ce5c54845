"""WMFT (WMFT_JBHI): fifteen arm tasks by 24 people in three conditions, one Kinect v2, BSD 3-Clause.

"Using data from the Microsoft Kinect 2 to quantify upper limb behavior: a feasibility study", IEEE JBHI;
https://github.com/alexandrebarachant/WMFT_JBHI
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
from kinemask.datasets.protocols import both, odd_subjects, trait
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
    "forearm to table", "forearm to box", "extend elbow 1", "extend elbow 2", "hand to the table",
    "hand to the box", "reach and retrieve", "lift a can", "lift a pencil", "lift a paper clip",
    "stack checkers", "flip cards", "turn key", "fold towel", "lift baskets",
)  # fmt: skip

_NAME = re.compile(r"S(\d\d)_(healthy|mild|moderate)_task(\d\d)")
_FRAME_BYTES = KINECT25.num_joints * 3 * 4
_COMMIT = "47da8b27504bd9e851c21537d29e623796d928a7"


class WmftConfig(RecordedSection):
    """`datasets.wmft` of params.yaml."""

    name: Literal["wmft"]


def _is_clip(path: PurePosixPath) -> bool:
    """The original archive is the whole repository below one folder."""
    return path.suffix == ".bin" and path.parts[-2:-1] == ("data",)


ARCHIVE = Archive(
    dataset="wmft",
    file="wmft.zip",
    names=("wmft.zip", f"{_COMMIT}.zip"),
    url=f"https://github.com/alexandrebarachant/WMFT_JBHI/archive/{_COMMIT}.zip",
    sha256=("f62ab69dfcc470604051d6357ea51f9dfc5dbf32c74e29d890dd8654cfd243ad",),
    content_sha256="f1e57b75d0e78b6b750fbc832f8544f059933b42398840c947d439485b4a842c",
    wanted=_is_clip,
)

EXPECTED = Expected(
    clips=1080,
    frames=309_214,
    parts={"xsub": (540, 540), "xcond": (360, 360), "xboth": (180, 360)},
    classes={
        ("xsub", "train"): (36,) * 15,
        ("xsub", "test"): (36,) * 15,
        ("xcond", "train"): (24,) * 15,
        ("xcond", "test"): (24,) * 15,
        ("xboth", "train"): (12,) * 15,
        ("xboth", "test"): (24,) * 15,
    },
)


def protocols(config: WmftConfig) -> dict[str, Rule]:
    """Across subjects; from healthy to moderate; across subjects from healthy to mild and moderate."""
    return {
        "xsub": odd_subjects,
        "xcond": trait("condition", train=("healthy",), test=("moderate",)),
        "xboth": both(odd_subjects, trait("condition", train=("healthy",), test=("mild", "moderate"))),
    }


def fetch(config: WmftConfig, name: str, folder: Path, mirrors: Sequence[str]) -> None:
    """The archive of a mirror or of the authors, whole even for a slice: only the whole can be verified."""
    fetch_archive(ARCHIVE, folder, mirrors)


def open_raw(config: WmftConfig, name: str, folder: Path) -> Reading:
    """The clips, sorted by name."""
    return open_zip(folder / ARCHIVE.file, _is_clip, _clip, one_in=config.one_clip_in)


def check(config: WmftConfig, name: str, mirrors: Sequence[str]) -> Verdict:
    """Whether a folder of the mirrors has the archive, or from where it would come."""
    return check_archive(ARCHIVE, mirrors)


def _clip(name: str, data: bytes) -> Clip:
    parts = _NAME.fullmatch(name)
    if parts is None or not 1 <= int(parts[3]) <= len(CLASS_NAMES):
        raise DamagedError("the name is not Sss_condition_tasktt")
    joints = read_frames(data)
    return Clip(
        name=name,
        label=int(parts[3]) - 1,
        subject=int(parts[1]),
        joints=rearrange(joints, "T V C -> T 1 V C"),
        present=np.ones((len(joints), 1), np.bool_),
        traits={"condition": parts[2]},
    )


def read_frames(data: bytes) -> Float32[np.ndarray, "T V C"]:
    """The joints of a clip: little-endian float32, frame by frame, joint by joint. Raises DamagedError."""
    if not data:
        raise DamagedError("the file is empty")
    if len(data) % _FRAME_BYTES:
        raise DamagedError(f"{len(data)} bytes, expected a multiple of {_FRAME_BYTES}: the file is cut")
    values = np.frombuffer(data, "<f4").astype(np.float32)
    return frames_of(values, KINECT25.num_joints)


WMFT = DatasetReader(
    config=WmftConfig,
    layout=lambda config: KINECT25,
    persons=lambda config: 1,
    symmetries=lambda config: ("mirror",),  # no task is named for a side
    class_names=lambda config, folder: CLASS_NAMES,
    protocols=protocols,
    expected=lambda config: EXPECTED if config.complete else None,
    fetch=fetch,
    open=open_raw,
    check=check,
)
