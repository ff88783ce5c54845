"""The same content on both sides of a protocol, counted by hand."""

import pandas as pd

from kinemask.skeleton.leaks import find_leaks

CLIPS = pd.DataFrame(
    [
        ("a", "same", 1, "train", "train"),
        ("b", "own", 1, "test", "train"),
        ("c", "same", 1, "test", "train"),
        ("d", "same", 1, "unused", "test"),
        ("e", "twin", 1, "train", "unused"),
        ("f", "twin", 1, "train", "test"),
        ("g", "nobody", 0, "train", "train"),
        ("h", "nobody", 0, "test", "test"),
    ],
    columns=["name", "content_sha256", "persons", "xsub", "xview"],
)


def test_groups_on_both_sides_are_named_without_what_is_unused_or_shows_nobody() -> None:
    assert find_leaks(CLIPS, ["xsub", "xview"]) == {"xsub": (("a", "c"),), "xview": (("a", "c", "d"),)}


def test_without_twins_there_are_no_leaks() -> None:
    assert find_leaks(CLIPS[:2], ["xsub"]) == {"xsub": ()}
