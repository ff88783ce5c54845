"""From the raw folder of any dataset to its packed form, with everything dropped counted and named."""

import logging
import time
from collections.abc import Callable, Generator, Iterator, Sequence, Set
from contextlib import closing
from functools import partial
from importlib.metadata import version
from itertools import chain, islice
from pathlib import Path
from typing import Any

from kinemask.datasets.archives.fetch import SOURCE_FILE, read_source
from kinemask.datasets.archives.member_rules import password
from kinemask.datasets.protocols import differences
from kinemask.datasets.reader import AnyReader, DatasetError, DatasetSection, Reading
from kinemask.errors import first_of
from kinemask.progress import group_progress
from kinemask.run_key import code_digest, run_key
from kinemask.skeleton.clip import Clip
from kinemask.skeleton.packed import DatasetInfo, Dropped, PackedWriter
from kinemask.workers import cores_for, ordered_map

PREPARING_CODE = ("datasets", "skeleton")

_NAMED = 3
_RUN_CLIPS, _RUN_SECONDS = 16, 0.2  # about so much is handed to a process at once, whichever is less
_ALONE_SECONDS = 2.0  # of reading tell how long the rest will take
_CURE = (
    "run again, it goes on where it stopped; on fewer cores (taskset -c 0,1 before the command) it takes less"
)
_LOG = logging.getLogger(__name__)

Items = list[Clip | Dropped]


def prepare(
    reader: AnyReader,
    config: DatasetSection,
    *,
    name: str,
    raw: Path,
    packed: Path,
    processes: int | None = None,
) -> DatasetInfo:
    """Read `raw`, write `packed`; a run that was interrupted goes on where it stopped.

    `processes` changes the time only; None is as many as help. Raises DatasetError if more than
    `max_damaged_share` of the clips are damaged, or if all seems to be there and the counts are still not the
    known ones.
    """
    reading = reader.open(config, name, raw)
    class_names, protocols = reader.class_names(config, raw), reader.protocols(config)
    key = _key(config, reading, raw)
    with PackedWriter(packed, reader.layout(config), reader.persons(config), key=key) as writer:
        _read(reading, writer, name=name, processes=processes)
        damaged = [item for item in (*reading.left_out, *writer.dropped) if item.damaged]
        num_read = writer.num_clips + len(damaged)
        check_damage(name, damaged, num_read=num_read, most=config.max_damaged_share)
        complete = config.complete and not damaged and not reading.missing and not reading.unnamed
        expected = reader.expected(config)
        if expected is not None and complete:
            wrong = differences(writer.table(protocols), writer.num_frames, expected)
            if wrong:
                raise DatasetError(
                    f"{name} is not what it should be: {'; '.join(wrong)}: compare the archives with "
                    f"those of their owners, `kinemask data check {name}` says where they are"
                )
        info = writer.finish(
            name=name,
            class_names=class_names,
            protocols=protocols,
            symmetries=reader.symmetries(config),
            complete=complete,
            left_out=reading.left_out,
            missing=reading.missing,
        )
    _warn(info, damaged, reading.unnamed)
    return info


def check_damage(name: str, damaged: Sequence[Dropped], *, num_read: int, most: float) -> None:
    """Raise DatasetError if more than the share `most` of the clips read is damaged, or if all are."""
    if damaged and len(damaged) == num_read:
        raise DatasetError(
            f"{name}: all {num_read} clips are damaged: {_reasons(damaged)}. Get the files again"
        )
    if num_read and len(damaged) > most * num_read:
        raise DatasetError(
            f"{name}: {len(damaged)} of {num_read} clips are damaged, at most the share {most:g} may be: "
            f"{_reasons(damaged)}. "
            f"Get the files again, or raise datasets.{name}.max_damaged_share in params.yaml"
        )


def _key(config: DatasetSection, reading: Reading, raw: Path) -> str:
    """What decides the packed form. The share that may be damaged does not: raised, nothing is read again."""
    files = sorted(path for path in raw.rglob("*") if path.is_file() and path.name != SOURCE_FILE)
    stats = [(path.relative_to(raw).as_posix(), path.stat()) for path in files]
    return run_key(
        {
            "section": config.model_dump_json(exclude={"max_damaged_share"}),
            "content": read_source(raw).content_sha256,
            # Archives are used in place: one that was exchanged since download is another. Whatever mends a
            # file that was damaged changes its ctime: what was noted as damage is read again.
            "files": str([(path, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns) for path, stat in stats]),
            # One wrong password in 256 makes a member look damaged: that is forgotten with it.
            "password": password() or "",
            "recordings": str(reading.num_recordings),
            "code": code_digest(PREPARING_CODE),
            "numpy": version("numpy"),
        }
    )


