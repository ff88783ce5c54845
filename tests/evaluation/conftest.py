from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kinemask.section import plan_file, read_yaml
from kinemask.skeleton.benchmark import TEST_LABELS, BenchmarkInfo
from kinemask.storage import write_text
from tests.project import write_sections

NUM_TRAIN, NUM_TEST, NUM_CLASSES = 90, 40, 3


def write_tiny_benchmark(folder: Path, seed: int = 0) -> np.ndarray:
    """A benchmark of three classes and nine subjects; the labels of its clips, training clips first."""
    folder.mkdir(parents=True)
    labels = np.random.default_rng(seed).integers(0, NUM_CLASSES, NUM_TRAIN + NUM_TEST)
    clips = pd.DataFrame(
        {
            "row": np.arange(len(labels)),
            "name": [f"clip{number}" for number in range(len(labels))],
            "label": labels,
            "subject": np.arange(len(labels)) % 9,
            "leaked": False,
        }
    )
    clips[:NUM_TRAIN].to_parquet(folder / "train.parquet", index=False)
    test = clips[NUM_TRAIN:]
    test.drop(columns="label").to_parquet(folder / "test.parquet", index=False)
    test[["name", "label"]].to_parquet(folder / TEST_LABELS, index=False)
    info = BenchmarkInfo(
        name=folder.name,
        dataset="tiny",
        protocol="xsub",
        size="small",
        class_names=("wave", "clap", "kick"),
        num_train=NUM_TRAIN,
        num_test=NUM_TEST,
        num_leaked=0,
        data_sha256="0" * 64,
        complete=True,
    )
    (folder / "benchmark.json").write_text(info.model_dump_json())
    return labels


def write_tiny_features(folder: Path, labels: np.ndarray, seed: int) -> None:
    """Two poolings: one that tells the classes apart, and one of noise."""
    folder.mkdir(parents=True)
    generator = np.random.default_rng(seed)
    noise = generator.normal(size=(len(labels), 6)).astype(np.float32)
    np.save(folder / "last.npy", noise)
    np.save(folder / "mean.npy", noise + 8 * np.eye(6, dtype=np.float32)[labels])


def write_tiny_snapshot(folder: Path, step: int) -> None:
    """The poolings of a seed again, as those of a snapshot, with no feature that tells anything."""
    for file in sorted(folder.glob("*.npy")):
        place = folder / f"step-{step}" / file.name
        place.parent.mkdir(exist_ok=True)
        np.save(place, np.zeros_like(np.load(file)))


@pytest.fixture
def tiny_project(tmp_path, monkeypatch):
    """A project folder, made the current one, whose features of two seeds are ready to be probed."""
    monkeypatch.chdir(tmp_path)
    labels = write_tiny_benchmark(Path("data/benchmarks/tiny-xsub"))
    for seed in (0, 3):
        write_tiny_features(Path(f"results/embed/tiny-xsub/mtmc/seed-{seed}"), labels, seed)
    for method in ("mtmc", "mtcm"):
        write_text(plan_file("plan", method), '{"seeds": [0, 3]}')
    Path("params.yaml").write_text(
        "hardware: {device: cpu, processes: 2, threads: 1, precision: float32, compile: false}\n"
        "evaluation:\n"
        "  linear: {components: 4, c_grid: [1e-2, 1.0], folds: 3, max_iterations: 200, tolerance: 1e-4}\n"
        "  knn: {ks: [1, 20], temperature: 0.07, standardise: true}\n"
        "  labels: {draw: by_class}\n"
        "  few: {shares: [0.01, 1.0], poolings: [mean, flat], c: 0.05, components: 4,"
        " max_iterations: 200, tolerance: 1e-4}\n"
    )
    write_sections(read_yaml())
    return tmp_path
