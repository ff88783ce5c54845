"""Zip archives: which members count and are safe, what they hold, digests that repacking does not change."""

import hashlib
import lzma
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path, PurePosixPath
from weakref import finalize

from kinemask.datasets.archives.member_rules import (
    DEFLATE_RATIO,
    LZMA_RATIO,
    PASSWORD_VARIABLE,
    directory_digest,
    no_password,
    not_readable,
    not_whole,
    password,
    too_dense,
    too_large,
    twice,
    unsafe_path,
)
from kinemask.datasets.archives.zip_methods import UNPACK
from kinemask.datasets.reader import DamagedError, DatasetError
from kinemask.errors import first_of
from kinemask.skeleton.packed import Dropped

_ENCRYPTED, _STRONGLY, _UTF8 = 0x1, 0x40, 0x800  # flag bits
_AES = 99  # the method of members that are encrypted by AES
_LOCAL = struct.Struct("<4s5H3I2H")  # what stands before a member's name and data
_ENTRY = struct.Struct("<4s6H3I5H2I")  # one line of the list of members
_END = struct.Struct("<4s4H2IH")
_LOCAL_SIGNATURE = b"PK\x03\x04"
# zipfile unpacks what it decrypts, and bounds it for these two only.
_ENCRYPTABLE = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ARCHIVES = (".zip", ".7z", ".rar", ".tar", ".gz", ".tgz")
_EXTRA_BYTES = 64  # of the local header, read at once with the data; most have 0 to 36


@dataclass(frozen=True, slots=True)
class ZipMember:
    """A member of a zip archive: all that it takes to read it, without the archive's list of members."""

    archive: str
    path: str  # inside the archive
    offset: int  # of the local header
    compressed: int
    size: int
    crc: int
    method: int
    encrypted: bool

    @property
    def name(self) -> str:
        """The file name without its suffix."""
        return PurePosixPath(self.path).stem


@dataclass(frozen=True)
class ZipListing:
    """What the lists of members of one or several archives say; no member was read."""

    members: tuple[ZipMember, ...]  # wanted and safe, sorted by file name
    refused: tuple[Dropped, ...]  # wanted and not to be read, sorted by file name
    digest: str  # of `directory_digest` over the members


def list_zip(paths: Path | Sequence[Path], wanted: Callable[[PurePosixPath], bool]) -> ZipListing:
    """The members whose path is wanted; what desktops add to archives is left out.

    Of several members with the same file name the first is kept. Raises DatasetError for a file that is
    absent or no zip archive, that holds other archives instead, or is encrypted if there is no password.
    """
    kept: dict[str, ZipMember] = {}
    refused: list[Dropped] = []
    for path in [paths] if isinstance(paths, Path) else paths:
        directory, num_before = _directory(path), len(kept) + len(refused)
        for info in directory:
            inside = PurePosixPath(info.filename.replace("\\", "/"))
            if info.is_dir() or inside.parts[:1] == ("__MACOSX",) or not wanted(inside):
                continue
            reason, same = _why_not(info), False
            member = _member(path, info)
            if reason is None and (first := kept.get(inside.name)):
                same = _same(first, member)  # nothing is lost then
                reason = twice(f"{first.archive}: {first.path}", same=same)
            if reason is None:
                kept[inside.name] = member
            else:
                refused.append(Dropped(inside.stem, f"{path.name}: {reason}", damaged=not same))
        if len(kept) + len(refused) == num_before:
            _check_archives_within(path, directory)
    files = sorted(kept.items())
    locked = next((member for _, member in files if member.encrypted), None)
    if locked and password() is None:
        raise DatasetError(no_password(locked.archive))
    return ZipListing(
        members=tuple(member for _, member in files),
        refused=tuple(sorted(refused, key=lambda dropped: dropped.name)),
        digest=directory_digest((member.crc, member.size, name) for name, member in files),
    )


def read_member(member: ZipMember) -> bytes:
    """The bytes of a member: as many as the list said, with the checksum it said.

    Raises DamagedError for what is wrong with the data, and DatasetError for what can be mended without
    other data: an archive that is gone or cannot be read, a password that is wrong.
    """
    from isal import isal_zlib

    try:
        header, data = _packed(member)
    except OSError as error:
        raise DatasetError(not_readable(Path(member.archive), error)) from error
    except ValueError as error:
        raise DamagedError(f"cannot be unpacked: {error}") from error
    try:
        if member.encrypted:
            content = _decrypted(member, header, data)
        else:
            content = UNPACK[member.method](data, member.size)
    except (isal_zlib.error, lzma.LZMAError, EOFError, OSError, ValueError) as error:  # type: ignore[misc]
        raise DamagedError(f"cannot be unpacked: {error}") from error
    if len(content) != member.size or isal_zlib.crc32(content) != member.crc:
        raise DamagedError("cannot be unpacked: the checksum is not that of the archive's list of members")
    return content


def content_digest(members: Iterable[ZipMember]) -> str:
    """The sha256 over lines `<sha256 of file>  <file name>`, in the order of the members.

    It does not depend on how the files are packed. Raises DamagedError if a member cannot be unpacked.
    """
    total = hashlib.sha256()
    for member in members:
        try:
            one = hashlib.sha256(read_member(member)).hexdigest()
        except DamagedError as error:
            raise DamagedError(f"{member.path} {error}") from error
        total.update(f"{one}  {PurePosixPath(member.path).name}\n".encode())
    return total.hexdigest()