def _read(reading: Reading, writer: PackedWriter, *, name: str, processes: int | None) -> None:
    """Add what is not there yet of the recordings, in their order."""
    if writer.num_recordings >= reading.num_recordings:
        return
    done = writer.num_clips + len(writer.dropped)
    bar = f"preprocess {name}"
    with closing(_read_all(reading, writer.num_recordings, processes=processes, name=bar)) as runs:
        told = group_progress(
            runs,
            name=bar,
            unit="clip",
            total=reading.num_clips,
            done=done,
            size=lambda run: sum(map(len, run)),
        )
        for run in told:
            writer.extend(_named_once(run, writer.names))
    found, announced = writer.num_recordings, reading.num_recordings
    assert found == announced, f"{found} recordings came, {announced} were announced"


def _read_all(
    reading: Reading, start: int, *, processes: int | None, name: str
) -> Generator[list[Items], None, None]:
    """What the recordings hold from this one on, a few recordings at a time; close it to stop early.

    Where `processes` is None, the first ones are read in this process and tell whether others are worth it.
    """
    recordings = reading.recordings(start)
    read = partial(_read_run, reading.read)
    # A recording of many clips is a run of its own: what is under way must fit into memory.
    num = max(1, _RUN_CLIPS * reading.num_recordings // max(1, reading.num_clips))
    if processes is None:
        yield read([*islice(recordings, 1)])  # untimed: some is loaded or compiled only once
        started, seconds, num_read = time.monotonic(), 0.0, 0
        while seconds < _ALONE_SECONDS and (recording := [*islice(recordings, 1)]):
            yield read(recording)
            seconds, num_read = time.monotonic() - started, num_read + 1
        each = seconds / max(1, num_read)
        processes = cores_for(each * (reading.num_recordings - start - 1 - num_read))
        num = max(1, min(num, int(_RUN_SECONDS / max(each, 1e-6))))
    runs = _runs(recordings, num)
    with closing(ordered_map(read, runs, processes=processes, name=name, cure=_CURE)) as results:
        yield from results


def _runs(recordings: Iterator[Any], num: int) -> Iterator[list[Any]]:
    while run := list(islice(recordings, num)):
        yield run


def _read_run(read: Callable[[Any], Sequence[Clip | Dropped]], run: Sequence[Any]) -> list[Items]:
    """What the recordings hold, with the hashes that take a while: this runs in a worker."""
    found = [list(read(recording)) for recording in run]
    for item in chain.from_iterable(found):
        if isinstance(item, Clip):
            _ = item.content_sha256
    return found


def _named_once(run: Sequence[Items], names: Set[str]) -> list[Items]:
    """The items of each recording, with clips dropped whose name another one has."""
    here: set[str] = set()
    return [[_if_first(item, names, here) for item in items] for items in run]


def _if_first(item: Clip | Dropped, names: Set[str], here: set[str]) -> Clip | Dropped:
    """The item, dropped if it is a clip whose name is taken; its name is put to those `here`."""
    if isinstance(item, Dropped):
        return item
    if item.name in names or item.name in here:
        return Dropped(item.name, "two recordings have this name, the first is kept")
    here.add(item.name)
    return item


def _warn(info: DatasetInfo, damaged: Sequence[Dropped], unnamed: Sequence[str]) -> None:
    """Say in one line each what is damaged, what is missing and what leaks."""
    if damaged:
        _LOG.warning(
            "%s: %d clips are damaged and left out: %s; dataset.json names all",
            info.name,
            len(damaged),
            _reasons(damaged),
        )
    if info.missing:
        _LOG.warning(
            "%s is partial: %d recordings of the whole data set are missing: %s; dataset.json names all",
            info.name,
            len(info.missing),
            first_of(info.missing, _NAMED),
        )
    for what in unnamed:
        _LOG.warning("%s is partial: %s", info.name, what)
    for protocol, groups in info.leaks.items():
        if groups:
            _LOG.warning(
                "%s: %d group(s) of equal clips stand on both sides of %s: %s; dataset.json names all",
                info.name,
                len(groups),
                protocol,
                first_of([" = ".join(names) for names in groups], _NAMED),
            )


def _reasons(damaged: Sequence[Dropped]) -> str:
    return first_of([f"{clip.name} ({clip.reason})" for clip in damaged], _NAMED, "; ")
