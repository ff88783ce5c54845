"""The section of params.yaml of users' own recordings: where they lie and how their numbers are meant."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from kinemask.datasets.kinect.cleaning import Cleaning
from kinemask.datasets.own.bvh import layout_of, read_bvh
from kinemask.datasets.own.frames import METRES, Convention
from kinemask.datasets.own.labels import ColumnProtocol
from kinemask.datasets.reader import DatasetError, DatasetSection
from kinemask.section import Section
from kinemask.skeleton.body import BodyConfig
from kinemask.skeleton.clip import Symmetry
from kinemask.skeleton.layout import KINECT25, LAYOUTS, Layout
from kinemask.skeleton.packed import COLUMNS


class BvhBodyConfig(Section):
    """The joints of a .bvh file of the folder, all of them, as the body of all files."""

    name: str = Field(min_length=1)
    bvh: str


def _kind_of_layout(value: Any) -> str:
    if isinstance(value, dict):
        return "bvh" if "bvh" in value else "body"
    return "body" if isinstance(value, BodyConfig) else "bvh" if isinstance(value, BvhBodyConfig) else "name"


LayoutConfig = Annotated[
    Annotated[str, Tag("name")] | Annotated[BodyConfig, Tag("body")] | Annotated[BvhBodyConfig, Tag("bvh")],
    Discriminator(_kind_of_layout),
]


class RawFolderConfig(DatasetSection):
    """A dataset of params.yaml under a key of the user's choice."""

    name: Literal["raw_folder"]
    folder: str = Field(min_length=1)  # from the root of the project, absolute or with ~
    labels: str = Field(min_length=1)  # in the folder
    layout: LayoutConfig
    joints: dict[str, str] = Field(default_factory=dict)  # joint of the layout -> its name in .bvh and .csv
    persons: int = Field(ge=1)
    units: Literal["metres", "centimetres", "millimetres", "inches", "feet"] | Annotated[float, Field(gt=0)]
    up: Literal["y", "z"]
    lost_joints: Literal["refuse", "fill"]  # NaN of a person who is there: damage, or a line over time
    symmetries: tuple[Symmetry, ...]
    cleaning: Cleaning | None  # of a Kinect's .skeleton files; null takes their bodies as they are
    protocols: dict[str, ColumnProtocol] = Field(min_length=1)

    @field_validator("folder")
    @classmethod
    def _from_the_root(cls, folder: str, info: Any) -> str:  # of pydantic; beartype cannot check it
        """The project may be looked at from elsewhere: `kinemask check --root`."""
        try:
            path = Path(folder).expanduser()
        except RuntimeError:
            raise ValueError("this machine knows no home of that user: write the path from /") from None
        root = (info.context or {}).get("root", Path())
        return folder if path.is_absolute() or root == Path() else str(root / path)

    @field_validator("layout")
    @classmethod
    def _is_known(cls, layout: LayoutConfig) -> LayoutConfig:
        if isinstance(layout, str) and layout not in LAYOUTS:
            known = ", ".join(LAYOUTS)
            raise ValueError(f"no such body; known are {known}, or describe one: name, joints, parents...")
        return layout

    @model_validator(mode="after")
    def _fits(self) -> "RawFolderConfig":
        problems = [
            f"protocols.{name}: tables have such a column" for name in self.protocols if name in COLUMNS
        ]
        if self.cleaning is not None and self.layout != KINECT25.name:
            problems.append(
                f"cleaning is for a Kinect's .skeleton files: take layout {KINECT25.name}, or cleaning null"
            )
        if not isinstance(self.layout, BvhBodyConfig):
            unknown = sorted(set(self.joints) - set(body_of(self).joints))
            problems += [f"joints names {', '.join(unknown)}, which the layout has not"] if unknown else []
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @property
    def place(self) -> Path:
        """The user's folder."""
        return Path(self.folder).expanduser().absolute()


def body_of(config: RawFolderConfig) -> Layout:
    """The body of the recordings. Raises DatasetError if the .bvh file that has it cannot be read."""
    if isinstance(config.layout, str):
        return LAYOUTS[config.layout]
    if isinstance(config.layout, BodyConfig):
        return config.layout.layout()
    path = config.place / config.layout.bvh
    try:
        return layout_of(read_bvh(path.read_bytes()).tree, config.layout.name)
    except OSError as error:
        raise DatasetError(f"layout.bvh: {path} cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise DatasetError(f"layout.bvh: {path} is damaged: {error}") from None


def convention_of(config: RawFolderConfig) -> Convention:
    """How the numbers of its files are meant. Raises DatasetError as `body_of` does."""
    return Convention(
        layout=body_of(config),
        names=config.joints,
        persons=config.persons,
        metres=METRES[config.units] if isinstance(config.units, str) else config.units,
        up=config.up,
        lost_joints=config.lost_joints,
    )
