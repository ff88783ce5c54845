"""Archives that only their owners give out: found in the user's folders and used in place, never copied."""

import hashlib
import logging
import os
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from kinemask.datasets.archives.fetch import SourceFile, read_source, write_source
from kinemask.datasets.archives.mirrors import MIRROR_VARIABLE, is_url, local_path, named
from kinemask.datasets.reader import DatasetError
from kinemask.storage import whole_folder, writing

_LOG = logging.getLogger(__name__)
_REMOTE = re.compile(r"""^\s*\[\s*'?remote\s+"([^"]+)"'?\s*]""", re.MULTILINE)  # ['remote "name"']


class AbsentError(DatasetError):
    """A gated file is in no folder: the message says where to ask, where to put it and how to go on."""


@dataclass(frozen=True)
class GatedFile:
    """One official file: its own name first, then other spellings under which people keep it."""

    names: tuple[str, ...]

    @property
    def name(self) -> str:
        """The official name, which is its name in data/raw/<dataset>."""
        return self.names[0]


@dataclass(frozen=True)
class Gated:
    """A data set behind a licence: what its files are, and who gives them."""

    title: str
    files: tuple[GatedFile, ...]
    ask: str  # who gives them and where to ask, for the user's eyes


@dataclass(frozen=True)
class Located:
    """Where the files of a data set lie, and which are nowhere. Two official files may be one file here."""

    paths: dict[str, Path] = field(default_factory=dict)  # official name -> resolved path
    absent: tuple[GatedFile, ...] = ()

    @property
    def distinct(self) -> tuple[tuple[str, Path], ...]:
        """Each path once, with the first official name it stands for."""
        return tuple({path: (name, path) for name, path in reversed(self.paths.items())}.values())[::-1]


@dataclass(frozen=True)
class Companion:
    """A small public file beside the archives, copied into data/raw/<dataset>."""

    name: str
    data: bytes
    digest: str  # of its content, however it is written
    origin: str


def locate(gated: Gated, name: str, mirrors: Sequence[str]) -> Located:
    """Look for the files in `<mirror>/<name>/` and `<mirror>/`, mirror by mirror; URLs are passed over.

    Raises DatasetError if two files that are never one are the same file here, such as by a link.
    """
    paths: dict[str, Path] = {}
    absent = []
    by_path: dict[Path, GatedFile] = {}
    for file in gated.files:
        found = next((place for place in _places(file, name, mirrors) if place.is_file()), None)
        if found is None:
            absent.append(file)
        else:
            path = paths[file.name] = found.resolve()
            other = by_path.setdefault(path, file)
            if other is not file and not set(other.names) & set(file.names):
                raise DatasetError(
                    f"{name}: {other.name} and {file.name} are one file here, {path}: they are two files of "
                    f"{gated.title}, put each into its place"
                )
    return Located(paths, tuple(absent))


def absence(gated: Gated, name: str, absent: Sequence[GatedFile], mirrors: Sequence[str]) -> str:
    """What to tell a user who has not got these files (yet): a few lines, each one step."""
    folders = _folders(mirrors)
    looked = ", ".join(named(mirror) for mirror in mirrors if not is_url(mirror))
    looked = looked or "no folder, as none is named"
    place = ([one for one in folders if not one.is_file()] or [Path("data/mirror")])[-1] / name
    files = [file.name for file in absent]
    one = len(files) == 1
    listed = files[0] if one else f"{len(files)} files"
    below = "" if one else "".join(f"\n    {file}" for file in files)
    return (
        f"{name} ({gated.title}) lacks {listed}; looked in {looked}.{below}\n"
        f"  1. Ask for {'it' if one else 'them'}, under the licence of the owners: {gated.ask}.\n"
        f"  2. Put {'it' if one else 'them'}, as given out, into {place}, or name the folder where "
        f"{'it is' if one else 'they are'} in {MIRROR_VARIABLE} or in download.mirrors of params.yaml.\n"
        f"  3. Run `kinemask data check {name}`, which takes seconds; then put benchmarks of it into "
        f"run.benchmarks of params.yaml, and run `dvc repro`."
    )


