"""The packed form of a dataset: all clips end to end in two memory-mapped arrays, and one table. No pickle.

`joints.npy` float32 (F, M, V, C), `present.npy` bool (F, M), `clips.parquet` one row a clip, `dataset.json`.
"""

import hashlib
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float32
from pydantic import BaseModel, ConfigDict, ValidationError

from kinemask.skeleton.clip import Clip
from kinemask.skeleton.layout import Layout
from kinemask.storage import StorageError, place_folder, start_folder, writing

PACKED = Path("data/packed")
PARTS = ("train", "test", "unused")
COLUMNS = (
    "name", "label", "subject", "camera", "setup", "replication",
    "offset", "length", "persons", "source_sha256",
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


class DatasetInfo(BaseModel):
    """dataset.json: what is in a packed folder, and what is not."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    layout: str
    persons: int  # M
    class_names: tuple[str, ...]
    num_clips: int
    num_frames: int
    protocols: tuple[str, ...]
    counts: dict[str, dict[str, int]]  # protocol -> "train", "test" -> clips
    mirror_keeps_label: bool  # False where left and right are different classes
    complete: bool  # False for a slice, and when clips were dropped
    dropped: tuple[Dropped, ...]
    cleaned: dict[str, int]  # what cleaning took out of the clips: kind -> how many
    data_sha256: str  # over frames and table, whatever wrote them: the same data have the same hash
    versions: dict[str, str]


@dataclass(frozen=True)
class PackedClips:
    """A packed dataset; the arrays are memory-mapped: opening costs nothing, clips are read when used."""

    joints: Float32[np.ndarray, "F M V C"]  # metres; zero where absent
    present: Bool[np.ndarray, "F M"]
    clips: pd.DataFrame  # COLUMNS, the traits of the dataset, one column a protocol
    info: DatasetInfo


class _GrowingArray:
    """A .npy file to which rows are appended; the header gets the final count at the end."""

    def __init__(self, path: Path, row_shape: tuple[int, ...], dtype: type[np.generic]) -> None:
        self._row_shape, self._dtype = row_shape, np.dtype(dtype)
        self._hash = hashlib.sha256()
        self.num_rows = 0
        self._file: BinaryIO = path.open("wb")
        self._write_header()

    def append(self, rows: np.ndarray) -> None:
        assert rows.shape[1:] == self._row_shape
        block = np.ascontiguousarray(rows, dtype=self._dtype).data.cast("B")
        self._file.write(block)
        self._hash.update(block)
        self.num_rows += len(rows)

    def finish(self) -> str:
        """The sha256 of the rows."""
        self._file.seek(0)
        self._write_header()
        self._file.close()
        return self._hash.hexdigest()

    def close(self) -> None:
        self._file.close()

    def _write_header(self) -> None:
        # NumPy pads the header so that the first axis may grow: its length does not depend on the count.
        np.lib.format.write_array_header_1_0(
            self._file,
            {
                "descr": np.lib.format.dtype_to_descr(self._dtype),
                "fortran_order": False,
                "shape": (self.num_rows, *self._row_shape),
            },
        )


class PackedWriter:
    """Writes clips one by one; memory does not grow with the frames. The folder appears when `finish` ends.

    Use it as a context manager: what was written vanishes if `finish` is not reached. Raises PackedError for
    clips that do not fit, and StorageError when the disk is full or the folder cannot be written.
    """

    def __init__(self, folder: Path, layout: Layout, persons: int) -> None:
        self._folder, self._layout, self._persons = folder, layout, persons
        self._rows: dict[str, dict[str, str | int]] = {}
        self._cleaned: Counter[str] = Counter()
        self._partial = start_folder(folder)
        with writing(folder):
            shape = (persons, layout.num_joints, 3)
            self._joints = _GrowingArray(self._partial / "joints.npy", shape, np.float32)
            self._present = _GrowingArray(self._partial / "present.npy", (persons,), np.bool_)

    def __enter__(self) -> "PackedWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with writing(self._folder):
                self._joints.close()
                self._present.close()
        except StorageError:
            # Closing flushes: on a full disk it fails again, and the first error is the one to show.
            if error is None:
                raise
        finally:
            shutil.rmtree(self._partial, ignore_errors=True)

    @property
    def num_clips(self) -> int:
        """Clips added so far."""
        return len(self._rows)

    @property
    def num_frames(self) -> int:
        """Frames added so far."""
        return self._joints.num_rows

    def add(self, clip: Clip) -> None:
        """Append a clip."""
        self._check(clip)
        row: dict[str, str | int] = {
            "name": clip.name, "label": clip.label, "subject": clip.subject, "camera": clip.camera,
            "setup": clip.setup, "replication": clip.replication,
            "offset": self._joints.num_rows, "length": len(clip.joints),
            "persons": int(clip.present.any(axis=0).sum()), "source_sha256": clip.source_sha256,
        }  # fmt: skip
        with writing(self._folder):
            self._joints.append(clip.joints)
            self._present.append(clip.present)
        self._rows[clip.name] = {**row, **clip.traits}
        self._cleaned.update(clip.cleaned)

    def table(self, protocols: Mapping[str, Rule]) -> pd.DataFrame:
        """One row a clip added so far, with one column a protocol."""
        if not self._rows:
            raise PackedError(f"there is no clip to pack into {self._folder}")
        table = pd.DataFrame(list(self._rows.values()))
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
        mirror_keeps_label: bool,
        complete: bool = True,
        dropped: Sequence[Dropped] = (),
    ) -> DatasetInfo:
        """Write the table and dataset.json, and put the folder in its place."""
        table = self.table(protocols)
        wrong = table[~table["label"].between(0, len(class_names) - 1)]
        if len(wrong):
            first = wrong.iloc[0]
            raise PackedError(
                f"{name}: {len(wrong)} clip(s) have a label outside 0 to {len(class_names) - 1}, "
                f"the first is {first['name']} with {first['label']}"
            )
        with writing(self._folder):
            hashes = [self._joints.finish(), self._present.finish()]
            hashes.append(hashlib.sha256(table.to_csv(index=False, lineterminator="\n").encode()).hexdigest())
            table.to_parquet(self._partial / "clips.parquet", index=False)
            info = DatasetInfo(
                name=name,
                layout=self._layout.name,
                persons=self._persons,
                class_names=tuple(class_names),
                num_clips=len(table),
                num_frames=self._joints.num_rows,
                protocols=tuple(protocols),
                counts={p: {part: int((table[p] == part).sum()) for part in PARTS[:2]} for p in protocols},
                mirror_keeps_label=mirror_keeps_label,
                complete=complete,
                dropped=tuple(dropped),
                cleaned=dict(sorted(self._cleaned.items())),
                data_sha256=hashlib.sha256("\n".join(hashes).encode()).hexdigest(),
                versions={package: version(package) for package in ("numpy", "pandas", "pyarrow")},
            )
            (self._partial / "dataset.json").write_text(info.model_dump_json(indent=1) + "\n")
        place_folder(self._partial, self._folder)
        return info

    def _check(self, clip: Clip) -> None:
        expected = (len(clip.joints), self._persons, self._layout.num_joints, 3)
        if clip.joints.shape != expected or clip.present.shape != expected[:2]:
            found = f"{clip.joints.shape} and {clip.present.shape}"
            raise PackedError(
                f"{clip.name}: joints and present are {found}, expected (T, M, V, C) = {expected}"
            )
        if len(clip.joints) == 0:
            raise PackedError(f"{clip.name}: a clip needs at least one frame")
        if clip.name in self._rows:
            raise PackedError(f"two clips are named {clip.name}: names must be unique in a dataset")
        if not np.isfinite(clip.joints).all():
            raise PackedError(f"{clip.name}: coordinates must be finite")
        if clip.joints[~clip.present].any():
            raise PackedError(f"{clip.name}: joints of absent persons must be zero")


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
