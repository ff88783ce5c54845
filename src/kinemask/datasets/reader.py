"""What a dataset offers the stages: a section of params.yaml, facts about the recordings, and functions."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import Field

from kinemask.errors import KinemaskError
from kinemask.section import Section
from kinemask.skeleton.clip import Clip
from kinemask.skeleton.layout import Layout
from kinemask.skeleton.packed import Dropped, Rule


class DatasetError(KinemaskError):
    """Recordings that cannot be used as they are: the message says which, why and what to do."""


# Sensors of rooms see ten metres: a coordinate beyond this, in metres, is damage.
FARTHEST_METRES = 100.0


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
class DatasetReader(Generic[D]):
    """One entry of DATASETS: plain facts, and functions that take the dataset's section of params.yaml."""

    config: type[D]
    layout: Layout
    persons: int  # M of the packed form
    mirror_keeps_label: bool  # False where left and right are different classes
    class_names: Callable[[D], tuple[str, ...]]
    protocols: Callable[[D], dict[str, Rule]]
    # None: nothing is known beforehand (simulated people).
    expected: Callable[[D], Expected | None]
    # (section, folder, mirrors): fill `folder` with the archive(s) and source.json, or leave it absent.
    fetch: Callable[[D, Path, Sequence[str]], None]
    # (section, folder): how many clips or damaged clips `read` will yield, for the progress bar.
    count: Callable[[D, Path], int]
    # (section, folder): the clips, and in their place the damaged ones; reading goes on after those.
    read: Callable[[D, Path], Iterator[Clip | Dropped]]


AnyReader = DatasetReader[Any]
