"""Frames of users' own recordings in .npy, .csv and .bvh files: from their arrays to a clip's. No pickle."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from einops import rearrange
from jaxtyping import Bool, Float32, Float64

from kinemask.datasets.own.bvh import read_bvh
from kinemask.datasets.reader import FARTHEST_METRES, DamagedError, impossible_coordinate
from kinemask.errors import few
from kinemask.skeleton.layout import Layout

METRES = {"metres": 1.0, "centimetres": 0.01, "millimetres": 0.001, "inches": 0.0254, "feet": 0.3048}

_SEPARATORS = (b",", b";", b"\t")
_COORDINATE = re.compile(r"(.+)[ _.:]([xyz])", re.IGNORECASE)
_AXES = "xyz"
_SHOWN = 5


@dataclass(frozen=True)
class Convention:
    """How the numbers of a folder are meant."""

    layout: Layout
    names: Mapping[str, str]  # joint of the layout -> its name in .bvh and .csv files, where that differs
    persons: int
    metres: float  # of one unit
    up: Literal["y", "z"]
    lost_joints: Literal["refuse", "fill"]

    def name_of(self, joint: str) -> str:
        """What the files call a joint."""
        return self.names.get(joint, joint)


@dataclass(frozen=True)
class Frames:
    """A clip's arrays, and how many joints were filled."""

    joints: Float32[np.ndarray, "T M V C"]
    present: Bool[np.ndarray, "T M"]
    filled: int


def read_frames(path: Path, convention: Convention) -> Frames:
    """The frames of a file in metres with y up. Raises DamagedError.

    A person whose joints are all NaN, or all exactly zero, is absent in that frame.
    """
    read = {".npy": _read_npy, ".csv": _read_csv, ".bvh": _read_bvh}[path.suffix.lower()]
    joints = read(path, convention)
    present = ~(np.isnan(joints) | (joints == 0)).all(axis=(2, 3))
    if not present.any():
        raise DamagedError("nobody is in any frame: all coordinates are missing or zero")
    joints, present = _fit_persons(joints, present, convention.persons)
    joints, filled = _without_gaps(joints, present, convention)
    joints = joints * convention.metres
    if convention.up == "z":  # turned about x: what was up and away is y and -z
        joints = np.stack([joints[..., 0], joints[..., 2], -joints[..., 1]], axis=-1)
    joints[~present] = 0.0
    possible = (np.abs(joints) <= FARTHEST_METRES).all(axis=(1, 2, 3))
    if not possible.all():
        raise DamagedError(f"{impossible_coordinate(int(possible.argmin()))}: is `units` right?")
    return Frames(joints.astype(np.float32), present, filled)


def _read_npy(path: Path, convention: Convention) -> Float64[np.ndarray, "T M V C"]:
    try:
        array = np.lib.format.open_memmap(path, mode="r")
    except (ValueError, EOFError) as error:
        raise DamagedError(f"no .npy file of numbers: {' '.join(str(error).split())}") from None
    if array.dtype.kind not in "fiu":
        raise DamagedError(f"its values are {array.dtype}, expected numbers")
    num_joints = convention.layout.num_joints
    if array.ndim == 2:
        return _by_frame(np.asarray(array, np.float64), num_joints)
    if array.ndim not in (3, 4) or array.shape[-2:] != (num_joints, 3):
        row, body = num_joints * 3, f"{num_joints}, 3"
        raise DamagedError(f"its shape is {array.shape}, expected (T, {body}), (T, M, {body}) or (T, {row})")
    joints = np.asarray(array, np.float64)
    return joints if joints.ndim == 4 else rearrange(joints, "T V C -> T 1 V C")


def _read_csv(path: Path, convention: Convention) -> Float64[np.ndarray, "T M V C"]:
    lines = [line for line in path.read_bytes().removeprefix(b"\xef\xbb\xbf").splitlines() if line.strip()]
    if not lines:
        raise DamagedError("the file is empty")
    separator = next((one for one in _SEPARATORS if one in lines[0]), None)
    rows = [line.split(separator) for line in lines]
    header = None
    if any(not _is_number(cell) for cell in rows[0]):
        header = [cell.decode("utf-8", errors="replace").strip().strip('"') for cell in rows.pop(0)]
    if not rows:
        raise DamagedError("there is no frame below the header")
    first = 1 if header is None else 2
    columns = None if header is None else _named_columns(header, convention)
    width = len(header or rows[0])
    for number, row in enumerate(rows, start=first):
        if len(row) != width:
            raise DamagedError(f"row {number}: {len(row)} values, expected {width}")
    taken = rows if columns is None else [[row[column] for column in columns] for row in rows]
    try:
        values = np.array([[cell.strip() or b"nan" for cell in row] for row in taken], np.float64)
    except ValueError:
        bad = [(n, c) for n, row in enumerate(taken, start=first) for c in row if not _is_number(c)]
        raise DamagedError(f"row {bad[0][0]}: {bad[0][1].decode(errors='replace')!r} is no number") from None
    return _by_frame(values, convention.layout.num_joints)


