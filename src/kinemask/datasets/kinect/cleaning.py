"""From the bodies a sensor tracked to the persons of a clip: spurious bodies and empty frames go away.

The lineage is that of CTR-GCN and MAMP: its scripts that read, de-noise and translate NTU's recordings, each
step a function here and a choice in params.yaml (DATASETS.md section 2).

Differences that remain: variances are float64 here and float32 there, which matters to bodies that move
equally much up to rounding only. Of several bodies that are all short, the one seen longest stays here; the
lineage has nobody left then, and fails.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from einops import rearrange
from jaxtyping import Bool, Float32
from pydantic import Field, model_validator

from kinemask.datasets.kinect.raw_skeleton import Recording, Track
from kinemask.datasets.reader import DamagedError
from kinemask.section import Section
from kinemask.skeleton.layout import KINECT25

_MID_SPINE = KINECT25.index("spine_mid")


class Spread(Section):
    """When a body is too wide to be a person: the lineage takes a ratio of 0.8 and a share of 0.69754."""

    ratio: float = Field(gt=0)  # a frame is bad if the body is wider than this times its height
    share: float = Field(gt=0, le=1)  # a body with at least this share of bad frames goes


class Cleaning(Section):
    """How a recording becomes a clip. What is said of several bodies leaves a single one alone."""

    empty_frames: Literal["drop", "keep"]  # those in which nobody is seen; ST-GCN keeps them
    gaps: Literal["close", "keep"]  # close (lineage): a body seen again goes on right after its last frame
    min_body_frames: int = Field(ge=0)  # of several bodies, those in at most so many frames go (lineage: 11)
    spread: Spread | None  # of several bodies, those too wide go
    motion: Literal["space_time", "time"]  # space_time (lineage) counts the size of a still body as motion
    # Of several bodies, all but the liveliest go beyond these. The lineage has this step and never calls it.
    motion_limits: tuple[float, float] | None
    persons: Literal["merge", "most_moving"]  # merge (lineage): bodies apart in time are one person
    origin: Literal["camera", "first_frame"]  # first_frame (lineage): the mid-spine of person 1's first frame

    @model_validator(mode="after")
    def _limits_are_in_order(self) -> "Cleaning":
        if self.motion_limits is not None and self.motion_limits[0] > self.motion_limits[1]:
            raise ValueError("motion_limits must be the lower, then the higher")
        return self


@dataclass(frozen=True)
class Cleaned:
    """A clip's arrays, and how many bodies and frames went away, by kind."""

    joints: Float32[np.ndarray, "T M V C"]
    present: Bool[np.ndarray, "T M"]
    removed: dict[str, int]


@dataclass(frozen=True)
class _Persons:
    """A clip's arrays, and what became of the bodies beyond the first of each person."""

    joints: Float32[np.ndarray, "T M V C"]
    present: Bool[np.ndarray, "T M"]
    num_merged: int = 0  # bodies that go on where another ended
    num_ignored: int = 0  # bodies for which there is no person


def clean(recording: Recording, config: Cleaning, *, persons: int) -> Cleaned:
    """The persons of a recording, at most `persons`, the one that moves most first. Absent ones are zero.

    Raises DamagedError if no body was seen at all.
    """
    if not recording.bodies:
        raise DamagedError("no body in any frame")
    removed: dict[str, int] = {}
    seen = drop_empty_frames(recording) if config.empty_frames == "drop" else recording
    if config.gaps == "close":
        seen = close_gaps(seen)
    bodies = seen.bodies
    if len(bodies) > 1:
        bodies = _denoise(bodies, config, removed)
    fill = merge_persons if config.persons == "merge" else fill_persons
    filled = fill(list(bodies.values()), seen.num_frames, persons)
    joints, present = filled.joints, filled.present
    removed["merged_bodies"], removed["surplus_bodies"] = filled.num_merged, filled.num_ignored
    if config.empty_frames == "drop" and len(recording.bodies) > 1:
        anyone = present.any(axis=1)
        if not anyone.all():
            joints, present = joints[anyone], present[anyone]
    removed["empty_frames"] = recording.num_frames - len(present)
    if config.origin == "first_frame":
        joints = to_first_frame(joints, present)
    return Cleaned(joints, present, {kind: num for kind, num in removed.items() if num})


