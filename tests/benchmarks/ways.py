"""The ways that are measured, job by job: our code as preprocess runs it, and what others do."""

import io
import shutil
import zipfile
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

import numpy as np

from kinemask.datasets.archives.zip_members import ZipMember, list_zip, read_member
from kinemask.datasets.kinect.cleaning import clean, to_first_frame
from kinemask.datasets.kinect.raw_skeleton import read_skeleton
from kinemask.datasets.kinect.skeleton_text import read_rows
from kinemask.datasets.kinect.skeleton_zip import clip_parser, is_skeleton
from kinemask.skeleton.clip import Clip
from kinemask.skeleton.layout import KINECT25
from kinemask.skeleton.packed import PackedWriter, open_packed
from tests.benchmarks import three_scripts
from tests.benchmarks.measure import OURS, Job, Way
from tests.benchmarks.parsers import Parser, available, by_array
from tests.benchmarks.readers import (
    NUM_CLASSES,
    PERSONS,
    Named,
    from_files,
    from_memory,
    from_zip,
    lineage_cleaning,
    pack,
)
from tests.benchmarks.recordings import Recordings, pku_text

FROM_FILES, FROM_ZIP = "files to arrays", "zip to arrays"
CHAIN_STEPS, OUR_STEPS = "steps of the three scripts", f"steps of {OURS}"
TEXT, ROWS = "text to float32", "PKU text to float32"
INFLATE, SEVEN_ZIP = "inflate", "7z to bytes"
UNZIP = "unzip"
SCRIPTS = ("1 read", "2 de-noise", "3 transform, write")

_NUM_PARSED = 40  # files for each parser
_NUM_PACKED = 3
_ROWS_FRAMES = 5000
_ROWS_COLUMNS = 150


def chain(recordings: Recordings, work: Path) -> list[Way]:
    """Unzipping, then the three scripts; each works on what the one before has left."""
    unpacked, handed = work / "unpacked", work / "three_scripts"
    for folder in (unpacked, handed):
        folder.mkdir(parents=True, exist_ok=True)

    def start_again() -> None:
        for folder in (unpacked, handed):
            shutil.rmtree(folder)
            folder.mkdir()

    def unzip() -> None:
        with zipfile.ZipFile(recordings.archive) as archive:
            archive.extractall(unpacked)

    files, names = unpacked / "nturgb+d_skeletons", recordings.names
    steps: list[tuple[str, Callable[[], object]]] = [
        (UNZIP, unzip),
        (SCRIPTS[0], lambda: three_scripts.script_1(files, names, handed)),
        (SCRIPTS[1], lambda: three_scripts.script_2(handed)),
        (SCRIPTS[2], lambda: three_scripts.script_3(names, handed)),
    ]
    ways = [Way(Job(CHAIN_STEPS, what, len(names), recordings.num_bytes), run) for what, run in steps]
    return [replace(ways[0], before=start_again), *ways[1:]]


def ours(recordings: Recordings, work: Path) -> list[Way]:
    """All that preprocess does, in one process, from the zip and from files; then each step, from memory."""
    cleaning = lineage_cleaning()
    members = list_zip(recordings.archive, is_skeleton).members
    files = [recordings.folder / f"{name}.skeleton" for name in recordings.names]
    texts = [read_member(member) for member in members]
    parsed = [read_skeleton(text) for text in texts]
    to_clip = clip_parser(cleaning, num_classes=NUM_CLASSES, persons=PERSONS)
    clips = [to_clip(member.name, text) for member, text in zip(members, texts, strict=True)]
    ready = [Named(member.name, text) for member, text in zip(members, texts, strict=True)]
    pack(partial(from_zip, recordings.archive), work)  # imports and compiles
    steps: list[tuple[str, str, Callable[[], object]]] = [
        (FROM_ZIP, OURS, lambda: pack(partial(from_zip, recordings.archive), work)),
        (FROM_FILES, OURS, lambda: pack(partial(from_files, files), work)),
        (FROM_FILES, f"{OURS}, files in memory", lambda: pack(partial(from_memory, ready), work)),
        (OUR_STEPS, "list the zip", lambda: list_zip(recordings.archive, is_skeleton)),
        (OUR_STEPS, "inflate", lambda: _each(read_member, members)),
        (OUR_STEPS, "read files, instead of both", lambda: _each(Path.read_bytes, files)),
        (OUR_STEPS, "parse", lambda: _each(read_skeleton, texts)),
        (OUR_STEPS, "clean", lambda: _each(partial(clean, config=cleaning, persons=PERSONS), parsed)),
        # A clip keeps its hash, so each is made anew.
        (OUR_STEPS, "hash", lambda: [replace(clip).content_sha256 for clip in clips]),
        (OUR_STEPS, "write", lambda: _write(clips, work / "written")),
    ]
    # Nobody packs over an older result, which would have to be removed first.
    before = partial(shutil.rmtree, work, ignore_errors=True)
    return [Way(Job(part, what, len(files), recordings.num_bytes), run, before) for part, what, run in steps]


