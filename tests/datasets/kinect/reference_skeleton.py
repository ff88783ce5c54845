"""A slow reference of reading and cleaning, in plain lists and loops, for two persons.

Written from DATASETS.md section 2 and from what the lineage's three scripts do, not from our fast code.
Coordinates are kept as float32, and differences of them made in float32; how wide a body is to how high is
compared in float64, as the lineage does under NumPy 1.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

Point = list[Any]  # three numpy float32
Joints = list[Point]


@dataclass
class Body:
    frames: list[int]
    joints: list[Joints]  # one a frame
    motion: Fraction = Fraction(0)


def read(data: bytes) -> tuple[int, dict[str, Body]]:
    """The number of frames, and the bodies by id in order of appearance."""
    lines = data.decode().splitlines()
    num_frames = int(lines.pop(0))
    bodies: dict[str, Body] = {}
    for frame in range(num_frames):
        for _ in range(int(lines.pop(0))):
            name = lines.pop(0).split()[0]
            body = bodies.setdefault(name, Body([], []))
            body.frames.append(frame)
            body.joints.append(
                [
                    [np.float32(np.float64(text)) for text in lines.pop(0).split()[:3]]
                    for _ in range(int(lines.pop(0)))
                ]
            )
    return num_frames, bodies


def clean(data: bytes, settings: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Joints (T, 2, V, 3) and present (T, 2) of a file, by settings as in params.yaml."""
    num_frames, bodies = read(data)
    num_joints = len(next(iter(bodies.values())).joints[0])
    single = len(bodies) == 1
    if settings["empty_frames"] == "drop":
        num_frames = _count_without_empty(num_frames, bodies)
    if settings["gaps"] == "close":
        for body in bodies.values():
            body.frames = [body.frames[0] + number for number in range(len(body.frames))]
    ranked = list(bodies.values()) if single else _denoised(bodies, settings)
    clip: list[list[Joints | None]] = [[None, None] for _ in range(num_frames)]
    if settings["persons"] == "merge":
        _merge(ranked, clip)
    else:
        for person, body in enumerate(ranked[:2]):
            _show(body, clip, person)
    if settings["empty_frames"] == "drop" and not single:
        clip = [frame for frame in clip if frame[0] is not None or frame[1] is not None]
    if settings["origin"] == "first_frame":
        _translate(clip)
    absent = [[np.float32(0)] * 3] * num_joints
    joints = [[absent if person is None else person for person in frame] for frame in clip]
    present = [[person is not None for person in frame] for frame in clip]
    return np.array(joints, np.float32), np.array(present, np.bool_)


def _count_without_empty(num_frames: int, bodies: dict[str, Body]) -> int:
    """Count frames anew, those with somebody only; how many there are."""
    number: dict[int, int] = {}
    for frame in range(num_frames):
        if any(frame in body.frames for body in bodies.values()):
            number[frame] = len(number)
    for body in bodies.values():
        body.frames = [number[frame] for frame in body.frames]
    return len(number)


def _denoised(bodies: dict[str, Body], settings: dict[str, Any]) -> list[Body]:
    """Those of several bodies that stay, the one that moves most first."""
    _drop_short(bodies, settings["min_body_frames"])
    variance = _over_all if settings["motion"] == "space_time" else _over_time
    for body in bodies.values():
        body.motion = variance(body.joints)
    if settings["spread"] is not None:
        for name in list(bodies):
            if len(bodies) == 1:
                break
            body = bodies[name]
            good = [joints for joints in body.joints if not _wide(joints, settings["spread"]["ratio"])]
            num_bad = len(body.joints) - len(good)
            if num_bad == 0:
                continue
            if num_bad / len(body.joints) >= settings["spread"]["share"]:
                del bodies[name]
            else:
                body.motion = min(body.motion, variance(good))
    ranked: list[Body] = []
    for body in bodies.values():  # put before the first that moves less
        place = next((place for place, other in enumerate(ranked) if other.motion < body.motion), len(ranked))
        ranked.insert(place, body)
    if settings["motion_limits"] is not None:
        low, high = settings["motion_limits"]
        ranked = ranked[:1] + [body for body in ranked[1:] if low <= body.motion <= high]
    return ranked


def _drop_short(bodies: dict[str, Body], most: int) -> None:
    """Short ones go; if all are short, the first of the longest stays."""
    longest = max(len(body.frames) for body in bodies.values())
    stays = next(name for name, body in bodies.items() if len(body.frames) == longest)
    for name in list(bodies):
        if len(bodies[name].frames) <= most and name != stays:
            del bodies[name]


def _wide(joints: Joints, ratio: float) -> bool:
    width = max(x for x, _, _ in joints) - min(x for x, _, _ in joints)
    height = max(y for _, y, _ in joints) - min(y for _, y, _ in joints)
    return not float(width) <= ratio * float(height)


def _variance(values: list[Any]) -> Fraction:
    exact = [Fraction(float(value)) for value in values]
    mean = sum(exact, Fraction(0)) / len(exact)
    return sum(((value - mean) ** 2 for value in exact), Fraction(0)) / len(exact)


def _over_all(frames: list[Joints]) -> Fraction:
    """Over frames and joints together, summed over x y z."""
    return sum(
        (_variance([point[axis] for joints in frames for point in joints]) for axis in range(3)), Fraction(0)
    )


def _over_time(frames: list[Joints]) -> Fraction:
    """Over frames, summed over x y z, mean over joints."""
    num_joints = len(frames[0])
    total = Fraction(0)
    for joint in range(num_joints):
        for axis in range(3):
            total += _variance([joints[joint][axis] for joints in frames])
    return total / num_joints


def _show(body: Body, clip: list[list[Joints | None]], person: int) -> None:
    for frame, joints in zip(body.frames, body.joints, strict=True):
        clip[frame][person] = [list(point) for point in joints]


def _merge(ranked: list[Body], clip: list[list[Joints | None]]) -> None:
    first, *others = ranked
    _show(first, clip, 0)
    start1, end1 = first.frames[0], first.frames[-1]
    start2, end2 = 0, 0
    for body in others:
        start, end = body.frames[0], body.frames[-1]
        if min(end1, end) - max(start1, start) <= 0:
            _show(body, clip, 0)
            start1, end1 = min(start1, start), max(end1, end)
        elif min(end2, end) - max(start2, start) <= 0:
            _show(body, clip, 1)
            start2, end2 = min(start2, start), max(end2, end)


def _translate(clip: list[list[Joints | None]]) -> None:
    """Subtract the second joint of person 1, where it is first seen, from everybody."""
    seen = [frame[0] for frame in clip if frame[0] is not None]
    if not seen:
        return
    origin = list(seen[0][1])
    for frame in clip:
        for person in frame:
            for point in person or []:
                for axis in range(3):
                    point[axis] = point[axis] - origin[axis]
