"""Archives from mirrors and from their owners: verified before use, whole or not there at all."""

import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit
from urllib.request import url2pathname

from kinemask.datasets.archive import content_digest, members, open_archive
from kinemask.datasets.http import DownloadError, NotThereError, download, write_chunks
from kinemask.datasets.reader import DamagedError, DatasetError
from kinemask.progress import byte_progress, progress
from kinemask.section import Section
from kinemask.storage import StorageError, whole_folder, writing

MIRROR_VARIABLE = "KINEMASK_MIRROR"
SOURCE_FILE = "source.json"

_CHUNK_BYTES = 1 << 20
_LOG = logging.getLogger(__name__)


class DownloadConfig(Section):
    """Folders or URLs that hold the archives, tried in order; they change no result."""

    mirrors: tuple[str, ...]


class FetchError(DatasetError):
    """No source has the archive: the message lists what was tried and what to do."""


class RefusedError(ValueError):
    """The bytes of a source are not the known ones; the message is the reason only."""


@dataclass(frozen=True)
class _Hashes:
    archive: str
    content: str


@dataclass(frozen=True)
class Archive:
    """A zip archive as it is known: the same files may come in different zips."""

    dataset: str
    file: str  # its name in data/raw/<dataset>
    names: tuple[str, ...]  # the names it has in mirrors
    url: str  # where its owners publish it
    sha256: tuple[str, ...]  # of zips seen before
    content_sha256: str  # of the files in it, which decides for a zip never seen
    wanted: Callable[[PurePosixPath], bool]  # the members that count


def mirrors_in_order(mirrors: Sequence[str]) -> tuple[str, ...]:
    """The mirrors of params.yaml, after the one that the environment variable names."""
    first = os.environ.get(MIRROR_VARIABLE)
    return (*([first] if first else []), *mirrors)


def write_source(folder: Path, *, file: str, sha256: str, content_sha256: str, origin: str) -> None:
    """Say in source.json where the archive of a raw folder is from and what it hashes to."""
    source = {"file": file, "sha256": sha256, "content_sha256": content_sha256, "from": origin}
    (folder / SOURCE_FILE).write_text(json.dumps(source, indent=1) + "\n")


def read_source(folder: Path) -> dict[str, str]:
    """What `write_source` wrote. Raises DatasetError if it is absent or damaged."""
    try:
        source = json.loads((folder / SOURCE_FILE).read_text())
    except (OSError, ValueError) as error:
        raise DatasetError(f"{folder / SOURCE_FILE} is missing or damaged: run download") from error
    return dict(source)


def fetch_archive(archive: Archive, folder: Path, mirrors: Sequence[str]) -> None:
    """Fill `folder` with the archive and source.json from the first source that has it right.

    What comes over the network is kept in `.partial` beside the folder's parent until it is whole, so that a
    run that was cut goes on. Raises FetchError if no source has it, StorageError if it cannot be written.
    """
    parts = folder.parent.parent / ".partial"
    tried: list[str] = []
    for source in (*mirrors, None):
        found = False
        for place in _places(archive, source):
            part = parts / f"{hashlib.sha256(place.encode()).hexdigest()[:12]}-{archive.file}"
            try:
                hashes = _obtain(place, part, archive)
                _place(archive, part, hashes, folder, origin=place)
                return
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
            tried.append(f"{source or archive.url} does not hold it")
    names = " or ".join(archive.names)
    raise FetchError(
        f"{archive.dataset}: no source has the archive. Tried: {'; '.join(tried)}. "
        f"Put {names} into a folder (from {archive.url}), name the folder in {MIRROR_VARIABLE} or in "
        f"download.mirrors of params.yaml, and run again"
    )


def _places(archive: Archive, mirror: str | None) -> Iterator[str]:
    """Where the archive may lie in a mirror: below the dataset's name or at the top; at last its owners'."""
    if mirror is None:
        yield archive.url
        return
    for name in archive.names:
        yield f"{mirror.rstrip('/')}/{archive.dataset}/{name}"
    for name in archive.names:
        yield f"{mirror.rstrip('/')}/{name}"


def _obtain(place: str, part: Path, archive: Archive) -> _Hashes:
    """Bring the bytes at `place` into `part` and verify them. Raises DownloadError or RefusedError."""
    if urlsplit(place).scheme not in ("http", "https"):
        _copy(_local(place), part, archive)
        return _verify(part, archive)
    resumed = part.exists()
    download(place, part, name=archive.dataset)
    try:
        return _verify(part, archive)
    except RefusedError:
        if not resumed:
            raise
    # The first bytes may have been of another version of the file: once more from the start.
    download(place, part, name=archive.dataset)
    return _verify(part, archive)


def _local(place: str) -> Path:
    address = urlsplit(place)
    return Path(url2pathname(address.path) if address.scheme == "file" else place).expanduser()


def _copy(file: Path, part: Path, archive: Archive) -> None:
    if not file.is_file():
        raise NotThereError(f"{file} is not there")
    chunks = byte_progress(_read_chunks(file), name=f"copy {archive.dataset}", total=file.stat().st_size)
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
    """The hashes of the right archive. Another one is removed, and RefusedError raised."""
    found = file_sha256(part)
    try:
        with open_archive(part) as zipped:
            names = members(zipped, archive.wanted)
            bar = progress(names, name=f"verify {archive.dataset}", unit="file", total=len(names))
            content = content_digest(zipped, bar)
    except DatasetError:
        content = "none, as it is not a whole zip archive"
    except DamagedError as error:
        content = f"none, as {error}"
    if content == archive.content_sha256:
        return _Hashes(found, content)
    if found in archive.sha256:
        _LOG.warning("%s: the archive is the known one, its content hashes to %s", archive.dataset, content)
        return _Hashes(found, content)
    part.unlink()
    raise RefusedError(
        f"its sha256 is {found}, expected {' or '.join(archive.sha256)}; "
        f"the digest of its content is {content}, expected {archive.content_sha256}"
    )


def _place(archive: Archive, part: Path, hashes: _Hashes, folder: Path, *, origin: str) -> None:
    with whole_folder(folder) as partial, writing(folder):
        write_source(
            partial, file=archive.file, sha256=hashes.archive, content_sha256=hashes.content, origin=origin
        )
        part.replace(partial / archive.file)


def file_sha256(path: Path) -> str:
    """The sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