def largest_difference(recordings: Recordings, chain_work: Path, work: Path) -> float:
    """Between the coordinates of the three scripts and ours, of all clips."""
    pack(partial(from_zip, recordings.archive), work)
    packed = open_packed(work / "packed")
    theirs = {}
    with np.load(chain_work / "three_scripts/NTU60_CS.npz") as archive:
        for part in ("train", "test"):
            members = packed.clips[packed.clips["xsub"] == part]["name"]
            theirs |= dict(zip(members, archive[f"x_{part}"], strict=True))
    largest = 0.0
    for clip in packed.clips.to_dict("records"):
        frames = slice(clip["offset"], clip["offset"] + clip["length"])
        moved = to_first_frame(packed.joints[frames], packed.present[frames])
        expected = np.zeros_like(theirs[clip["name"]])
        expected[: clip["length"]] = moved.reshape(clip["length"], -1)
        largest = max(largest, float(np.abs(theirs[clip["name"]] - expected).max()))
    return largest


def text_to_float32(recordings: Recordings) -> list[Way]:
    """Our kernel and what libraries offer, on bytes in memory; all must find the same numbers."""
    chosen = list(islice(recordings.texts(), _NUM_PARSED))
    expected = [by_array(text) for text in chosen]
    parsers: dict[str, Parser] = {OURS: _coordinates, **available()}
    for name, parser in parsers.items():
        for text, coordinates in zip(chosen, expected, strict=True):
            found = parser(text)
            assert found.dtype == np.float32, f"{name} finds {found.dtype}"
            # Ours groups by body; the order within a body is that of the file.
            same = np.array_equal(*map(_sorted, (found, coordinates)))
            assert same, f"{name} finds other coordinates than np.array"
    ways = []
    for name, parser in parsers.items():
        run = read_skeleton if name == OURS else parser
        ways.append(_way(TEXT, name, run, chosen))
    return ways


def rows_to_float32(seed: int) -> list[Way]:
    """A file of PKU-MMD's length, in memory."""
    rng = np.random.default_rng(seed)
    texts = [pku_text(_ROWS_FRAMES, rng)]

    def by_fromstring(text: bytes) -> np.ndarray:
        return np.fromstring(text, sep=" ").reshape(-1, _ROWS_COLUMNS).astype(np.float32)

    def by_loadtxt(text: bytes) -> np.ndarray:
        return np.loadtxt(io.BytesIO(text)).astype(np.float32)

    def by_array_of_all(text: bytes) -> np.ndarray:
        return np.array(text.split(), np.float64).reshape(-1, _ROWS_COLUMNS).astype(np.float32)

    def by_pandas(text: bytes) -> np.ndarray:
        import pandas as pd

        table = pd.read_csv(io.BytesIO(text), sep=" ", header=None, engine="c", float_precision="high")
        return table.to_numpy(np.float32)

    def by_arrow(text: bytes) -> np.ndarray:
        from pyarrow import csv

        names = [str(column) for column in range(_ROWS_COLUMNS)]
        table = csv.read_csv(
            io.BytesIO(text),
            csv.ReadOptions(use_threads=False, column_names=names),
            csv.ParseOptions(delimiter=" ", quote_char=False),
            csv.ConvertOptions(column_types=dict.fromkeys(names, "float32")),
        )
        return np.stack([column.to_numpy() for column in table.columns], axis=1)

    parsers: dict[str, Parser] = {
        OURS: partial(read_rows, num_columns=_ROWS_COLUMNS),
        "pyarrow CSV": by_arrow,
        "np.array, whole file": by_array_of_all,
        "np.fromstring": by_fromstring,
        "pandas C reader": by_pandas,
        "np.loadtxt": by_loadtxt,
    }
    expected = by_array_of_all(texts[0])
    for name, parser in parsers.items():
        assert np.array_equal(parser(texts[0]), expected), f"{name} finds other numbers than np.array"
    return [_way(ROWS, name, parser, texts) for name, parser in parsers.items()]


