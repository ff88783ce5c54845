"""Leaks: the same recording under two names, one of which trains while the other tests."""

from collections.abc import Iterable

import pandas as pd

Groups = tuple[tuple[str, ...], ...]


def find_leaks(clips: pd.DataFrame, protocols: Iterable[str]) -> dict[str, Groups]:
    """For each protocol, the names that share one content and stand on both sides of it.

    The columns needed are name, content_sha256, persons and the protocols. Clips that show nobody are all
    alike and leak nothing; clips that a protocol leaves unused are not named.
    """
    alike = clips[(clips["persons"] > 0) & clips["content_sha256"].duplicated(keep=False)]
    return {protocol: _groups(alike[alike[protocol] != "unused"], protocol) for protocol in protocols}


def _groups(clips: pd.DataFrame, protocol: str) -> Groups:
    groups = clips.groupby("content_sha256", sort=False)
    return tuple(tuple(group["name"]) for _, group in groups if group[protocol].nunique() > 1)
