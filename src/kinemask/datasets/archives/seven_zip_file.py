"""A 7z archive, open for listing and unpacking by py7zr, whose reading and errors it tames.

Import it where it is used: py7zr takes a while to load, and nobody else needs it.
"""

import lzma
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path

from py7zr import SevenZipFile
from py7zr.exceptions import ArchiveError, PasswordRequired
from py7zr.io import NullIOFactory, WriterFactory
from py7zr.properties import CompressionMethod as Method
from py7zr.py7zr import ArchiveFile

from kinemask.datasets.archives.member_rules import (
    PASSWORD_VARIABLE,
    no_password,
    not_readable,
    not_whole,
    password,
)
from kinemask.datasets.reader import DatasetError

# What py7zr raises for data that are damaged, or packed in a way it does not know.
DATA_ERRORS = (
    ArchiveError,
    PasswordRequired,
    lzma.LZMAError,
    zlib.error,
    EOFError,
    OSError,
    ValueError,
)
# A list of files that is damaged, or decrypted with a wrong password, may be read as anything.
_LIST_ERRORS = (
    *DATA_ERRORS,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    TypeError,
    struct.error,
)
# What 7-Zip writes, but for PPMd: the library for that one does not survive damaged data, the process dies.
_METHODS = frozenset(
    {
        Method.COPY,
        Method.LZMA,
        Method.LZMA2,
        Method.MISC_DEFLATE,
        Method.MISC_BZIP2,
        Method.CRYPT_AES256_SHA256,
    }
    | {Method.DELTA, Method.BCJ, Method.P7Z_BCJ, Method.BCJ_PPC, Method.BCJ_IA64, Method.BCJ_ARM}
    | {Method.BCJ_ARMT, Method.BCJ_SPARC, Method.PPC, Method.IA64, Method.ARM, Method.ARMT, Method.SPARC}
)
_NAMES = {Method.PPMD: "PPMd", Method.MISC_ZSTD: "Zstandard", Method.MISC_BROTLI: "Brotli"}
_READ_BYTES = 1 << 15  # a multiple of 16, the block of the encryption


class StoppedError(Exception):
    """Nobody wants the rest of the archive."""


class ArchiveIO(FileIO):
    """The archive's file.

    For each file that it unpacks, py7zr reads a block, whether there is need of one or not, and keeps it:
    its blocks of a megabyte add up to the whole archive in memory, so that smaller ones are given.
    """

    in_small_blocks = False
    stopped = False

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.path = path

    def read(self, size: int | None = -1, /) -> bytes:
        """At most a small block, if told so."""
        if self.stopped:
            raise StoppedError
        if self.in_small_blocks and size is not None:
            size = min(size, _READ_BYTES)
        try:
            return super().read(-1 if size is None else size) or b""
        except OSError as error:  # not to be taken for that of an unpacker, which means damaged data
            raise DatasetError(not_readable(self.path, error)) from error


@dataclass
class Block:
    """Files that are one stream: what follows a damaged one is lost."""

    files: list[ArchiveFile] = field(default_factory=list)
    packed: int = 0


@contextmanager
def open_7z(path: Path) -> Iterator[tuple[SevenZipFile, ArchiveIO]]:
    """The archive, its list read and its password tried. Raises DatasetError if it cannot be used."""
    try:
        file = ArchiveIO(path)
    except FileNotFoundError:
        raise DatasetError(f"{path} is missing: run download") from None
    except OSError as error:
        raise DatasetError(not_readable(path, error)) from error
    with file:
        try:
            archive = SevenZipFile(file)
            locked = archive.needs_password()
        except PasswordRequired:  # the list of files is encrypted too
            locked = True
        except _LIST_ERRORS as error:
            raise DatasetError(not_whole(path, "7z", error)) from error
        if locked:
            archive = _unlocked(path, file)
        else:
            _check_methods(path, archive)
        file.in_small_blocks = True
        yield archive, file


def _unlocked(path: Path, file: ArchiveIO) -> SevenZipFile:
    word = password()
    if word is None:
        raise DatasetError(no_password(path))
    file.seek(0)
    try:
        archive = SevenZipFile(file, password=word)
        _check_methods(path, archive)
        _, *filled = blocks(archive)
        if filled:
            extract(archive, filled[0].files[:1], NullIOFactory())  # type: ignore[no-untyped-call]
    except _LIST_ERRORS as error:
        raise DatasetError(
            f"{path} cannot be unpacked: the password in the variable {PASSWORD_VARIABLE} is wrong, or the "
            f"archive is damaged at its start"
        ) from error
    return archive


def _check_methods(path: Path, archive: SevenZipFile) -> None:
    used = {coder["method"] for file in archive.files if file.folder for coder in file.folder.coders}
    if other := sorted(_NAMES.get(method, method.hex()) for method in used - _METHODS):
        raise DatasetError(
            f"{path} is packed with {', '.join(other)}, which is not read here: unpack it and pack it again "
            f"with LZMA2"
        )


def blocks(archive: SevenZipFile) -> list[Block]:
    """The files that are empty, then those of each stream, in the order of the archive."""
    empty = Block()
    streams: dict[int, Block] = {}
    for file in archive.files:
        if not file.is_directory:
            stream = streams.setdefault(id(file.folder), Block())
            stream.packed += file.compressed or 0  # the first file of a stream has the number for all
            (stream if file.uncompressed else empty).files.append(file)
    return [empty, *(stream for stream in streams.values() if stream.files)]


def extract(archive: SevenZipFile, files: Sequence[ArchiveFile], sinks: WriterFactory) -> None:
    """Unpack into the sinks.

    py7zr insists on paths that are fit for a disk, though the sinks have none; those of the working directory
    would depend on its links. Below the null device nothing could be written.
    """
    archive.extract(Path(os.devnull), [file.filename for file in files], factory=sinks)