def inflate(recordings: Recordings) -> list[Way]:
    """Unpacking alone, of packed bytes in memory; ours reads them from the archive and checks the sum too."""
    members = list_zip(recordings.archive, is_skeleton).members
    packed = _packed_bytes(recordings.archive, members)
    sizes = [member.size for member in members]
    raw = -zlib.MAX_WBITS
    found: dict[str, Callable[[bytes, int], bytes]] = {
        "zlib": lambda data, size: zlib.decompress(data, raw, size)
    }
    if find_spec("isal"):
        from isal import isal_zlib

        found["isal"] = lambda data, size: isal_zlib.decompress(data, raw, size)
    if find_spec("zlib_ng"):
        from zlib_ng import zlib_ng

        found["zlib-ng"] = lambda data, size: zlib_ng.decompress(data, raw, size)
    if find_spec("deflate"):
        import deflate

        found["libdeflate"] = lambda data, size: bytes(deflate.deflate_decompress(data, size))
    ways = [_way(INFLATE, OURS, read_member, members, recordings.num_bytes)]
    for name, unpack in found.items():
        assert unpack(packed[0], sizes[0]) == read_member(members[0]), f"{name} unpacks something else"
        run = partial(_each_pair, unpack, packed, sizes)
        ways.append(Way(Job(INFLATE, name, len(members), recordings.num_bytes), run))
    return ways


def seven_zip(work: Path, seed: int) -> list[Way]:
    """PKU-MMD's way to pack files: streamed without a disk, and unpacked to one by the library below."""
    from py7zr import SevenZipFile

    from kinemask.datasets.archives.seven_zip import stream_7z

    rng = np.random.default_rng(seed)
    texts = {f"skeletons/000{number}-L.txt": pku_text(_ROWS_FRAMES, rng) for number in range(_NUM_PACKED)}
    work.mkdir(parents=True)
    archive = work / "Skeleton.7z"
    with SevenZipFile(archive, "w") as packed:
        for name, text in texts.items():
            packed.writestr(text, name)
    assert dict(stream_7z(archive, tuple(texts))) == texts

    def unpack() -> None:
        with SevenZipFile(archive) as packed:
            packed.extractall(work / "unpacked")

    runs: dict[str, Callable[[], object]] = {
        OURS: lambda: [len(data) for _, data in stream_7z(archive, tuple(texts))],
        "py7zr, to disk": unpack,
    }
    num_bytes = sum(map(len, texts.values()))
    return [Way(Job(SEVEN_ZIP, name, len(texts), num_bytes), run) for name, run in runs.items()]


def _way(
    part: str,
    what: str,
    run: Callable[..., object],
    items: Sequence[object],
    num_bytes: int | None = None,
) -> Way:
    if num_bytes is None:
        num_bytes = sum(len(item) for item in items if isinstance(item, bytes))
    return Way(Job(part, what, len(items), num_bytes), partial(_each, run, items))


def _each(function: Callable[..., object], items: Iterable[object]) -> None:
    for item in items:
        function(item)


def _each_pair(unpack: Callable[[bytes, int], bytes], packed: Sequence[bytes], sizes: Sequence[int]) -> None:
    for data, size in zip(packed, sizes, strict=True):
        unpack(data, size)


def _packed_bytes(path: Path, members: Sequence[ZipMember]) -> list[bytes]:
    """What the archive holds of each member, as it is packed."""
    content = path.read_bytes()
    found = []
    for member in members:
        name, extra = (int.from_bytes(content[member.offset + at :][:2], "little") for at in (26, 28))
        start = member.offset + 30 + name + extra
        found.append(content[start : start + member.compressed])
    return found


def _coordinates(data: bytes) -> np.ndarray:
    bodies = read_skeleton(data).bodies.values()
    return np.concatenate([body.joints for body in bodies]).reshape(-1, 3)


def _sorted(coordinates: np.ndarray) -> np.ndarray:
    return coordinates[np.lexsort(coordinates.T)]


def _write(clips: Iterable[Clip], folder: Path) -> None:
    """Append all clips to a packed dataset; the table at the end is left out."""
    with PackedWriter(folder, KINECT25, PERSONS) as writer:
        for clip in clips:
            writer.add(clip)
