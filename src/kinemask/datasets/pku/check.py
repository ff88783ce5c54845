"""What `kinemask data check` says of PKU-MMD's files: counts, what is missing, and the first videos read."""

import time
from dataclasses import dataclass

from kinemask.datasets.pku.archives import classes
from kinemask.datasets.pku.splits import some
from kinemask.datasets.pku.survey import Survey
from kinemask.datasets.reader import DatasetError, Reading, Verdict
from kinemask.datasets.spot_check import duration
from kinemask.errors import few
from kinemask.skeleton.packed import Dropped
from kinemask.workers import cores_for

_SECONDS = 3.0  # after this no further video is begun
_VIDEOS = 12
_NAMED = 20


@dataclass(frozen=True)
class _FirstVideos:
    """What the first videos of an archive gave; it is solid, so that others would take long to reach."""

    num_videos: int
    num_bytes: int
    damaged: tuple[Dropped, ...]
    unpack_seconds: float
    read_seconds: float


def verdict(found: Survey, reading: Reading, where: tuple[str, ...]) -> Verdict:
    """The verdict on files that belong together; `where` says where they are."""
    try:
        first = _read_first(found, reading)
    except DatasetError as error:  # such as a wrong password
        return Verdict("unusable", (*where, *_counts(found)), (str(error),))
    problems = (
        *found.unnamed,
        *_named([f"missing: {one}" for one in found.missing]),
        *_named(_by_reason([one for one in (*found.left_out, *first.damaged) if one.damaged])),
    )
    left_out = _named([f"left out: {one.name} ({one.reason})" for one in found.left_out if not one.damaged])
    facts = (*where, *_counts(found), *left_out, *_time(found, first))
    return Verdict("partial" if problems else "whole", facts, problems)


def _by_reason(damaged: list[Dropped]) -> list[str]:
    """One line a reason: a recording that cannot be read costs all its instances."""
    names: dict[str, list[str]] = {}
    for one in damaged:
        names.setdefault(one.reason, []).append(one.name)
    return [
        f"{some(those)} {'is' if len(those) == 1 else f'({len(those)}) are'} damaged: {reason}"
        for reason, those in names.items()
    ]


def _counts(found: Survey) -> tuple[str, ...]:
    videos = found.videos
    rows = sum(found.labels[video].num_rows for video in videos)
    known = found.phase.num_instances
    lines = [
        f"{len(videos):,} videos with recording and labels, of {found.phase.num_videos:,}",
        f"{rows:,} instances of {len(classes(found.phase, found.labels))} classes"
        + (f", of {known:,} instances" if known else ""),
    ]
    for protocol, split in found.splits.items():
        train, test = (sum(split.part(video) == part for video in videos) for part in ("train", "test"))
        lines.append(f"{protocol}: {train:,} videos to train on and {test:,} to test on, by {split.file}")
    return tuple(lines)


def _read_first(found: Survey, reading: Reading) -> _FirstVideos:
    num_videos, num_bytes, unpack, read = 0, 0, 0.0, 0.0
    damaged: list[Dropped] = []
    begun = time.perf_counter()
    for video in reading.recordings(0):
        unpacked = time.perf_counter()
        if num_videos == 0:
            reading.read(video)  # what is compiled or loaded once does not count as its time
            begun += time.perf_counter() - unpacked
            unpacked = time.perf_counter()
        clips = reading.read(video)
        unpack += unpacked - begun
        read += time.perf_counter() - unpacked
        damaged += [clip for clip in clips if isinstance(clip, Dropped) and clip.damaged]
        num_videos += 1
        num_bytes += found.recordings.size[video.name]
        if num_videos == _VIDEOS or unpack + read > _SECONDS:
            break
        begun = time.perf_counter()
    return _FirstVideos(num_videos, num_bytes, tuple(damaged), unpack, read)


def _time(found: Survey, first: _FirstVideos) -> tuple[str, ...]:
    if not first.num_bytes:
        return ()
    total = sum(found.recordings.size[video] for video in found.videos)
    cores = cores_for((first.unpack_seconds + first.read_seconds) * total / first.num_bytes)
    # One process unpacks, as the archive is solid, while all others read.
    seconds = max(first.unpack_seconds, (first.unpack_seconds + first.read_seconds) / cores)
    took = duration(seconds * total / first.num_bytes)
    return (
        f"the first {first.num_videos} videos of the archive were read: "
        f"{len(first.damaged)} damaged instances",
        f"preprocess will take about {took} on {cores} core(s) for {total / 2**30:.2f} GiB of text",
    )


def _named(lines: list[str]) -> tuple[str, ...]:
    return tuple(few(lines, _NAMED))
