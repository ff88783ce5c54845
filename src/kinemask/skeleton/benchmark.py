"""A benchmark is a dataset with a protocol and a size: which clips train, and which test."""

from pathlib import Path
from typing import Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError

from kinemask.section import Section
from kinemask.skeleton.packed import PACKED, PackedClips, PackedError, open_packed
from kinemask.storage import whole_folder, writing

BENCHMARKS = Path("data/benchmarks")

Part = Literal["train", "test"]


class BenchmarkConfig(Section):
    """One entry of `benchmarks`: `size` names the half of a method's section that is used."""

    dataset: str
    protocol: str
    size: Literal["small", "paper"]


class BenchmarkInfo(BaseModel):
    """benchmark.json."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    dataset: str
    protocol: str
    size: Literal["small", "paper"]
    class_names: tuple[str, ...]
    num_train: int
    num_test: int
    data_sha256: str
    complete: bool  # False if the dataset is a slice or clips were dropped


def write_benchmark(
    folder: Path, *, name: str, config: BenchmarkConfig, packed: PackedClips
) -> BenchmarkInfo:
    """Write train.parquet, test.parquet and benchmark.json. Raises PackedError if there is no such protocol.

    The two tables have the columns row (the row number in clips.parquet), name, label and subject.
    """
    if config.protocol not in packed.info.protocols:
        known = ", ".join(packed.info.protocols)
        raise PackedError(
            f"benchmark {name}: {config.dataset} has no protocol {config.protocol!r}, it has {known}: "
            f"edit benchmarks.{name}.protocol in params.yaml"
        )
    table = packed.clips[["name", "label", "subject"]].copy()
    table.insert(0, "row", range(len(table)))
    part = packed.clips[config.protocol]
    train, test = table[part == "train"], table[part == "test"]
    if train.empty or test.empty:
        raise PackedError(
            f"benchmark {name}: {len(train)} clips to train on and {len(test)} to test on, both are needed: "
            f"take a larger slice in datasets.{config.dataset} of params.yaml"
        )
    info = BenchmarkInfo(
        name=name,
        **config.model_dump(),
        class_names=packed.info.class_names,
        num_train=len(train),
        num_test=len(test),
        data_sha256=packed.info.data_sha256,
        complete=packed.info.complete,
    )
    with whole_folder(folder) as partial, writing(folder):
        train.to_parquet(partial / "train.parquet", index=False)
        test.to_parquet(partial / "test.parquet", index=False)
        (partial / "benchmark.json").write_text(info.model_dump_json(indent=1) + "\n")
    return info


def read_benchmark(folder: Path) -> BenchmarkInfo:
    """What benchmark.json says. Raises PackedError if it is absent or damaged."""
    try:
        return BenchmarkInfo.model_validate_json((folder / "benchmark.json").read_text())
    except OSError:
        raise PackedError(f"{folder} is no benchmark, benchmark.json missing: run split") from None
    except ValidationError as error:
        raise PackedError(f"{folder}/benchmark.json is damaged: run split again") from error


def open_data(about: BenchmarkInfo) -> PackedClips:
    """The packed clips the benchmark was made from. Raises PackedError if they have changed since."""
    packed = open_packed(PACKED / about.dataset)
    if packed.info.data_sha256 != about.data_sha256:
        place = PACKED / about.dataset
        raise PackedError(f"{about.name} was split from other data than lie in {place}: run split")
    return packed


def read_split(folder: Path, part: Part, *, with_labels: bool) -> pd.DataFrame:
    """The clips of one part: row, name, subject, and label only if asked for, so that nobody peeps at it."""
    columns = ["row", "name", "label", "subject"] if with_labels else ["row", "name", "subject"]
    try:
        return pd.read_parquet(folder / f"{part}.parquet", columns=columns)
    except (OSError, ValueError) as error:
        raise PackedError(f"{folder}/{part}.parquet is missing or damaged: run split again") from error