def _denoise(bodies: Mapping[str, Track], config: Cleaning, removed: dict[str, int]) -> dict[str, Track]:
    """The bodies of several that stay, the one that moves most first; what went is counted in `removed`."""
    kept = drop_short_bodies(bodies, config.min_body_frames)
    removed["short_bodies"] = len(bodies) - len(kept)
    if len(kept) == 1:
        return kept
    narrow = {}
    if config.spread is not None:
        narrow = {body: narrow_frames(track.joints, config.spread.ratio) for body, track in kept.items()}
        num_lasting = len(kept)
        kept = drop_wide_bodies(kept, narrow, config.spread.share)
        removed["spread_bodies"] = num_lasting - len(kept)
        if len(kept) == 1:
            return kept
    measure = motion_in_space_time if config.motion == "space_time" else motion_in_time
    motions = {body: measure(track.joints) for body, track in kept.items()}
    for body in kept:
        if body in narrow and not narrow[body].all():
            motions[body] = min(motions[body], measure(kept[body].joints[narrow[body]]))
    ordered = dict(sorted(kept.items(), key=lambda item: -motions[item[0]]))
    if config.motion_limits is not None:
        num_ordered = len(ordered)
        ordered = drop_by_motion(ordered, motions, config.motion_limits)
        removed["motion_bodies"] = num_ordered - len(ordered)
    return ordered


def drop_empty_frames(recording: Recording) -> Recording:
    """The recording without the frames in which no body is seen; later frames are counted without them."""
    if len(recording.bodies) == 1:
        ((body, track),) = recording.bodies.items()
        num_frames = len(track.frames)
        return Recording(num_frames, {body: Track(np.arange(num_frames), track.joints)})
    seen = np.zeros(recording.num_frames, np.bool_)
    for track in recording.bodies.values():
        seen[track.frames] = True
    if seen.all():
        return recording
    number = np.cumsum(seen) - 1
    bodies = {body: Track(number[track.frames], track.joints) for body, track in recording.bodies.items()}
    return Recording(int(number[-1]) + 1, bodies)


def close_gaps(recording: Recording) -> Recording:
    """The recording with each body in consecutive frames, from the first in which it is seen."""
    bodies = {}
    for body, track in recording.bodies.items():
        first, num_frames = int(track.frames[0]), len(track.frames)
        bodies[body] = Track(np.arange(first, first + num_frames), track.joints)
    return Recording(recording.num_frames, bodies)


def drop_short_bodies(bodies: Mapping[str, Track], min_body_frames: int) -> dict[str, Track]:
    """The bodies seen in more than `min_body_frames` frames; the one seen longest stays in any case."""
    longest = max(bodies, key=lambda body: len(bodies[body].frames))
    return {
        body: track
        for body, track in bodies.items()
        if body == longest or len(track.frames) > min_body_frames
    }


def narrow_frames(joints: Float32[np.ndarray, "T V C"], ratio: float) -> Bool[np.ndarray, " T"]:
    """The frames in which a body is not wider than `ratio` times its height."""
    planes = np.ascontiguousarray(rearrange(joints[..., :2], "T V C -> V C T"))  # fast to reduce
    width, height = planes.max(axis=0) - planes.min(axis=0)
    # As in the lineage, whose 0.8 times one float32 is a float64 in NumPy 1: it decides what is a tie.
    return np.asarray(width <= ratio * height.astype(np.float64))


def drop_wide_bodies(
    bodies: Mapping[str, Track], narrow: Mapping[str, Bool[np.ndarray, " _"]], share: float
) -> dict[str, Track]:
    """The bodies without those of which at least `share` of the frames are not narrow; one stays always."""
    kept = dict(bodies)
    for body in bodies:
        if len(kept) == 1:
            break
        num_frames = len(narrow[body])
        num_wide = num_frames - int(np.count_nonzero(narrow[body]))
        if num_wide / num_frames >= share:
            del kept[body]
    return kept


