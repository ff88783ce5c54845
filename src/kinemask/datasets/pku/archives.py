"""PKU-MMD's archives and split files side by side: which videos there are, and what is missing, by name."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path, PurePosixPath

from kinemask.datasets.archives.gated import Gated, GatedFile
from kinemask.datasets.pku.labels import LabelFile, read_labels
from kinemask.datasets.pku.phases import CLASS_NAMES, LISTS, Phase
from kinemask.datasets.pku.splits import Split, check_covers, read_split, some
from kinemask.datasets.reader import DamagedError, DatasetError
from kinemask.skeleton.packed import Dropped

_SIGNATURE = b"7z\xbc\xaf\x27\x1c"
_SUFFIXES = (".txt", ".skeleton")


@dataclass(frozen=True)
class TextArchive:
    """An archive of text files: 7z as the owners give it, or packed anew as zip."""

    path: Path
    members: Mapping[str, str]  # stem -> path inside, in the order of the archive
    refused: tuple[Dropped, ...]
    digest: str
    size: Mapping[str, int]  # stem -> bytes when unpacked


@dataclass(frozen=True)
class Survey:
    """All that can be said of a phase without reading the recordings."""

    phase: Phase
    recordings: TextArchive
    labels: Mapping[str, LabelFile]
    splits: Mapping[str, Split]  # by protocol
    left_out: tuple[Dropped, ...]
    missing: tuple[str, ...]
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


def gated(phase: Phase) -> Gated:
    """The files of a phase, in all spellings."""
    archives = [GatedFile((f"{stem}.7z", f"{stem}.zip")) for stem in (phase.skeletons, phase.labels)]
    splits = [GatedFile(_spellings(file)) for file in phase.splits.values()]
    return Gated(
        title=phase.title,
        files=(*archives, *splits),
        ask="the STRUCT group of Peking University, https://www.icst.pku.edu.cn/struct/Projects/PKUMMD.html "
        "(mirror https://struct002.github.io/PKUMMD), which names whom to write to",
    )


def survey(phase: Phase, paths: Mapping[str, Path]) -> Survey:
    """What the files (official name -> path) hold, each listed and the small ones read.

    Raises DatasetError if they do not belong together or to this phase.
    """
    recordings, foreign = _videos(list_texts(paths[f"{phase.skeletons}.7z"]), phase)
    labels, label_archive, no_labels = read_label_archive(phase, paths[f"{phase.labels}.7z"])
    both = recordings.members.keys() & labels.keys()
    if not both:
        raise DatasetError(
            f"{phase.title}: none of the {len(recordings.members)} recordings of {recordings.path.name} has "
            f"one of the {len(labels)} label files of {label_archive.path.name}: take both from one download"
        )
    splits = {}
    digests = {f"{phase.skeletons}.7z": recordings.digest, f"{phase.labels}.7z": label_archive.digest}
    for protocol, file in phase.splits.items():
        data = paths[file].read_bytes()
        splits[protocol] = read_split(data, file=file, phase=phase, protocol=protocol)
        check_covers(splits[protocol], both, phase)
        digests[file] = _split_digest(splits[protocol])
    known = frozenset[str]().union(*(split.videos for split in splits.values()))
    everything = recordings.members.keys() | labels.keys()
    unlisted = [Dropped(one, "no split file names it", damaged=False) for one in sorted(everything - known)]
    refused = (*recordings.refused, *no_labels)
    damaged_rows = [row for name in sorted(both & known) for row in labels[name].damaged]
    return Survey(
        phase=phase,
        recordings=recordings,
        labels=labels,
        splits=splits,
        left_out=(*refused, *foreign, *unlisted, *damaged_rows),
        missing=_missing(phase, recordings, labels, known, {one.name for one in no_labels}),
        digests=digests,
    )


def read_label_archive(phase: Phase, path: Path) -> tuple[dict[str, LabelFile], TextArchive, list[Dropped]]:
    """The label files of all videos, the archive, and what in it is no label file or cannot be unpacked."""
    archive, foreign = _videos(list_texts(path), phase)
    out = [*archive.refused, *foreign]
    labels: dict[str, LabelFile] = {}
    for name, data in stream_texts(archive, list(archive.members)):
        if isinstance(data, DamagedError):
            out.append(Dropped(name, f"its label file {data}"))
        else:
            labels[name] = read_labels(name, data)
            if not labels[name].num_rows:
                out.append(Dropped(name, "its label file has no row", damaged=False))
    return labels, archive, out


def classes(phase: Phase, labels: Mapping[str, LabelFile]) -> tuple[int, ...]:
    """The labels that are classes here, ascending: in Phase II those that occur in the label files."""
    if not phase.only_classes_that_occur:
        return tuple(range(1, len(CLASS_NAMES) + 1))
    return tuple(sorted({row.label for file in labels.values() for row in file.rows}))


def list_texts(path: Path) -> TextArchive:
    """The text files in an archive, in its order. Raises DatasetError if it is none."""
    # Imported late: py7zr takes time that other stages need not spend.
    from kinemask.datasets.archives.seven_zip import list_7z
    from kinemask.datasets.archives.zip_members import list_zip

    listing = list_7z(path, _is_text) if _is_7z(path) else list_zip(path, _is_text)
    members: dict[str, str] = {}
    refused = list(listing.refused)
    for member in listing.members:
        stem = PurePosixPath(member.path).stem
        if members.setdefault(stem, member.path) != member.path:
            refused.append(Dropped(stem, f"it is there twice, as {members[stem]} and as {member.path}"))
    kept = set(members.values())
    sizes = {PurePosixPath(one.path).stem: one.size for one in listing.members if one.path in kept}
    return TextArchive(path, members, tuple(refused), listing.digest, sizes)


def stream_texts(archive: TextArchive, names: Sequence[str]) -> Iterator[tuple[str, bytes | DamagedError]]:
    """The texts of these members in the order of the archive; where one cannot be unpacked, the reason."""
    from kinemask.datasets.archives.seven_zip import stream_7z
    from kinemask.datasets.archives.zip_members import list_zip, read_member

    wanted = {archive.members[name]: name for name in names}
    if _is_7z(archive.path):
        for path, data in stream_7z(archive.path, list(wanted)):
            yield wanted[path], data
        return
    for member in list_zip(archive.path, _is_text).members:
        if member.path in wanted:
            try:
                yield wanted[member.path], read_member(member)
            except DamagedError as error:
                yield wanted[member.path], error


def _missing(
    phase: Phase,
    recordings: TextArchive,
    labels: Mapping[str, LabelFile],
    known: frozenset[str],
    no_labels: set[str],
) -> tuple[str, ...]:
    """What the whole phase has and these archives do not; what they have and cannot be read is left out."""
    refused = {one.name for one in recordings.refused}
    missing = [
        *(f"{phase.skeletons}.7z: {name}" for name in sorted(known - recordings.members.keys() - refused)),
        *(f"{phase.labels}.7z: {name}" for name in sorted(known - labels.keys() - no_labels)),
    ]
    if len(known) < phase.num_videos:
        missing.append(f"{phase.num_videos - len(known)} video(s) that no split file names")
    rows = sum(labels[name].num_rows for name in known & labels.keys())
    if not missing and not no_labels and phase.num_instances not in (None, rows):
        missing.append(f"{phase.labels}.7z: it has {rows} rows, {phase.num_instances} instances are known")
    return tuple(missing)


def _videos(archive: TextArchive, phase: Phase) -> tuple[TextArchive, list[Dropped]]:
    """The archive with the videos of this phase only, and the other texts in it."""
    members = {name: path for name, path in archive.members.items() if phase.is_video(name)}
    foreign = [name for name in archive.members if name not in members]
    if not members:
        raise DatasetError(
            f"{archive.path} holds no file of {phase.title}, whose videos are named {phase.grammar}"
            + (f"; it has {some(foreign)}" if foreign else "")
            + ": is it another archive, or the other phase's?"
        )
    reason = f"the name is not {phase.grammar}: no video of {phase.title}"
    return replace(archive, members=members), [Dropped(name, reason, damaged=False) for name in foreign]


def _split_digest(split: Split) -> str:
    """The digest of the two lists, however the file is written."""
    lines = "".join(f"{part} {name}\n" for part in ("train", "test") for name in sorted(getattr(split, part)))
    return hashlib.sha256(lines.encode()).hexdigest()


def _spellings(name: str) -> tuple[str, ...]:
    """A name with underscores, with hyphens and with any mix of both; the first is the official one."""
    return tuple(name.replace("_", "{}").format(*mix) for mix in product("_-", repeat=name.count("_")))


def _is_7z(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_SIGNATURE)) == _SIGNATURE


def _is_text(path: PurePosixPath) -> bool:
    return path.suffix in _SUFFIXES and not path.name.startswith(".") and path.parts[0] != "__MACOSX"
