"""`.npy` files that grow, and that another process can go on with."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np

from kinemask.skeleton.clip import Clip, content_sha256


class GrowingArray:
    """A file, new or of an earlier writer, to which rows are appended; `finish` writes the count."""

    def __init__(self, path: Path, row_shape: tuple[int, ...], dtype: type[np.generic]) -> None:
        self._row_shape, self._dtype = row_shape, np.dtype(dtype)
        self._row_bytes = self._dtype.itemsize * int(np.prod(row_shape))
        self._file: BinaryIO = path.open("r+b" if path.exists() else "w+b")
        self._write_header(0)
        self._start = self._file.tell()
        self.num_rows = 0

    def append(self, rows: np.ndarray) -> None:
        """Put rows behind the others."""
        assert rows.shape[1:] == self._row_shape
        self._file.write(np.ascontiguousarray(rows, dtype=self._dtype).data)
        self.num_rows += len(rows)

    def read(self, row: int, num_rows: int) -> np.ndarray | None:
        """Rows of the file, or None if it is too short. Call `go_on_from` before the next `append`."""
        self._file.seek(self._start + row * self._row_bytes)
        data = self._file.read(num_rows * self._row_bytes)
        if len(data) != num_rows * self._row_bytes:
            return None
        return np.frombuffer(data, self._dtype).reshape(num_rows, *self._row_shape)

    def go_on_from(self, row: int) -> None:
        """Forget the rows from this one on: the next is appended here."""
        self._file.truncate(self._start + row * self._row_bytes)
        self._file.seek(0, os.SEEK_END)
        self.num_rows = row

    def flush(self) -> None:
        """Give what was appended to the system, which keeps it even if this process is killed."""
        self._file.flush()

    def finish(self) -> None:
        """Write the header, and all of it to the disk."""
        self._file.seek(0)
        self._write_header(self.num_rows)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def close(self) -> None:
        """Close the file as it is."""
        self._file.close()

    def _write_header(self, num_rows: int) -> None:
        # NumPy pads the header so that the first axis may grow: its length does not depend on the count.
        np.lib.format.write_array_header_1_0(
            self._file,
            {
                "descr": np.lib.format.dtype_to_descr(self._dtype),
                "fortran_order": False,
                "shape": (num_rows, *self._row_shape),
            },
        )


class GrowingFrames:
    """The frames of clips end to end: `joints.npy` and `present.npy` of a folder."""

    def __init__(self, folder: Path, *, persons: int, num_joints: int) -> None:
        self._joints = GrowingArray(folder / "joints.npy", (persons, num_joints, 3), np.float32)
        self._present = GrowingArray(folder / "present.npy", (persons,), np.bool_)

    @property
    def num_frames(self) -> int:
        """Frames appended so far."""
        return self._joints.num_rows

    def append(self, clips: Iterable[Clip]) -> None:
        """Put the frames of the clips behind the others, and give them to the system."""
        for clip in clips:
            self._joints.append(clip.joints)
            self._present.append(clip.present)
        self._joints.flush()
        self._present.flush()

    def holds(self, offset: int, length: int, sha256: str) -> bool:
        """Whether these frames are those of a clip with this content."""
        joints, present = self._joints.read(offset, length), self._present.read(offset, length)
        if joints is None or present is None or joints[~present].any():
            return False
        return content_sha256(joints, present) == sha256

    def go_on_from(self, frame: int) -> None:
        """Forget the frames from this one on: the next is appended here."""
        self._joints.go_on_from(frame)
        self._present.go_on_from(frame)

    def finish(self) -> None:
        """Write the headers, and all of it to the disk."""
        self._joints.finish()
        self._present.finish()

    def close(self) -> None:
        """Close the files as they are."""
        self._joints.close()
        self._present.close()
