"""Rules by hand: who trains, who tests, who is left out, and counts that are compared in words."""

import pandas as pd

from kinemask.datasets.protocols import (
    both,
    differences,
    even_setups,
    odd_subjects,
    train_cameras,
    train_subjects,
    trait,
    without,
)
from kinemask.datasets.reader import Expected

CLIPS = pd.DataFrame(
    {
        "subject": [1, 2, 3, 4],
        "camera": [1, 2, 3, 1],
        "label": [0, 1, 1, 0],
        "group": ["healthy", "patient", "healthy", "unknown"],
    }
)


def test_named_subjects_train_and_all_others_test() -> None:
    assert train_subjects({1, 4})(CLIPS).tolist() == ["train", "test", "test", "train"]


def test_named_cameras_train_and_all_others_test() -> None:
    assert train_cameras({2, 3})(CLIPS).tolist() == ["test", "train", "train", "test"]


def test_even_setups_train() -> None:
    assert even_setups(pd.DataFrame({"setup": [1, 2, 17, 32]})).tolist() == ["test", "train", "test", "train"]


def test_odd_subjects_train() -> None:
    assert odd_subjects(CLIPS).tolist() == ["train", "test", "train", "test"]


def test_traits_that_are_not_named_are_unused() -> None:
    rule = trait("group", train=("healthy",), test=("patient",))
    assert rule(CLIPS).tolist() == ["train", "test", "train", "unused"]


def test_both_rules_must_agree() -> None:
    rule = both(odd_subjects, train_cameras({3}))
    assert rule(CLIPS).tolist() == ["unused", "test", "train", "test"]


def test_clips_left_out_are_unused() -> None:
    rule = without(odd_subjects, "group", ("healthy",))
    assert rule(CLIPS).tolist() == ["unused", "test", "unused", "test"]


def test_differences_are_listed_and_agreement_is_silent() -> None:
    table = CLIPS.assign(xsub=odd_subjects(CLIPS))
    right = Expected(
        clips=4,
        frames=40,
        parts={"xsub": (2, 2)},
        classes={("xsub", "train"): (1, 1), ("xsub", "test"): (1, 1)},
    )
    assert differences(table, 40, right) == []
    wrong = Expected(clips=5, frames=40, parts={"xsub": (3, 1)}, classes={("xsub", "train"): (2, 1)})
    assert differences(table, 40, wrong) == [
        "clips 4, expected 5",
        "xsub (2, 2), expected (3, 1)",
        "classes of xsub train (1, 1), expected (2, 1)",
    ]
