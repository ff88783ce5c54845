"""A zip of `.skeleton` files with NTU's names, as clips: for NTU RGB+D and for simulated people alike."""

from functools import partial
from pathlib import Path, PurePosixPath

from kinemask.datasets.archives.zip_reading import Parse, open_zip
from kinemask.datasets.kinect.cleaning import Cleaning, clean
from kinemask.datasets.kinect.raw_skeleton import read_skeleton
from kinemask.datasets.kinect.skeleton_name import parse_name
from kinemask.datasets.reader import DamagedError, Reading
from kinemask.skeleton.clip import Clip
from kinemask.skeleton.layout import KINECT25


def open_skeletons(path: Path, *, cleaning: Cleaning, num_classes: int, persons: int = 2) -> Reading:
    """The clips of an archive in order of their names."""
    return open_zip(path, is_skeleton, clip_parser(cleaning, num_classes=num_classes, persons=persons))


def is_skeleton(path: PurePosixPath) -> bool:
    """Whether a member of an archive is a `.skeleton` file."""
    return path.suffix == ".skeleton"


def clip_parser(cleaning: Cleaning, *, num_classes: int, persons: int = 2) -> Parse:
    """The function that makes a clip of a name and the bytes of its `.skeleton` file."""
    return partial(_clip, cleaning=cleaning, num_classes=num_classes, persons=persons)


def _clip(name: str, data: bytes, *, cleaning: Cleaning, num_classes: int, persons: int) -> Clip:
    said = parse_name(name)
    if said is None:
        raise DamagedError("the name is not SsssCcccPpppRrrrAaaa")
    if not 1 <= said.action <= num_classes:
        raise DamagedError(f"action {said.action}, expected 1 to {num_classes}")
    cleaned = clean(read_skeleton(data, num_joints=KINECT25.num_joints), cleaning, persons=persons)
    return Clip(
        name=name,
        label=said.action - 1,
        subject=said.performer,
        joints=cleaned.joints,
        present=cleaned.present,
        camera=said.camera,
        setup=said.setup,
        replication=said.replication,
        cleaned=cleaned.removed,
    )
