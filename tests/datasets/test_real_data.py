"""The real archives, where a mirror has them: digests, counts and bone lengths as its READMEs say."""

import os
from pathlib import Path

import numpy as np
import pytest

from kinemask.datasets import DATASETS
from kinemask.datasets.archives.mirrors import MIRROR_VARIABLE
from kinemask.datasets.prepare import prepare
from kinemask.skeleton.layout import KINECT25
from kinemask.skeleton.packed import open_packed
from kinemask.skeleton.validation import hold_out

MIRROR = Path(os.environ.get(MIRROR_VARIABLE, Path(__file__).parents[3] / "shared" / "data"))

# Of each protocol, the clips to train on and the held-out ones of its validation.
VALIDATION = {
    "irds": {"xsub": (841, 577), "xgroup": (864, 542), "xpos": (883, 383)},
    "wmft": {"xsub": (360, 180), "xcond": (240, 120), "xboth": (120, 60)},
}

# Median metres of left upper arm, left forearm, left thigh, left shin.
BONES = [
    ("left_elbow", "left_shoulder"),
    ("left_wrist", "left_elbow"),
    ("left_knee", "left_hip"),
    ("left_ankle", "left_knee"),
]


@pytest.mark.parametrize(
    ("name", "archive", "medians"),
    [
        ("irds", "irds-simplified.zip", [0.241, 0.226, 0.365, 0.354]),
        ("wmft", "wmft.zip", [0.21, 0.22, 0.36, 0.37]),
    ],
)
def test_counts_and_bones_are_those_of_the_readme(
    tmp_path: Path, name: str, archive: str, medians: list[float]
) -> None:
    if not (MIRROR / name / archive).is_file():
        pytest.skip(f"no mirror with {archive}")
    reader = DATASETS[name]
    config = reader.config(name=name, one_clip_in=1, max_damaged_share=0.0)
    raw = tmp_path / "data" / "raw" / name
    reader.fetch(config, name, raw, [str(MIRROR)])
    info = prepare(reader, config, name=name, raw=raw, packed=tmp_path / "packed")
    assert info.complete
    assert info.dropped == ()
    packed = open_packed(tmp_path / "packed")
    for protocol, counts in VALIDATION[name].items():
        held = hold_out(packed.clips[packed.clips[protocol] == "train"])
        assert ((~held).sum(), held.sum()) == counts
    joints = packed.joints[:, 0]
    for (child, parent), median in zip(BONES, medians, strict=True):
        bones = joints[:, KINECT25.index(child)] - joints[:, KINECT25.index(parent)]
        assert np.median(np.linalg.norm(bones, axis=-1)) == pytest.approx(median, abs=0.006)
