"""The field's way from `.skeleton` files to arrays, as three scripts that hand pickles to one another.

Written anew from its description, to measure against: unpacked files are read line by line into bodies,
bodies are de-noised into actors, actors become arrays padded to the longest clip, one archive a protocol
(get_raw_skes_data.py, get_raw_denoised_data.py and seq_transformation.py of CTR-GCN and MAMP). Where
time goes is kept as it is there: an array a joint line, arrays stacked frame by frame, all clips in memory at
once, each step's result on disk. The logs it writes about dropped bodies are left out, but for one file a
clip of several bodies.
"""

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_JOINTS = 25
_MIN_FRAMES = 11
_SPREAD_RATIO = 0.8
_SPREAD_SHARE = 0.69754
_CLASSES = 60
TRAIN_PERFORMERS = {1, 2, 4, 5, 8, 9, 13, 14, 15, 16, 17, 18, 19, 25, 27, 28, 31, 34, 35, 38}
TRAIN_CAMERAS = {2, 3}

Body = dict[str, Any]  # "joints", "colors", "interval", "motion"


def script_1(folder: Path, names: Sequence[str], work: Path) -> None:
    """Read every file into its bodies, and pickle the list of all."""
    recordings = [_read_bodies(folder / f"{name}.skeleton", name) for name in names]
    with (work / "raw_skeletons.pkl").open("wb") as file:
        pickle.dump(recordings, file, pickle.HIGHEST_PROTOCOL)


def script_2(work: Path) -> None:
    """From bodies to one or two actors a clip; joints and places in the colour picture, pickled."""
    with (work / "raw_skeletons.pkl").open("rb") as file:
        recordings = pickle.load(file)
    info = work / "actors_info"
    info.mkdir(exist_ok=True)
    all_joints, all_colors, lengths = [], [], []
    for recording in recordings:
        bodies = list(recording["bodies"].items())
        if len(bodies) > 1:
            bodies = _denoised(recording, info)
        joints, colors = _actors(bodies, recording["num_frames"])
        if len(recording["bodies"]) > 1:
            joints, colors = _without_missing_frames(joints, colors)
        all_joints.append(joints)
        all_colors.append(colors)
        lengths.append(len(joints))
    for name, content in (("joints", all_joints), ("colors", all_colors)):
        with (work / f"denoised_{name}.pkl").open("wb") as file:
            pickle.dump(content, file, pickle.HIGHEST_PROTOCOL)
    np.savetxt(work / "frames_cnt.txt", lengths, fmt="%d")


def script_3(names: Sequence[str], work: Path) -> None:
    """Move each clip to its origin, pad all to the longest, write train and test of both protocols."""
    with (work / "denoised_joints.pkl").open("rb") as file:
        clips = pickle.load(file)
    clips = [_moved_to_origin(joints) for joints in clips]
    aligned = _padded(clips)
    labels = np.array([int(name[17:20]) - 1 for name in names])
    performers = np.array([int(name[9:12]) for name in names])
    cameras = np.array([int(name[5:8]) for name in names])
    protocols = {
        "CS": np.isin(performers, sorted(TRAIN_PERFORMERS)),
        "CV": np.isin(cameras, sorted(TRAIN_CAMERAS)),
    }
    for protocol, training in protocols.items():
        train, test = np.where(training)[0], np.where(~training)[0]
        np.savez(
            work / f"NTU60_{protocol}.npz",
            x_train=aligned[train],
            y_train=_one_hot(labels[train]),
            x_test=aligned[test],
            y_test=_one_hot(labels[test]),
        )


def run_all(folder: Path, names: Sequence[str], work: Path) -> None:
    """All three, one after the other."""
    script_1(folder, names, work)
    script_2(work)
    script_3(names, work)


def _read_bodies(path: Path, name: str) -> dict[str, Any]:
    """The bodies of a file by id; frames with nobody are not counted."""
    with path.open() as file:
        lines = file.readlines()
    num_frames = int(lines[0].strip("\r\n"))
    bodies: dict[str, Body] = {}
    seen = -1
    at = 1
    for _ in range(num_frames):
        num_bodies = int(lines[at].strip("\r\n"))
        at += 1
        if num_bodies == 0:
            continue
        seen += 1
        joints = np.zeros((num_bodies, _JOINTS, 3), np.float32)
        colors = np.zeros((num_bodies, _JOINTS, 2), np.float32)
        for place in range(num_bodies):
            who = lines[at].strip("\r\n").split()[0]
            num_joints = int(lines[at + 1].strip("\r\n"))
            at += 2
            for joint in range(num_joints):
                values = lines[at].strip("\r\n").split()
                joints[place, joint] = np.array(values[:3], dtype=np.float32)
                colors[place, joint] = np.array(values[5:7], dtype=np.float32)
                at += 1
            _append(bodies, who, joints[place], colors[place], seen)
    if len(bodies) > 1:
        for body in bodies.values():
            body["motion"] = np.sum(np.var(body["joints"], axis=0))
    return {"name": name, "bodies": bodies, "num_frames": seen + 1}


