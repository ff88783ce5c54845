"""7z archives, as PKU-MMD's come: what they hold, and their files one after another; nothing goes to disk.

Import it where it is used: py7zr takes a while to load, and nobody else needs it.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath
from queue import Empty, Queue
from threading import Thread

from isal import isal_zlib
from py7zr import SevenZipFile
from py7zr.exceptions import CrcError
from py7zr.io import NullIO, Py7zIO, WriterFactory
from py7zr.py7zr import ArchiveFile

from kinemask.datasets.archives.member_rules import (
    LZMA_RATIO,
    directory_digest,
    too_dense,
    too_large,
    twice,
    unsafe_path,
)
from kinemask.datasets.archives.seven_zip_file import (
    DATA_ERRORS,
    Block,
    StoppedError,
    blocks,
    extract,
    open_7z,
)
from kinemask.datasets.reader import DamagedError, DatasetError
from kinemask.skeleton.packed import Dropped

_Give = Callable[[tuple[str, bytes | DamagedError]], None]


@dataclass(frozen=True, slots=True)
class SevenZipMember:
    """A file of a 7z archive. It has no place of its own: a block of files is one stream."""

    path: str  # inside the archive
    size: int
    crc: int

    @property
    def name(self) -> str:
        """The file name without its suffix."""
        return PurePosixPath(self.path).stem


@dataclass(frozen=True)
class SevenZipListing:
    """What the archive's list of files says; no file was read."""

    members: tuple[SevenZipMember, ...]  # wanted and safe, in the order of `stream_7z`
    refused: tuple[Dropped, ...]  # wanted and not to be read, sorted by file name
    digest: str  # of `directory_digest` over the members


def list_7z(path: Path, wanted: Callable[[PurePosixPath], bool]) -> SevenZipListing:
    """The files whose path is wanted; what desktops add to archives is left out.

    Of several files with the same name the first is kept. Raises DatasetError for an archive that is absent,
    no 7z archive, or encrypted with another password than that of the environment.
    """
    kept: dict[str, SevenZipMember] = {}
    refused: list[Dropped] = []
    with open_7z(path) as (archive, _):
        for block in blocks(archive):
            dense = _too_dense(block)
            for file in block.files:
                inside = PurePosixPath(file.filename.replace("\\", "/"))
                if inside.parts[:1] == ("__MACOSX",) or not wanted(inside):
                    continue
                member = SevenZipMember(file.filename, file.uncompressed, file.crc32 or 0)
                reason, same = _why_not(file) or dense, False
                if reason is None and (first := kept.get(inside.name)):
                    same = (first.size, first.crc) == (member.size, member.crc)  # nothing is lost then
                    reason = twice(first.path, same=same)
                if reason is None:
                    kept[inside.name] = member
                else:
                    refused.append(Dropped(inside.stem, f"{path.name}: {reason}", damaged=not same))
    return SevenZipListing(
        members=tuple(kept.values()),
        refused=tuple(sorted(refused, key=lambda dropped: dropped.name)),
        digest=directory_digest((member.crc, member.size, name) for name, member in kept.items()),
    )


def stream_7z(path: Path, names: Sequence[str]) -> Iterator[tuple[str, bytes | DamagedError]]:
    """The files of these paths and what they hold, in the order of the archive, empty ones first.

    What cannot be unpacked comes as the error that says why, each file by name: where a block is damaged, all
    that follows in it is lost. Three files at most are in memory. A thread unpacks while the caller works; it
    ends with the generator. Raises DatasetError as `list_7z`.
    """
    found: Queue[tuple[str, bytes | DamagedError] | None] = Queue(maxsize=1)
    with open_7z(path) as (archive, file):
        thread = _Unpacking(archive, frozenset(names), found)
        thread.start()
        try:
            yield from iter(found.get, None)
        finally:
            file.stopped = True
            while thread.is_alive():
                with suppress(Empty):  # it may wait for room in the queue
                    found.get(timeout=0.01)
        if isinstance(thread.failure, MemoryError):
            raise DatasetError(f"{path}: too little memory to unpack it: end other programs and run again")
        if thread.failure:
            raise thread.failure


