"""PKU-MMD's archives, 7z or zip: their text files by the name of the video, and what the label files say."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from kinemask.datasets.archives.member_rules import twice
from kinemask.datasets.pku.labels import LabelFile, read_labels
from kinemask.datasets.pku.phases import CLASS_NAMES, NUM_COLUMNS, Phase
from kinemask.datasets.pku.splits import some
from kinemask.datasets.reader import DamagedError, DatasetError
from kinemask.skeleton.packed import Dropped

if TYPE_CHECKING:
    from kinemask.datasets.archives.seven_zip import SevenZipMember
    from kinemask.datasets.archives.zip_members import ZipMember

_SIGNATURE = b"7z\xbc\xaf\x27\x1c"
_SUFFIXES = (".txt", ".skeleton")
_KINDS = {"recordings": "recordings", "labels": "label files"}


@dataclass(frozen=True)
class TextArchive:
    """An archive of text files: 7z as the owners give it, or packed anew as zip."""

    path: Path
    members: Mapping[str, str]  # stem -> path inside, in the order of the archive
    refused: tuple[Dropped, ...]
    digest: str
    size: Mapping[str, int]  # stem -> bytes when unpacked

    @property
    def unread(self) -> frozenset[str]:
        """What is there by name, and not in a form that can be read."""
        return frozenset(one.name for one in self.refused if one.name not in self.members)


@dataclass(frozen=True)
class LabelArchive:
    """The label files of all videos, and what in their archive is none or cannot be unpacked."""

    archive: TextArchive
    files: Mapping[str, LabelFile]
    refused: tuple[Dropped, ...]


def read_label_archive(phase: Phase, path: Path) -> LabelArchive:
    """The label files in an archive, which is unpacked once as long as it stays the same."""
    state = path.stat()
    return _read_label_archive(phase, path, (state.st_ino, state.st_size, state.st_mtime_ns))


@lru_cache(maxsize=2)
def _read_label_archive(phase: Phase, path: Path, state: tuple[int, int, int]) -> LabelArchive:
    archive, foreign = of_phase(list_texts(path), phase)
    out = [*archive.refused, *foreign]
    labels: dict[str, LabelFile] = {}
    for name, data in stream_texts(archive, list(archive.members)):
        if isinstance(data, DamagedError):
            out.append(Dropped(name, f"its label file {data}"))
        else:
            labels[name] = read_labels(name, data)
            if not labels[name].num_rows:
                out.append(Dropped(name, "its label file has no row", damaged=False))
    return LabelArchive(archive, labels, tuple(out))


def check_kinds(skeletons: TextArchive, labels: TextArchive) -> None:
    """Raise DatasetError if one of the archives holds what the other should, by the first text in each."""
    skeletons_are, labels_are = _kind(skeletons), _kind(labels)
    if (skeletons_are, labels_are) == ("labels", "recordings"):
        raise DatasetError(
            f"{skeletons.path} holds the label files and {labels.path} the recordings: they are exchanged, "
            f"give each the name of the other"
        )
    for archive, found, wanted in (
        (skeletons, skeletons_are, "recordings"),
        (labels, labels_are, "labels"),
    ):
        if found not in (wanted, None):
            raise DatasetError(
                f"{archive.path} holds {_KINDS[found]}, expected {_KINDS[wanted]}: put the owners' archive "
                f"of this name into its place"
            )


def _kind(archive: TextArchive) -> str | None:
    """What the first text of an archive is; None if that is nothing known, such as damaged."""
    first = next((name for name in archive.members if archive.size[name]), None)
    if first is None:
        return None
    ((_, data),) = stream_texts(archive, [first])
    line = b"" if isinstance(data, DamagedError) else data.lstrip().partition(b"\n")[0]
    if read_labels(first, line).rows:
        return "labels"
    return "recordings" if len(line.split()) >= NUM_COLUMNS else None


def classes(phase: Phase, labels: Mapping[str, LabelFile]) -> tuple[int, ...]:
    """The labels that are classes here, ascending: in Phase II those that occur in the label files."""
    if phase.num_classes == len(CLASS_NAMES):
        return tuple(range(1, len(CLASS_NAMES) + 1))
    return occurring(labels.values())


def occurring(files: Iterable[LabelFile]) -> tuple[int, ...]:
    """The labels in these files, ascending."""
    return tuple(sorted({row.label for file in files for row in file.rows}))


def list_texts(path: Path) -> TextArchive:
    """The text files in an archive, in its order. Raises DatasetError if it is none."""
    # Imported late: py7zr takes time that other stages need not spend.
    from kinemask.datasets.archives.seven_zip import list_7z
    from kinemask.datasets.archives.zip_members import list_zip

    listing = list_7z(path, _is_text) if _is_7z(path) else list_zip(path, _is_text)
    kept: dict[str, SevenZipMember | ZipMember] = {}
    refused = list(listing.refused)
    for member in listing.members:
        first = kept.setdefault(member.name, member)
        if first is not member:  # one is a .txt, the other a .skeleton
            same = (first.size, first.crc) == (member.size, member.crc)
            reason = f"{path.name}: {twice(first.path, same=same)}"
            refused.append(Dropped(member.name, reason, damaged=not same))
    members = {name: member.path for name, member in kept.items()}
    sizes = {name: member.size for name, member in kept.items()}
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


def of_phase(archive: TextArchive, phase: Phase) -> tuple[TextArchive, list[Dropped]]:
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


def _is_7z(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_SIGNATURE)) == _SIGNATURE


def _is_text(path: PurePosixPath) -> bool:
    return path.suffix in _SUFFIXES and not path.name.startswith(".")
