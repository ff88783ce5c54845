"""PKU-MMD's split files: which videos train and which test (DATASETS.md section 7)."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from kinemask.datasets.pku.phases import Phase
from kinemask.datasets.reader import DatasetError
from kinemask.errors import first_of

_NAMED = 3
_HEADING = re.compile(r"(train|valid|test)\w*(?: (?:videos|samples|set))? ?:?", re.ASCII | re.IGNORECASE)
_SUFFIX = re.compile(r"\.(?:txt|skeleton)$", re.IGNORECASE)


@dataclass(frozen=True)
class Split:
    """The two lists of a split file."""

    file: str
    train: frozenset[str]
    test: frozenset[str]

    @property
    def videos(self) -> frozenset[str]:
        """All it names."""
        return self.train | self.test

    def part(self, video: str) -> str:
        """`train`, `test` or `none`."""
        if video in self.train:
            return "train"
        return "test" if video in self.test else "none"


def read_split(data: bytes, *, file: str, phase: Phase, protocol: str) -> Split:
    """The lists that a split file holds: a heading line, names with commas between them, twice.

    Raises DatasetError for a file that is none, or that is of other videos than this phase's.
    """
    lists: dict[str, list[str]] = {}
    part = ""
    for line in data.decode("utf-8-sig", errors="replace").splitlines():
        heading = _HEADING.fullmatch(" ".join(line.split()))
        if heading:
            part = "train" if heading[1].lower() == "train" else "test"
            lists.setdefault(part, [])
        elif line.strip():
            names = [_SUFFIX.sub("", name.strip()) for name in line.split(",")]
            lists.setdefault(part, []).extend(filter(None, names))
    if set(lists) != {"train", "test"} or not all(lists.values()):
        raise DatasetError(
            f"{file} is no split file of {phase.title}: a heading 'Training videos:' and one for the "
            f"validation videos are expected, each with names below it. {_advice(phase)}"
        )
    split = Split(file, frozenset(lists["train"]), frozenset(lists["test"]))
    _check(split, phase, protocol)
    return split


def check_covers(split: Split, recordings: Collection[str], phase: Phase) -> None:
    """Raise DatasetError for recordings in neither list, unless the lists are as long as the official ones.

    A list that was cut would leave its end out of the test in silence.
    """
    unnamed = sorted(set(recordings) - split.videos)
    if unnamed and len(split.videos) < phase.num_videos:
        raise DatasetError(
            f"{split.file} names {len(split.videos)} of the {phase.num_videos} videos of {phase.title}, and "
            f"{len(unnamed)} of the {len(recordings)} recordings stand in neither list: {some(unnamed)}. "
            f"{_advice(phase)}"
        )


def _check(split: Split, phase: Phase, protocol: str) -> None:
    foreign = sorted(name for name in split.videos if not phase.is_video(name))
    if foreign:
        raise DatasetError(
            f"{split.file} does not belong to {phase.title}, whose videos are named {phase.grammar}: "
            f"{len(foreign)} of its {len(split.videos)} names are none of these: {some(foreign)}. "
            f"{_advice(phase)}"
        )
    both = sorted(split.train & split.test)
    if both:
        raise DatasetError(
            f"{split.file} names {len(both)} video(s) to train on and to test on: {some(both)}. "
            f"{_advice(phase)}"
        )
    _check_apart(split, phase, protocol)
    if len(split.videos) > phase.num_videos:
        raise DatasetError(
            f"{split.file} names {len(split.videos)} videos, {phase.title} has {phase.num_videos}. "
            f"{_advice(phase)}"
        )
    found = (len(split.train), len(split.test))
    if protocol in phase.parts and sum(found) == phase.num_videos and found != phase.parts[protocol]:
        raise DatasetError(
            f"{split.file} names {found} videos to train on and to test on, the official file of "
            f"{phase.title} {phase.parts[protocol]}. {_advice(phase)}"
        )


def _check_apart(split: Split, phase: Phase, protocol: str) -> None:
    """Raise DatasetError for a unit of the protocol on both sides: what it is to test was trained on then.

    Across subjects that is a subject, with all its sequences, or a sequence where no subject is named.
    """
    group = "subject" if protocol == "xsub" else "camera"
    unit = phase.subject_is if protocol == "xsub" else "camera"
    train, test = (
        {parts[group] for parts in map(phase.video.fullmatch, names) if parts}
        for names in (split.train, split.test)
    )
    both = sorted(train & test)
    if both:
        raise DatasetError(
            f"{split.file} has {len(both)} of {len(train | test)} {unit}s to train on and to test on, which "
            f"{protocol} keeps apart: {some(both)}. Is it the file of another protocol? {_advice(phase)}"
        )


def some(names: Sequence[str]) -> str:
    """The first names, for a message."""
    return first_of(names, _NAMED)


def _advice(phase: Phase) -> str:
    return f"Take the file from the owners' download of {phase.title}"
