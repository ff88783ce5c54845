"""What can be said of NTU's archives in seconds: by the names of their members, and a sample that is read."""

from collections.abc import Callable, Sequence
from typing import Literal

from kinemask.datasets.archives.fetch import RefusedError, local_files
from kinemask.datasets.archives.gated import absence, locate
from kinemask.datasets.ntu.sets import NtuSet, official_names
from kinemask.datasets.ntu.survey import LISTED, Survey, list_recordings, missing_lines, survey, table_of
from kinemask.datasets.reader import DatasetError, Reading, Verdict
from kinemask.datasets.spot_check import spot_check, spread
from kinemask.errors import few

_NAMED = 20


def verdict(facts: NtuSet, name: str, mirrors: Sequence[str], open_: Callable[[Survey], Reading]) -> Verdict:
    """What the archives of the mirrors hold, by the names of their members and a sample of them read."""
    located = locate(facts.gated, name, mirrors)
    where = tuple(f"{path}, {_size(path.stat().st_size)}" for _, path in located.distinct)
    if located.absent:
        problem = absence(facts.gated, name, located.absent, mirrors)
        return Verdict("partial" if where else "absent", where, (problem,))
    try:
        listing = list_recordings(name, [path for _, path in located.distinct])
    except DatasetError as error:
        return Verdict("unusable", where, (str(error),))
    listed, about_list = _local_list(facts, mirrors)
    found = survey(listing, facts.setups, listed)
    reading = open_(found)
    try:
        spots = spot_check(spread(found.members), reading.read)
    except DatasetError as error:  # such as a wrong password
        return Verdict("unusable", where, (str(error),))
    damaged = [one for one in found.left_out if one.damaged]
    problems = (
        *missing_lines(found),
        *few([f"{one.name} is refused: {one.reason}" for one in damaged], _NAMED),
        *spots.problems(),
    )
    lines = (
        *where,
        f"{len(found.members):,} recordings to read; {about_list}",
        *_left_out(found),
        *_counts(facts, found, with_list=bool(listed)),
        *spots.facts(reading.num_recordings),
    )
    unreadable = spots.num_read == len(spots.damaged)
    state: Literal["whole", "partial", "unusable"] = "partial" if problems else "whole"
    files = tuple(path for _, path in located.distinct)
    return Verdict("unusable" if unreadable else state, lines, problems, files)


def _size(num_bytes: int) -> str:
    return f"{num_bytes / 2**30:.1f} GiB" if num_bytes >= 2**30 else f"{num_bytes / 2**20:.1f} MiB"


def _local_list(facts: NtuSet, mirrors: Sequence[str]) -> tuple[frozenset[str], str]:
    """The official list in a folder of the mirrors, or nothing; and what to say of it."""
    for path in local_files(facts.listed, mirrors):
        try:
            listed = official_names(path, facts)
        except RefusedError:
            continue
        return listed, f"the {len(listed)} of the official list of missing skeletons are left out ({path})"
    return (
        frozenset(),
        f"the official list of missing skeletons is not here, download gets {facts.listed.url}",
    )


def _left_out(found: Survey) -> tuple[str, ...]:
    """What is left out by rule, without the official list, which has its own line."""
    others = (one for one in found.left_out if not one.damaged and one.reason != LISTED)
    return tuple(few([f"left out: {one.name} ({one.reason})" for one in others], _NAMED))


def _counts(facts: NtuSet, found: Survey, *, with_list: bool) -> tuple[str, ...]:
    table = table_of([member.name for member in found.members])
    counted = {protocol: rule(table) for protocol, rule in facts.rules.items()}
    known = facts.expected.parts
    return tuple(
        f"{protocol}: {(part == 'train').sum():,} to train on, {(part == 'test').sum():,} to test on"
        + (f" (whole: {known[protocol][0]:,} and {known[protocol][1]:,})" if with_list else "")
        for protocol, part in counted.items()
    )
