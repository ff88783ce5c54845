"""How members of zip archives are unpacked, by the number of their method.

One byte more than there should be is enough to tell that the data lie, and little enough for any memory.
"""

import lzma
import struct
import zipfile
import zlib
from bz2 import BZ2Decompressor
from collections.abc import Callable


def _inflated(data: memoryview, size: int) -> bytes:
    from isal import isal_zlib

    content: bytes = isal_zlib.decompressobj(wbits=-zlib.MAX_WBITS).decompress(data, size + 1)
    return content


def _bunzipped(data: memoryview, size: int) -> bytes:
    return BZ2Decompressor().decompress(data, size + 1)


def _unlzma(data: memoryview, size: int) -> bytes:
    """Zip's LZMA: version, length of the properties (5), the properties, the stream."""
    if len(data) < 9 or bytes(data[2:4]) != b"\x05\x00":
        raise ValueError("not the LZMA of zip archives")
    bits, dictionary = struct.unpack_from("<BI", data, 4)
    filters = {
        "id": lzma.FILTER_LZMA1,
        "lc": bits % 9,
        "lp": bits // 9 % 5,
        "pb": bits // 45,
        # As large as the content is enough: a larger one takes memory for nothing.
        "dict_size": min(dictionary, max(size, 4096)),
    }
    return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[filters]).decompress(data[9:], size + 1)


# Method -> from the packed data and the size that there should be to the content.
UNPACK: dict[int, Callable[[memoryview, int], bytes]] = {
    zipfile.ZIP_STORED: lambda data, size: bytes(data),
    zipfile.ZIP_DEFLATED: _inflated,
    zipfile.ZIP_BZIP2: _bunzipped,
    zipfile.ZIP_LZMA: _unlzma,
}
