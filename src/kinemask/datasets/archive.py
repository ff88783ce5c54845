"""Reading zip archives: which members count, what they hold, and a digest that repacking does not change."""

import hashlib
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import numpy as np
from einops import rearrange
from jaxtyping import Float32

from kinemask.datasets.reader import FARTHEST_METRES, DamagedError, DatasetError, impossible_coordinate
from kinemask.skeleton.clip import Clip
from kinemask.skeleton.packed import Dropped

_CHUNK_BYTES = 1 << 20
# What zipfile raises for a member that is damaged, encrypted or packed in a way it does not know.
_MEMBER_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    OSError,
)


@contextmanager
def open_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """The archive, open. Raises DatasetError if it is absent or no zip."""
    try:
        archive = zipfile.ZipFile(path)
    except FileNotFoundError:
        raise DatasetError(f"{path} is missing: run download") from None
    except (zipfile.BadZipFile, OSError) as error:
        raise DatasetError(
            f"{path} is not a whole zip archive ({error}): remove it and run download again"
        ) from error
    with archive:
        yield archive


def members(archive: zipfile.ZipFile, wanted: Callable[[PurePosixPath], bool]) -> list[str]:
    """The members whose path is wanted, sorted by file name; what desktops add to archives is left out."""
    paths = [PurePosixPath(item.filename) for item in archive.infolist() if not item.is_dir()]
    found = [path for path in paths if path.parts[0] != "__MACOSX" and wanted(path)]
    return [str(path) for path in sorted(found, key=lambda path: path.name)]


def read_member(archive: zipfile.ZipFile, member: str) -> bytes:
    """The bytes of a member. Raises DamagedError if they cannot be unpacked."""
    try:
        return archive.read(member)
    except _MEMBER_ERRORS as error:
        raise DamagedError(f"cannot be unpacked: {error}") from error


def content_digest(archive: zipfile.ZipFile, names: Iterable[str]) -> str:
    """The sha256 over lines `<sha256 of file>  <file name>`, in the order of the names: that of `members`.

    It does not depend on how the files are packed. Raises DamagedError if a member cannot be unpacked.
    """
    total = hashlib.sha256()
    for name in names:
        one = hashlib.sha256()
        try:
            with archive.open(name) as file:
                while chunk := file.read(_CHUNK_BYTES):
                    one.update(chunk)
        except _MEMBER_ERRORS as error:
            raise DamagedError(f"{name} cannot be unpacked: {error}") from error
        total.update(f"{one.hexdigest()}  {PurePosixPath(name).name}\n".encode())
    return total.hexdigest()


def count_clips(path: Path, wanted: Callable[[PurePosixPath], bool], *, one_in: int = 1) -> int:
    """How many clips `read_clips` yields."""
    with open_archive(path) as archive:
        return len(members(archive, wanted)[::one_in])


def read_clips(
    path: Path,
    wanted: Callable[[PurePosixPath], bool],
    parse: Callable[[str, bytes], Clip],
    *,
    one_in: int = 1,
) -> Iterator[Clip | Dropped]:
    """What `parse` makes of each wanted member (its name without suffix, its bytes), in order of the names.

    A member that cannot be unpacked, or for which `parse` raises DamagedError, is yielded as dropped.
    """
    with open_archive(path) as archive:
        for member in members(archive, wanted)[::one_in]:
            name = PurePosixPath(member).stem
            try:
                yield parse(name, read_member(archive, member))
            except DamagedError as error:
                yield Dropped(name, str(error))


def frames_of(values: Float32[np.ndarray, " K"], num_joints: int) -> Float32[np.ndarray, "T V C"]:
    """Coordinates frame by frame, joint by joint, as an array. Raises DamagedError for impossible ones."""
    joints = rearrange(values, "(T V C) -> T V C", V=num_joints, C=3)
    possible = (np.abs(joints) <= FARTHEST_METRES).all(axis=(1, 2))  # NaN is not
    if not possible.all():
        raise DamagedError(impossible_coordinate(int(possible.argmin())))
    return joints