def _named_columns(header: list[str], convention: Convention) -> list[int] | None:
    """Where the coordinates of the layout's joints stand, or None if the header names no joints at all."""
    matches = [(place, _COORDINATE.fullmatch(name)) for place, name in enumerate(header)]
    found: dict[tuple[str, int], int] = {}
    joints = [convention.name_of(joint) for joint in convention.layout.joints]
    for place, match in matches:
        if match is None or match[1] not in joints:
            continue
        key = match[1], _AXES.index(match[2].lower())
        if key in found:
            raise DamagedError(f"the header names {header[place]} twice; named columns hold one person")
        found[key] = place
    lacking = [
        f"{joint}_{_AXES[axis]}" for joint in joints for axis in range(3) if (joint, axis) not in found
    ]
    if not found:
        if not all(match for _, match in matches):
            return None
        named = ", ".join(few(list(dict.fromkeys(match[1] for _, match in matches if match)), _SHOWN))
        wanted = ", ".join(few(joints, _SHOWN))
        raise DamagedError(
            f"the header names {named}, and no joint of the layout ({wanted}): map them with `joints`"
        )
    if lacking:
        raise DamagedError(f"the header lacks {', '.join(lacking[:5])}{', ...' * (len(lacking) > 5)}")
    return [found[joint, axis] for joint in joints for axis in range(3)]


def _read_bvh(path: Path, convention: Convention) -> Float64[np.ndarray, "T M V C"]:
    bvh = read_bvh(path.read_bytes())
    names = [convention.name_of(joint) for joint in convention.layout.joints]
    lacking = [
        f"{name!r} (for {joint})"
        for joint, name in zip(convention.layout.joints, names, strict=True)
        if name not in bvh.names
    ]
    if lacking:
        wanted = ", ".join(few(lacking, _SHOWN))
        raise DamagedError(f"has no joint {wanted}; it has {', '.join(bvh.names)}: map `joints`")
    places = bvh.positions()[:, [bvh.names.index(name) for name in names]]
    # A joint at the origin of its room is no lost joint, but a body at one point is none: see read_frames.
    return rearrange(places, "T V C -> T 1 V C")


def _by_frame(values: Float64[np.ndarray, "T K"], num_joints: int) -> Float64[np.ndarray, "T M V C"]:
    row = num_joints * 3
    if values.shape[1] == 0 or values.shape[1] % row:
        raise DamagedError(
            f"{values.shape[1]} numbers a frame, expected {row} ({num_joints} joints) a person"
        )
    return rearrange(values, "T (M V C) -> T M V C", V=num_joints, C=3)


def _fit_persons(
    joints: Float64[np.ndarray, "T M V C"], present: Bool[np.ndarray, "T M"], persons: int
) -> tuple[Float64[np.ndarray, "T P V C"], Bool[np.ndarray, "T P"]]:
    """As many persons as asked for: absent ones are added, and taken away."""
    if joints.shape[1] > persons:
        seen = np.flatnonzero(present.any(axis=0))
        if len(seen) > persons:
            raise DamagedError(f"it shows {len(seen)} persons, `persons` is {persons}")
        joints, present = joints[:, seen], present[:, seen]
    lacking = ((0, 0), (0, persons - joints.shape[1]))
    return np.pad(joints, (*lacking, (0, 0), (0, 0))), np.pad(present, lacking)


def _without_gaps(
    joints: Float64[np.ndarray, "T M V C"], present: Bool[np.ndarray, "T M"], convention: Convention
) -> tuple[Float64[np.ndarray, "T M V C"], int]:
    """Joints of present persons that are NaN, filled in a line over time or refused; how many were filled."""
    lost = np.isnan(joints).any(axis=-1) & rearrange(present, "T M -> T M 1")
    if not lost.any():
        return joints, 0
    names = convention.layout.joints
    frame, _, joint = (int(place) for place in np.argwhere(lost)[0])
    if convention.lost_joints == "refuse":
        raise DamagedError(
            f"frame {frame + 1}: {names[joint]} of a person who is there is lost (NaN): mend it, "
            f"or say `lost_joints: fill`"
        )
    joints = joints.copy()
    for person, joint in np.argwhere(lost.any(axis=0)):
        gap = np.flatnonzero(lost[:, person, joint])
        seen = np.flatnonzero(present[:, person] & ~lost[:, person, joint])
        if not len(seen):
            raise DamagedError(f"{names[joint]} is lost (NaN) in all frames")
        for axis in range(3):
            known = joints[seen, person, joint, axis]
            joints[gap, person, joint, axis] = np.interp(gap, seen, known)
    return joints, int(lost.sum())


def _is_number(cell: bytes) -> bool:
    if not cell.strip():
        return True  # a missing one
    try:
        float(cell)
    except ValueError:
        return False
    return True
