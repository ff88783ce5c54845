"""What a writer has done so far, one line a recording, so that another can go on after it."""

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from kinemask.skeleton.clip import Clip
from kinemask.storage import StorageError

Row = dict[str, str | int]


@dataclass(frozen=True)
class Entry:
    """One recording: the rows of its clips, what was dropped as (name, reason, damaged), what was cleaned."""

    rows: list[Row]
    dropped: list[tuple[str, str, bool]]
    cleaned: dict[str, int] = field(default_factory=dict)


def row_of(clip: Clip, offset: int) -> Row:
    """The row of a clip whose first frame has this number; the traits stand last."""
    return {
        "name": clip.name, "label": clip.label, "subject": clip.subject, "camera": clip.camera,
        "setup": clip.setup, "replication": clip.replication,
        "offset": offset, "length": len(clip.joints),
        "persons": int(np.count_nonzero(clip.present.any(axis=0))), "content_sha256": clip.content_sha256,
        **clip.traits,
    }  # fmt: skip


class Journal:
    """A file of entries below a key; only who has the key goes on with it, and only one at a time.

    Raises StorageError if another process has it open.
    """

    def __init__(self, path: Path, key: str) -> None:
        self._path, self._head = path, json.dumps({"key": key}).encode() + b"\n"
        self._lock = FileLock(path.with_name(f"{path.name}.lock"))
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise StorageError(
                f"{path} is in use: another process packs these clips, wait for it or end it"
            ) from None
        except NotImplementedError:
            pass  # a file system without locks; the graph runs a stage once at a time anyway
        self._file = path.open("a+b")  # creates it, and leaves what is there
        self._file.seek(0)
        self.is_ours = self._file.readline() == self._head

    def start(self) -> None:
        """Forget what is there."""
        self._file.truncate(0)
        self._file.write(self._head)
        self._file.flush()
        self.is_ours = True

    def entries(self) -> Iterator[tuple[Entry, int]]:
        """The entries, each with the place where the next one begins. A line that was cut ends them."""
        self._file.seek(len(self._head))
        end = len(self._head)
        for line in self._file:
            end += len(line)
            if not line.endswith(b"\n"):
                return
            with suppress(ValueError, TypeError, KeyError):
                values = json.loads(line)
                yield (
                    Entry(
                        values["rows"],
                        [(name, reason, damaged) for name, reason, damaged in values["dropped"]],
                        values["cleaned"],
                    ),
                    end,
                )
                continue
            return

    def go_on_from(self, place: int | None) -> None:
        """Forget the entries from this place on; None is all of them."""
        self._file.truncate(len(self._head) if place is None else place)

    def append(self, entries: Iterable[Entry]) -> None:
        """Note recordings. What this says must be with the system already: flush it before."""
        # Not asdict, which copies every value: five times as slow.
        self._file.writelines(json.dumps(vars(entry)).encode() + b"\n" for entry in entries)
        self._file.flush()

    def close(self) -> None:
        """Close the file, which keeps what is noted."""
        self._file.close()
        self._lock.release()

    def remove(self) -> None:
        """Remove the file: there is nothing to go on with."""
        self._file.close()
        self._path.unlink(missing_ok=True)
        Path(self._lock.lock_file).unlink(missing_ok=True)
        self._lock.release()
