"""PKU-MMD's archives and split files side by side: which videos there are, and what is missing, by name."""

import hashlib
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from kinemask.datasets.pku.archives import (
    LabelArchive,
    TextArchive,
    check_kinds,
    list_texts,
    occurring,
    of_phase,
    read_label_archive,
)
from kinemask.datasets.pku.labels import LabelFile
from kinemask.datasets.pku.phases import LISTS, Phase
from kinemask.datasets.pku.splits import Split, check_covers, read_split
from kinemask.datasets.reader import DatasetError
from kinemask.skeleton.packed import Dropped


@dataclass(frozen=True)
class Survey:
    """All that can be said of a phase without reading the recordings."""

    phase: Phase
    recordings: TextArchive
    labels: Mapping[str, LabelFile]
    splits: Mapping[str, Split]  # by protocol
    left_out: tuple[Dropped, ...]
    missing: tuple[str, ...]  # recordings and label files
    unnamed: tuple[str, ...]  # what else the whole phase has, in words
    digests: Mapping[str, str]  # official file name -> digest of its content

    @property
    def videos(self) -> list[str]:
        """The videos that can become clips, in the order of the archive."""
        return [name for name in self.recordings.members if name in self.labels and self.is_listed(name)]

    def is_listed(self, video: str) -> bool:
        """Whether a split file names the video."""
        return any(video in split.videos for split in self.splits.values())

    def lists(self, video: str) -> dict[str, str]:
        """The traits that say where a video stands."""
        return {LISTS[protocol]: split.part(video) for protocol, split in self.splits.items()}


def survey(phase: Phase, paths: Mapping[str, Path]) -> Survey:
    """What the files (official name -> path) hold, each listed and the small ones read.

    Raises DatasetError if they do not belong together or to this phase.
    """
    recordings, foreign = of_phase(list_texts(paths[f"{phase.skeletons}.7z"]), phase)
    labels_path = paths[f"{phase.labels}.7z"]
    check_kinds(recordings, list_texts(labels_path))  # first: to read recordings as labels would take long
    found = read_label_archive(phase, labels_path)
    labels = found.files
    both = recordings.members.keys() & labels.keys()
    if not both:
        raise DatasetError(
            f"{phase.title}: none of the {len(recordings.members)} recordings of {recordings.path.name} has "
            f"one of the {len(labels)} label files of {found.archive.path.name}: take both from one download"
        )
    splits = {}
    digests = {f"{phase.skeletons}.7z": recordings.digest, f"{phase.labels}.7z": found.archive.digest}
    for protocol, file in phase.splits.items():
        data = paths[file].read_bytes()
        splits[protocol] = read_split(data, file=file, phase=phase, protocol=protocol)
        check_covers(splits[protocol], both, phase)
        digests[file] = _split_digest(splits[protocol])
    known = frozenset[str]().union(*(split.videos for split in splits.values()))
    everything = recordings.members.keys() | labels.keys()
    unlisted = [Dropped(one, "no split file names it", damaged=False) for one in sorted(everything - known)]
    _check_counts(phase, known, both, labels)
    unread = {name: labels[name] for name in recordings.unread & labels.keys() & known}
    damaged_rows = [row for name in sorted(both & known | unread.keys()) for row in labels[name].damaged]
    refused = (*_by_instance(recordings.refused, unread), *found.refused)
    return Survey(
        phase=phase,
        recordings=recordings,
        labels=labels,
        splits=splits,
        left_out=(*refused, *foreign, *unlisted, *damaged_rows),
        missing=_missing(phase, recordings, found, known),
        unnamed=_unnamed(phase, known),
        digests=digests,
    )


def _missing(
    phase: Phase, recordings: TextArchive, labels: LabelArchive, known: frozenset[str]
) -> tuple[str, ...]:
    """Files that the whole phase has and these archives do not; what cannot be read is left out instead."""
    no_labels = {one.name for one in labels.refused}
    return (
        *(
            f"{phase.skeletons}.7z: {name}"
            for name in sorted(known - recordings.members.keys() - recordings.unread)
        ),
        *(f"{phase.labels}.7z: {name}" for name in sorted(known - labels.files.keys() - no_labels)),
    )


def _unnamed(phase: Phase, known: frozenset[str]) -> tuple[str, ...]:
    """What is missing where no file says its name."""
    if len(known) == phase.num_videos:
        return ()
    files = " and ".join(phase.splits.values())
    return (f"{files} name {len(known):,} of the {phase.num_videos:,} videos of {phase.title}",)


def _by_instance(refused: Sequence[Dropped], labels: Mapping[str, LabelFile]) -> list[Dropped]:
    """What of the recordings was refused, by instance where these label files say which: it costs those."""
    lost = {one.name: one.reason for one in refused if one.name in labels and labels[one.name].num_rows}
    instances = [
        Dropped(row.name, f"the recording {name}: {reason}")
        for name, reason in lost.items()
        for row in labels[name].rows
    ]
    return [*instances, *(one for one in refused if one.name not in lost)]


def _check_counts(
    phase: Phase, known: frozenset[str], both: Set[str], labels: Mapping[str, LabelFile]
) -> None:
    """Raise DatasetError if there are more videos than there can be, or all of them with other counts."""
    if len(known) > phase.num_videos:
        raise DatasetError(
            f"{' and '.join(phase.splits.values())} name {len(known):,} videos together, {phase.title} has "
            f"{phase.num_videos:,}: take both from the owners' download"
        )
    if len(known) < phase.num_videos or not known <= both:
        return
    files = [labels[name] for name in known]
    counts = []
    if phase.num_instances is not None:
        counts.append(("rows", sum(file.num_rows for file in files), phase.num_instances))
    if not any(file.damaged for file in files):  # such a row may have been of any class
        counts.append(("classes", len(occurring(files)), phase.num_classes))
    wrong = [f"{num:,} {what}, expected {expected:,}" for what, num, expected in counts if num != expected]
    if wrong:
        raise DatasetError(
            f"{phase.title} is not what it should be: no video is missing, and the label files have "
            f"{'; '.join(wrong)}. Take {phase.labels}.7z from the owners' download"
        )


def _split_digest(split: Split) -> str:
    """The digest of the two lists, however the file is written."""
    lines = "".join(f"{part} {name}\n" for part in ("train", "test") for name in sorted(getattr(split, part)))
    return hashlib.sha256(lines.encode()).hexdigest()