def _append(
    bodies: dict[str, Body],
    who: str,
    joints: NDArray[np.float32],
    colors: NDArray[np.float32],
    frame: int,
) -> None:
    """Add a frame to a body; arrays are made anew each time, and a gap closes."""
    if who not in bodies:
        bodies[who] = {"joints": joints, "colors": colors[np.newaxis], "interval": [frame]}
        return
    body = bodies[who]
    body["joints"] = np.vstack((body["joints"], joints))
    body["colors"] = np.vstack((body["colors"], colors[np.newaxis]))
    body["interval"].append(body["interval"][-1] + 1)


def _denoised(recording: dict[str, Any], info: Path) -> list[tuple[str, Body]]:
    """The bodies that last and are no furniture, the one that moves most first; they are listed in a file."""
    bodies = dict(recording["bodies"])
    for who in [who for who, body in bodies.items() if len(body["interval"]) <= _MIN_FRAMES]:
        if len(bodies) > 1:
            del bodies[who]
    if len(bodies) > 1:
        _drop_spread(bodies)
    ordered = sorted(bodies.items(), key=lambda item: item[1]["motion"], reverse=True)
    with (info / f"{recording['name']}.txt").open("w") as file:
        file.write("bodyID\tInterval\tMotion\n")
        for who, body in ordered:
            file.write(f"{who}\t[{body['interval'][0]}, {body['interval'][-1]}]\t{body['motion']:.6f}\n")
    return ordered


def _drop_spread(bodies: dict[str, Body]) -> None:
    """Bodies wider than high in most of their frames go; the others' motion is that of their good frames."""
    for who in list(bodies):
        if len(bodies) == 1:
            break
        body = bodies[who]
        points = body["joints"].reshape(-1, _JOINTS, 3)
        good = []
        for frame in range(len(points)):
            x, y = points[frame, :, 0], points[frame, :, 1]
            if x.max() - x.min() <= _SPREAD_RATIO * (y.max() - y.min()):
                good.append(frame)
        if 1 - len(good) / len(points) >= _SPREAD_SHARE:
            del bodies[who]
        elif good:
            moving = np.sum(np.var(points[good].reshape(-1, 3), axis=0))
            body["motion"] = min(body["motion"], moving)


def _actors(
    bodies: list[tuple[str, Body]], num_frames: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Joints (T, 75) or (T, 150) and colour places (T, M, 25, 2); bodies apart in time are one actor."""
    persons = 2 if len(bodies) > 1 else 1
    joints = np.zeros((num_frames, persons * 3 * _JOINTS), np.float32)
    colors = np.full((num_frames, persons, _JOINTS, 2), np.nan, np.float32)
    main = bodies[0][1]["interval"]
    times = [(main[0], main[-1]), (0, 0)]
    _put(joints, colors, 0, bodies[0][1])
    for _, body in bodies[1:]:
        start, end = body["interval"][0], body["interval"][-1]
        for person in range(persons):
            if min(times[person][1], end) - max(times[person][0], start) <= 0:
                _put(joints, colors, person, body)
                times[person] = (min(times[person][0], start), max(times[person][1], end))
                break
    return joints, colors


def _put(joints: NDArray[np.float32], colors: NDArray[np.float32], person: int, body: Body) -> None:
    frames = slice(body["interval"][0], body["interval"][-1] + 1)
    joints[frames, person * 3 * _JOINTS : (person + 1) * 3 * _JOINTS] = body["joints"].reshape(
        -1, 3 * _JOINTS
    )
    colors[frames, person] = body["colors"]


def _without_missing_frames(
    joints: NDArray[np.float32], colors: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Frames in which no actor is left go."""
    seen = np.where(joints.sum(axis=1) != 0)[0]
    return joints[seen], colors[seen]


def _moved_to_origin(joints: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mid-spine of the first actor's first frame becomes the origin; absent actors stay zero."""
    persons = joints.shape[1] // (3 * _JOINTS)
    if persons == 2:
        absent = [np.where(joints[:, :75].sum(axis=1) == 0)[0], np.where(joints[:, 75:].sum(axis=1) == 0)[0]]
    first = 0
    while not np.any(joints[first, :75] != 0):
        first += 1
    origin = np.copy(joints[first, 3:6])
    for frame in range(len(joints)):
        joints[frame] -= np.tile(origin, persons * _JOINTS)
    if persons == 2:
        joints[absent[0], :75] = 0
        joints[absent[1], 75:] = 0
    return joints


def _padded(clips: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """All clips as long as the longest, all of two actors."""
    longest = max(len(joints) for joints in clips)
    aligned = np.zeros((len(clips), longest, 2 * 3 * _JOINTS), np.float32)
    for number, joints in enumerate(clips):
        if joints.shape[1] == 3 * _JOINTS:
            joints = np.hstack((joints, np.zeros_like(joints)))
        aligned[number, : len(joints)] = joints
    return aligned


def _one_hot(labels: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.eye(_CLASSES)[labels]
