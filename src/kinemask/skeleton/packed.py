"""The packed form of a dataset: all clips end to end in two memory-mapped arrays, and one table. No pickle.

`joints.npy` float32 (F, M, V, C), `present.npy` bool (F, M), `clips.parquet` one row a clip, `dataset.json`.
"""

import hashlib
import shutil
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import TracebackType

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float32
from pydantic import BaseModel, ConfigDict, ValidationError

from kinemask.skeleton.clip import Clip, Symmetry
from kinemask.skeleton.growing import GrowingFrames
from kinemask.skeleton.journal import Entry, Journal, row_of
from kinemask.skeleton.layout import Layout
from kinemask.skeleton.leaks import find_leaks
from kinemask.storage import StorageError, partial_folder, place_folder, start_folder, writing

PACKED = Path("data/packed")
SIMULATED = Path("data/simulated")  # <method>/<size>: the same form, of people to train on alone
PARTS = ("train", "test", "unused")
COLUMNS = (
    "name", "label", "subject", "camera", "setup", "replication",
    "offset", "length", "persons", "content_sha256",
)  # fmt: skip
_FILES = ("joints.npy", "present.npy", "clips.parquet", "dataset.json")

# From the table of clips to "train", "test" or "unused" for each row.
Rule = Callable[[pd.DataFrame], pd.Series]


class PackedError(StorageError):
    """Clips that cannot be packed, or a packed folder that is absent or not whole."""


@dataclass(frozen=True)
class Dropped:
    """A clip that was left out, and why."""

    name: str
    reason: str
    damaged: bool = True  # False: left out by a rule, such as an official list of recordings to leave out


