"""What probes learn from and give: frozen features and training labels in, class scores out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float32, Int

from kinemask.errors import KinemaskError
from kinemask.skeleton.benchmark import BENCHMARKS, read_benchmark, read_split

Pooling = Literal["mean", "last", "max", "flat", "joints"]

FEATURES = Path("results/embed")
_STEP = "step="  # begins the word of a setting that says of which snapshot it is
# Of a class that cannot be the answer: probability zero, yet finite, so that sums of scores stay numbers.
ABSENT_SCORE = np.finfo(np.float32).min


class FeaturesError(KinemaskError):
    """Features are absent, damaged or do not belong to the benchmark; the message says what to do."""


class TooFewClips(KinemaskError):
    """A benchmark has too few clips to train on for an evaluation; the message says how many it needs."""


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


def first_offered(tasks: Sequence[ProbeTask], poolings: Sequence[Pooling], place: str) -> list[ProbeTask]:
    """The tasks under the first of `poolings` that their folder has; `place` is that of `poolings` in params.

    Raises FeaturesError if a folder has none of them.
    """
    offered: dict[Path, list[str]] = {}
    for task in tasks:
        offered.setdefault(task.features.parent, []).append(task.pooling)
    chosen = {}
    for folder, found in offered.items():
        wanted = [pooling for pooling in poolings if pooling in found]
        if not wanted:
            raise FeaturesError(
                f"{place}: {folder} offers {', '.join(found)}, none of {', '.join(poolings)}: add one"
            )
        chosen[folder] = wanted[0]
    return [task for task in tasks if task.pooling == chosen[task.features.parent]]


def features_folder(of_seed: Path, step: int | None) -> Path:
    """Where in the folder of a seed the features of its last weights are, or of those after `step` steps."""
    return of_seed if step is None else of_seed / f"step-{step}"


def apart_from_step(setting: str) -> tuple[str, int | None]:
    """`pooling=mean k=1 step=400` -> `pooling=mean k=1` and 400; None for the last weights."""
    words = setting.split()
    steps = [int(word.removeprefix(_STEP)) for word in words if word.startswith(_STEP)]
    return " ".join(word for word in words if not word.startswith(_STEP)), steps[0] if steps else None


def read_probe_data(task: ProbeTask, *, min_train: int = 1) -> ProbeData:
    """The features with the training labels.

    Raises FeaturesError if they are not those of the benchmark, TooFewClips below `min_train` training clips.
    """
    train = read_split(task.benchmark, "train", with_labels=True)
    if len(train) < min_train:
        raise TooFewClips(
            f"{task.benchmark}: {len(train)} clip to train on, and to choose by some of them takes at least "
            f"{min_train}: take {task.benchmark.name} out of run.benchmarks, or give it more"
        )
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