def _directory(path: Path) -> list[zipfile.ZipInfo]:
    try:
        with zipfile.ZipFile(path) as archive:
            directory = archive.infolist()
    except FileNotFoundError:
        raise DatasetError(f"{path} is missing: run download") from None
    except PermissionError as error:
        raise DatasetError(not_readable(path, error)) from error
    # A list of members that is damaged may raise any of these.
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError, struct.error) as error:
        raise DatasetError(not_whole(path, "zip", error)) from error
    # The list is at the end: it is found all the same, and leads to places before the first byte.
    if directory and (start := min(info.header_offset for info in directory)) < 0:
        raise DatasetError(not_whole(path, "zip", f"{-start} byte(s) are missing at its front"))
    return directory


def _check_archives_within(path: Path, directory: Sequence[zipfile.ZipInfo]) -> None:
    """Raise DatasetError if an archive that holds nothing wanted holds archives."""
    within = [ascii(info.filename) for info in directory if info.filename.lower().endswith(_ARCHIVES)]
    if within:
        raise DatasetError(
            f"{path} is an archive of archives ({first_of(within, 3)}): unpack it, put what it held into its "
            f"place, and run again"
        )


def _member(path: Path, info: zipfile.ZipInfo) -> ZipMember:
    return ZipMember(
        archive=str(path),
        path=info.orig_filename,
        offset=info.header_offset,
        compressed=info.compress_size,
        size=info.file_size,
        crc=info.CRC,
        method=info.compress_type,
        encrypted=bool(info.flag_bits & _ENCRYPTED),
    )


def _why_not(info: zipfile.ZipInfo) -> str | None:
    """Why a member is not to be read, alone by what the list says of it."""
    size, packed = info.file_size, info.compress_size
    ratio = DEFLATE_RATIO if info.compress_type <= zipfile.ZIP_DEFLATED else LZMA_RATIO
    if reason := unsafe_path(info.orig_filename) or too_large(size) or too_dense(size, packed, ratio=ratio):
        return reason
    # No method makes what it cannot shrink an eighth longer; the bytes are read at once, so they are bounded.
    if packed > size + size // 8 + 1024:
        return f"it has {packed} bytes packed and {size} unpacked: the list of members is damaged"
    encrypted, method = info.flag_bits & _ENCRYPTED, info.compress_type
    strongly = info.flag_bits & _STRONGLY or method == _AES
    if strongly or method not in UNPACK or (encrypted and method not in _ENCRYPTABLE):
        what = "is encrypted in a way" if strongly else f"is packed with method {method}"
        return f"it {what} that cannot be read here: unpack the archive and zip it again with deflate"
    return None


def _same(first: ZipMember, second: ZipMember) -> bool:
    return (first.size, first.crc) == (second.size, second.crc)


def _packed(member: ZipMember) -> tuple[bytes, memoryview]:
    """The local header of a member, and its data. Raises ValueError if something else stands there."""
    state = Path(member.archive).stat()
    file = _open(member.archive, state.st_dev, state.st_ino)
    about = _LOCAL.size + len(member.path.encode()) + _EXTRA_BYTES
    read = os.pread(file.descriptor, about + member.compressed, member.offset)
    if len(read) < _LOCAL.size:
        raise ValueError("the archive is cut")
    signature, _, flags, *_, name_length, extra_length = _LOCAL.unpack_from(read)
    start = _LOCAL.size + name_length + extra_length
    name = read[_LOCAL.size : _LOCAL.size + name_length]
    if signature != _LOCAL_SIGNATURE or member.path != name.decode(
        "utf-8" if flags & _UTF8 else "cp437", errors="replace"
    ):
        raise ValueError("the archive has changed since its members were listed, or is damaged here")
    data = memoryview(read)[start : start + member.compressed]
    if len(data) < member.compressed:
        data = memoryview(os.pread(file.descriptor, member.compressed, member.offset + start))
    if len(data) < member.compressed:
        raise ValueError("the archive is cut")
    return read[:start], data


class _OpenFile:
    """A file that is open as long as somebody holds this. Python's own warn if that is the whole process."""

    def __init__(self, path: str) -> None:
        self.descriptor = os.open(path, os.O_RDONLY)
        finalize(self, os.close, self.descriptor)


@lru_cache(maxsize=8)
def _open(archive: str, device: int, inode: int) -> _OpenFile:
    """The file, open for the life of the process; another one that takes its place is opened anew.

    Positions are given with each read, so that processes that share it after a fork do not meet.
    """
    return _OpenFile(archive)


def _decrypted(member: ZipMember, header: bytes, data: memoryview) -> bytes:
    """An encrypted member, by zipfile, which knows how: from an archive in memory that holds it alone."""
    _, _, flags, _, *times, _, _, _, name_length, _ = _LOCAL.unpack_from(header)
    name = header[_LOCAL.size : _LOCAL.size + name_length]
    sizes = (member.crc, member.compressed, member.size)
    entry = (
        _ENTRY.pack(b"PK\x01\x02", 20, 20, flags, member.method, *times, *sizes, len(name), *[0] * 6) + name
    )
    end = _END.pack(b"PK\x05\x06", 0, 0, 1, 1, len(entry), len(header) + len(data), 0)
    word = password()
    if word is None:
        raise DatasetError(no_password(member.archive))
    try:
        with zipfile.ZipFile(BytesIO(b"".join((header, data, entry, end)))) as alone:
            return alone.read(alone.infolist()[0], pwd=word.encode())
    except RuntimeError as error:
        raise DatasetError(
            f"{member.archive}: the password in the variable {PASSWORD_VARIABLE} is wrong, for {member.path}"
        ) from error
    # One wrong password in 256 gets as far as this.
    except (zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"the password in {PASSWORD_VARIABLE} is wrong, or the member damaged") from error