class DatasetInfo(BaseModel):
    """dataset.json: what is in a packed folder, and what is not."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    layout: Layout
    persons: int  # M
    class_names: tuple[str, ...]
    num_clips: int
    num_frames: int
    protocols: tuple[str, ...]
    counts: dict[str, dict[str, int]]  # protocol -> "train", "test" -> clips
    symmetries: tuple[Symmetry, ...]  # what keeps the class of every clip
    complete: bool  # False for a slice, and where clips are damaged or missing
    dropped: tuple[Dropped, ...]
    missing: tuple[str, ...]  # names that the whole data set has and the archives lack
    leaks: dict[str, tuple[tuple[str, ...], ...]]  # protocol -> names with the same content on both sides
    cleaned: dict[str, int]  # what cleaning took out of the clips: kind -> how many
    data_sha256: str  # over frames, table and body, whatever wrote them: the same data have the same hash
    versions: dict[str, str]


@dataclass(frozen=True)
class PackedClips:
    """A packed dataset; the arrays are memory-mapped: opening costs nothing, clips are read when used."""

    joints: Float32[np.ndarray, "F M V C"]  # metres; zero where absent
    present: Bool[np.ndarray, "F M"]
    clips: pd.DataFrame  # COLUMNS, the traits of the dataset, one column a protocol
    info: DatasetInfo


class PackedWriter:
    """Writes recordings one by one; memory does not grow with the frames. The folder appears at `finish`.

    Use it as a context manager. With a `key`, which stands for all that decides what is written, a writer
    that ended early leaves its work beside the folder, and the next one with that key goes on after the
    `num_recordings` found whole. Without a key nothing is left. Raises PackedError for clips that do not fit,
    and StorageError when the disk is full, the folder cannot be written or another process is at it.
    """

    def __init__(self, folder: Path, layout: Layout, persons: int, *, key: str | None = None) -> None:
        self._folder, self._layout, self._persons, self._keep = folder, layout, persons, key is not None
        self._columns: dict[str, list[str | int]] = {}
        self._names: set[str] = set()
        self._traits: set[str] | None = None  # those of every clip; None before the first
        self._dropped: list[Dropped] = []
        self._cleaned: Counter[str] = Counter()
        self.num_recordings = 0
        self._partial = partial_folder(folder)
        with writing(folder):
            folder.parent.mkdir(parents=True, exist_ok=True)
            self._journal = Journal(folder.with_name(f".{folder.name}.journal"), key or "")
            going_on = self._keep and self._journal.is_ours and self._partial.is_dir()
            if not going_on:
                self._journal.start()
                start_folder(folder)
            self._frames = GrowingFrames(self._partial, persons=persons, num_joints=layout.num_joints)
            if going_on:
                self._go_on()

    def __enter__(self) -> "PackedWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with writing(self._folder):
                self._frames.close()
                self._journal.close()
        except StorageError:
            # Closing flushes: on a full disk it fails again, and the first error is the one to show.
            if error is None:
                raise
        finally:
            if not self._keep:
                shutil.rmtree(self._partial, ignore_errors=True)
                self._journal.remove()

    @property
    def num_clips(self) -> int:
        """Clips added so far."""
        return len(self._names)

    @property
    def num_frames(self) -> int:
        """Frames added so far."""
        return self._frames.num_frames

    @property
    def names(self) -> Set[str]:
        """The names of the clips added so far."""
        return self._names

    @property
    def dropped(self) -> Sequence[Dropped]:
        """What was dropped of the recordings added so far."""
        return self._dropped

    def add(self, *items: Clip | Dropped) -> None:
        """Append one recording: its clips, and what of it was dropped."""
        self.extend([items])

    def extend(self, recordings: Iterable[Sequence[Clip | Dropped]]) -> None:
        """Append recordings, all with one write: one by one is slower."""
        clips: list[Clip] = []
        entries: list[Entry] = []
        beside: set[str] = set()
        offset = self._frames.num_frames
        for items in recordings:
            entry = Entry([], [], {})
            for item in items:
                if isinstance(item, Dropped):
                    entry.dropped.append((item.name, item.reason, item.damaged))
                    continue
                self._check(item, beside)
                beside.add(item.name)
                clips.append(item)
                entry.rows.append(row_of(item, offset))
                offset += len(item.joints)
                for kind, num in item.cleaned.items():
                    entry.cleaned[kind] = entry.cleaned.get(kind, 0) + num
            entries.append(entry)
        with writing(self._folder):
            self._frames.append(clips)
            self._journal.append(entries)  # only now: whoever goes on believes it
        for entry in entries:
            self._take(entry)

    def table(self, protocols: Mapping[str, Rule]) -> pd.DataFrame:
        """One row a clip added so far, with one column a protocol."""
        if not self._names:
            raise PackedError(f"there is no clip to pack into {self._folder}")
        table = pd.DataFrame(self._columns)
        parts = {name: rule(table) for name, rule in protocols.items()}
        for name, column in parts.items():
            assert name not in table.columns, f"{name} is both a protocol and a column"
            assert column.isin(PARTS).all(), f"the rule of {name} says more than train, test, unused"
        return table.assign(**parts)

    def finish(
        self,
        *,
        name: str,
        class_names: Sequence[str],
        protocols: Mapping[str, Rule],
        symmetries: Sequence[Symmetry],
        complete: bool = True,
        left_out: Sequence[Dropped] = (),
        missing: Sequence[str] = (),
    ) -> DatasetInfo:
        """Write the table and dataset.json, and put the folder in its place.

        `left_out` was never added; in dataset.json it stands before what was dropped.
        """
        table = self.table(protocols)
        wrong = table[~table["label"].between(0, len(class_names) - 1)]
        if len(wrong):
            first = wrong.iloc[0]
            raise PackedError(
                f"{name}: {len(wrong)} clip(s) have a label outside 0 to {len(class_names) - 1}, "
                f"the first is {first['name']} with {first['label']}"
            )
        text = table.to_csv(index=False, lineterminator="\n")
        info = DatasetInfo(
            name=name,
            layout=self._layout,
            persons=self._persons,
            class_names=tuple(class_names),
            num_clips=len(table),
            num_frames=self._frames.num_frames,
            protocols=tuple(protocols),
            counts={p: {part: int((table[p] == part).sum()) for part in PARTS[:2]} for p in protocols},
            symmetries=tuple(symmetries),
            complete=complete,
            dropped=(*left_out, *self._dropped),
            missing=tuple(missing),
            leaks=find_leaks(table, protocols),
            cleaned=dict(sorted(self._cleaned.items())),
            # The table has the hash of every clip: nothing need be read again. Methods see the body's parts.
            data_sha256=hashlib.sha256(f"{self._layout}\n{text}".encode()).hexdigest(),
            versions={package: version(package) for package in ("numpy", "pandas", "pyarrow")},
        )
        with writing(self._folder):
            self._frames.finish()
            table.to_parquet(self._partial / "clips.parquet", index=False)
            (self._partial / "dataset.json").write_text(info.model_dump_json(indent=1) + "\n")
        place_folder(self._partial, self._folder)
        with writing(self._folder):
            self._journal.remove()
        return info

    def _go_on(self) -> None:
        """Take up what an earlier writer left: as far as its journal and its arrays agree."""
        num_frames, place = 0, None
        for entry, end in self._journal.entries():
            frames = [
                (int(row["offset"]), int(row["length"]), str(row["content_sha256"])) for row in entry.rows
            ]
            if not all(self._frames.holds(*clip) for clip in frames):
                break
            self._take(entry)
            num_frames += sum(int(row["length"]) for row in entry.rows)
            place = end
        self._journal.go_on_from(place)
        self._frames.go_on_from(num_frames)

    def _take(self, entry: Entry) -> None:
        """Count a recording that is in the arrays."""
        for row in entry.rows:
            for column, value in row.items():
                self._columns.setdefault(column, []).append(value)
            self._names.add(str(row["name"]))
        self._dropped += [Dropped(*values) for values in entry.dropped]
        self._cleaned.update(entry.cleaned)
        self.num_recordings += 1

    def _check(self, clip: Clip, beside: Collection[str]) -> None:
        unfit = clip.why_unfit(self._persons, self._layout.num_joints)
        if unfit is not None:
            raise PackedError(f"{clip.name}: {unfit}")
        if clip.name in self._names or clip.name in beside:
            raise PackedError(f"two clips are named {clip.name}: names must be unique in a dataset")
        if self._traits is None:
            self._traits = set(self._columns or clip.traits) - set(COLUMNS)
        if clip.traits.keys() != self._traits:
            raise PackedError(f"{clip.name}: its traits {', '.join(clip.traits)} are not those of the others")


def open_packed(folder: Path) -> PackedClips:
    """A packed dataset, memory-mapped. Raises PackedError if a file is absent, damaged or of another size."""
    missing = [name for name in _FILES if not (folder / name).is_file()]
    if missing:
        raise PackedError(f"{folder} is no packed dataset, {', '.join(missing)} missing: run preprocess")
    again = "remove the folder and run preprocess again"
    try:
        info = DatasetInfo.model_validate_json((folder / "dataset.json").read_text())
        clips = pd.read_parquet(folder / "clips.parquet")
        joints = np.lib.format.open_memmap(folder / "joints.npy", mode="r")
        present = np.lib.format.open_memmap(folder / "present.npy", mode="r")
    except (OSError, ValueError, ValidationError) as error:
        raise PackedError(f"{folder} is damaged ({' '.join(str(error).split())}): {again}") from error
    found = (len(clips), joints.shape[:2], present.shape)
    expected = (info.num_clips, (info.num_frames, info.persons), (info.num_frames, info.persons))
    if found != expected or int(clips["length"].sum()) != info.num_frames:
        raise PackedError(f"{folder} is damaged (clips and frames {found}, expected {expected}): {again}")
    return PackedClips(joints, present, clips, info)
