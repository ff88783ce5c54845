"""Which members of NTU's archives are read, which are left out, and which are missing: all by their names."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from kinemask.datasets.archives.zip_members import ZipListing, ZipMember
from kinemask.datasets.ntu.names import NAME, SECOND_HALF, names, parse_name, why_outside
from kinemask.skeleton.packed import Dropped

LISTED = "on the official list of missing skeletons"

_NAMED = 20


@dataclass(frozen=True)
class Survey:
    """What the names of an archive say."""

    members: tuple[ZipMember, ...]  # to be read, in order of their names
    left_out: tuple[Dropped, ...]
    missing: tuple[str, ...]  # of the data set, neither in the archive nor on the official list


def survey(listing: ZipListing, setups: range, listed: Collection[str]) -> Survey:
    """Sort out the members of an archive that should hold the recordings of these setups.

    `listed` are the recordings whose skeletons are missing or incomplete, by the official list. Recordings of
    the other half of NTU RGB+D 120, as a merged archive has them, are left out under one entry.
    """
    whole = set(names(setups))
    other = set() if SECOND_HALF[-1] in setups else set(names(SECOND_HALF))
    read, left_out, num_other = [], [], 0
    for member in listing.members:
        if member.name in listed:
            left_out.append(Dropped(member.name, LISTED, damaged=False))
        elif member.name in whole:
            read.append(member)
        elif member.name in other:
            num_other += 1
        else:
            left_out.append(Dropped(member.name, _why(member.name, setups), damaged=False))
    # What is damaged counts only where it would have been read.
    counted = whole - set(listed)
    refused = [replace(one, damaged=one.damaged and one.name in counted) for one in listing.refused]
    if num_other:
        what = f"{num_other:,} recordings of the setups {SECOND_HALF[0]} to {SECOND_HALF[-1]}"
        left_out.append(Dropped(what, "they are of NTU RGB+D 120 alone", damaged=False))
    present = {member.name for member in listing.members} | {one.name for one in refused}
    return Survey(tuple(read), (*_few(refused), *left_out), tuple(sorted(counted - present)))


def _few(refused: Sequence[Dropped]) -> list[Dropped]:
    """The damaged ones; of the others, such as copies from a second archive, the first and how many."""
    harmless = [one for one in refused if not one.damaged]
    more = len(harmless) - _NAMED
    rest = [Dropped(f"{more:,} more", harmless[-1].reason, damaged=False)] if more > 0 else []
    return [one for one in refused if one.damaged] + harmless[:_NAMED] + rest


def _why(name: str, setups: range) -> str:
    said = parse_name(name)
    return "the name is not SsssCcccPpppRrrrAaaa" if said is None else why_outside(said, setups)


def table_of(found: Sequence[str]) -> pd.DataFrame:
    """What the rules of the protocols look at, for recordings known by name only."""
    numbers = pd.Series(found, dtype="str").str.extract(NAME).astype("int64")
    numbers.columns = ["setup", "camera", "subject", "replication", "label"]
    return numbers.assign(label=numbers["label"] - 1)


def missing_lines(found: Survey) -> tuple[str, ...]:
    """The missing recordings for people: whole setups in one line each, then the first names and how many."""
    seen = {_setup(member.name) for member in found.members}
    of_setup = Counter(_setup(name) for name in found.missing)
    absent = sorted(of_setup.keys() - seen)
    lines = [f"setup {setup}: all {of_setup[setup]:,} recordings are missing" for setup in absent]
    rest = [name for name in found.missing if _setup(name) in seen]
    if rest:
        more = f" and {len(rest) - _NAMED:,} more" if len(rest) > _NAMED else ""
        lines.append(f"{len(rest):,} recording(s) are missing: {', '.join(rest[:_NAMED])}{more}")
    return tuple(lines)


def _setup(name: str) -> int:
    return int(name[1:4])
