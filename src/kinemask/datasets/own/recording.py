"""One recording of a user, whatever its format."""

from pathlib import Path

import numpy as np

from kinemask.datasets.kinect.cleaning import Cleaned, Cleaning, clean
from kinemask.datasets.kinect.raw_skeleton import Recording, read_skeleton
from kinemask.datasets.own.frames import Convention, read_frames
from kinemask.datasets.reader import DamagedError


def read_recording(path: Path, convention: Convention, cleaning: Cleaning | None) -> Cleaned:
    """Its frames in metres with y up. Raises DamagedError, or OSError if the file cannot be read.

    A .skeleton file is in metres with y up whatever the convention says of the other formats; of more bodies
    than persons `cleaning` chooses.
    """
    if path.suffix.lower() != ".skeleton":
        frames = read_frames(path, convention)
        removed = {"filled_joints": frames.filled} if frames.filled else {}
        return Cleaned(frames.joints, frames.present, removed)
    recording = read_skeleton(path.read_bytes(), num_joints=convention.layout.num_joints)
    if cleaning is not None:
        return clean(recording, cleaning, persons=convention.persons)
    return _as_they_are(recording, convention.persons)


def _as_they_are(recording: Recording, persons: int) -> Cleaned:
    tracks = list(recording.bodies.values())
    if not tracks:
        raise DamagedError("no body in any frame")
    if len(tracks) > persons:
        raise DamagedError(f"{len(tracks)} bodies, `persons` is {persons}: say how to choose with `cleaning`")
    joints = np.zeros((recording.num_frames, persons, *tracks[0].joints.shape[1:]), np.float32)
    present = np.zeros((recording.num_frames, persons), np.bool_)
    for person, track in enumerate(tracks):
        joints[track.frames, person] = track.joints
        present[track.frames, person] = True
    return Cleaned(joints, present, {})
