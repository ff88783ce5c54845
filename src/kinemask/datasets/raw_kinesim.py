"""Kinesim, the embedded data set: simulated people before simulated Kinects, as real `.skeleton` files.

It makes the whole chain run anywhere, offline. It is no evidence about real people.
"""

import hashlib
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import numpy as np
from jaxtyping import Float
from pydantic import Field, model_validator

from kinemask.datasets.archives.fetch import SourceFile, file_sha256, write_source
from kinemask.datasets.kinect.cleaning import Cleaning
from kinemask.datasets.kinect.skeleton_zip import open_skeletons
from kinemask.datasets.kinesim.actions import ACTIONS
from kinemask.datasets.kinesim.camera import Camera, CameraConfig, draw_camera
from kinemask.datasets.kinesim.motion import Action
from kinemask.datasets.kinesim.scene import Person, SceneConfig, draw_people, perform
from kinemask.datasets.kinesim.sensor import SensorConfig, observe, skeleton_text
from kinemask.datasets.protocols import odd_subjects, train_cameras
from kinemask.datasets.reader import DatasetReader, DatasetSection, Expected, Reading, Verdict
from kinemask.progress import progress
from kinemask.seeding import numpy_generator
from kinemask.skeleton.layout import KINECT25
from kinemask.skeleton.packed import Rule
from kinemask.storage import whole_folder, writing

ARCHIVE_FILE = "skeletons.zip"
FOLDER = "kinesim_skeletons"  # inside the archive
TEST_CAMERA = 1  # of xview, as in NTU RGB+D
_PERSONS = 2
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)
_ZIP_LEVEL = 1  # text of digits gains little from more


class SimulatedSection(DatasetSection):
    """The section of a simulated data set. Clips number actions x subjects x replications x cameras."""

    seed: int = Field(ge=0)
    actions: int | tuple[str, ...]  # the first so many, or these
    subjects: int = Field(ge=2, le=999)
    replications: int = Field(ge=1, le=999)
    setups: int = Field(ge=1, le=99)  # places of the cameras; subjects take turns at them
    frames_per_second: float = Field(gt=0, le=60)
    cameras: CameraConfig
    people: SceneConfig
    sensor: SensorConfig
    cleaning: Cleaning

    @model_validator(mode="after")
    def _actions_exist(self) -> "SimulatedSection":
        known = [action.name for action in ACTIONS]
        if isinstance(self.actions, int):
            if not 2 <= self.actions <= len(ACTIONS):
                raise ValueError(f"actions must be 2 to {len(ACTIONS)}, or names")
            return self
        unknown = [name for name in self.actions if name not in known]
        if unknown or len(set(self.actions)) != len(self.actions) or len(self.actions) < 2:
            raise ValueError(f"actions must be at least two different ones of {', '.join(known)}")
        return self

    def chosen_actions(self) -> tuple[Action, ...]:
        """The classes, in order of their labels."""
        if isinstance(self.actions, int):
            return ACTIONS[: self.actions]
        by_name = {action.name: action for action in ACTIONS}
        return tuple(by_name[name] for name in self.actions)


class KinesimConfig(SimulatedSection):
    """`datasets.kinesim` of params.yaml."""

    name: Literal["kinesim"]


class Kinesim2Config(SimulatedSection):
    """`datasets.kinesim2` of params.yaml: other people and actions, a worse sensor; for transfer."""

    name: Literal["kinesim2"]


SimulatedDataset = Annotated[KinesimConfig | Kinesim2Config, Field(discriminator="name")]

C = TypeVar("C", bound=SimulatedSection)


@dataclass(frozen=True)
class ClipKey:
    """Which clip: all numbers from 1, as in its name. Keys sort as their names do."""

    setup: int
    camera: int
    subject: int
    replication: int
    action: int

    @property
    def name(self) -> str:
        """The name in NTU's grammar."""
        return f"S{self.setup:03}C{self.camera:03}P{self.subject:03}R{self.replication:03}A{self.action:03}"


def clip_keys(config: SimulatedSection) -> list[ClipKey]:
    """All clips, sorted by name. Subjects take turns at the setups."""
    return [
        ClipKey(setup, camera, subject, replication, action)
        for setup in range(1, config.setups + 1)
        for camera in range(1, len(config.cameras.degrees) + 1)
        for subject in range(setup, config.subjects + 1, config.setups)
        for replication in range(1, config.replications + 1)
        for action in range(1, len(config.chosen_actions()) + 1)
    ]


