"""What the name of a `.skeleton` file says, SsssCcccPpppRrrrAaaa: in NTU, and in simulated recordings."""

import re
from dataclasses import dataclass

NAME = re.compile(r"S(\d{3})C(\d{3})P(\d{3})R(\d{3})A(\d{3})")


@dataclass(frozen=True)
class SkeletonName:
    """What a name says."""

    setup: int
    camera: int
    performer: int
    replication: int
    action: int


def parse_name(name: str) -> SkeletonName | None:
    """The numbers in a name; None if it is no such name."""
    found = NAME.fullmatch(name)
    return None if found is None else SkeletonName(*map(int, found.groups()))
