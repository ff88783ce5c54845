"""NTU RGB+D 60 and 120: 60 and 120 everyday actions by one or two people, three Kinects v2, under a licence.

Shahroudy et al., CVPR 2016, https://arxiv.org/abs/1604.02808 ; Liu et al., TPAMI 2019,
https://arxiv.org/abs/1905.04757 ; facts and splits: https://github.com/shahroudy/NTURGB-D
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from kinemask.datasets.archives.fetch import obtain
from kinemask.datasets.archives.gated import Companion, check_unchanged, fetch_gated, open_gated
from kinemask.datasets.archives.zip_reading import reading_of
from kinemask.datasets.kinect.skeleton_zip import clip_parser
from kinemask.datasets.ntu.check import verdict
from kinemask.datasets.ntu.names import CLASS_NAMES
from kinemask.datasets.ntu.sets import LIST_FILE, SETS, NtuConfig, NtuSet, official_names, read_list
from kinemask.datasets.ntu.survey import Survey, list_recordings, survey
from kinemask.datasets.reader import DatasetError, DatasetReader, Reading, Verdict
from kinemask.skeleton.layout import KINECT25

_PERSONS = 2


def fetch(config: NtuConfig, name: str, folder: Path, mirrors: Sequence[str]) -> None:
    """Links to the user's archives, and the official list of missing skeletons."""
    facts = SETS[config.name]
    fetch_gated(
        facts.gated,
        name,
        folder,
        mirrors,
        digests=lambda paths: {"skeletons": list_recordings(name, tuple(paths.values())).digest},
        companion=lambda: _fetch_list(facts, folder, mirrors),
    )


def _fetch_list(facts: NtuSet, folder: Path, mirrors: Sequence[str]) -> Companion:
    found = obtain(facts.listed, folder, mirrors, lambda part: official_names(part, facts))
    data = found.part.read_bytes()
    found.part.unlink()
    return Companion(LIST_FILE, data, facts.listed_sha256, found.origin)


def open_raw(config: NtuConfig, name: str, folder: Path) -> Reading:
    """The recordings in order of their names, without those on the official list."""
    facts = SETS[config.name]
    listing = list_recordings(name, tuple(open_gated(facts.gated, name, folder).values()))
    try:
        listed, digest = read_list((folder / LIST_FILE).read_bytes(), facts.setups)
    except OSError:
        raise DatasetError(f"{name}: {folder / LIST_FILE} is missing: run download") from None
    check_unchanged(name, folder, {"skeletons": listing.digest, LIST_FILE: digest})
    found = survey(listing, facts.setups, listed)
    return _reading(config, found)


def _reading(config: NtuConfig, found: Survey) -> Reading:
    num_classes = SETS[config.name].num_classes
    return reading_of(
        found.members,
        clip_parser(config.cleaning, num_classes=num_classes, persons=_PERSONS),
        left_out=found.left_out,
        missing=found.missing,
        one_in=config.one_clip_in,
    )


def check(config: NtuConfig, name: str, mirrors: Sequence[str]) -> Verdict:
    """What the archives of the mirrors hold, by their names and by a sample; nothing is fetched."""
    return verdict(SETS[config.name], name, mirrors, partial(_reading, config))


NTU = DatasetReader(
    config=NtuConfig,
    layout=lambda config: KINECT25,
    persons=lambda config: _PERSONS,
    symmetries=lambda config: ("mirror",),  # no action is named for a side, but some undo others
    class_names=lambda config, folder: CLASS_NAMES[: SETS[config.name].num_classes],
    protocols=lambda config: dict(SETS[config.name].rules),
    expected=lambda config: SETS[config.name].expected if config.complete else None,
    fetch=fetch,
    open=open_raw,
    check=check,
    gated=True,
)
