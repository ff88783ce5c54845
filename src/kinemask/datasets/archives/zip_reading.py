"""The recordings of zip archives, one member each."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path, PurePosixPath

from kinemask.datasets.archives.zip_members import ZipMember, list_zip, read_member
from kinemask.datasets.reader import DamagedError, Reading
from kinemask.skeleton.clip import Clip
from kinemask.skeleton.packed import Dropped


def open_zip(
    paths: Path | Sequence[Path],
    wanted: Callable[[PurePosixPath], bool],
    parse: Callable[[str, bytes], Clip],
    *,
    one_in: int = 1,
) -> Reading:
    """What `parse` makes of each wanted member: its name without suffix, and its bytes.

    A member that is unsafe, cannot be unpacked, or for which `parse` raises DamagedError, is dropped.
    """
    listing = list_zip(paths, wanted)
    members = listing.members[::one_in]
    return Reading(
        num_recordings=len(members),
        num_clips=len(members),
        recordings=lambda start: iter(members[start:]),
        read=partial(_read, parse=parse),
        left_out=listing.refused,
    )


def _read(member: ZipMember, *, parse: Callable[[str, bytes], Clip]) -> tuple[Clip | Dropped]:
    try:
        return (parse(member.name, read_member(member)),)
    except DamagedError as error:
        return (Dropped(member.name, str(error)),)
