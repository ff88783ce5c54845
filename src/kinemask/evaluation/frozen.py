"""What probes learn from and leave behind: frozen features in, class scores and records out."""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from jaxtyping import Float32, Int

from kinemask.errors import KinemaskError
from kinemask.evaluation.metrics import score_metrics
from kinemask.record import Clock, Metrics, Record, hash_files, make_record
from kinemask.section import Section
from kinemask.skeleton.benchmark import BENCHMARKS, read_benchmark, read_split
from kinemask.storage import write_text, write_whole, writing

Pooling = Literal["mean", "last", "max", "flat", "joints"]

FEATURES = Path("results/embed")
RESULTS = Path("results")
_STEP = "step="  # begins the word of a setting that says of which snapshot it is
# Of a class that cannot be the answer: probability zero, yet finite, so that sums of scores stay numbers.
ABSENT_SCORE = np.finfo(np.float32).min


class FeaturesError(KinemaskError):
    """Features are absent, damaged or do not belong to the benchmark; the message says what to do."""


@dataclass(frozen=True)
class ProbeTask:
    """One thing to probe: the features of one seed under one pooling."""

    benchmark: Path  # folder
    features: Path  # <pooling>.npy
    seed: int
    step: int | None = None  # of the snapshot whose features these are; None: of the last weights
    begins: tuple[str, ...] = ()  # words before all others in the name of what is scored

    @property
    def pooling(self) -> str:
        """How the encoder's output became one vector a clip."""
        return self.features.stem

    def setting(self, *words: str) -> str:
        """The name of what is scored, with the probe's own words: `pooling=mean k=1 step=400`."""
        step = () if self.step is None else (f"{_STEP}{self.step}",)
        return " ".join((*self.begins, f"pooling={self.pooling}", *words, *step))


@dataclass(frozen=True)
class ProbeData:
    """All that a probe may see: of the test clips the features, and no label."""

    train_features: Float32[np.ndarray, "N D"]
    train_names: tuple[str, ...]  # of the N clips
    train_labels: Int[np.ndarray, " N"]
    train_subjects: Int[np.ndarray, " N"]
    test_features: Float32[np.ndarray, "E D"]
    num_classes: int


@dataclass(frozen=True)
class Subset:
    """The training clips whose labels a probe saw, and the percent of all labels they were drawn for."""

    percent: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class Probed:
    """What a probe gives in one setting. `values` are what it measured on the training part."""

    seed: int
    setting: str
    scores: Float32[np.ndarray, "E K"]
    values: Mapping[str, float]
    subset: Subset | None = None  # None: it saw all training labels
    history: Sequence[Mapping[str, float]] = ()  # rows with "step" and what was logged then, if it took steps


def find_tasks(benchmark: str, method: str, seeds: Sequence[int]) -> list[ProbeTask]:
    """Every pooling of every seed: of its last weights, then of its snapshots in the order of their steps.

    Raises FeaturesError if a seed has no features.
    """
    tasks = []
    for seed in seeds:
        folder = FEATURES / benchmark / method / f"seed-{seed}"
        if not any(folder.glob("*.npy")):
            raise FeaturesError(f"{folder} holds no features: run `dvc repro embed`")
        steps = sorted(int(found.name.removeprefix("step-")) for found in folder.glob("step-*"))
        for step in (None, *steps):
            files = sorted(features_folder(folder, step).glob("*.npy"))
            tasks += [ProbeTask(BENCHMARKS / benchmark, file, seed, step) for file in files]
    return tasks


def features_folder(of_seed: Path, step: int | None) -> Path:
    """Where in the folder of a seed the features of its last weights are, or of those after `step` steps."""
    return of_seed if step is None else of_seed / f"step-{step}"


def apart_from_step(setting: str) -> tuple[str, int | None]:
    """`pooling=mean k=1 step=400` -> `pooling=mean k=1` and 400; None for the last weights."""
    words = setting.split()
    steps = [int(word.removeprefix(_STEP)) for word in words if word.startswith(_STEP)]
    return " ".join(word for word in words if not word.startswith(_STEP)), steps[0] if steps else None


