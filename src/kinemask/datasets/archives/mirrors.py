"""Mirrors: the folders and URLs in which archives are looked for, before anybody is asked for them."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from kinemask.datasets.reader import DatasetError
from kinemask.section import Section

MIRROR_VARIABLE = "KINEMASK_MIRROR"


class DownloadConfig(Section):
    """Folders or URLs that hold the archives, tried in order; they change no result."""

    mirrors: tuple[str, ...]


def mirrors_in_order(mirrors: Sequence[str]) -> tuple[str, ...]:
    """The mirrors of params.yaml, after the one that the environment variable names."""
    first = os.environ.get(MIRROR_VARIABLE)
    return (*([first] if first else []), *mirrors)


def is_url(place: str) -> bool:
    """Whether a mirror, or a place in it, is on the network."""
    return urlsplit(place).scheme in ("http", "https")


def local_path(place: str) -> Path:
    """The path of a mirror, or of a place in it, that is a folder or a file address.

    Raises DatasetError for a ~ that this machine has no home for.
    """
    address = urlsplit(place)
    path = Path(url2pathname(address.path) if address.scheme == "file" else place)
    try:
        return path.expanduser()
    except RuntimeError:
        raise DatasetError(
            f"{place}: this machine knows no home of {path.parts[0]}: write the path from /, in "
            f"{MIRROR_VARIABLE} or in download.mirrors of params.yaml"
        ) from None


def named(mirror: str) -> str:
    """A mirror for the user's eyes: its path, and what is there if that is no folder."""
    if is_url(mirror):
        return mirror
    path = local_path(mirror)
    return str(path) if path.is_dir() else f"{path} ({_instead(path)})"


def misnamed(mirrors: Sequence[str]) -> Iterator[str]:
    """What to do about mirrors that cannot be meant, a line each: files, and what is nowhere.

    A folder that params.yaml names may be nowhere: it is for who has archives to make it.
    """
    first = os.environ.get(MIRROR_VARIABLE)
    for mirror in mirrors:
        path = Path() if is_url(mirror) else local_path(mirror)
        if path.is_dir() or (mirror != first and not path.exists()):
            continue
        where = MIRROR_VARIABLE if mirror == first else "download.mirrors of params.yaml"
        cure = f", which is {path.absolute().parent} for this file" if path.exists() else ""
        yield f"{where} names {named(mirror)}: name the folder that holds the archives{cure}"


def _instead(path: Path) -> str:
    return "a file, no folder" if path.exists() else "no such folder"
