"""What a dataset offers the stages: a section of params.yaml, facts about the recordings, and functions."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

import numpy as np
from einops import rearrange
from jaxtyping import Float32
from pydantic import Field

from kinemask.errors import KinemaskError
from kinemask.section import Section
from kinemask.skeleton.clip import Clip, Symmetry
from kinemask.skeleton.layout import Layout
from kinemask.skeleton.packed import Dropped, Rule


class DatasetError(KinemaskError):
    """Recordings that cannot be used as they are: the message says which, why and what to do."""


# Sensors of rooms see ten metres: a coordinate beyond this, in metres, is damage.
FARTHEST_METRES = 100.0
_SHOWN_CHARACTERS = 40


class DamagedError(ValueError):
    """One recording is damaged: the message is the reason, and the recording becomes a Dropped."""


class DatasetSection(Section):
    """What every dataset's section of params.yaml holds. Each adds `name: Literal[...]`."""

    max_damaged_share: float = Field(ge=0, le=1)  # more damaged clips than this stop the stage

    @property
    def complete(self) -> bool:
        """Whether the section asks for all there is, rather than for a slice for quick tests."""
        return True


class RecordedSection(DatasetSection):
    """The section of a dataset that was recorded, so that its counts are known."""

    one_clip_in: int = Field(ge=1)  # 1 is all; n keeps every n-th clip by sorted name

    @property
    def complete(self) -> bool:
        """Whether all clips are read."""
        return self.one_clip_in == 1


def impossible_coordinate(frame: int) -> str:
    """What to say of a frame, counted from 0, with a coordinate that is no number or no place in a room."""
    return f"frame {frame + 1}: a coordinate is not finite or beyond {FARTHEST_METRES:g} m"


def frames_of(values: Float32[np.ndarray, " K"], num_joints: int) -> Float32[np.ndarray, "T V C"]:
    """Coordinates frame by frame, joint by joint, as an array. Raises DamagedError for impossible ones."""
    joints = rearrange(values, "(T V C) -> T V C", V=num_joints, C=3)
    possible = (np.abs(joints) <= FARTHEST_METRES).all(axis=(1, 2))  # NaN is not
    if not possible.all():
        raise DamagedError(impossible_coordinate(int(possible.argmin())))
    return joints


def shown(text: bytes) -> str:
    """The beginning of a damaged text, fit for a message."""
    return repr(text[:_SHOWN_CHARACTERS].decode("ascii", errors="backslashreplace"))


D = TypeVar("D", bound=DatasetSection)


@dataclass(frozen=True)
class Expected:
    """Counts that are known beforehand and asserted when nothing is left out."""

    clips: int
    frames: int | None  # None where the length of the clips is not known beforehand
    parts: Mapping[str, tuple[int, int]]  # protocol -> clips to train on, clips to test on
    # (protocol, "train" or "test") -> clips of each class
    classes: Mapping[tuple[str, str], tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Reading:
    """The recordings of a raw folder: handed to processes one by one, packed in this order."""

    num_recordings: int
    num_clips: int  # for the bar; a recording may hold several clips, or be damaged
    # From this number on, in order: what says where a recording is, small, or its bytes.
    recordings: Callable[[int], Iterator[Any]]
    # The clips of one recording; runs in a worker, so it is a function of a module or a partial of one.
    read: Callable[[Any], Sequence[Clip | Dropped]]
    left_out: tuple[Dropped, ...] = ()  # known without reading, damaged or not
    missing: tuple[str, ...] = ()  # names that the whole data set has and these archives do not
    unnamed: tuple[str, ...] = ()  # what else it has and these do not, in words


@dataclass(frozen=True)
class Verdict:
    """What can be said of the archives of a dataset before anyone waits for them."""

    # Downloadable: not here, and nobody need do anything about it; absent: to be asked for or put here.
    state: Literal["whole", "partial", "absent", "unusable", "made here", "downloadable"]
    facts: tuple[str, ...]  # what was found, one line each
    problems: tuple[str, ...] = ()  # what is wrong or missing, one line each with what to do
    files: tuple[Path, ...] = ()  # that download would link to, where it uses files in their place


@dataclass(frozen=True)
class DatasetReader(Generic[D]):
    """One entry of DATASETS: functions that take the dataset's section of params.yaml.

    Where a name is asked for, it is the key under `datasets`: that of the raw folder data/raw/<name>.
    """

    config: type[D]
    layout: Callable[[D], Layout]
    persons: Callable[[D], int]  # M of the packed form
    symmetries: Callable[[D], tuple[Symmetry, ...]]  # what keeps the class of every clip
    class_names: Callable[[D, Path], tuple[str, ...]]  # (section, raw folder)
    protocols: Callable[[D], dict[str, Rule]]
    # None: nothing is known beforehand.
    expected: Callable[[D], Expected | None]
    # (section, name, raw folder, mirrors): fill the folder with archives and source.json, or leave it absent.
    fetch: Callable[[D, str, Path, Sequence[str]], None]
    # (section, name, raw folder): what there is to read.
    open: Callable[[D, str, Path], Reading]
    # (section, name, mirrors): what `kinemask data check` says, in seconds.
    check: Callable[[D, str, Sequence[str]], Verdict]
    gated: bool = False  # whether only the owners give it out, under a licence


AnyReader = DatasetReader[Any]
