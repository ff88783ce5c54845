"""7z archives, written and read in tests."""

import lzma
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from py7zr import SevenZipFile

from kinemask.datasets.archives.seven_zip import SevenZipListing, list_7z, stream_7z
from kinemask.datasets.reader import DamagedError

FILES = {"data/b.txt": b"two", "data/sub/a.txt": b"one"}
LZMA2, LZMA1 = [{"id": lzma.FILTER_LZMA2, "preset": 1}], [{"id": lzma.FILTER_LZMA1, "preset": 1}]
COPY, BZIP2, DEFLATE, PPMD = (
    [{"id": 0x33}],
    [{"id": 0x31}],
    [{"id": 0x32}],
    [{"id": 0x36, "order": 6, "mem": 16}],
)
SIGNATURE_BYTES = 32  # what stands before the data


def is_text(path: PurePosixPath) -> bool:
    return path.suffix == ".txt"


def list_texts(path: Path) -> SevenZipListing:
    return list_7z(path, is_text)


def write_7z(path: Path, *blocks: Mapping[str, bytes], filters: Any = None, **options: Any) -> Path:
    """An archive with one solid block for each of these."""
    for number, files in enumerate(blocks):
        with SevenZipFile(path, "a" if number else "w", filters=filters, **options) as archive:
            for name, data in files.items():
                archive.writestr(data, name)
    return path


def stream_texts(path: Path, names: Sequence[str] | None = None) -> dict[str, bytes | str]:
    names = [member.path for member in list_texts(path).members] if names is None else names
    return {name: str(it) if isinstance(it, DamagedError) else it for name, it in stream_7z(path, names)}


def noise(seed: int, size: int = 3000) -> bytes:
    return np.random.default_rng(seed).bytes(size)
