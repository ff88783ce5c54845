"""Archives of PKU-MMD's names, sizes and oddities, with made-up people: the real are not to be passed on."""

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

import numpy as np

FOLDERS = ("PKU_Skeleton_Renew", "Train_Label_PKU_final")
PASSWORD = "pku"
Row = tuple[int, int, int, int]  # label, start, end, confidence


def phase1_names() -> list[str]:
    """1,076 names: sequences 2 to 364 from three cameras, without nine of M and R and four of L."""
    gone = {*(f"{11 * n:04}-M" for n in range(1, 6)), *(f"{13 * n:04}-R" for n in range(1, 5))}
    gone |= {f"{17 * n:04}-L" for n in range(1, 5)}
    names = [f"{number:04}-{camera}" for number in range(2, 365) for camera in "LMR"]
    return [name for name in names if name not in gone]


def phase2_names() -> list[str]:
    """1,009 names: 26 sequences of 13 subjects from three cameras, without five of M and R to train on."""
    gone = {"A05N01-M", "A09N04-R", "A14N05-M", "A20N09-R", "A26N13-M"}
    names = [f"A{a:02}N{n:02}-{camera}" for a in range(1, 27) for n in range(1, 14) for camera in "LMR"]
    return [name for name in names if name not in gone]


def is_test_subject(name: str) -> bool:
    """Whether the subject of a video tests: in Phase II N02, N03 and N07, here 44 sequences of Phase I."""
    if name.startswith("A"):
        return name[3:6] in ("N02", "N03", "N07")
    return 290 <= int(name[:4]) < 334


def is_test_view(name: str) -> bool:
    """Whether the camera of a video tests: the left one."""
    return name.endswith("L")


def split_text(names: Sequence[str], tests: Sequence[str], newline: str = "\n") -> bytes:
    """A split file as the owners write it, misspelt heading and trailing separators included."""
    test = set(tests)
    train = "".join(f"{name}, " for name in names if name not in test)
    last = "".join(f"{name}, " for name in names if name in test)
    lines = ["Training videos: ", train, "Validataion videos: ", last]
    return newline.join([*lines, ""]).encode()


def skeleton_text(frames: np.ndarray, *, extra_columns: int = 0, newline: str = "\n") -> bytes:
    """A recording of frames (T, 2, 25, 3) or (T, 150): one line a frame."""
    tail = " 2" * extra_columns
    rows = frames.reshape(len(frames), -1).tolist()
    return "".join(" ".join(f"{value:.6f}" for value in row) + tail + newline for row in rows).encode()


def label_text(rows: Sequence[Row], *, newline: str = "\n") -> bytes:
    """A label file."""
    return "".join(",".join(map(str, row)) + newline for row in rows).encode()


@dataclass
class Made:
    """The content of one phase before it is packed: change it, then write it."""

    recordings: dict[str, bytes]  # video -> text
    labels: dict[str, bytes]
    splits: dict[str, bytes]  # file name -> text
    archives: tuple[str, str]  # names without suffix
    passwords: dict[str, str] = field(default_factory=dict)  # archive -> password

    def write(self, folder: Path, *, kind: str = "7z") -> Path:
        """Put all files into the folder."""
        folder.mkdir(parents=True, exist_ok=True)
        for archive, inside, texts in zip(
            self.archives, FOLDERS, (self.recordings, self.labels), strict=True
        ):
            members = {f"{inside}/{name}.txt": data for name, data in texts.items()}
            write = write_7z if kind == "7z" else write_zip
            write(folder / f"{archive}.{kind}", members, password=self.passwords.get(archive))
        for name, data in self.splits.items():
            (folder / name).write_bytes(data)
        return folder


def write_7z(path: Path, members: Mapping[str, bytes], *, password: str | None = None) -> None:
    """A solid archive of these members, in this order."""
    import py7zr

    filters = [{"id": py7zr.FILTER_LZMA2, "preset": 0}]
    if password is not None:
        filters.append({"id": py7zr.FILTER_CRYPTO_AES256_SHA256})
    with (
        py7zr.SevenZipFile(path, "w", filters=filters, password=password) as archive,
        # By itself py7zr writes no unsafe paths; others do.
        mock.patch("py7zr.py7zr.check_archive_path", return_value=True),
    ):
        for name, data in members.items():
            archive.writef(io.BytesIO(data), name)


def write_zip(path: Path, members: Mapping[str, bytes], *, password: str | None = None) -> None:
    """The same as a zip archive."""
    import zipfile

    assert password is None
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def make(names: Sequence[str], *, num_instances: int, labels: Sequence[int], phase: int) -> Made:
    """Recordings of a few frames an instance, with the oddities of the real ones."""
    rng = np.random.default_rng(phase)
    pool = _frame_pool(rng)
    recordings, label_files = {}, {}
    for number, (name, rows) in enumerate(_rows(names, num_instances, labels, rng)):
        newline = "\r\n" if number % 5 == 1 else "\n"
        length = max(row[2] for row in rows) + number % 3
        recordings[name] = _recording(pool, number, length, extra=number % 4 == 2, newline=newline)
        label_files[name] = label_text(rows, newline=newline) + (b"\n" if number % 7 == 3 else b"")
    suffix = "_v2" if phase == 2 else ""
    subjects = [name for name in names if is_test_subject(name)]
    views = [name for name in names if is_test_view(name)]
    separator = "_" if phase == 2 else "-"
    return Made(
        recordings,
        label_files,
        {
            f"cross{separator}subject{suffix}.txt": split_text(names, subjects),
            f"cross_view{suffix}.txt": split_text(names, views, "\r\n"),
        },
        (f"Skeleton{suffix}", f"Label_PKUMMD{suffix}"),
    )


def _rows(
    names: Sequence[str], num_instances: int, labels: Sequence[int], rng: np.random.Generator
) -> Iterator[tuple[str, list[Row]]]:
    """Label rows of one to three frames: adjacent, overlapping, and files of one row alone."""
    given = 0
    for number, name in enumerate(names):
        share = (num_instances - given) // (len(names) - number)
        count = num_instances - given if number == len(names) - 1 else 1 if number % 50 == 7 else share
        rows: list[Row] = []
        start = 1
        for place in range(count):
            length = int(rng.integers(1, 4))
            rows.append((labels[(given + place) % len(labels)], start, start + length - 1, 1 + place % 2))
            # Every ninth instance overlaps with the one before.
            start += length - 1 if place % 9 == 8 else length + int(rng.integers(0, 2))
        given += count
        yield name, rows


def _frame_pool(rng: np.random.Generator) -> list[tuple[str, str]]:
    """Texts of body 1 without its first number, and of body 2: present, or zeros."""
    absent = " ".join(["0"] * 75)
    pool = []
    for place in range(40):
        one, two = (" ".join(f"{value:.4f}" for value in rng.normal(size=75)) for _ in range(2))
        pool.append((one.split(" ", 1)[1], two if place % 4 == 0 else absent))
    return pool


def _recording(
    pool: Sequence[tuple[str, str]], number: int, length: int, *, extra: bool, newline: str
) -> bytes:
    """Frames of the pool, each with a first number of its own, so that no two clips are the same."""
    tail = " 1" * 50 if extra else ""
    lines = []
    for frame in range(length):
        one, two = pool[(number + frame) % len(pool)]
        first = f"{(number * 997 + frame) * 1e-5:.5f}"
        line = f"{first} {one} {two}"
        # Nobody is seen in some frames.
        lines.append((" ".join(["0"] * 150) if (number + frame) % 61 == 0 else line) + tail)
    return newline.join([*lines, ""]).encode()
