"""Users' own recordings: a folder of .npy, .csv, .skeleton or .bvh files and a labels.csv that names them."""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Float

from kinemask.datasets.archives.fetch import SourceFile, file_sha256, lost_links, write_source
from kinemask.datasets.archives.gated import content_of
from kinemask.datasets.archives.member_rules import not_readable
from kinemask.datasets.own.files import Files, files_below
from kinemask.datasets.own.frames import Convention
from kinemask.datasets.own.labels import Labelled, Labels, composed, read_labels
from kinemask.datasets.own.recording import read_recording
from kinemask.datasets.own.section import RawFolderConfig, body_of, convention_of
from kinemask.datasets.reader import (
    DamagedError,
    DatasetError,
    DatasetReader,
    Reading,
    Verdict,
)
from kinemask.errors import few
from kinemask.progress import progress
from kinemask.skeleton.clip import Clip
from kinemask.skeleton.packed import Dropped, Rule
from kinemask.storage import whole_folder, writing

LABELS = "labels.csv"
RECORDINGS = "recordings"

_SAMPLE = 12
_SHOWN = 3
_TALL_METRES = (0.3, 3.0)
_LYING = 0.6  # a body less high than this share of its longest side is not upright


def fetch(config: RawFolderConfig, name: str, folder: Path, mirrors: Sequence[str]) -> None:
    """Fill `folder` with a link to each recording, below recordings/, and to labels.csv.

    Links are to files, absolute: DVC follows those, so that a changed recording makes the graph stale. Raises
    DatasetError if labels.csv and the protocols do not fit.
    """
    place = _require_folder(config, name)
    if folder.absolute().is_relative_to(place.resolve()):
        raise DatasetError(
            f"datasets.{name}.folder: {place} holds the project: give recordings a folder of their own"
        )
    labels = _labels_of(config, name, place / config.labels)
    found = list_recordings(config)
    found.require_open([row.file for row in labels.rows])
    links = {f"{RECORDINGS}/{file}": path for file, path in found.paths.items()}
    links = {LABELS: place / config.labels} | links
    bar = progress(links.items(), name=f"look at {name}", unit="file", total=len(links))
    digests = {file: _digest(path) for file, path in bar}
    with whole_folder(folder) as partial_folder, writing(folder):
        files = []
        for file, path in links.items():
            (partial_folder / file).parent.mkdir(parents=True, exist_ok=True)
            (partial_folder / file).symlink_to(path.resolve())
            size = path.stat().st_size
            files.append(SourceFile(name=file, bytes=size, sha256=digests[file], origin=str(path)))
        write_source(partial_folder, content_sha256=content_of(digests), files=files)


def open_folder(config: RawFolderConfig, name: str, folder: Path) -> Reading:
    """The recordings that labels.csv names, sorted by file. Raises DatasetError if a link leads nowhere."""
    gone = lost_links(folder)
    if gone:
        raise DatasetError(f"{name}: {gone[0].readlink()} is gone: put it back, or remove {folder}")
    labels = _labels_of(config, name, folder / LABELS)
    there = files_below(folder / RECORDINGS).paths
    rows = [(row, there[row.file]) for row in labels.rows if row.file in there]
    return Reading(
        num_recordings=len(rows),
        num_clips=len(rows),
        recordings=partial(_from, rows),
        read=partial(_read, config=config, convention=convention_of(config)),
        left_out=_left_out(config, labels, set(there)),
    )


