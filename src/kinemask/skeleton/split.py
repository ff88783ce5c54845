"""Makes a benchmark: divides clips by a protocol, and puts the labels of those to test on apart."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from kinemask.errors import first_of
from kinemask.skeleton.benchmark import TEST_LABELS, BenchmarkConfig, BenchmarkInfo
from kinemask.skeleton.leaks import Groups, find_leaks
from kinemask.skeleton.packed import PACKED, DatasetInfo, PackedClips, PackedError
from kinemask.skeleton.validation import hold_out
from kinemask.storage import whole_folder, writing

_NAMED = 3


def write_benchmark(
    folder: Path, *, name: str, config: BenchmarkConfig, packed: PackedClips
) -> BenchmarkInfo:
    """Write train.parquet, test.parquet, test_labels.parquet, leaks.csv and benchmark.json.

    The first two have the columns row (the row number in clips.parquet), name, subject and leaked (True: the
    same content stands on the other side as well), and label for the clips to train on alone: those of test
    clips stand apart, with their names. leaks.csv lists leaked clips for people to read.
    Raises PackedError if there is no such protocol, or nothing to train or to test on.
    """
    if config.protocol not in packed.info.protocols:
        known = ", ".join(packed.info.protocols)
        raise PackedError(
            f"benchmark {name}: {config.dataset} has no protocol {config.protocol!r}, it has {known}: "
            f"edit benchmarks.{name}.protocol in params.yaml"
        )
    part, leaks = packed.clips[config.protocol], packed.info.leaks.get(config.protocol, ())
    if config.part == "validation" and (part == "train").any():
        part = _validation(name, packed.clips, part, leaks)
        leaks = find_leaks(packed.clips.assign(validation=part), ["validation"])["validation"]
    table = packed.clips[["name", "label", "subject"]].copy()
    table.insert(0, "row", range(len(table)))
    group_of = _content_groups(leaks)
    table["leaked"] = table["name"].isin(list(group_of))
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
        test.drop(columns="label").to_parquet(partial / "test.parquet", index=False)
        test[["name", "label"]].to_parquet(partial / TEST_LABELS, index=False)
        leaked = _leaks(train, test, group_of, packed.info.class_names)
        leaked.to_csv(partial / "leaks.csv", index=False, lineterminator="\n")
        (partial / "benchmark.json").write_text(info.model_dump_json(indent=1) + "\n")
    return info


def _validation(name: str, clips: pd.DataFrame, part: pd.Series, leaks: Groups) -> pd.Series:
    """The parts with some people of the training part to test on, and without the clips of the test part.

    What stands in the test part under another name is left out too.
    """
    train = clips[(part == "train") & ~clips["name"].isin([one for names in leaks for one in names])]
    try:
        held_out = hold_out(train)
    except PackedError as error:
        raise PackedError(f"benchmark {name}: {error}; else take it out of params.yaml") from None
    found = pd.Series("unused", index=clips.index)
    found[train.index] = np.where(held_out, "test", "train")
    return found


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
