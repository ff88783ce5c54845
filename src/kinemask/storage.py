"""Files and folders that appear whole or not at all, and one line when a disk does not take them."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kinemask.errors import KinemaskError

_FULL = "free some space and run again"
_CLOSED = "make the folder writable, or run as somebody who may write there"
_IN_THE_WAY = "a file stands where a folder should be: move it away"
_CURES = {
    errno.ENOSPC: _FULL, errno.EDQUOT: _FULL, errno.EFBIG: _FULL,
    errno.EACCES: _CLOSED, errno.EPERM: _CLOSED, errno.EROFS: _CLOSED,
    errno.ENOTDIR: _IN_THE_WAY, errno.EEXIST: _IN_THE_WAY,
}  # fmt: skip


class StorageError(KinemaskError):
    """Something could not be written or read whole: the message names the place, the cause and the cure."""


@contextmanager
def writing(place: Path) -> Iterator[None]:
    """Turn an OSError of the block into a StorageError that names `place`. Wrap writes only, never reads."""
    try:
        yield
    except OSError as error:
        cure = _CURES.get(error.errno or 0, "look at the disk and run again")
        raise StorageError(f"cannot write {place}: {error.strerror or error}; {cure}") from error


def partial_folder(folder: Path) -> Path:
    """Where `folder` is filled before it is placed."""
    return folder.with_name(f".{folder.name}.partial")


def start_folder(folder: Path) -> Path:
    """An empty folder beside `folder`, to be filled and placed. What an interrupted run left is removed."""
    partial = partial_folder(folder)
    with writing(folder):
        if partial.exists():
            shutil.rmtree(partial)
        partial.mkdir(parents=True)
    return partial


def place_folder(partial: Path, folder: Path) -> None:
    """Give the filled `partial` its name `folder`, in place of what had that name."""
    old = folder.with_name(f".{folder.name}.old")
    with writing(folder):
        if old.exists():
            shutil.rmtree(old)
        if folder.exists():
            folder.rename(old)
        try:
            partial.rename(folder)
        except OSError:
            if old.exists():
                old.rename(folder)
            raise
        if old.exists():
            shutil.rmtree(old)


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """An empty folder to fill: it becomes `folder` when the block ends well and vanishes when it does not."""
    partial = start_folder(folder)
    try:
        yield partial
        place_folder(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, even if the machine stops: flushed to the disk, then put in place.

    Raises OSError, and leaves what was there.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all, with the folders above it. Raises StorageError."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text.encode())
