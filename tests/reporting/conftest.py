"""A small finished run on disk: two benchmarks, two methods, two poolings, three seeds."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kinemask.evaluation.metrics import score_metrics
from kinemask.evaluation.statistics import StatisticsConfig
from kinemask.record import Record
from kinemask.run import Pair, RunConfig
from kinemask.skeleton.benchmark import TEST_LABELS, BenchmarkInfo
from kinemask.skeleton.truth import read_test_labels
from tests.project import NOTHING_NAMED

SKILL = {
    "mtmc": 1.6,
    "random": 0.8,
    "raw": 0.4,
    "mtmc-no-drop": 1.55,
}  # how far the true class's score stands above the noise
POOLINGS = {"mean": 0.6, "last": 0.0}
SUFFIXES = {
    "linear": [""], "knn": [" k=1", " k=20"], "few": [" labels=1%", " labels=10%"], "finetune": [""],
    "transfer": [""],
}  # fmt: skip
ONE_POOLING = ("few", "finetune", "transfer")  # nothing is held out there that could choose one


@dataclass(frozen=True)
class Run:
    """Where the files lie, and what they are about."""

    root: Path
    config: RunConfig
    statistics: StatisticsConfig


def write_record(
    root: Path,
    stage: str,
    subject: str,
    method: str | None = None,
    seed: int | None = None,
    **fields: object,
) -> Record:
    """A record with plausible fields; `fields` replace them."""
    values = {
        "params": {"recipe": {"inputs": {"stream": "joint"}, "method": {"name": method, "temperature": 0.1}}},
        "metrics": {},
        "inputs": {},
        "hardware": {},
        "environment": {
            "python": "3.11",
            "machine": "x86_64",
            "system": "Linux",
            "torch": "2.13",
            "numpy": "2.4",
        },
        "commit": "0123456789",
        "seconds": {"startup": 1.5, "work": 10.0 + (seed or 0)},
        "peak_memory_mib": 300.0,
    }
    record = Record(stage=stage, subject=subject, method=method, seed=seed, **(values | fields))
    record.write(root)
    return record


def write_benchmark_files(
    root: Path, name: str, *, num_clips: int = 90, num_classes: int = 6, num_leaked: int = 0
) -> None:
    """A split as the split stage writes it: 9 people, the first `num_leaked` clips train as well."""
    dataset, protocol = name.split("-")
    folder = root / "data/benchmarks" / name
    folder.mkdir(parents=True)
    clips = np.arange(num_clips)
    table = pd.DataFrame(
        {
            "row": clips,
            "name": [f"clip{clip}" for clip in clips],
            "label": clips % num_classes,
            "subject": clips // 10,
            "leaked": clips < num_leaked,
        }
    )
    table.drop(columns="label").to_parquet(folder / "test.parquet", index=False)
    table[["name", "label"]].to_parquet(folder / TEST_LABELS, index=False)
    info = BenchmarkInfo(
        name=name,
        dataset=dataset,
        protocol=protocol,
        size="small",
        class_names=tuple(f"class {number}" for number in range(num_classes)),
        num_train=200,
        num_test=num_clips,
        num_leaked=num_leaked,
        data_sha256="ab" * 32,
        complete=True,
    )
    (folder / "benchmark.json").write_text(info.model_dump_json())


def write_scores(
    root: Path, evaluation: str, benchmark: str, method: str, seed: int, pair: Pair | None = None
) -> None:
    """Scores and their record, as the probe stages write them; `benchmark` is the target of a pair."""
    labels = read_test_labels(root / "data/benchmarks" / benchmark)
    names = ["linear", "knn", "mtmc", "random", "irds-xsub", "kinesim-xsub", "raw", "mtmc-no-drop"]
    names += ["few", "finetune", "transfer"]
    rng = np.random.default_rng([seed, *(names.index(name) for name in (evaluation, benchmark, method))])
    scores, metrics = {}, {}
    poolings = {"mean": POOLINGS["mean"]} if evaluation in ONE_POOLING else POOLINGS
    for pooling, bonus in poolings.items():
        for suffix in SUFFIXES[evaluation]:
            values = rng.normal(size=(len(labels), 6)).astype(np.float32)
            values[np.arange(len(labels)), labels] += SKILL[method] + bonus
            setting = f"{pair.setting + ' ' if pair else ''}pooling={pooling}{suffix}"
            scores[setting] = values
            metrics[setting] = score_metrics(values, labels)
            if evaluation not in ONE_POOLING:
                metrics[setting]["validation_top1"] = 0.5 + bonus / 10
    subject = pair.name if pair else benchmark
    path = root / "results" / evaluation / subject / method / f"seed-{seed}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **scores)
    write_record(root, evaluation, subject, method, seed, metrics=metrics)


def write_run(root: Path, config: RunConfig) -> None:
    """Everything the tables read of a finished run."""
    for dataset in {name.split("-")[0] for name in config.benchmarks}:
        write_record(root, "download", dataset, params={})
        counts = {"clips": 290, "frames": 20_000, "dropped": 2, "damaged_share": 2 / 292}
        write_record(root, "preprocess", dataset, params={}, metrics={"all": counts})
    for benchmark in config.benchmarks:
        write_benchmark_files(root, benchmark)
        write_record(root, "split", benchmark, params={})
        for method in config.methods:
            for seed in config.seeds_of(method):
                epochs = 0 if method == "random" else 40
                history = [
                    {"step": step, "loss": 4.0 / (1 + step / 50) + seed / 10, "rank": 10.0 + step / 10}
                    for step in range(10, 400 if epochs else 0, 10)
                ]
                write_record(
                    root,
                    "pretrain",
                    benchmark,
                    method,
                    seed,
                    history=history,
                    metrics={"all": {"epochs": epochs}},
                )
                write_record(root, "embed", benchmark, method, seed)
                for evaluation in SUFFIXES:
                    if benchmark in config.subjects_of(evaluation) and method in config.methods_of(
                        evaluation
                    ):
                        write_scores(root, evaluation, benchmark, method, seed)
    write_transfer(root, config)


def write_transfer(root: Path, config: RunConfig) -> None:
    """The targets of the pairs, and what every method scores there."""
    for pair in config.transfer:
        if pair.target not in config.benchmarks:
            write_benchmark_files(root, pair.target)
            write_record(root, "split", pair.target, params={})
        for method in config.methods:
            for seed in config.seeds_of(method):
                write_scores(root, "transfer", pair.target, method, seed, pair)


def make_published(run: Run) -> None:
    """Say that irds-xsub is pku1-xsub, of which others published figures of a linear probe."""
    path = run.root / "data/benchmarks/irds-xsub/benchmark.json"
    path.write_text(path.read_text().replace('"dataset":"irds"', '"dataset":"pku1"'))


def new_run(root: Path, **changes: object) -> Run:
    """Writes a run below `root`; `changes` replace parts of `run` in params.yaml."""
    values = {
        "benchmarks": ("irds-xsub", "kinesim-xsub"), "methods": ("random", "mtmc"), **NOTHING_NAMED,
        "seeds": (0, 1, 2),
    }  # fmt: skip
    config = RunConfig(**(values | changes))
    write_run(root, config)
    return Run(root, config, StatisticsConfig(resamples=200, confidence=0.95, permutations=1000, seed=0))


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Run]:
    """`new_run` below a folder of its own."""
    return lambda folder="project", **changes: new_run(tmp_path / folder, **changes)
