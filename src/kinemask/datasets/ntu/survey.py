"""Which members of NTU's archives are read, which are left out, and which are missing: all by their names."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from kinemask.datasets.archives.zip_members import ZipListing, ZipMember, list_zip
from kinemask.datasets.kinect.skeleton_name import NAME, parse_name
from kinemask.datasets.kinect.skeleton_zip import is_skeleton
from kinemask.datasets.ntu.names import SECOND_HALF, names, why_outside
from kinemask.datasets.reader import DatasetError
from kinemask.errors import few
from kinemask.skeleton.packed import Dropped

LISTED = "on the official list of missing skeletons"

_NAMED = 20


@dataclass(frozen=True)
class Survey:
    """What the names of an archive say."""

    members: tuple[ZipMember, ...]  # to be read, in order of their names
    left_out: tuple[Dropped, ...]
    missing: tuple[str, ...]  # of the data set, neither in the archive nor on the official list


def list_recordings(name: str, paths: Sequence[Path]) -> ZipListing:
    """The recordings that the archives hold. Raises DatasetError if none can be read."""
    listing = list_zip(paths, is_skeleton)
    if not listing.members:
        places = ", ".join(map(str, paths))
        first = listing.refused[0] if listing.refused else None
        why = f"{first.name}, and all others: {first.reason}" if first else "it holds no .skeleton file"
        raise DatasetError(f"{name}: no recording can be read from {places} ({why})")
    return listing


def survey(listing: ZipListing, setups: range, listed: Collection[str]) -> Survey:
    """Sort out the members of an archive that should hold the recordings of these setups.

    `listed` are the recordings whose skeletons are missing or incomplete, by the official list. Every member
    that is not read is named, but for two kinds that may be as many as the data set has, which are told by
    setup: recordings of the other half of NTU RGB+D 120, as a merged archive has them, and the second copies
    of recordings that are read.
    """
    whole = set(names(setups))
    other = set() if SECOND_HALF[-1] in setups else set(names(SECOND_HALF))
    read, left_out = [], []
    others: Counter[str] = Counter()
    for member in listing.members:
        if member.name in listed:
            left_out.append(Dropped(member.name, LISTED, damaged=False))
        elif member.name in whole:
            read.append(member)
        elif member.name in other:
            others[member.name[:4]] += 1
        else:
            left_out.append(Dropped(member.name, _why(member.name, setups), damaged=False))
    counted = whole - set(listed)
    left_out = [
        *_refused(listing, counted),
        *left_out,
        *_by_setup(others, "recording(s) of a setup of NTU RGB+D 120 alone"),
    ]
    present = {member.name for member in listing.members} | {one.name for one in listing.refused}
    return Survey(tuple(read), tuple(left_out), tuple(sorted(counted - present)))


def _refused(listing: ZipListing, counted: Collection[str]) -> list[Dropped]:
    """What the listing refused; it counts as damaged only where it would have been read."""
    refused = []
    copies: Counter[str] = Counter()
    for one in listing.refused:
        if one.damaged or parse_name(one.name) is None:
            refused.append(replace(one, damaged=one.damaged and one.name in counted))
        else:
            copies[one.name[:4]] += 1
    return [*refused, *_by_setup(copies, "second copies with the same content, of which nothing is lost")]


def _by_setup(nums: Counter[str], what: str) -> list[Dropped]:
    return [Dropped(setup, f"{num:,} {what}", damaged=False) for setup, num in sorted(nums.items())]


def _why(name: str, setups: range) -> str:
    said = parse_name(name)
    return "the name is not SsssCcccPpppRrrrAaaa" if said is None else why_outside(said, setups)


def table_of(found: Sequence[str]) -> pd.DataFrame:
    """What the rules of the protocols look at, for recordings known by name only."""
    numbers = pd.Series(found, dtype="str").str.extract(NAME).astype("int64")
    numbers.columns = ["setup", "camera", "subject", "replication", "label"]
    return numbers.assign(label=numbers["label"] - 1)


def missing_lines(found: Survey) -> tuple[str, ...]:
    """The missing recordings: whole setups in one line each, then the first names and how many."""
    seen = {_setup(member.name) for member in found.members}
    of_setup = Counter(_setup(name) for name in found.missing)
    absent = sorted(of_setup.keys() - seen)
    lines = [f"setup {setup}: all {of_setup[setup]:,} recordings are missing" for setup in absent]
    rest = [name for name in found.missing if _setup(name) in seen]
    if rest:
        lines.append(f"{len(rest):,} recording(s) are missing: {', '.join(few(rest, _NAMED))}")
    return tuple(lines)


def _setup(name: str) -> int:
    return int(name[1:4])
