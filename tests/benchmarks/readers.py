"""The recordings of the benchmark as a data set for `prepare`: from their zip, from files, or from memory."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Literal

from kinemask.datasets.archives.fetch import write_source
from kinemask.datasets.archives.zip_reading import Parse
from kinemask.datasets.kinect.cleaning import Cleaning
from kinemask.datasets.kinect.skeleton_zip import clip_parser, open_skeletons
from kinemask.datasets.prepare import prepare
from kinemask.datasets.protocols import train_cameras, train_subjects
from kinemask.datasets.reader import DatasetReader, DatasetSection, Reading, Verdict
from kinemask.section import Section, read_params
from kinemask.skeleton.clip import Clip
from kinemask.skeleton.layout import KINECT25
from kinemask.skeleton.packed import DatasetInfo
from tests.benchmarks import three_scripts

ROOT = Path(__file__).parents[2]
NUM_CLASSES = 60
PERSONS = 2


class Config(DatasetSection):
    """How the recordings become clips."""

    name: Literal["benchmark"]
    cleaning: Cleaning


@dataclass(frozen=True)
class Named:
    """A recording in memory."""

    name: str
    text: bytes


def from_zip(archive: Path, config: Config) -> Reading:
    """The members of a zip archive."""
    return open_skeletons(archive, cleaning=config.cleaning, num_classes=NUM_CLASSES)


def from_files(files: Sequence[Path], config: Config) -> Reading:
    """Unpacked files."""
    return _reading(files, partial(_read_file, parse=_parser(config)))


def from_memory(recordings: Sequence[Named], config: Config) -> Reading:
    """Recordings that need not be read."""
    return _reading(recordings, partial(_read_text, parse=_parser(config)))


def pack(open_reading: Callable[[Config], Reading], work: Path, *, processes: int = 1) -> DatasetInfo:
    """Prepare recordings, as the stage preprocess does, in an empty folder `work`."""
    raw = work / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    write_source(raw, content_sha256="", files=())
    config = Config(name="benchmark", cleaning=lineage_cleaning(), max_damaged_share=0.0)
    reader = replace(READER, open=lambda config, name, raw: open_reading(config))
    return prepare(reader, config, name="benchmark", raw=raw, packed=work / "packed", processes=processes)


@cache
def lineage_cleaning() -> Cleaning:
    """How params.yaml has NTU RGB+D 60 cleaned: as the field does."""

    class Params(Section):
        cleaning: Cleaning

    params = read_params(Params, {"cleaning": "datasets.ntu60.cleaning"}, ROOT / "params.yaml")
    return params.cleaning


def _reading(items: Sequence[Path] | Sequence[Named], read: Callable[..., Sequence[Clip]]) -> Reading:
    return Reading(
        num_recordings=len(items),
        num_clips=len(items),
        recordings=lambda start: iter(items[start:]),
        read=read,
    )


def _parser(config: Config) -> Parse:
    return clip_parser(config.cleaning, num_classes=NUM_CLASSES, persons=PERSONS)


def _read_file(path: Path, *, parse: Parse) -> Sequence[Clip]:
    return (parse(path.stem, path.read_bytes()),)


def _read_text(recording: Named, *, parse: Parse) -> Sequence[Clip]:
    return (parse(recording.name, recording.text),)


READER = DatasetReader(
    config=Config,
    layout=lambda config: KINECT25,
    persons=lambda config: PERSONS,
    symmetries=lambda config: ("mirror",),
    class_names=lambda config, raw: tuple(f"action {number}" for number in range(1, NUM_CLASSES + 1)),
    protocols=lambda config: {
        "xsub": train_subjects(three_scripts.TRAIN_PERFORMERS),
        "xview": train_cameras(three_scripts.TRAIN_CAMERAS),
    },
    expected=lambda config: None,
    fetch=lambda config, name, raw, mirrors: None,
    open=lambda config, name, raw: Reading(0, 0, lambda start: iter(()), list),  # see `pack`
    check=lambda config, name, mirrors: Verdict("made here", ()),
)