def fetch_gated(
    gated: Gated,
    name: str,
    folder: Path,
    mirrors: Sequence[str],
    *,
    digests: Callable[[Mapping[str, Path]], Mapping[str, str]],
    companion: Callable[[], Companion] | None = None,
) -> None:
    """Fill `folder` with a link to each archive, the companion and source.json, whole or not at all.

    `digests` says, from official names and paths, what the archives hold however they are packed, under any
    names, and raises DatasetError if one is no archive; `check_unchanged` compares it later. The companion is
    asked for after that. Links are to files, absolute: DVC follows those, so that a changed archive makes the
    graph stale. Raises AbsentError if a file is nowhere.
    """
    located = locate(gated, name, mirrors)
    if located.absent:
        raise AbsentError(absence(gated, name, located.absent, mirrors))
    found = dict(digests(dict(located.distinct)))
    extra = [] if companion is None else [companion()]
    found |= {one.name: one.digest for one in extra}
    _warn_of_remotes(name)
    with whole_folder(folder) as partial, writing(folder):
        files = []
        for file, path in located.distinct:
            (partial / file).symlink_to(path)
            files.append(SourceFile(name=file, bytes=path.stat().st_size, sha256=None, origin=str(path)))
        for one in extra:
            (partial / one.name).write_bytes(one.data)
            sha256 = hashlib.sha256(one.data).hexdigest()
            files.append(SourceFile(name=one.name, bytes=len(one.data), sha256=sha256, origin=one.origin))
        write_source(partial, content_sha256=content_of(found), files=files)


def open_gated(gated: Gated, name: str, folder: Path) -> dict[str, Path]:
    """The official names and paths of the files that `fetch_gated` put into the folder.

    Raises DatasetError if one of them is gone.
    """
    known = {file.name for file in gated.files}
    paths = {file.name: folder / file.name for file in read_source(folder).files if file.name in known}
    for path in paths.values():
        if not path.is_file():
            place = path.readlink() if path.is_symlink() else path
            raise DatasetError(f"{name}: {place} is gone: put it back, or remove {folder}")
    return paths


def check_unchanged(name: str, folder: Path, digests: Mapping[str, str]) -> None:
    """Raise DatasetError if these digests, the companion's included, are not those of `fetch_gated`.

    It is asked once before archives are read, and warns of remotes as `fetch_gated` does: that one does not
    run again when somebody adds a remote.
    """
    _warn_of_remotes(name)
    found, known = content_of(digests), read_source(folder).content_sha256
    if found != known:
        raise DatasetError(
            f"{name}: the archives are not those that download found (their content is {found[:12]}, it was "
            f"{known[:12]}): run download again, as `dvc repro` does"
        )


def content_of(digests: Mapping[str, str]) -> str:
    """One digest over several: sha256 over lines `<digest>  <name>`, sorted by name."""
    lines = "".join(f"{digests[file]}  {file}\n" for file in sorted(digests))
    return hashlib.sha256(lines.encode()).hexdigest()


def about_remotes(root: Path) -> str | None:
    """What to say where there is a DVC remote, as it must not get what licence-gated recordings gave."""
    remotes = remotes_in((root / ".dvc/config", root / ".dvc/config.local", _global_config()))
    if not remotes:
        return None
    return (
        f"licence-gated, and there is a DVC remote ({', '.join(remotes)}): `dvc push` leaves out data/ and "
        f"results/ by push: false in dvc.yaml; keep it so, clips, features, scores and weights are derived "
        f"from the recordings"
    )


def _warn_of_remotes(name: str) -> None:
    if about := about_remotes(Path()):
        _LOG.warning("%s is %s", name, about)


def _global_config() -> Path:
    """The user's configuration of DVC for all projects, on Linux."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser() / "dvc" / "config"


def remotes_in(configs: Sequence[Path]) -> tuple[str, ...]:
    """The remotes that DVC's configuration files name, each once; a file that cannot be read has none."""
    found: list[str] = []
    for path in configs:
        with suppress(OSError):  # DVC itself complains about it
            found += _REMOTE.findall(path.read_text(errors="replace"))
    return tuple(dict.fromkeys(found))


def _folders(mirrors: Sequence[str]) -> list[Path]:
    return [local_path(mirror) for mirror in mirrors if not is_url(mirror)]


def _places(file: GatedFile, name: str, mirrors: Sequence[str]) -> list[Path]:
    return [
        place / spelling
        for folder in _folders(mirrors)
        for place in (folder / name, folder)
        for spelling in file.names
    ]
