"""A benchmark's split: the rule's clips, on the right side, labels only for those who ask."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kinemask.skeleton.benchmark import (
    BenchmarkConfig,
    open_data,
    read_benchmark,
    read_split,
)
from kinemask.skeleton.clip import Clip
from kinemask.skeleton.layout import KINECT25
from kinemask.skeleton.packed import Dropped, PackedClips, PackedError, PackedWriter, open_packed
from kinemask.skeleton.split import write_benchmark
from kinemask.skeleton.truth import read_test_labels


def _by_subject(clips: pd.DataFrame) -> pd.Series:
    return clips["subject"].map({1: "train", 2: "test", 3: "unused"})


def _nobody_tests(clips: pd.DataFrame) -> pd.Series:
    return pd.Series("train", index=clips.index)


@pytest.fixture
def packed(tmp_path: Path) -> PackedClips:
    present = np.ones((2, 1), np.bool_)
    with PackedWriter(tmp_path / "packed", KINECT25, 1) as writer:
        for number, (subject, label) in enumerate([(1, 0), (2, 1), (3, 0), (1, 1)]):
            joints = np.full((2, 1, 25, 3), 1 + number, np.float32)
            writer.add(Clip(f"clip{number}", label, subject, joints, present))
        writer.finish(
            name="tiny",
            class_names=("sit", "stand"),
            protocols={"xsub": _by_subject, "all": _nobody_tests},
            symmetries=("mirror",),
        )
    return open_packed(tmp_path / "packed")


def _config(protocol: str) -> BenchmarkConfig:
    return BenchmarkConfig(dataset="tiny", protocol=protocol, size="small")


def test_split_has_the_clips_the_rule_says(tmp_path: Path, packed: PackedClips) -> None:
    info = write_benchmark(tmp_path / "b", name="tiny-xsub", config=_config("xsub"), packed=packed)
    train = read_split(tmp_path / "b", "train", with_labels=True)
    test = read_split(tmp_path / "b", "test", with_labels=False)
    assert train.to_dict("list") == {
        "row": [0, 3], "name": ["clip0", "clip3"], "label": [0, 1], "subject": [1, 1],
        "leaked": [False, False],
    }  # fmt: skip
    assert test.to_dict("list") == {
        "row": [1], "name": ["clip1"], "subject": [2], "leaked": [False],
    }  # fmt: skip
    assert read_test_labels(tmp_path / "b").tolist() == [1]
    assert (info.num_train, info.num_test, info.num_leaked) == (2, 1, 0)
    assert (tmp_path / "b/leaks.csv").read_text() == "group,part,name,label,class_name\n"
    assert info.data_sha256 == packed.info.data_sha256
    assert read_benchmark(tmp_path / "b") == info


def test_who_does_not_ask_for_labels_gets_none(tmp_path: Path, packed: PackedClips) -> None:
    write_benchmark(tmp_path / "b", name="tiny-xsub", config=_config("xsub"), packed=packed)
    assert list(read_split(tmp_path / "b", "train", with_labels=False)) == [
        "row",
        "name",
        "subject",
        "leaked",
    ]


def test_clips_on_both_sides_are_marked_in_both_parts_and_listed(tmp_path: Path, packed: PackedClips) -> None:
    leaks = {"xsub": (("clip2", "clip1", "clip3"),), "all": ()}  # clip2 is in no part
    packed = replace(packed, info=packed.info.model_copy(update={"leaks": leaks}))
    info = write_benchmark(tmp_path / "b", name="tiny-xsub", config=_config("xsub"), packed=packed)
    train = read_split(tmp_path / "b", "train", with_labels=False)
    test = read_split(tmp_path / "b", "test", with_labels=False)
    assert train["leaked"].tolist() == [False, True]
    assert test["leaked"].tolist() == [True]
    assert info.num_leaked == 1
    assert (tmp_path / "b/leaks.csv").read_text() == (
        "group,part,name,label,class_name\n1,train,clip3,1,stand\n1,test,clip1,1,stand\n"
    )


def test_no_test_clip_that_is_not_leaked_has_the_content_of_a_training_clip(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    present = np.ones((2, 1), np.bool_)
    with PackedWriter(tmp_path / "packed", KINECT25, 1) as writer:
        for number, content in enumerate(rng.integers(0, 60, 90)):
            joints = np.full((2, 1, 25, 3), 1 + content, np.float32)
            writer.add(Clip(f"clip{number:02}", 0, 1 + int(rng.integers(3)), joints, present))
        writer.finish(
            name="tiny", class_names=("sit",), protocols={"xsub": _by_subject}, symmetries=("mirror",)
        )
    packed = open_packed(tmp_path / "packed")
    write_benchmark(tmp_path / "b", name="tiny-xsub", config=_config("xsub"), packed=packed)
    content = packed.joints[packed.clips["offset"], 0, 0, 0]
    train = read_split(tmp_path / "b", "train", with_labels=False)
    test = read_split(tmp_path / "b", "test", with_labels=False)
    assert test["leaked"].tolist() == np.isin(content[test["row"]], content[train["row"]]).tolist()
    assert train["leaked"].tolist() == np.isin(content[train["row"]], content[test["row"]]).tolist()
    assert 0 < test["leaked"].sum() < len(test)


def test_leaks_of_another_protocol_are_not_those_of_this_one(tmp_path: Path, packed: PackedClips) -> None:
    packed = replace(packed, info=packed.info.model_copy(update={"leaks": {"all": (("clip0", "clip1"),)}}))
    info = write_benchmark(tmp_path / "b", name="tiny-xsub", config=_config("xsub"), packed=packed)
    assert info.num_leaked == 0


def test_unknown_protocol_lists_those_that_exist(tmp_path: Path, packed: PackedClips) -> None:
    with pytest.raises(PackedError, match="no protocol 'xview', it has xsub, all"):
        write_benchmark(tmp_path / "b", name="tiny-xview", config=_config("xview"), packed=packed)
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, "nothing was left out, so edit benchmarks.tiny-all.protocol, or that protocol, in params.yaml"),
        ({"complete": False}, "this is a slice, take a larger one in datasets.tiny of params.yaml"),
        (
            {
                "complete": False,
                "dropped": (*(Dropped(f"bad{n}", "is cut") for n in range(4)), Dropped("out", "rule", False)),
                "missing": ("gone",),
            },
            "4 are damaged: bad0 (is cut); bad1 (is cut); bad2 (is cut); .... 1 were left out by rule: out "
            "(rule). 1 are missing: gone. See data/packed/tiny/dataset.json, and get again what is damaged "
            "or missing; if this is a slice, take a larger one in datasets.tiny of params.yaml",
        ),
        (
            {"dropped": (Dropped("out", "rule", damaged=False),)},
            "1 were left out by rule: out (rule). See data/packed/tiny/dataset.json; if this is a slice, "
            "take a larger one in datasets.tiny of params.yaml",
        ),
    ],
)
def test_benchmark_with_an_empty_side_is_refused_and_says_what_was_lost(
    tmp_path: Path, packed: PackedClips, changes: dict[str, object], why: str
) -> None:
    packed = replace(packed, info=packed.info.model_copy(update=changes))
    with pytest.raises(PackedError) as raised:
        write_benchmark(tmp_path / "b", name="tiny-all", config=_config("all"), packed=packed)
    assert str(raised.value) == (
        f"benchmark tiny-all: all of tiny has 4 clips to train on and 0 to test on, both are needed: {why}"
    )


def test_missing_benchmark_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(PackedError, match="run split"):
        read_benchmark(tmp_path)
    with pytest.raises(PackedError, match="run split again"):
        read_split(tmp_path, "train", with_labels=False)


def test_clips_packed_anew_from_other_data_are_refused(
    tmp_path: Path, packed: PackedClips, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = write_benchmark(tmp_path / "b", name="tiny-xsub", config=_config("xsub"), packed=packed)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data/packed").mkdir(parents=True)
    (tmp_path / "packed").rename(tmp_path / "data/packed/tiny")
    opened = open_data(info)
    assert opened.info == packed.info
    assert opened.clips.equals(packed.clips.drop(columns=["label", "xsub", "all"]))
    with pytest.raises(PackedError, match="split from other data"):
        open_data(info.model_copy(update={"data_sha256": "0" * 64}))
