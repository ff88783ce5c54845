"""The validation part: people of the training part, chosen by names, ids and classes alone."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kinemask.params import check
from kinemask.skeleton.benchmark import BenchmarkConfig, read_benchmark, read_split
from kinemask.skeleton.clip import Clip
from kinemask.skeleton.layout import KINECT25
from kinemask.skeleton.packed import PackedClips, PackedError, PackedWriter, open_packed
from kinemask.skeleton.split import write_benchmark
from kinemask.skeleton.truth import read_test_labels
from kinemask.skeleton.validation import hold_out
from tests.project import ROOT

CONFIG = BenchmarkConfig(dataset="tiny", protocol="xsub", size="small", part="validation")


def table(subjects: list[int], labels: list[int]) -> pd.DataFrame:
    names = [f"clip{number:02}" for number in range(len(labels))]
    return pd.DataFrame({"name": names, "label": labels, "subject": subjects})


def everyone_does(num_people: int, num_classes: int) -> pd.DataFrame:
    people, labels = np.divmod(np.arange(num_people * num_classes), num_classes)
    return table((people + 1).tolist(), labels.tolist())


def held_people(clips: pd.DataFrame) -> list[int]:
    return sorted(set(clips["subject"][hold_out(clips)].tolist()))


@pytest.mark.parametrize(("num_people", "held"), [(2, 1), (3, 1), (4, 1), (5, 2), (9, 3), (20, 7)])
def test_a_third_of_the_people_is_held_out_with_all_their_clips(num_people, held):
    clips = everyone_does(num_people, 3)
    found = hold_out(clips)
    assert len(held_people(clips)) == held
    assert found.sum() == 3 * held


def test_the_same_people_are_held_out_on_every_machine_and_in_any_order():
    clips = everyone_does(9, 2)
    assert held_people(clips) == [5, 6, 8]
    assert held_people(clips.sample(frac=1, random_state=0)) == [5, 6, 8]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(-1, 5), st.integers(0, 3)), min_size=2, max_size=25))
def test_nobody_stands_on_both_sides_and_a_class_is_there_to_be_scored(rows):
    clips = table([subject for subject, _ in rows], [label for _, label in rows])
    try:
        held = hold_out(clips)
    except PackedError:
        # No two known people share a class, nor has a class two clips where fewer than two are known.
        known = clips[clips["subject"] >= 0]
        if known["subject"].nunique() < 2:
            assert not clips["label"].duplicated().any()
        else:
            doers = clips.assign(subject=clips["subject"].where(clips["subject"] >= 0, -clips.index - 1))
            shared = doers.groupby("label")["subject"].nunique()
            assert not (shared[known["label"].unique()] > 1).any()
        return
    assert 0 < held.sum() < len(clips)
    people = clips["subject"].to_numpy()
    known = people >= 0
    if len(set(people[known])) > 1:
        assert set(people[held]).isdisjoint(people[~held])
        assert not held[~known].any()
    assert set(clips["label"][held]) & set(clips["label"][~held])


def test_no_class_loses_its_last_clip_to_train_on_where_others_can_be_held_out():
    clips = everyone_does(9, 2)
    first = held_people(clips)[0]
    clips.loc[len(clips)] = ["rare", 5, first]  # nobody else does class 5
    assert first not in held_people(clips)
    assert len(held_people(clips)) == 3


def test_who_does_more_of_the_classes_is_held_out_first():
    clips = everyone_does(9, 2)
    clips = clips[(clips["label"] == 0) | clips["subject"].isin([8, 9])]
    held = hold_out(clips)
    assert set(clips["label"][held]) == set(clips["label"][~held]) == {0, 1}


def test_of_people_who_all_do_something_of_their_own_one_is_held_out():
    clips = table([1, 1, 1, 2, 2, 2, 2], [0, 1, 2, 0, 1, 3, 4])
    assert held_people(clips) == [1]  # takes class 2 away, the other would take 3 and 4


def test_people_who_share_no_class_cannot_be_held_out():
    with pytest.raises(
        PackedError, match="of 4 clips to train on, of 4 classes, none can be held out so tha"
    ):
        hold_out(table([1, 1, 2, 2], [0, 1, 2, 3]))


@pytest.mark.parametrize("subject", [7, -1])
def test_of_one_person_or_of_nobody_known_a_third_of_the_clips_of_each_class_is_held_out(subject):
    labels = [0] * 6 + [1] * 3 + [2] * 2 + [3]
    clips = table([subject] * 12, labels)
    held = hold_out(clips)
    assert np.bincount(clips["label"][held], minlength=4).tolist() == [2, 1, 1, 0]
    again = clips.sample(frac=1, random_state=0)
    assert set(again["name"][hold_out(again)]) == set(clips["name"][held])
    with pytest.raises(PackedError, match="that wants two people who do the same, or two clips of a class"):
        hold_out(table([subject] * 3, [0, 1, 2]))


def test_clips_of_unknown_people_stay_to_be_trained_on():
    clips = everyone_does(3, 2)
    clips.loc[len(clips)] = ["someone", 0, -1]
    assert not hold_out(clips)[-1]
    assert hold_out(clips).sum() == 2


@pytest.fixture
def packed(tmp_path: Path) -> PackedClips:
    """Subjects 1 to 6 train, 7 to 9 test; clip00 and clip05 show the same, and so do clip02 and clip16."""
    alike = {5: 0, 16: 2}
    with PackedWriter(tmp_path / "packed", KINECT25, 1) as writer:
        for number in range(18):
            content = 1 + alike.get(number, number)
            joints = np.full((2, 1, 25, 3), content, np.float32)
            writer.add(Clip(f"clip{number:02}", number % 2, 1 + number // 2, joints, np.ones((2, 1), bool)))
        rule = lambda clips: clips["subject"].le(6).map({True: "train", False: "test"})  # noqa: E731
        writer.finish(name="tiny", class_names=("a", "b"), protocols={"xsub": rule}, symmetries=())
    return open_packed(tmp_path / "packed")


def test_a_validation_benchmark_is_made_of_training_clips_alone(tmp_path: Path, packed: PackedClips):
    info = write_benchmark(tmp_path / "b", name="tiny-val", config=CONFIG, packed=packed)
    train = read_split(tmp_path / "b", "train", with_labels=True)
    held = read_split(tmp_path / "b", "test", with_labels=False)
    assert set(train["subject"]).isdisjoint(held["subject"])
    # All clips of subjects 1 to 6, but clip02, which stands in the test part under another name.
    assert sorted([*train["row"], *held["row"]]) == [0, 1, *range(3, 12)]
    assert held["subject"].nunique() == 2
    assert (read_test_labels(tmp_path / "b") == held["row"] % 2).all()
    assert (info.part, info.num_train, info.num_test) == ("validation", len(train), len(held))
    assert read_benchmark(tmp_path / "b") == info


def test_clips_on_both_sides_of_a_validation_are_marked(tmp_path: Path, packed: PackedClips):
    info = write_benchmark(tmp_path / "b", name="tiny-val", config=CONFIG, packed=packed)
    both = pd.concat(
        [read_split(tmp_path / "b", part, with_labels=False).assign(part=part) for part in ("train", "test")]
    ).set_index("name")
    apart = both.loc["clip00", "part"] != both.loc["clip05", "part"]
    assert info.num_leaked == int(apart)
    assert both.index[both["leaked"]].tolist() == (["clip00", "clip05"] if apart else [])


def test_where_nothing_can_be_held_out_the_benchmark_is_named(tmp_path: Path, packed: PackedClips):
    clips = packed.clips.assign(label=range(18))
    with pytest.raises(PackedError, match=r"^benchmark tiny-val: of 11 clips to train on, .* take it out of"):
        write_benchmark(tmp_path / "b", name="tiny-val", config=CONFIG, packed=replace(packed, clips=clips))
    assert not (tmp_path / "b").exists()


def test_every_benchmark_of_the_project_has_a_validation_of_its_own():
    benchmarks = check(ROOT / "params.yaml").benchmarks
    tests = {name: one for name, one in benchmarks.items() if one.part == "test"}
    validations = {name: one for name, one in benchmarks.items() if one.part == "validation"}
    assert validations == {
        f"{name}-val": one.model_copy(update={"part": "validation"}) for name, one in tests.items()
    }
