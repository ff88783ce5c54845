"""Which members of an archive are safe to read, by its list of members: the same for zip and 7z."""

import hashlib
import os
import re
from collections.abc import Iterable
from pathlib import Path

PASSWORD_VARIABLE = "KINEMASK_ARCHIVE_PASSWORD"

# A recording has a few MB, the longest of PKU-MMD ten. A reader takes as much memory as the member is large.
_LARGEST_BYTES = 512 << 20
# A smaller member, or block of members, can do no harm; tables of zeros shrink a thousandfold.
_HARMLESS_BYTES = 1 << 20
# How many times as large unpacked as packed. Coordinates as text grow three- to eightfold; measured on one
# frame of text that stands there a thousand times, deflate comes to 160-fold, LZMA to 1400-fold.
DEFLATE_RATIO = 500
LZMA_RATIO = 4000
_DRIVE = re.compile(r"[A-Za-z]:")


def password() -> str | None:
    """The password of encrypted archives, if there is one."""
    return os.environ.get(PASSWORD_VARIABLE) or None


def unsafe_path(path: str) -> str | None:
    """Why the path of a member is refused; None if it is safe. Nothing is written to it in any case."""
    if not path.isprintable():
        return f"its path {path!a} holds a character that cannot be printed: an unsafe archive"
    if "\\" in path:
        return f"its path {path} has a backslash, which names folders in Windows only: an unsafe archive"
    if path.startswith("/") or _DRIVE.match(path):
        return f"its path {path} is absolute: an unsafe archive"
    if ".." in path.split("/"):
        return f"its path {path} leads out of the archive: an unsafe archive"
    return None


def too_large(size: int) -> str | None:
    """Why a member of this size is refused; None if it is not."""
    if size > _LARGEST_BYTES:
        return f"it would be {size} bytes unpacked; more than {_LARGEST_BYTES >> 20} MiB is no recording"
    return None


def too_dense(size: int, packed: int, *, ratio: int) -> str | None:
    """Why a member, or block of members, that grows so much is refused; None if it is not."""
    if size > _HARMLESS_BYTES and size > ratio * packed:
        return (
            f"it would grow from {packed} to {size} bytes; more than {ratio}-fold is no recording but a trap"
        )
    return None


def not_whole(path: Path, kind: str, error: Exception | str) -> str:
    """What to say of an archive that is damaged: it may be the only copy of what was asked for by letter."""
    return (
        f"{path} is not a whole {kind} archive ({error}): copy it again from where you got it; if download "
        f"got it, run download again"
    )


def not_readable(path: Path, error: OSError) -> str:
    """What to say of an archive that the system does not give; there is no need of another copy."""
    if isinstance(error, PermissionError):
        cure = "give this user the right to read it"
    else:
        cure = "put it back" if isinstance(error, FileNotFoundError) else "look at the disk"
    return f"{path} cannot be read ({error.strerror or error}): {cure} and run again"


def no_password(path: Path | str) -> str:
    """What to say of an encrypted archive where no password is given."""
    return f"{path} is encrypted: put the password into the variable {PASSWORD_VARIABLE} and run again"


def twice(first: str, *, same: bool) -> str:
    """What to say of a member whose file name another one has."""
    content = "the same content" if same else "other content"
    return f"the name is there twice, with {content}; kept is the first, {first}"


def directory_digest(files: Iterable[tuple[int, int, str]]) -> str:
    """The sha256 over the sorted lines `<crc32 in hex> <size> <file name>` of the members.

    It does not depend on how they are packed, and takes no reading of them.
    """
    lines = sorted(f"{crc:08x} {size} {name}\n" for crc, size, name in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()
