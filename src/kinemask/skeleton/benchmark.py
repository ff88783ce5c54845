"""A benchmark is a dataset with a protocol and a size: which clips train, and which test."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError

from kinemask.errors import first_of
from kinemask.section import Section
from kinemask.skeleton.packed import PACKED, DatasetInfo, PackedClips, PackedError, open_packed
from kinemask.storage import whole_folder, writing

BENCHMARKS = Path("data/benchmarks")

Part = Literal["train", "test"]

_NAMED = 3


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
    num_leaked: int  # test clips whose content stands in the training part as well
    data_sha256: str
    complete: bool  # False if the dataset is a slice or clips were dropped


def write_benchmark(
    folder: Path, *, name: str, config: BenchmarkConfig, packed: PackedClips
) -> BenchmarkInfo:
    """Write train.parquet, test.parquet, leaks.csv and benchmark.json.

    The two tables have the columns row (the row number in clips.parquet), name, label, subject and leaked
    (True: the same content stands on the other side as well); leaks.csv lists those clips for people to read.
    Raises PackedError if there is no such protocol, or nothing to train or to test on.
    """
    if config.protocol not in packed.info.protocols:
        known = ", ".join(packed.info.protocols)
        raise PackedError(
            f"benchmark {name}: {config.dataset} has no protocol {config.protocol!r}, it has {known}: "
            f"edit benchmarks.{name}.protocol in params.yaml"
        )
    table = packed.clips[["name", "label", "subject"]].copy()
    table.insert(0, "row", range(len(table)))
    group_of = _content_groups(packed.info.leaks.get(config.protocol, ()))
    table["leaked"] = table["name"].isin(list(group_of))
    part = packed.clips[config.protocol]
    train, test = table[part == "train"], table[part == "test"]
    if train.empty or test.empty:
        raise PackedError(
            f"benchmark {name}: {config.protocol} of {config.dataset} has {len(train)} clips to train on and "
            f"{len(test)} to test on, both are needed: {_why_empty(name, config, packed.info)}"
        )
    info = BenchmarkInfo(
        name=name,
        **config.model_dump(),
        class_names=packed.info.class_names,
        num_train=len(train),
        num_test=len(test),
        num_leaked=int(test["leaked"].sum()),
        data_sha256=packed.info.data_sha256,
        complete=packed.info.complete,
    )
    with whole_folder(folder) as partial, writing(folder):
        train.to_parquet(partial / "train.parquet", index=False)
        test.to_parquet(partial / "test.parquet", index=False)
        leaks = _leaks(train, test, group_of, packed.info.class_names)
        leaks.to_csv(partial / "leaks.csv", index=False, lineterminator="\n")
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
    """The clips of one part: row, name, subject, leaked, and label only if asked for: nobody peeps at it."""
    columns = ["row", "name", *(["label"] if with_labels else []), "subject", "leaked"]
    try:
        return pd.read_parquet(folder / f"{part}.parquet", columns=columns)
    except (OSError, ValueError) as error:
        raise PackedError(f"{folder}/{part}.parquet is missing or damaged: run split again") from error


def _why_empty(name: str, config: BenchmarkConfig, info: DatasetInfo) -> str:
    """Why a protocol may have no clip to train or to test on, and what to do."""
    damaged = [f"{one.name} ({one.reason})" for one in info.dropped if one.damaged]
    by_rule = [f"{one.name} ({one.reason})" for one in info.dropped if not one.damaged]
    lost = {"are damaged": damaged, "were left out by rule": by_rule, "are missing": info.missing}
    told = [f"{len(names)} {what}: {first_of(names, _NAMED, '; ')}" for what, names in lost.items() if names]
    larger = f"take a larger one in datasets.{config.dataset} of params.yaml"
    if told:
        again = ", and get again what is damaged or missing" if damaged or info.missing else ""
        told.append(f"See {PACKED / config.dataset / 'dataset.json'}{again}; if this is a slice, {larger}")
        return ". ".join(told)
    if not info.complete:
        return f"this is a slice, {larger}"
    return f"nothing was left out, so edit benchmarks.{name}.protocol, or that protocol, in params.yaml"


def _content_groups(groups: Sequence[Sequence[str]]) -> dict[str, int]:
    """Name of a clip -> number of its content, from 1 on."""
    return {name: number for number, names in enumerate(groups, 1) for name in names}


def _leaks(
    train: pd.DataFrame, test: pd.DataFrame, group_of: Mapping[str, int], class_names: Sequence[str]
) -> pd.DataFrame:
    """The leaked clips of both parts, those of one content together; without any, a header alone."""
    both = pd.concat([train.assign(part="train"), test.assign(part="test")])
    leaked = both[both["leaked"]]
    leaked = leaked.assign(
        group=leaked["name"].map(group_of).astype("int64"),
        class_name=[class_names[label] for label in leaked["label"]],
    )
    return leaked[["group", "part", "name", "label", "class_name"]].sort_values("group", kind="stable")
