"""The labels of test clips: a file of their own, which what learns or chooses has no way to read."""

import tomllib
from pathlib import Path

import grimp
import pandas as pd
import pytest

from kinemask.skeleton.benchmark import TEST_LABELS, read_split
from kinemask.skeleton.packed import PackedError
from kinemask.skeleton.truth import read_test_labels

PROJECT = Path(__file__).parents[2] / "pyproject.toml"
TRUTH = "kinemask.skeleton.truth"
# What scores, starts and shows, after the last choice is made.
MAY_SEE = ("evaluation.scoring", "evaluation.run_probe")
SHOWING = ("cli", "grid", "params", "pictures", "plan", "reporting", "tracking")


def write_parts(folder: Path, names: list[str], labels: dict[str, int]) -> None:
    clips = pd.DataFrame({"row": range(len(names)), "name": names, "subject": 1, "leaked": False})
    clips.to_parquet(folder / "test.parquet", index=False)
    truth = pd.DataFrame({"name": labels.keys(), "label": labels.values()})
    truth.to_parquet(folder / TEST_LABELS, index=False)


def test_labels_come_in_the_order_of_the_clips_and_only_for_those(tmp_path):
    write_parts(tmp_path, ["a", "b"], {"a": 4, "b": 2})
    assert read_test_labels(tmp_path).tolist() == [4, 2]
    for labels in ({"b": 2, "a": 4}, {"a": 4}):
        write_parts(tmp_path, ["a", "b"], labels)
        with pytest.raises(PackedError, match=r"test_labels\.parquet is not of the clips of .*: run split"):
            read_test_labels(tmp_path)


def test_labels_that_are_not_there_say_what_to_run(tmp_path):
    write_parts(tmp_path, ["a"], {"a": 4})
    (tmp_path / TEST_LABELS).write_bytes(b"")
    with pytest.raises(PackedError, match=r"test_labels\.parquet is missing or damaged: run split again"):
        read_test_labels(tmp_path)


def test_who_reads_a_split_cannot_ask_for_the_labels_of_test_clips(tmp_path):
    write_parts(tmp_path, ["a"], {"a": 4})
    with pytest.raises(AssertionError):
        read_split(tmp_path, "test", with_labels=True)


def test_a_contract_keeps_whatever_learns_or_chooses_from_the_labels_of_test_clips():
    contracts = tomllib.loads(PROJECT.read_text())["tool"]["importlinter"]["contracts"]
    (contract,) = (one for one in contracts if one.get("forbidden_modules") == [TRUTH])
    graph = grimp.build_graph("kinemask")
    # Layers below skeleton cannot import it, by the contract of the layers.
    users = {name for name in graph.find_children("kinemask") if reaches(graph, name, "kinemask.skeleton")}
    users |= graph.find_children("kinemask.evaluation")
    may_see = {f"kinemask.{name}" for name in (*MAY_SEE, "evaluation", *SHOWING)}
    assert users - may_see <= set(contract["source_modules"])
    assert contract["type"] == "forbidden"


def reaches(graph: grimp.ImportGraph, package: str, other: str) -> bool:
    return package != other and bool(graph.chain_exists(importer=package, imported=other, as_packages=True))
