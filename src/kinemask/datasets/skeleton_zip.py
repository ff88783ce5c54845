"""A zip of `.skeleton` files with NTU's names, as clips: for NTU RGB+D and for simulated people alike."""

import hashlib
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath

from kinemask.datasets.archive import count_clips, read_clips
from kinemask.datasets.cleaning import Cleaning, clean
from kinemask.datasets.raw_skeleton import read_skeleton
from kinemask.datasets.reader import DamagedError
from kinemask.skeleton.clip import Clip
from kinemask.skeleton.layout import KINECT25
from kinemask.skeleton.packed import Dropped

_NAME = re.compile(r"S(\d{3})C(\d{3})P(\d{3})R(\d{3})A(\d{3})")


def count_skeletons(path: Path) -> int:
    """How many `.skeleton` files the archive holds."""
    return count_clips(path, _is_skeleton)


def read_skeleton_zip(
    path: Path, *, cleaning: Cleaning, num_classes: int, persons: int = 2
) -> Iterator[Clip | Dropped]:
    """The clips of an archive in order of their names, and in their place the damaged ones with reasons."""
    parse = partial(_clip, cleaning=cleaning, num_classes=num_classes, persons=persons)
    return read_clips(path, _is_skeleton, parse)


def _is_skeleton(path: PurePosixPath) -> bool:
    return path.suffix == ".skeleton"


def _clip(name: str, data: bytes, *, cleaning: Cleaning, num_classes: int, persons: int) -> Clip:
    numbers = _NAME.fullmatch(name)
    if numbers is None:
        raise DamagedError("the name is not SsssCcccPpppRrrrAaaa")
    setup, camera, subject, replication, action = map(int, numbers.groups())
    if not 1 <= action <= num_classes:
        raise DamagedError(f"action {action}, expected 1 to {num_classes}")
    cleaned = clean(read_skeleton(data, num_joints=KINECT25.num_joints), cleaning, persons=persons)
    return Clip(
        name=name,
        label=action - 1,
        subject=subject,
        joints=cleaned.joints,
        present=cleaned.present,
        source_sha256=hashlib.sha256(data).hexdigest(),
        camera=camera,
        setup=setup,
        replication=replication,
        cleaned=cleaned.removed,
    )