class Simulation:
    """The clips of a configuration, each made by itself: any subset comes out the same."""

    def __init__(self, config: SimulatedSection) -> None:
        self._config = config
        self._actions = config.chosen_actions()
        self._subjects = self._people("subject")
        self._partners = self._people("partner")
        # The cameras of a setup see the same performances, one camera after the other.
        self._performances: dict[tuple[int, int, int], Float[np.ndarray, "T M V 3"]] = {}
        self._setup = 0

    def _people(self, role: str) -> tuple[Person, ...]:
        return draw_people(
            self._config.people, seed=self._config.seed, role=role, subjects=self._config.subjects
        )

    def performance(self, key: ClipKey) -> Float[np.ndarray, "T M V 3"]:
        """The joints in the room, before any camera: the same for every camera of the key."""
        if key.setup != self._setup:
            self._performances.clear()
            self._setup = key.setup
        performer = (key.subject, key.replication, key.action)
        if performer not in self._performances:
            action = self._actions[key.action - 1]
            pair = (self._subjects[key.subject - 1], self._partners[key.subject - 1])
            self._performances[performer] = perform(
                action,
                pair[: len(action.roles)],
                config=self._config.people,
                seed=self._config.seed,
                replication=key.replication,
                frames_per_second=self._config.frames_per_second,
            )
        return self._performances[performer]

    def camera(self, key: ClipKey) -> Camera:
        """The camera of the key."""
        return draw_camera(self._config.cameras, seed=self._config.seed, setup=key.setup, camera=key.camera)

    def text(self, key: ClipKey) -> str:
        """The `.skeleton` file of a clip."""
        action = self._actions[key.action - 1].name
        rng = numpy_generator(
            self._config.seed, "sensor", key.setup, key.camera, key.subject, key.replication, action
        )
        seen = self.camera(key).see(self.performance(key))
        return skeleton_text(observe(seen, self._config.sensor, rng), rng)


def write_archive(config: SimulatedSection, path: Path, *, name: str) -> str:
    """Write all clips into one zip, the same bytes each time, and return the digest of its content."""
    simulation = Simulation(config)
    digest = hashlib.sha256()
    keys = clip_keys(config)
    with zipfile.ZipFile(path, "w") as archive:
        for key in progress(keys, name=f"simulate {name}", unit="clip", total=len(keys)):
            file = f"{key.name}.skeleton"
            data = simulation.text(key).encode("ascii")
            entry = zipfile.ZipInfo(f"{FOLDER}/{file}", date_time=_ZIP_TIME)
            entry.create_system, entry.external_attr = 3, 0o644 << 16  # the same on every platform
            archive.writestr(entry, data, zipfile.ZIP_DEFLATED, _ZIP_LEVEL)
            digest.update(f"{hashlib.sha256(data).hexdigest()}  {file}\n".encode())
    return digest.hexdigest()


def fetch(config: SimulatedSection, name: str, folder: Path, mirrors: Sequence[str]) -> None:
    """Simulate the archive; no mirror is asked. Raises StorageError if the disk does not take it."""
    with whole_folder(folder) as partial, writing(folder):
        content = write_archive(config, partial / ARCHIVE_FILE, name=name)
        path = partial / ARCHIVE_FILE
        file = SourceFile(
            name=ARCHIVE_FILE, bytes=path.stat().st_size, sha256=file_sha256(path), origin="simulated"
        )
        write_source(partial, content_sha256=content, files=[file])


def open_raw(config: SimulatedSection, name: str, folder: Path) -> Reading:
    """The clips, sorted by name: read as NTU's are."""
    return open_skeletons(
        folder / ARCHIVE_FILE,
        cleaning=config.cleaning,
        num_classes=len(config.chosen_actions()),
        persons=_PERSONS,
    )


def check(config: SimulatedSection, name: str, mirrors: Sequence[str]) -> Verdict:
    """There is nothing to look for."""
    return Verdict("made here", (f"{len(clip_keys(config))} clips, simulated by download",))


def class_names(config: SimulatedSection, folder: Path) -> tuple[str, ...]:
    """The names of the actions, in order of their labels."""
    return tuple(action.name.replace("_", " ") for action in config.chosen_actions())


def protocols(config: SimulatedSection) -> dict[str, Rule]:
    """Across subjects, and across views as in NTU RGB+D."""
    training = range(TEST_CAMERA + 1, len(config.cameras.degrees) + 1)
    return {"xsub": odd_subjects, "xview": train_cameras(training)}


def expected(config: SimulatedSection) -> Expected:
    """The counts that follow from the configuration."""
    actions, cameras = len(config.chosen_actions()), len(config.cameras.degrees)
    odd = (config.subjects + 1) // 2
    one_subject = actions * config.replications * cameras
    one_camera = actions * config.replications * config.subjects
    return Expected(
        clips=one_subject * config.subjects,
        frames=None,  # as long as people take
        parts={
            "xsub": (one_subject * odd, one_subject * (config.subjects - odd)),
            "xview": (one_camera * (cameras - 1), one_camera),
        },
    )


def _reader(config: type[C]) -> DatasetReader[C]:
    return DatasetReader(
        config=config,
        layout=lambda config: KINECT25,
        persons=lambda config: _PERSONS,
        symmetries=lambda config: (
            "mirror",
        ),  # left-handers do it with the left; to sit down is no standing up
        class_names=class_names,
        protocols=protocols,
        expected=expected,
        fetch=fetch,
        open=open_raw,
        check=check,
    )


KINESIM = _reader(KinesimConfig)
KINESIM2 = _reader(Kinesim2Config)
