"""Archives of any number of recordings, quickly: for how time and memory go with the number of clips.

A few texts are packed once. Each recording is one of them with another first frame, packed apart, so that all
differ in content and unpack at the cost of a real one. Two deflate streams, the first flushed, are one.
"""

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.benchmarks.recordings import Recordings, names, skeleton_text, spread_lengths

_NUM_TEXTS = 100
_LOCAL, _CENTRAL, _END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
_MOST = 30_000  # whose offsets stay below 4 GiB, so that no 64-bit fields are needed


@dataclass(frozen=True)
class _Text:
    head: bytes  # up to the line of the first joint of the first frame that has one
    middle: bytes  # the rest of that line, after its first number
    tail: bytes
    packed_tail: bytes


def write_many(archive: Path, num: int, *, seed: int) -> Recordings:
    """`num` recordings in a zip, which are nowhere unpacked."""
    if num > _MOST:
        raise ValueError(f"{num} recordings asked for, at most {_MOST} fit")
    rng = np.random.default_rng(seed)
    texts = [_split(skeleton_text(length, rng)) for length in spread_lengths(_NUM_TEXTS, rng)]
    archive.parent.mkdir(parents=True, exist_ok=True)
    chosen = names(num)
    directory, num_bytes = [], 0
    with archive.open("wb") as file:
        for number, name in enumerate(chosen):
            text = texts[number % _NUM_TEXTS]
            head = text.head + b"%.6f" % (1 + number / 1e6) + text.middle
            packing = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
            packed = packing.compress(head) + packing.flush(zlib.Z_FULL_FLUSH) + text.packed_tail
            size = len(head) + len(text.tail)
            sum_and_sizes = (zlib.crc32(text.tail, zlib.crc32(head)), len(packed), size)
            path = f"nturgb+d_skeletons/{name}.skeleton".encode()
            entry = struct.pack("<5H3I2H", 20, 0, zlib.DEFLATED, 0, 0x21, *sum_and_sizes, len(path), 0)
            place = struct.pack("<3H2I", 0, 0, 0, 0, file.tell())
            directory.append(_CENTRAL + struct.pack("<H", 20) + entry + place + path)
            file.write(_LOCAL + entry + path + packed)
            num_bytes += size
        start = file.tell()
        listing = b"".join(directory)
        file.write(listing)
        file.write(_END + struct.pack("<4H2IH", 0, 0, num, num, len(listing), start, 0))
    return Recordings(archive, archive.parent, tuple(chosen), num_bytes)


def _split(text: bytes) -> _Text:
    """A text around the first number of its first joint, and the tail packed."""
    first = text.index(b"\n25\n") + 4
    after = text.index(b" ", first)
    end = text.index(b"\n", first) + 1
    packing = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    tail = text[end:]
    return _Text(text[:first], text[after:end], tail, packing.compress(tail) + packing.flush())
