"""NTU RGB+D 60 and 120: their sections, who gives them out, who trains on which, and the counts to assert."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kinemask.datasets.archives.fetch import PublicFile, RefusedError
from kinemask.datasets.archives.gated import Gated, GatedFile
from kinemask.datasets.kinect.cleaning import Cleaning
from kinemask.datasets.kinect.skeleton_name import parse_name
from kinemask.datasets.ntu.names import FIRST_HALF, SECOND_HALF
from kinemask.datasets.protocols import even_setups, train_cameras, train_subjects
from kinemask.datasets.reader import Expected, RecordedSection
from kinemask.skeleton.packed import Rule

LIST_FILE = "missing_skeletons.txt"  # in data/raw/<dataset>

_TRAIN_PERFORMERS = {
    1, 2, 4, 5, 8, 9, 13, 14, 15, 16, 17, 18, 19, 25, 27, 28, 31, 34, 35, 38,
    45, 46, 47, 49, 50, 52, 53, 54, 55, 56, 57, 58, 59, 70, 74, 78, 80, 81, 82, 83, 84, 85, 86, 89,
    91, 92, 93, 94, 95, 97, 98, 100, 103,
}  # fmt: skip
_ASK = (
    "the ROSE Lab of NTU, Singapore; request form at https://rose1.ntu.edu.sg/dataset/actionRecognition, "
    "where a person reads and signs the agreement"
)
_MERGED = ("nturgbd_skeletons_s001_to_s032.zip",)  # some people keep both in one archive
_FIRST = GatedFile(("nturgbd_skeletons_s001_to_s017.zip", "nturgb+d_skeletons.zip", *_MERGED))
_SECOND = GatedFile(("nturgbd_skeletons_s018_to_s032.zip", "nturgb+d_skeletons120.zip", *_MERGED))
_LISTS = (
    "https://raw.githubusercontent.com/shahroudy/NTURGB-D/ac2ebc87e6e9777ea6bac67e65e53b325b903f74/Matlab"
)
_LIST_60 = "NTU_RGBD_samples_with_missing_skeletons.txt"
_LIST_120 = "NTU_RGBD120_samples_with_missing_skeletons.txt"


class NtuConfig(RecordedSection):
    """`datasets.ntu60` and `datasets.ntu120` of params.yaml."""

    name: Literal["ntu60", "ntu120"]
    cleaning: Cleaning


@dataclass(frozen=True)
class NtuSet:
    """The facts of one of the two data sets."""

    setups: range
    num_classes: int
    gated: Gated
    listed: PublicFile  # the recordings whose skeletons are missing or incomplete, by the owners' list
    listed_sha256: str  # over the sorted names of these setups, a line each
    rules: Mapping[str, Rule]
    expected: Expected


SETS = {
    "ntu60": NtuSet(
        setups=FIRST_HALF,
        num_classes=60,
        gated=Gated("NTU RGB+D 60", (_FIRST,), _ASK),
        listed=PublicFile(
            dataset="ntu60",
            file=LIST_FILE,
            names=(_LIST_60, "samples_with_missing_skeletons.txt", _LIST_120),
            url=f"{_LISTS}/{_LIST_60}",
            folders=("ntu_lists",),
        ),
        listed_sha256="4a964781573e86c3f3bb24d489d2b4768d2d03ede396d20ea9c09ddc92b6df18",
        rules={"xsub": train_subjects(_TRAIN_PERFORMERS), "xview": train_cameras({2, 3})},
        expected=Expected(
            clips=56_578, frames=None, parts={"xsub": (40_091, 16_487), "xview": (37_646, 18_932)}
        ),
    ),
    "ntu120": NtuSet(
        setups=range(FIRST_HALF.start, SECOND_HALF.stop),
        num_classes=120,
        gated=Gated("NTU RGB+D 120", (_FIRST, _SECOND), _ASK),
        listed=PublicFile(
            dataset="ntu120",
            file=LIST_FILE,
            names=(_LIST_120, "samples_with_missing_skeletons_NTU_RGBD120.txt", "ntu_rgb120_missings.txt"),
            url=f"{_LISTS}/{_LIST_120}",
            folders=("ntu_lists",),
        ),
        listed_sha256="f8abc124c4fc4b4e8f144caa34948f8307e5d7dcba17acf96132c9f311ff93cf",
        rules={"xsub": train_subjects(_TRAIN_PERFORMERS), "xset": even_setups},
        expected=Expected(
            clips=113_945, frames=None, parts={"xsub": (63_026, 50_919), "xset": (54_468, 59_477)}
        ),
    ),
}


def official_names(path: Path, facts: NtuSet) -> frozenset[str]:
    """The names of an official list that are of these setups. Raises RefusedError for any other list."""
    listed, found = read_list(path.read_bytes(), facts.setups)
    if found != facts.listed_sha256:
        raise RefusedError(
            f"it names {len(listed)} recordings of {facts.gated.title} whose digest is {found}, the official "
            f"list has {facts.listed_sha256}"
        )
    return listed


def read_list(data: bytes, setups: range) -> tuple[frozenset[str], str]:
    """The names of these setups in a list, and their digest; lines that are no names are its head."""
    lines = data.decode("utf-8", errors="replace").splitlines()
    names = {line.strip().removesuffix(".skeleton") for line in lines}
    listed = frozenset(n for n in names if (said := parse_name(n)) is not None and said.setup in setups)
    return listed, hashlib.sha256("".join(f"{name}\n" for name in sorted(listed)).encode()).hexdigest()
