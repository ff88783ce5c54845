"""Clips that labels can be learned of, as packed data sets with a benchmark each, and encoders on disk."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from kinemask.hardware import HardwareConfig
from kinemask.skeleton.benchmark import BenchmarkConfig
from kinemask.skeleton.clip import Clip, Symmetry
from kinemask.skeleton.layout import KINECT25, Layout
from kinemask.skeleton.packed import PackedWriter, open_packed
from kinemask.skeleton.split import write_benchmark
from kinemask.skeleton.truth import read_test_labels
from kinemask.training.pretrain import Pretrained, new_encoder, open_pretraining, save_encoders
from kinemask.training.trainer import TrainingResult

HARDWARE = HardwareConfig(device="cpu", processes=1, threads=1, precision="float32", compile=False)
POSE = 0.3  # metres by which the poses of two classes differ at a joint; noise is a third of it


def write_classes(
    name: str,
    *,
    num_clips: int = 96,
    num_classes: int = 3,
    persons: int = 1,
    layout: Layout = KINECT25,
    symmetries: tuple[Symmetry, ...] = (),
) -> None:
    """The data set `name` and its benchmark `name`-odd below the current folder: each class has a pose."""
    generator = np.random.default_rng(len(name))
    shape = (8, persons, layout.num_joints, 3)
    poses = POSE * generator.standard_normal((num_classes, *shape[1:]))
    packed = Path("data/packed", name)
    with PackedWriter(packed, layout, persons) as writer:
        for number in range(num_clips):
            label = number // 2 % num_classes
            joints = poses[label] + POSE / 3 * generator.standard_normal(shape)
            writer.add(
                Clip(
                    name=f"{name}{number:03}",
                    label=label,
                    subject=number % 12,
                    joints=joints.astype(np.float32),
                    present=np.ones(shape[:2], bool),
                )
            )
        writer.finish(
            name=name,
            class_names=tuple(f"class{label}" for label in range(num_classes)),
            protocols={
                "odd": lambda table: pd.Series(np.where(table["subject"] % 2, "test", "train"), table.index)
            },
            symmetries=symmetries,
        )
    config = BenchmarkConfig(dataset=name, protocol="odd", size="small")
    benchmark = f"{name}-odd"
    write_benchmark(
        Path("data/benchmarks", benchmark), name=benchmark, config=config, packed=open_packed(packed)
    )


def save_fresh_encoders(benchmark, method, preset, seeds=(0, 3)) -> None:
    """Encoders as they are initialised, where a pretraining leaves its own."""
    work = open_pretraining(benchmark, method, preset=preset, hardware=HARDWARE)
    made = {}
    for seed in seeds:
        torch.manual_seed(seed)
        encoder = new_encoder(work.recipe, layout=work.domain.layout, num_persons=work.domain.num_persons)
        made[seed] = Pretrained(encoder.state_dict(), TrainingResult([], steps=0, epochs=0.0), {})
    save_encoders(benchmark, method, work, made)


def shuffle_training_labels(benchmark: str) -> None:
    """The training labels of a benchmark in chance order: nothing can be learned of them."""
    path = Path("data/benchmarks", benchmark, "train.parquet")
    table = pd.read_parquet(path)
    table.assign(label=np.random.default_rng(1).permutation(table["label"])).to_parquet(path)


def true_labels(benchmark: str) -> np.ndarray:
    """The classes of the test clips."""
    return read_test_labels(Path("data/benchmarks", benchmark))


def top1(scores: np.ndarray, benchmark: str) -> float:
    """The share of test clips whose class has the best score."""
    return float((scores.argmax(axis=1) == true_labels(benchmark)).mean())
