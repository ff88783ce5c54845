"""Archives from mirrors and from their owners: verified before use, whole or not there at all."""

import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from kinemask.datasets.archives.http import DownloadError, NotThereError, download, write_chunks
from kinemask.datasets.archives.mirrors import MIRROR_VARIABLE, is_url, local_path, named
from kinemask.datasets.archives.zip_members import content_digest, list_zip
from kinemask.datasets.reader import DamagedError, DatasetError, Verdict
from kinemask.progress import byte_progress, progress
from kinemask.storage import StorageError, whole_folder, writing

SOURCE_FILE = "source.json"

T = TypeVar("T")

_CHUNK_BYTES = 1 << 20
_LOG = logging.getLogger(__name__)


class FetchError(DatasetError):
    """No source has the archive: the message lists what was tried and what to do."""


class RefusedError(ValueError):
    """The bytes of a source are not the known ones; the message is the reason only."""


@dataclass(frozen=True)
class _Hashes:
    archive: str
    content: str


@dataclass(frozen=True, kw_only=True)
class PublicFile:
    """A file that anybody may have: what it is called, and where it may lie."""

    dataset: str
    file: str  # its name in data/raw/<dataset>
    names: tuple[str, ...]  # the names it has in mirrors
    url: str  # where its owners publish it
    folders: tuple[str, ...] = ()  # of mirrors, beside the one named for the dataset and the top


@dataclass(frozen=True, kw_only=True)
class Archive(PublicFile):
    """A zip archive as it is known: the same files may come in different zips."""

    sha256: tuple[str, ...]  # of zips seen before
    content_sha256: str  # of the files in it, which decides for a zip never seen
    wanted: Callable[[PurePosixPath], bool]  # the members that count


@dataclass(frozen=True)
class Obtained(Generic[T]):
    """A file that was brought here: `part` is to be moved or removed."""

    part: Path
    origin: str
    verified: T  # what the verification made of it


class SourceFile(BaseModel):
    """One file of a raw folder, as source.json tells of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    bytes: int
    sha256: str | None  # None where nobody reads all of it: a linked archive of gigabytes
    origin: str


class Source(BaseModel):
    """source.json: from where the files of a raw folder are, and a digest of what they hold."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    content_sha256: str  # however the files are packed
    files: tuple[SourceFile, ...]


def write_source(folder: Path, *, content_sha256: str, files: Sequence[SourceFile]) -> None:
    """Say in source.json from where the files of a raw folder are, and what they hash to."""
    source = Source(content_sha256=content_sha256, files=tuple(files))
    (folder / SOURCE_FILE).write_text(source.model_dump_json(indent=1) + "\n")


def lost_links(folder: Path) -> list[Path]:
    """The links of a raw folder whose files are gone, sorted."""
    return sorted(path for path in folder.rglob("*") if path.is_symlink() and not path.exists())


def read_source(folder: Path) -> Source:
    """What `write_source` wrote. Raises DatasetError if it is absent or damaged."""
    try:
        return Source.model_validate_json((folder / SOURCE_FILE).read_text())
    except (OSError, ValueError) as error:
        raise DatasetError(f"{folder / SOURCE_FILE} is missing or damaged: run download") from error


def fetch_archive(archive: Archive, folder: Path, mirrors: Sequence[str]) -> None:
    """Fill `folder` with the archive and source.json from the first source that has it right.

    Raises FetchError if no source has it, StorageError if it cannot be written.
    """
    found = obtain(archive, folder, mirrors, lambda part: _verify(part, archive))
    hashes = found.verified
    with whole_folder(folder) as partial, writing(folder):
        size = found.part.stat().st_size
        file = SourceFile(name=archive.file, bytes=size, sha256=hashes.archive, origin=found.origin)
        write_source(partial, content_sha256=hashes.content, files=[file])
        found.part.replace(partial / archive.file)


def obtain(
    wanted: PublicFile, folder: Path, mirrors: Sequence[str], verify: Callable[[Path], T]
) -> Obtained[T]:
    """The file from the first source that has it right; `verify` raises RefusedError for any other.

    What comes over the network is kept in `.partial` beside the parent of `folder`, the raw folder it is for,
    until it is whole, so that a run that was cut goes on. Raises FetchError if no source has it, StorageError
    if it cannot be written.
    """
    parts = folder.parent.parent / ".partial"
    tried: list[str] = []
    for source in (*mirrors, None):
        found = False
        for place in _places(wanted, source):
            part = parts / f"{hashlib.sha256(place.encode()).hexdigest()[:12]}-{wanted.file}"
            try:
                return Obtained(part, place, _bring(place, part, wanted.dataset, verify))
            except NotThereError:
                continue
            except RefusedError as error:
                found = True
                _LOG.warning("%s is refused: %s", place, error)
                tried.append(f"{place} is refused: {error}")
            except DownloadError as error:
                found = True
                tried.append(f"{place} {error}")
                break  # the other names at this source would cost the same wait
        if not found:
            tried.append(f"{named(source or wanted.url)} does not hold it")
    names = " or ".join(wanted.names)
    raise FetchError(
        f"{wanted.dataset}: no source has {wanted.file}. Tried: {'; '.join(tried)}. "
        f"Put {names} into a folder (from {wanted.url}), name the folder in {MIRROR_VARIABLE} or in "
        f"download.mirrors of params.yaml, and run again"
    )


