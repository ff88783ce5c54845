"""Zip archives with what zipfile does not write: lies in the list of members, encryption."""

import struct
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from kinemask.datasets.archives.zip_members import ZipListing, list_zip
from tests.datasets.conftest import write_zip

METHODS = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]


def is_text(path: PurePosixPath) -> bool:
    return path.suffix == ".txt"


def list_texts(*paths: Path) -> ZipListing:
    return list_zip(paths, is_text)


def listed_as(path: Path, field: int, form: str, value: int) -> Path:
    """The archive with another value in its list of members: at that place of the first entry."""
    data = bytearray(path.read_bytes())
    struct.pack_into(form, data, data.index(b"PK\x01\x02") + field, value)
    path.write_bytes(data)
    return path


def _encrypt(data: bytes, password: bytes) -> bytes:
    """The old encryption of zip, from the published description of the format."""

    def crc(value: int, byte: int) -> int:
        return zlib.crc32(bytes([byte]), value ^ 0xFFFFFFFF) ^ 0xFFFFFFFF

    keys = [0x12345678, 0x23456789, 0x34567890]

    def update(byte: int) -> None:
        keys[0] = crc(keys[0], byte)
        keys[1] = ((keys[1] + (keys[0] & 0xFF)) * 134775813 + 1) & 0xFFFFFFFF
        keys[2] = crc(keys[2], keys[1] >> 24)

    for byte in password:
        update(byte)
    secret = bytearray()
    for byte in data:
        pad = keys[2] | 2
        secret.append(byte ^ (pad * (pad ^ 1) >> 8 & 0xFF))
        update(byte)
    return bytes(secret)


def encrypted_zip(path: Path, content: bytes, password: bytes, method: int = zipfile.ZIP_DEFLATED) -> Path:
    """An archive whose only member is encrypted: its data are written as they are, the headers changed."""
    packer = zlib.compressobj(wbits=-15)
    packed = content if method == zipfile.ZIP_STORED else packer.compress(content) + packer.flush()
    # Twelve random bytes come first; the last of them lets a wrong password be found out.
    data = _encrypt(bytes(range(11)) + bytes([zlib.crc32(content) >> 24]) + packed, password)
    write_zip(path, {"a.txt": data}, method=zipfile.ZIP_STORED)
    for field, form, value in ((8, "<H", 1), (10, "<H", method), (16, "<I", zlib.crc32(content))):
        listed_as(path, field, form, value)
    whole = bytearray(listed_as(path, 24, "<I", len(content)).read_bytes())
    struct.pack_into("<H", whole, 6, 1)
    path.write_bytes(whole)
    return path
