"""A whole run on made-up people, through the real stages of every evaluation there is, in this process."""

import importlib
import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from kinemask.datasets.protocols import odd_subjects, train_cameras
from kinemask.evaluation import fit_pool
from kinemask.params import check
from kinemask.plan import write_plan
from kinemask.record import Record, read_records
from kinemask.run import EVALUATIONS, Evaluation
from kinemask.section import read_yaml
from kinemask.skeleton.benchmark import BENCHMARKS
from kinemask.skeleton.clip import Clip
from kinemask.skeleton.layout import KINECT25
from kinemask.skeleton.packed import PACKED, PackedWriter, open_packed
from kinemask.skeleton.split import write_benchmark
from kinemask.storage import write_text
from kinemask.tracking.tracker import Tracker
from tests.project import ROOT, make_tiny

BENCHMARK, TARGET = "kinesim-xsub", "kinesim-xview"
NUM_CLASSES, NUM_PEOPLE, NUM_FRAMES = 20, 8, 8
STAGES = ROOT / "stages"
# A stage that is still to be written has no tests to fail either.
EVALUATIONS_THERE = tuple(one for one in EVALUATIONS if (STAGES / f"{one.name}.py").is_file())

Change = Callable[[pd.DataFrame], pd.DataFrame]


def write_run(folder: Path, methods: tuple[str, ...], moved_metres: float = 0.0) -> None:
    """Clips, params and the split; each action is a posture, each person shifts all joints a little.

    `moved_metres`: by how much clips in the test parts of BENCHMARK and TARGET are moved away, each joint
    another way.
    """
    rng = np.random.default_rng(0)
    postures = rng.normal(0, 0.3, (NUM_CLASSES, 1, 1, 25, 3))
    elsewhere = np.random.default_rng(1).normal(0, moved_metres, (25, 3))
    with PackedWriter(folder / PACKED / "kinesim", KINECT25, 1) as writer:
        for person in range(1, NUM_PEOPLE + 1):
            manner = rng.normal(0, 0.3, (25, 3))
            for label in range(NUM_CLASSES):
                wobble = rng.normal(0, 0.02, (NUM_FRAMES, 1, 25, 3))
                joints = postures[label] + manner + wobble + elsewhere * (person % 6 == 0)
                name = f"P{person:02}A{label:02}"
                present = np.ones((NUM_FRAMES, 1), bool)
                writer.add(
                    Clip(name, label, person, joints.astype(np.float32), present, camera=person % 3 + 1)
                )
        writer.finish(
            name="kinesim",
            class_names=[f"action {label}" for label in range(NUM_CLASSES)],
            protocols={"xsub": odd_subjects, "xview": train_cameras([2, 3])},
            symmetries=("mirror",),
        )
    write_text(folder / "params.yaml", json.dumps(_params(methods)))


def _params(methods: tuple[str, ...]) -> dict[str, Any]:
    params = read_yaml(ROOT / "params.yaml")
    make_tiny(params)
    params["run"] |= {"benchmarks": [BENCHMARK], "methods": list(methods), "seeds": [0], "reference": None}
    for one in EVALUATIONS_THERE:
        if one.listed:
            params["run"][one.name] = list(methods)
        if one.pairs:
            params["run"][one.name] = [{"source": BENCHMARK, "target": TARGET}]
    params["hardware"]["processes"] = 1
    params["grids"] = {}
    small = params["methods"]["mtmc"]["small"]  # supervised inherits from it
    small["inputs"]["num_frames"] = NUM_FRAMES
    small["encoder"]["hidden"] = 24
    tuning = params["evaluation"]["finetune"]["gru"]["small"]
    view = {"crop": tuning["view"]["crop"]}
    params["methods"]["supervised"]["small"]["method"]["normal_view"] = view
    tuning |= {"budget": {"steps": 60}, "view": view}
    tuning["optimizer"]["lr"] = 0.01
    params["evaluation"]["embed"]["poolings"] = ["mean", "max"]
    params["evaluation"]["linear"] |= {"components": 32, "c_grid": [0.01, 1.0], "folds": 3}
    return params


def change_split(folder: Path, part: str, change: Change) -> None:
    """Rewrite a table of both benchmarks: "train.parquet", or TEST_LABELS."""
    for benchmark in (BENCHMARK, TARGET):
        path = folder / BENCHMARKS / benchmark / part
        change(pd.read_parquet(path)).to_parquet(path, index=False)


def shuffled(table: pd.DataFrame) -> pd.DataFrame:
    """The labels dealt anew."""
    return table.assign(label=np.random.default_rng(1).permutation(table["label"]))


def hide_packed_labels(folder: Path) -> None:
    """The packed table, too, has labels: now they are wrong."""
    path = folder / PACKED / "kinesim/clips.parquet"
    shuffled(pd.read_parquet(path)).to_parquet(path, index=False)


class WholeRun:
    """The stages of a folder; all work is done here, one thing after another."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self._monkeypatch = folder, monkeypatch
        self.params = check(folder / "params.yaml")
        monkeypatch.syspath_prepend(str(STAGES))
        monkeypatch.setattr(fit_pool, "start_workers", _no_workers)
        monkeypatch.setattr(Tracker, "start", lambda **identity: Tracker())

    def split(self) -> None:
        """The params checked, and the clips divided."""
        write_plan(self.params, self.folder)
        packed = open_packed(self.folder / PACKED / "kinesim")
        for name in (BENCHMARK, TARGET):
            config = self.params.benchmarks[name]
            write_benchmark(self.folder / BENCHMARKS / name, name=name, config=config, packed=packed)

    def train(self, method: str) -> None:
        """An encoder and its features."""
        self._stage("pretrain", BENCHMARK, method)
        self._stage("embed", BENCHMARK, method)

    def evaluate(self, evaluation: Evaluation, method: str) -> list[Record]:
        """One evaluation of a method, on all that it is for; the records it leaves."""
        run = self.params.run
        pairs = [(pair.source, pair.target) for pair in run.pairs_of(evaluation.name)]
        for subject in pairs if evaluation.pairs else [(name,) for name in run.benchmarks]:
            self._stage(evaluation.name, *subject, method)
        return [record for record in read_records(self.folder) if record.stage == evaluation.name]

    def _stage(self, name: str, *words: str) -> None:
        self._monkeypatch.chdir(self.folder)
        importlib.import_module(name).main(*words)


@contextmanager
def _no_workers(processes: int, **settings: object) -> Iterator[Callable[..., "Future[Any]"]]:
    def submit(task: Callable[[Any], Any], item: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        future.set_result(task(item))
        return future

    yield submit
