"""PKU-MMD I and II: long videos of everyday actions, three Kinects; given out by their owners only.

Liu et al., ACM MM workshop 2017. https://arxiv.org/abs/1703.07475 ; DATASETS.md sections 5 to 8.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar

from kinemask.datasets.archives.gated import absence, check_unchanged, fetch_gated, locate, open_gated
from kinemask.datasets.pku.archives import classes, read_label_archive, stream_texts
from kinemask.datasets.pku.check import verdict
from kinemask.datasets.pku.instances import PkuSection, Video, read_video
from kinemask.datasets.pku.phases import CLASS_NAMES, LISTS, NUM_BODIES, PHASE1, PHASE2, gated, sequence
from kinemask.datasets.pku.survey import Survey, survey
from kinemask.datasets.protocols import trait
from kinemask.datasets.reader import DatasetError, DatasetReader, Reading, Verdict
from kinemask.skeleton.layout import KINECT25
from kinemask.skeleton.packed import Rule


class Pku1Config(PkuSection):
    """`datasets.pku1` of params.yaml."""

    name: Literal["pku1"]


class Pku2Config(PkuSection):
    """`datasets.pku2` of params.yaml."""

    name: Literal["pku2"]


PkuConfig = Pku1Config | Pku2Config
C = TypeVar("C", Pku1Config, Pku2Config)
PHASES = {"pku1": PHASE1, "pku2": PHASE2}


def protocols(config: PkuConfig) -> dict[str, Rule]:
    """Across subjects and across views, by the owners' lists of videos; a video in neither list is unused."""
    return {protocol: trait(column, train=("train",), test=("test",)) for protocol, column in LISTS.items()}


def class_names(config: PkuConfig, folder: Path) -> tuple[str, ...]:
    """Of Phase II only the actions that occur in its label files, in the order of the 51."""
    phase = PHASES[config.name]
    path = open_gated(gated(phase), config.name, folder)[f"{phase.labels}.7z"]
    labels = read_label_archive(phase, path)
    return tuple(CLASS_NAMES[label - 1] for label in classes(phase, labels.files))


def fetch(config: PkuConfig, name: str, folder: Path, mirrors: Sequence[str]) -> None:
    """Links to the user's archives and split files, after a look whether they belong together."""
    phase = PHASES[config.name]
    fetch_gated(gated(phase), name, folder, mirrors, digests=lambda paths: dict(survey(phase, paths).digests))


def open_raw(config: PkuConfig, name: str, folder: Path) -> Reading:
    """The videos in the order of the archive: it is solid, any other order would unpack it again and again.

    So is the packed form: archives of the same files in another order give the same clips in that order.
    """
    phase = PHASES[config.name]
    found = survey(phase, open_gated(gated(phase), name, folder))
    check_unchanged(name, folder, found.digests)
    return reading(config, found)


def reading(config: PkuConfig, found: Survey) -> Reading:
    """The videos of a slice, or all."""
    phase = found.phase
    sequences = sorted({sequence(video) for video in found.videos})
    chosen = set(sequences[:: config.one_clip_in])
    videos = [video for video in found.videos if sequence(video) in chosen]
    left_out = [one for one in found.left_out if config.complete or _sequence(one.name) in chosen]
    return Reading(
        num_recordings=len(videos),
        num_clips=sum(len(found.labels[video].rows) for video in videos),
        recordings=partial(_recordings, found, videos),
        read=partial(read_video, phase=phase, config=config, classes=classes(phase, found.labels)),
        left_out=tuple(left_out),
        missing=found.missing,
        unnamed=found.unnamed,
    )


def _sequence(name: str) -> str:
    """That of a video or of one of its instances, <video>_<row>."""
    return sequence(name.partition("_")[0])


def _recordings(found: Survey, videos: Sequence[str], start: int) -> Iterator[Video]:
    for name, data in stream_texts(found.recordings, videos[start:]):
        yield Video(name, data, found.labels[name].rows, found.lists(name))


def check(config: PkuConfig, name: str, mirrors: Sequence[str]) -> Verdict:
    """What the files of the mirrors hold, and the first videos of the archive read. Nothing is fetched."""
    phase = PHASES[config.name]
    located = locate(gated(phase), name, mirrors)
    where = tuple(f"{path}, {path.stat().st_size / 2**20:,.1f} MiB" for _, path in located.distinct)
    if located.absent:
        state: Literal["partial", "absent"] = "partial" if located.paths else "absent"
        return Verdict(state, where, (absence(gated(phase), name, located.absent, mirrors),))
    try:
        found = survey(phase, located.paths)
    except DatasetError as error:
        return Verdict("unusable", where, (str(error),))
    files = tuple(path for _, path in located.distinct)
    return replace(verdict(found, reading(config, found), where), files=files)


def _reader(config: type[C]) -> DatasetReader[C]:
    return DatasetReader(
        config=config,
        layout=lambda section: KINECT25,
        persons=lambda section: NUM_BODIES,
        symmetries=lambda section: ("mirror",),
        class_names=class_names,
        protocols=protocols,
        expected=lambda section: None,  # videos are counted, not clips: `survey` compares them
        fetch=fetch,
        open=open_raw,
        check=check,
        gated=True,
    )


PKU1 = _reader(Pku1Config)
PKU2 = _reader(Pku2Config)
