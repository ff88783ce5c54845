"""From an archive of official names to packed arrays, against the slow reference, bit for bit."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kinemask.datasets.ntu.sets import SETS, NtuConfig
from kinemask.datasets.prepare import prepare
from kinemask.datasets.raw_ntu import NTU
from kinemask.section import read_yaml
from kinemask.skeleton.packed import open_packed
from tests.datasets.conftest import Body, skeleton_text
from tests.datasets.kinect import reference_skeleton
from tests.datasets.ntu.ntu_archive import FIRST, all_names, write_archive
from tests.project import ROOT

SECTION: dict[str, Any] = read_yaml(ROOT / "params.yaml")["datasets"]["ntu60"]
NUM_FRAMES = 30
LISTED = "S001C001P001R001A060"
ALL = range(NUM_FRAMES)
# What sensors do: bodies as (tracking id, frames, what it is).
Seen = tuple[str, Sequence[int], str]
ODDITIES: dict[str, list[Seen]] = {
    "one body": [("72057594037932101", ALL, "standing")],
    "nobody in some frames": [("72057594037932101", [*range(4, 11), *range(15, 29)], "standing")],
    "two bodies": [("72057594037932101", ALL, "standing"), ("72057594037932102", ALL, "walking")],
    # Ids beyond 53 bits: as doubles they would be one.
    "ids that doubles confuse": [
        ("72057594037932101", range(16), "standing"),
        ("72057594037932102", range(3, 30), "walking"),
    ],
    "a body for a moment": [("5", ALL, "standing"), ("6", range(7, 18), "walking")],
    "only bodies for a moment": [("5", range(5), "standing"), ("6", range(9, 15), "walking")],
    "a body with a gap": [("5", ALL, "walking"), ("6", [*range(12), *range(20, 30)], "standing")],
    "one person under two ids": [
        ("5", range(14), "standing"),
        ("6", range(14, 30), "standing"),
        ("7", ALL, "walking"),
    ],
    "furniture": [("5", ALL, "furniture"), ("6", ALL, "standing")],
    "stooping at times": [("5", ALL, "stooping"), ("6", ALL, "standing"), ("7", range(13), "walking")],
    "a crowd": [(str(body), range(body, body + 14), "walking") for body in range(1, 8)],
}


def _joints(kind: str, frame: int, rng: np.random.Generator) -> np.ndarray:
    """25 joints: people are tall, furniture is wide and still, who stoops is wide at times."""
    if kind == "furniture":
        # On a grid, so that sums are exact and stillness is stillness.
        return np.stack([np.arange(25) / 16 - 1, np.arange(25) % 4 / 32, np.full(25, 3.0)], -1)
    size = [1.5, 0.3, 0.3] if kind == "stooping" and frame % 3 == 0 else [0.2, 1.6, 0.3]
    away = [0.04 * frame if kind == "walking" else 0.0, 0.0, 3.0]
    return np.linspace(-0.5, 0.5, 25)[:, None] * size + rng.normal(0, 0.05, (25, 3)) + away


def _text(bodies: Sequence[Seen], seed: int) -> bytes:
    rng = np.random.default_rng(seed)
    frames: list[list[Body]] = [
        [(body, _joints(kind, frame, rng).astype(np.float32)) for body, seen, kind in bodies if frame in seen]
        for frame in ALL
    ]
    return skeleton_text(frames)


@pytest.mark.parametrize("processes", [1, 2])
def test_packed_arrays_are_those_of_the_reference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    facts = SETS["ntu60"]
    digest = hashlib.sha256(f"{LISTED}\n".encode()).hexdigest()
    monkeypatch.setitem(SETS, "ntu60", replace(facts, listed_sha256=digest))
    (tmp_path / facts.listed.names[0]).write_text(f"{LISTED}\n")
    names = all_names("ntu60")[: 3 * len(ODDITIES)]
    kinds = 3 * list(ODDITIES.values())
    texts = {name: _text(kinds[seed], seed) for seed, name in enumerate(names)}
    texts[names[0]] = texts[names[0]].replace(b"\n", b"\r\n")
    write_archive(tmp_path / FIRST, reversed([*names, LISTED]), replaced=texts)
    config = NtuConfig.model_validate_json(json.dumps(SECTION))
    raw = tmp_path / "data" / "raw" / "ntu60"
    NTU.fetch(config, "ntu60", raw, [str(tmp_path)])
    info = prepare(NTU, config, name="ntu60", raw=raw, packed=tmp_path / "packed", processes=processes)
    packed = open_packed(tmp_path / "packed")
    assert [one.name for one in info.dropped] == [LISTED]
    assert packed.clips["name"].tolist() == names
    for name, start, length in packed.clips[["name", "offset", "length"]].itertuples(index=False):
        joints, present = reference_skeleton.clean(texts[name], SECTION["cleaning"])
        frames = slice(start, start + length)
        assert np.array_equal(packed.present[frames], present), name
        assert packed.joints[frames].tobytes() == joints.tobytes(), name
