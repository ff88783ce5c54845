"""A benchmark is a dataset with a protocol and a size: which clips train, and which test."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError

from kinemask.section import Section
from kinemask.skeleton.packed import COLUMNS, PACKED, PackedClips, PackedError, open_packed

BENCHMARKS = Path("data/benchmarks")
TEST_LABELS = "test_labels.parquet"  # beside test.parquet, which has none; `truth` alone reads it

Part = Literal["train", "test"]
ScoredAs = Literal["test", "validation"]

_UNLABELLED = [column for column in COLUMNS if column != "label"]


class BenchmarkConfig(Section):
    """One entry of `benchmarks`: `size` names the half of a method's section that is used.

    `part` is what is scored: the test part of the protocol, or people held out of its training part, who are
    for choosing and tuning; then no test clip is in the benchmark at all.
    """

    dataset: str
    protocol: str
    size: Literal["small", "paper"]
    part: ScoredAs = "test"


class BenchmarkInfo(BaseModel):
    """benchmark.json."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    dataset: str
    protocol: str
    size: Literal["small", "paper"]
    part: ScoredAs = "test"  # "validation": test clips here are held-out clips of the training part
    class_names: tuple[str, ...]
    num_train: int
    num_test: int
    num_leaked: int  # test clips whose content stands in the training part as well
    data_sha256: str
    complete: bool  # False if the dataset is a slice or clips were dropped


def read_benchmark(folder: Path) -> BenchmarkInfo:
    """What benchmark.json says. Raises PackedError if it is absent or damaged."""
    try:
        return BenchmarkInfo.model_validate_json((folder / "benchmark.json").read_text())
    except OSError:
        raise PackedError(f"{folder} is no benchmark, benchmark.json missing: run split") from None
    except ValidationError as error:
        raise PackedError(f"{folder}/benchmark.json is damaged: run split again") from error


def open_data(about: BenchmarkInfo) -> PackedClips:
    """The packed clips the benchmark was made from, without labels, which only the split gives out.

    Raises PackedError if they have changed since.
    """
    packed = open_packed(PACKED / about.dataset)
    if packed.info.data_sha256 != about.data_sha256:
        place = PACKED / about.dataset
        raise PackedError(f"{about.name} was split from other data than lie in {place}: run split")
    return replace(packed, clips=packed.clips[_UNLABELLED])


def read_split(folder: Path, part: Part, *, with_labels: bool) -> pd.DataFrame:
    """The clips of one part: row, name, subject, leaked, and label only if asked for: nobody peeps at it.

    Labels are there for those to train on; those of test clips `truth` reads, for scoring.
    """
    assert part == "train" or not with_labels, "labels of test clips are not for who reads a split"
    columns = ["row", "name", *(["label"] if with_labels else []), "subject", "leaked"]
    try:
        return pd.read_parquet(folder / f"{part}.parquet", columns=columns)
    except (OSError, ValueError) as error:
        raise PackedError(f"{folder}/{part}.parquet is missing or damaged: run split again") from error