def check_archive(archive: Archive, mirrors: Sequence[str]) -> Verdict:
    """Whether a folder of the mirrors has the archive, or from where it would come; nothing is fetched."""
    facts: list[str] = []
    for path in local_files(archive, mirrors):
        if file_sha256(path) in archive.sha256:
            return Verdict("whole", (*facts, f"{path} is the known archive"))
        facts.append(f"{path} is another archive than the known: `dvc repro` looks at its content first")
    sources = ", or from ".join([*filter(is_url, mirrors), archive.url])
    looked = ", ".join(named(mirror) for mirror in mirrors if not is_url(mirror)) or "none"
    here = "if that is another too" if facts else f"no folder of the mirrors has it, looked in {looked}"
    return Verdict("downloadable", (*facts, f"{here}: `dvc repro` downloads it from {sources}"))


def local_files(wanted: PublicFile, mirrors: Sequence[str]) -> list[Path]:
    """The files of those names in mirrors that are folders, in the order in which they are tried."""
    places = [place for mirror in mirrors if not is_url(mirror) for place in _places(wanted, mirror)]
    return [path for path in map(local_path, places) if path.is_file()]


def _places(wanted: PublicFile, mirror: str | None) -> Iterator[str]:
    """Where the file may lie in a mirror: below the dataset's name or at the top; at last its owners'."""
    if mirror is None:
        yield wanted.url
        return
    top = mirror.rstrip("/")
    for folder in (f"{top}/{wanted.dataset}", *(f"{top}/{name}" for name in wanted.folders), top):
        for name in wanted.names:
            yield f"{folder}/{name}"


def _bring(place: str, part: Path, dataset: str, verify: Callable[[Path], T]) -> T:
    """Bring the bytes at `place` into `part` and verify them: a refused part is removed.

    Raises DownloadError or RefusedError.
    """
    if is_url(place):
        resumed = part.exists()
        download(place, part, name=dataset)
        try:
            return _or_remove(part, verify)
        except RefusedError:
            if not resumed:
                raise
        # The first bytes may have been of another version of the file: once more from the start.
        download(place, part, name=dataset)
    else:
        _copy(local_path(place), part, dataset)
    return _or_remove(part, verify)


def _or_remove(part: Path, verify: Callable[[Path], T]) -> T:
    try:
        return verify(part)
    except RefusedError:
        part.unlink()
        raise


def _copy(file: Path, part: Path, dataset: str) -> None:
    if not file.is_file():
        raise NotThereError(f"{file} is not there")
    chunks = byte_progress(_read_chunks(file), name=f"copy {dataset}", total=file.stat().st_size)
    try:
        write_chunks(chunks, part, fresh=True)
    except (StorageError, DownloadError):
        with suppress(OSError):  # the first error is the one to show
            part.unlink()
        raise


def _read_chunks(file: Path) -> Iterator[bytes]:
    try:
        with file.open("rb") as source:
            while chunk := source.read(_CHUNK_BYTES):
                yield chunk
    except OSError as error:
        raise DownloadError(f"cannot be read: {error.strerror or error}") from error


def _verify(part: Path, archive: Archive) -> _Hashes:
    """The hashes of the right archive. Raises RefusedError for another one."""
    found = file_sha256(part)
    try:
        members = list_zip(part, archive.wanted).members
        if not members:
            raise DatasetError(f"{part} holds no file of {archive.dataset}")
        bar = progress(members, name=f"verify {archive.dataset}", unit="file", total=len(members))
        content = content_digest(bar)
    except (DatasetError, DamagedError) as error:
        # The part is gone when this is read: the message stands behind the place it came from.
        content, about = "none", f"cannot be told: {str(error).replace(f'{part} ', 'it ')}"
    else:
        about = f"is {content}, expected {archive.content_sha256}"
    if content == archive.content_sha256:
        return _Hashes(found, content)
    if found in archive.sha256:
        _LOG.warning("%s: the archive is the known one, the digest of its content %s", archive.dataset, about)
        return _Hashes(found, content)
    raise RefusedError(
        f"its sha256 is {found}, expected {' or '.join(archive.sha256)}; the digest of its content {about}"
    )


def file_sha256(path: Path) -> str:
    """The sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