def drop_by_motion(
    ordered: Mapping[str, Track], motions: Mapping[str, float], limits: tuple[float, float]
) -> dict[str, Track]:
    """The first of the bodies, and those of the others whose motion is within the limits."""
    low, high = limits
    first = next(iter(ordered))
    return {body: track for body, track in ordered.items() if body == first or low <= motions[body] <= high}


def motion_in_time(joints: Float32[np.ndarray, "T V C"]) -> float:
    """How much a body moves: variance of its coordinates over time, summed over x y z, mean over joints, m^2.

    Zero for a body that stands still, and for furniture.
    """
    return float(joints.astype(np.float64).var(axis=0).sum(axis=-1).mean())


def motion_in_space_time(joints: Float32[np.ndarray, "T V C"]) -> float:
    """Variance of the coordinates over time and joints together, summed over x y z, m^2.

    It counts the size of a body as motion, of a standing person or of a piece of furniture.
    """
    planes = rearrange(joints, "T V C -> C (T V)").astype(np.float64, order="C")  # fast to reduce
    return float(planes.var(axis=1).sum())


def fill_persons(tracks: Sequence[Track], num_frames: int, persons: int) -> _Persons:
    """One person a body, the first so many of them."""
    joints, present = _nobody(tracks[0], num_frames, persons)
    for person, track in enumerate(tracks[:persons]):
        _write(joints, present, person, track)
    return _Persons(joints, present, num_ignored=max(0, len(tracks) - persons))


def merge_persons(tracks: Sequence[Track], num_frames: int, persons: int) -> _Persons:
    """Each body becomes part of the first person whose time it does not overlap; if there is none, it goes.

    One frame in common is no overlap, and the later body then has it. The time of a person is from the first
    to the last frame of its bodies; persons after the first are there from frame 0, as in the lineage.
    """
    joints, present = _nobody(tracks[0], num_frames, persons)
    first = (int(tracks[0].frames[0]), int(tracks[0].frames[-1]))
    times = [first, *[(0, 0)] * (persons - 1)]
    _write(joints, present, 0, tracks[0])
    taken, num_merged, num_ignored = {0}, 0, 0
    for track in tracks[1:]:
        start, end = int(track.frames[0]), int(track.frames[-1])
        free = (who for who, time in enumerate(times) if min(time[1], end) - max(time[0], start) <= 0)
        person = next(free, None)
        if person is None:
            num_ignored += 1
            continue
        _write(joints, present, person, track)
        times[person] = (min(times[person][0], start), max(times[person][1], end))
        num_merged += person in taken
        taken.add(person)
    return _Persons(joints, present, num_merged, num_ignored)


def _nobody(track: Track, num_frames: int, persons: int) -> tuple[np.ndarray, np.ndarray]:
    """The arrays of a clip in which nobody is present yet, for bodies like this."""
    shape = (num_frames, persons)
    return np.zeros((*shape, *track.joints.shape[1:]), np.float32), np.zeros(shape, np.bool_)


def _write(joints: np.ndarray, present: np.ndarray, person: int, track: Track) -> None:
    """Put a body into the arrays, over what is there."""
    first, last = int(track.frames[0]), int(track.frames[-1])
    # A slice is copied several times faster than frames one by one.
    frames = slice(first, last + 1) if last - first + 1 == len(track.frames) else track.frames
    joints[frames, person] = track.joints
    present[frames, person] = True


def to_first_frame(
    joints: Float32[np.ndarray, "T M V C"], present: Bool[np.ndarray, "T M"]
) -> Float32[np.ndarray, "T M V C"]:
    """Coordinates from the mid-spine of person 1 where it is first seen; absent persons stay zero."""
    if not present[:, 0].any():
        return joints
    origin = joints[int(present[:, 0].argmax()), 0, _MID_SPINE]
    moved = joints - origin
    if not present.all():
        moved[~present] = 0
    return np.asarray(moved)