def check(config: RawFolderConfig, name: str, mirrors: Sequence[str]) -> Verdict:
    """What labels.csv, the folder and a dozen of the files say."""
    try:
        place = _require_folder(config, name)
    except DatasetError as error:
        return Verdict("absent", (), (str(error),))
    try:
        labels = _labels_of(config, name, place / config.labels)
        convention = convention_of(config)
        found = list_recordings(config)
        found.require_open([row.file for row in labels.rows])
        rows = [(row, found.paths[row.file]) for row in labels.rows if row.file in found.paths]
        sample = rows[:: max(1, -(-len(rows) // _SAMPLE))]
        read = [one for item in sample for one in _read(item, config=config, convention=convention)]
    except DatasetError as error:
        return Verdict("unusable", (), (str(error),))
    left_out = _left_out(config, labels, set(found.paths))
    clips = [one for one in read if isinstance(one, Clip)]
    damaged = [one for one in (*left_out, *read) if isinstance(one, Dropped) and one.damaged]
    facts = [
        f"{place}: {len(labels.rows)} recordings of {len(labels.class_names)} classes in {config.labels}",
        f"{len(clips)} of {len(sample)} files looked at can be read",
    ]
    unnamed = [one.name for one in left_out if not one.damaged]
    if unnamed:
        facts.append(f"{len(unnamed)} files are not named there and left out: {_few(unnamed)}")
    problems = [*_by_reason(damaged), *found.closed.values()]
    if not clips:
        return Verdict("unusable", tuple(facts), tuple(problems))
    sides = np.median([_sides(clip) for clip in clips], axis=0)
    facts.append(f"bodies are {sides[1]:.2f} m high, {sides[0]:.2f} m wide (medians of the files looked at)")
    problems += [*_doubts(name, sides), *_label_doubts(config, name, labels)]
    files = (place / config.labels, *found.paths.values())
    return Verdict("partial" if damaged else "whole", tuple(facts), tuple(problems), files)


def list_recordings(config: RawFolderConfig) -> Files:
    """All files of the user's folder that may be recordings. Raises DatasetError as `files_below` does."""
    found = files_below(config.place)
    found.paths.pop(composed(PurePosixPath(config.labels).as_posix()), None)
    return found


def _digest(path: Path) -> str:
    try:
        return file_sha256(path)
    except OSError as error:
        raise DatasetError(not_readable(path, error)) from error


def _by_reason(damaged: Sequence[Dropped]) -> list[str]:
    """One line a reason: many files of one tool are wrong in the same way."""
    names: dict[str, list[str]] = {}
    for one in damaged:
        names.setdefault(one.reason, []).append(one.name)
    lines = [f"{_few(files)}: {reason}" for reason, files in names.items()]
    return few(lines, _SHOWN)


def _require_folder(config: RawFolderConfig, name: str) -> Path:
    if not config.place.is_dir():
        raise DatasetError(
            f"datasets.{name}.folder: {config.place} is no folder: put recordings and {config.labels} there, "
            f"or name another in params.yaml"
        )
    return config.place


def _labels_of(config: RawFolderConfig, name: str, path: Path) -> Labels:
    return read_labels(path, config.protocols, f"datasets.{name}.protocols")


def _left_out(config: RawFolderConfig, labels: Labels, there: set[str]) -> tuple[Dropped, ...]:
    named = {row.file for row in labels.rows}
    absent = f"{config.labels} names it, {config.folder} has no such file"
    return (
        *(Dropped(file, absent) for file in sorted(named - there)),
        *(
            Dropped(file, f"{config.labels} does not name it", damaged=False)
            for file in sorted(there - named)
        ),
    )


def _from(rows: Sequence[tuple[Labelled, Path]], start: int) -> Iterator[tuple[Labelled, Path]]:
    return islice(rows, start, None)


def _read(
    recording: tuple[Labelled, Path], *, config: RawFolderConfig, convention: Convention
) -> Sequence[Clip | Dropped]:
    row, path = recording
    try:
        cleaned = read_recording(path, convention, config.cleaning)
    except DamagedError as error:
        return [Dropped(row.file, str(error))]
    except OSError as error:
        raise DatasetError(not_readable(path, error)) from error
    clip = Clip(
        name=row.file,
        label=row.label,
        joints=cleaned.joints,
        present=cleaned.present,
        traits=row.traits,
        cleaned=cleaned.removed,
        **row.numbers,
    )
    return [clip]


def _sides(clip: Clip) -> Float[np.ndarray, " C"]:
    """How far a body reaches along x, y and z, in metres: the median over the frames of all persons."""
    bodies = clip.joints[clip.present]
    sides: np.ndarray = np.median(bodies.max(axis=1) - bodies.min(axis=1), axis=0)
    return sides


def _doubts(name: str, sides: Float[np.ndarray, " C"]) -> list[str]:
    longest = float(sides.max())
    doubts = []
    if not _TALL_METRES[0] <= longest <= _TALL_METRES[1]:
        doubts.append(f"the longest side of a body is {longest:.3g} m: is datasets.{name}.units right?")
    if sides[1] < _LYING * longest:
        doubts.append(
            f"bodies reach {sides[1]:.2f} m up and {longest:.2f} m aside: is datasets.{name}.up right?"
        )
    return doubts


def _label_doubts(config: RawFolderConfig, name: str, labels: Labels) -> list[str]:
    if len(labels.class_names) == 1:
        only = labels.class_names[0]
        return [f"all recordings are of class {only}: there is nothing to tell apart, is `label` right?"]
    return [
        doubt
        for key, protocol in config.protocols.items()
        for doubt in protocol.doubts(f"datasets.{name}.protocols.{key}", labels)
    ]


def _few(names: Sequence[str]) -> str:
    return ", ".join(few(names, _SHOWN))


def _protocols(config: RawFolderConfig) -> dict[str, Rule]:
    return {name: protocol.rule() for name, protocol in config.protocols.items()}


RAW_FOLDER = DatasetReader(
    config=RawFolderConfig,
    layout=body_of,
    persons=lambda config: config.persons,
    symmetries=lambda config: config.symmetries,
    class_names=lambda config, folder: (
        read_labels(folder / LABELS, config.protocols, "protocols").class_names
    ),
    protocols=_protocols,
    expected=lambda config: None,
    fetch=fetch,
    open=open_folder,
    check=check,
)
