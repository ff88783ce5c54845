"""The recordings of zip archives, one member each."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path, PurePosixPath

from kinemask.datasets.archives.zip_members import ZipMember, list_zip, read_member
from kinemask.datasets.reader import DamagedError, Reading
from kinemask.skeleton.clip import Clip
from kinemask.skeleton.packed import Dropped

Parse = Callable[[str, bytes], Clip]


def open_zip(
    paths: Path | Sequence[Path], wanted: Callable[[PurePosixPath], bool], parse: Parse, *, one_in: int = 1
) -> Reading:
    """What `parse` makes of each wanted member: its name without suffix, and its bytes.

    A member that is unsafe, cannot be unpacked, or for which `parse` raises DamagedError, is dropped.
    """
    listing = list_zip(paths, wanted)
    return reading_of(listing.members, parse, left_out=listing.refused, one_in=one_in)


def reading_of(
    members: Sequence[ZipMember],
    parse: Parse,
    *,
    left_out: Sequence[Dropped] = (),
    missing: tuple[str, ...] = (),
    one_in: int = 1,
) -> Reading:
    """What `parse` makes of these members, or of every n-th by name, damaged ones counted in.

    So that the damaged ones are no larger a share of a slice than of the whole. What is left out by rule is
    no part of what is sliced, and stays.
    """
    damaged = {one.name for one in left_out if one.damaged}
    chosen = set(sorted({member.name for member in members} | damaged)[::one_in])
    read = [member for member in members if member.name in chosen]
    return Reading(
        num_recordings=len(read),
        num_clips=len(read),
        recordings=lambda start: iter(read[start:]),
        read=partial(_read, parse=parse),
        left_out=tuple(one for one in left_out if not one.damaged or one.name in chosen),
        missing=missing,
    )


def _read(member: ZipMember, *, parse: Parse) -> tuple[Clip | Dropped]:
    try:
        return (parse(member.name, read_member(member)),)
    except DamagedError as error:
        return (Dropped(member.name, str(error)),)
