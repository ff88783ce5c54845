"""Which files a user's folder holds, also behind links to folders; names have one spelling of accents."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from kinemask.datasets.archives.member_rules import not_readable
from kinemask.datasets.own.labels import SUFFIXES, composed
from kinemask.datasets.reader import DatasetError


@dataclass(frozen=True)
class Files:
    """The recordings of a folder by their names below it, sorted, and the folders that could not be read."""

    paths: dict[str, Path]
    closed: dict[str, str]  # name of a folder -> what to say of it

    def require_open(self, names: list[str]) -> None:
        """Raise DatasetError if one of these files is in a folder that could not be read."""
        for folder, said in self.closed.items():
            if any(PurePosixPath(name).is_relative_to(folder) for name in names):
                raise DatasetError(said)


def files_below(folder: Path) -> Files:
    """Look through a folder and those below it. Hidden files, and hidden folders, are passed over.

    Raises DatasetError if two names differ only in how Unicode spells them.
    """
    closed: dict[str, str] = {}
    paths: dict[str, Path] = {}
    for path in _walk(folder, (), closed, folder):
        name = composed(path.relative_to(folder).as_posix())
        if name in paths:
            raise DatasetError(f"{path}: another file has this name in another spelling: rename one")
        paths[name] = path
    return Files(dict(sorted(paths.items())), closed)


def _walk(folder: Path, above: tuple[Path, ...], closed: dict[str, str], top: Path) -> Iterator[Path]:
    try:
        above = (*above, folder.resolve())
        with os.scandir(folder) as entries:
            found = [(entry.is_dir(), entry.is_file(), Path(entry.path)) for entry in entries]
    except OSError as error:
        closed[composed(folder.relative_to(top).as_posix())] = not_readable(folder, error)
        return
    for is_folder, is_file, path in sorted(found):
        if path.name.startswith("."):
            continue
        if is_file and path.suffix.lower() in SUFFIXES:
            yield path
        # A link back to where we come from has no end.
        elif is_folder and not any(one.is_relative_to(path.resolve()) for one in above):
            yield from _walk(path, above, closed, top)