def read_probe_data(task: ProbeTask) -> ProbeData:
    """The features with the training labels. Raises FeaturesError if they are not those of the benchmark."""
    train = read_split(task.benchmark, "train", with_labels=True)
    num_test = len(read_split(task.benchmark, "test", with_labels=False))
    cure = "run `dvc repro embed`"
    try:
        features = np.load(task.features, allow_pickle=False)
    except (OSError, EOFError, ValueError) as error:
        raise FeaturesError(f"{task.features} cannot be read ({error}): delete it and {cure}") from error
    if features.ndim != 2 or len(features) != len(train) + num_test or features.dtype != np.float32:
        raise FeaturesError(
            f"{task.features} is {features.dtype} of shape {features.shape}, expected float32 with "
            f"{len(train)} + {num_test} rows: delete it and {cure}"
        )
    if not np.isfinite(features).all():
        row, column = np.argwhere(~np.isfinite(features))[0]
        raise FeaturesError(
            f"{task.features}: feature {column} of row {row} is {features[row, column]}: the encoder has "
            "diverged, look at its training curve and lower its learning rate"
        )
    return ProbeData(
        train_features=features[: len(train)],
        train_names=tuple(train["name"]),
        train_labels=train["label"].to_numpy(),
        train_subjects=train["subject"].to_numpy(),
        test_features=features[len(train) :],
        num_classes=len(read_benchmark(task.benchmark).class_names),
    )


def keep_results(
    probed: Sequence[Probed],
    *,
    stage: str,
    benchmark: str,
    method: str,
    params: Section,
    hardware: Section,
    clock: Clock,
    encoders: Mapping[int, Path] | None = None,
    pair: str | None = None,
    summary: Callable[[Metrics], Metrics] | None = None,
) -> list[Record]:
    """Score against the test labels, which nothing has seen before; write scores and record of each seed.

    A subset of the labels is kept beside the scores, the names of its clips, and counts as an input.
    `encoders` are the weights that each seed began with; None: frozen features were probed. Encoders of
    another benchmark: `pair` names it with this one as its target, and is what the records are about.
    `summary` makes further metrics of those of a seed.
    """
    folder = BENCHMARKS / benchmark
    labels = read_split(folder, "test", with_labels=True)["label"].to_numpy()
    split = [folder / file for file in ("benchmark.json", "train.parquet", "test.parquet")]
    records = []
    for seed in dict.fromkeys(one.seed for one in probed):
        of_seed = [one for one in probed if one.seed == seed]
        name = f"{pair or benchmark}/{method}/seed-{seed}"
        _write_scores(RESULTS / stage / f"{name}.npz", of_seed)
        subsets = {
            RESULTS / stage / f"{name}.subset-{one.subset.percent}.csv": one.subset.names
            for one in of_seed
            if one.subset is not None
        }
        for path, names in subsets.items():
            write_text(path, pd.DataFrame({"name": names}).to_csv(index=False, lineterminator="\n"))
        learned_from = [encoders[seed]] if encoders else sorted((FEATURES / name).rglob("*.npy"))
        inputs = [*split, *learned_from, *subsets]
        metrics = {one.setting: {**score_metrics(one.scores, labels), **one.values} for one in of_seed}
        record = make_record(
            stage=stage,
            subject=pair or benchmark,
            method=method,
            seed=seed,
            params=params,
            metrics=metrics if summary is None else metrics | summary(metrics),
            history=[row for one in of_seed for row in one.history],
            inputs=hash_files(inputs),
            hardware=hardware,
            clock=clock,
        )
        record.write()
        records.append(record)
    return records


def _write_scores(path: Path, probed: Sequence[Probed]) -> None:
    """One array of class scores a setting, the whole file or none."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **{one.setting: one.scores for one in probed})
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, buffer.getvalue())
