"""Recordings as those of NTU RGB+D in size and shape, made from a seed: in a zip and as separate files.

Lines are those of DATASETS.md section 2, with as many digits as the owners print, so that text, packed text
and the number of digits to read are like theirs. What the people do is a drift without meaning.
"""

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kinemask.datasets.ntu.names import FIRST_HALF
from kinemask.datasets.ntu.names import names as ntu_names

_JOINTS = 25
_MEAN_FRAMES = 77
_MOST_FRAMES = 300  # as in the real set; the field pads every clip to the longest one
_FEWEST_FRAMES = 25
_SHARE_OF_PAIRS = 0.08
_SHARE_OF_THIRD_BODIES = 0.03
_SHARE_WITH_EMPTY_FRAMES = 0.03
_FIRST_BODY = 72057594037930000  # beyond 32 bits and beyond what a double holds
_JOINT_LINE = " ".join(["%.7g"] * 11) + " 2\n"
_BODY = "%d 0 1 1 0 0 0 %.7g %.7g 2\n25\n" + _JOINT_LINE * _JOINTS


@dataclass(frozen=True)
class Recordings:
    """The same recordings twice: packed, and unpacked in a folder."""

    archive: Path
    folder: Path
    names: tuple[str, ...]
    num_bytes: int  # of text

    def texts(self) -> Iterator[bytes]:
        """What the files hold, in order of the names."""
        return ((self.folder / f"{name}.skeleton").read_bytes() for name in self.names)


def names(num: int) -> list[str]:
    """`num` names of NTU RGB+D 60, spread over setups, cameras, performers and classes."""
    all_names = ntu_names(FIRST_HALF)
    if num > len(all_names):
        raise ValueError(f"{num} files asked for, there are names for {len(all_names)}")
    return sorted(all_names[place * len(all_names) // num] for place in range(num))


def write_recordings(folder: Path, num: int, *, seed: int) -> Recordings:
    """`num` recordings in `folder`: nturgbd_skeletons.zip, and one file each in `skeletons/`."""
    rng = np.random.default_rng(seed)
    unpacked = folder / "skeletons"
    unpacked.mkdir(parents=True)
    archive = folder / "nturgbd_skeletons.zip"
    named = names(num)
    num_bytes = 0
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, length in zip(named, spread_lengths(num, rng), strict=True):
            text = skeleton_text(length, rng)
            num_bytes += len(text)
            (unpacked / f"{name}.skeleton").write_bytes(text)
            packed.writestr(f"nturgb+d_skeletons/{name}.skeleton", text)
    return Recordings(archive, unpacked, tuple(named), num_bytes)


def skeleton_text(length: int, rng: np.random.Generator) -> bytes:
    """One file of `length` frames: one person or two, now and then a third body, or frames with nobody."""
    bodies = [(_first_id(rng), np.arange(length))]
    if rng.random() < _SHARE_OF_PAIRS:
        bodies.append((_first_id(rng), np.arange(length)))
    if rng.random() < _SHARE_OF_THIRD_BODIES:
        start = int(rng.integers(0, length // 2))
        bodies.append((_first_id(rng), np.arange(start, start + int(rng.integers(5, length // 2)))))
    empty = set()
    if rng.random() < _SHARE_WITH_EMPTY_FRAMES:
        empty = set(range(int(rng.integers(1, 5))))
    seen = [set(frames) - empty for _, frames in bodies]
    values = [_body_values(length, place, rng) for place in range(len(bodies))]
    lines = [f"{length}\n"]
    for frame in range(length):
        present = [body for body in range(len(bodies)) if frame in seen[body]]
        lines.append(f"{len(present)}\n")
        lines += [_BODY % (bodies[body][0], *values[body][frame]) for body in present]
    return "".join(lines).encode()


def pku_text(num_frames: int, rng: np.random.Generator) -> bytes:
    """A file of PKU-MMD: a line a frame, 150 numbers, the second half zeros while one person is there."""
    numbers = np.zeros((num_frames, 2, 3 * _JOINTS))
    numbers[:, 0] = _walk(num_frames, 3, rng).reshape(num_frames, -1) + 1.0
    pairs = slice(num_frames // 2, num_frames * 3 // 5)
    numbers[pairs, 1] = numbers[pairs, 0] + 0.5
    line = " ".join(["%.7g"] * 150) + "\n"
    return "".join(line % tuple(row) for row in numbers.reshape(num_frames, -1).tolist()).encode()


def _first_id(rng: np.random.Generator) -> int:
    return _FIRST_BODY + int(rng.integers(0, 60000))


def spread_lengths(num: int, rng: np.random.Generator) -> list[int]:
    """Frames a recording; one is as long as the longest of the real set."""
    lengths = rng.gamma(6.0, _MEAN_FRAMES / 6.0, num).astype(int).clip(_FEWEST_FRAMES, _MOST_FRAMES)
    lengths[num // 2] = _MOST_FRAMES
    return [int(length) for length in lengths]


def _walk(num_frames: int, num_coordinates: int, rng: np.random.Generator) -> np.ndarray:
    """A drift of every joint from frame to frame, in metres."""
    steps = rng.normal(0, 0.004, (num_frames, _JOINTS, num_coordinates))
    return rng.normal(0, 0.4, (_JOINTS, num_coordinates)) + steps.cumsum(axis=0)


def _body_values(num_frames: int, place: int, rng: np.random.Generator) -> list[list[float]]:
    """What follows the id of a body, frame by frame: two of its own, then eleven a joint."""
    # Higher than wide, or two people would be cleaned away as furniture.
    metres = _walk(num_frames, 3, rng) * np.array([0.5, 1.5, 0.5]) + np.array([place - 0.5, 0.0, 3.0])
    # Places in the depth and colour pictures, and orientations, move as the joints do.
    depth = 250 + 110 * metres[..., :2]
    colour = 960 + 400 * metres[..., :2]
    turns = np.tanh(rng.normal(size=(_JOINTS, 4)) + metres[..., :1])
    joints = np.concatenate([metres, depth, colour, turns], axis=-1).reshape(num_frames, -1)
    lean = 0.1 * metres[:, 0, :2]
    return np.concatenate([lean, joints], axis=1).astype(np.float32).tolist()