class _Unpacking(Thread):
    """The thread that unpacks; at the end it gives None."""

    def __init__(
        self,
        archive: SevenZipFile,
        names: Collection[str],
        found: "Queue[tuple[str, bytes | DamagedError] | None]",
    ) -> None:
        # As a daemon it keeps no interrupted process from ending.
        super().__init__(name="unpack 7z", daemon=True)
        self.failure: Exception | None = None
        self._archive, self._names, self._found = archive, names, found

    def run(self) -> None:
        """Unpack; what nobody foresaw is raised by the thread that takes."""
        try:
            _unpack(self._archive, self._names, self._found.put)
        except StoppedError:
            pass
        except Exception as error:
            self.failure = error
        finally:
            self._found.put(None)


def _unpack(archive: SevenZipFile, names: Collection[str], give: _Give) -> None:
    left = set(names)
    for block in blocks(archive):
        files = []
        for file in block.files:
            if file.filename in left:
                left.remove(file.filename)
                files.append(file)
        _unpack_block(archive, files, give)
    for name in sorted(left):
        give((name, DamagedError("the archive has changed since its files were listed: it is not there")))


def _unpack_block(archive: SevenZipFile, files: Sequence[ArchiveFile], give: _Give) -> None:
    if not files:
        return
    if not files[0].uncompressed:
        for file in files:
            give((file.filename, b""))
        return
    sinks = _Sinks(files, give)
    archive.reset()
    reason = "its checksum is wrong"
    try:
        extract(archive, files, sinks)
    except CrcError:
        pass
    except DATA_ERRORS as error:
        reason = str(error)
    for place, file in enumerate(sinks.waiting):
        if place == 1:
            reason = f"it follows {sinks.waiting[0].filename}, where the archive is damaged"
        give((file.filename, DamagedError(f"cannot be unpacked: {reason}")))


class _Sink(Py7zIO):
    """Takes a file and hands it on when it is whole, as the checksum says."""

    def __init__(self, file: ArchiveFile, give: _Give) -> None:
        self._file, self._give = file, give
        self._content = BytesIO()

    def write(self, data: bytes | bytearray) -> int:
        """Take a part."""
        self._content.write(data)
        if self.size() == self._file.uncompressed:
            content = self._content.getvalue()
            if isal_zlib.crc32(content) == self._file.crc32:
                self._content = BytesIO()
                self._give((self._file.filename, content))
        return len(data)

    def size(self) -> int:
        """How much there is."""
        return self._content.tell()

    def read(self, size: int | None = None) -> bytes:
        """Nothing: what is here goes on by itself."""
        return b""

    def seek(self, offset: int, whence: int = 0) -> int:
        """No other place than the end."""
        return self.size()

    def flush(self) -> None:
        """Nothing waits."""


class _Sinks(WriterFactory):
    """Makes the sinks of these files, in their order."""

    def __init__(self, files: Sequence[ArchiveFile], give: _Give) -> None:
        self.waiting = list(files)
        self._give = give

    def create(self, filename: str) -> Py7zIO:
        """The sink of the next file, in whatever way py7zr may have changed its path."""
        if not self.waiting:  # a second file of the same path
            return NullIO()  # type: ignore[no-untyped-call]

        def whole(item: tuple[str, bytes | DamagedError]) -> None:
            self.waiting.pop(0)
            self._give(item)

        return _Sink(self.waiting[0], whole)


def _too_dense(block: Block) -> str | None:
    size = sum(file.uncompressed for file in block.files)
    reason = too_dense(size, block.packed, ratio=LZMA_RATIO)
    return reason and f"the block of files that it is in: {reason}"


def _why_not(file: ArchiveFile) -> str | None:
    """Why a file is not to be read, alone by what the list says of it."""
    if reason := unsafe_path(file.filename) or too_large(file.uncompressed):
        return reason
    if not file.is_file:
        return "it is a link or the like, no file"
    if file.uncompressed and file.crc32 is None:
        return "it has no checksum: unpack the archive and pack it again"
    return None
