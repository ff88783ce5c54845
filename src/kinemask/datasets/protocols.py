"""Who trains and who tests: rules from the table of clips to "train", "test" or "unused"."""

from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd

from kinemask.datasets.reader import Expected
from kinemask.skeleton.packed import Rule


def parts(train: pd.Series, test: pd.Series) -> pd.Series:
    """The parts of clips of which these train and those test; none may do both."""
    assert not (train & test).any(), "a clip both trains and tests"
    return pd.Series(np.select([train, test], ["train", "test"], "unused"), index=train.index)


def train_subjects(subjects: Collection[int]) -> Rule:
    """These subjects train, the others test: NTU's cross-subject protocol."""
    return lambda clips: parts(clips["subject"].isin(subjects), ~clips["subject"].isin(subjects))


def train_cameras(cameras: Collection[int]) -> Rule:
    """These cameras train, the others test: NTU's cross-view protocol."""
    return lambda clips: parts(clips["camera"].isin(cameras), ~clips["camera"].isin(cameras))


def even_setups(clips: pd.DataFrame) -> pd.Series:
    """Setups with even numbers train, with odd numbers test: NTU's cross-setup protocol."""
    return parts(clips["setup"] % 2 == 0, clips["setup"] % 2 == 1)


def odd_subjects(clips: pd.DataFrame) -> pd.Series:
    """Subjects with odd numbers train, with even numbers test."""
    return parts(clips["subject"] % 2 == 1, clips["subject"] % 2 == 0)


def trait(column: str, *, train: Collection[str], test: Collection[str]) -> Rule:
    """Clips whose trait is one of these train, one of those test."""
    return lambda clips: parts(clips[column].isin(train), clips[column].isin(test))


def both(first: Rule, second: Rule) -> Rule:
    """Clips train where both rules say so, and test where both say so."""

    def rule(clips: pd.DataFrame) -> pd.Series:
        one, two = first(clips), second(clips)
        return parts((one == "train") & (two == "train"), (one == "test") & (two == "test"))

    return rule


def without(rule: Rule, column: str, values: Collection[str]) -> Rule:
    """The rule, with the clips whose trait is one of these unused."""
    return lambda clips: rule(clips).mask(clips[column].isin(values), "unused")


def differences(clips: pd.DataFrame, num_frames: int, expected: Expected) -> list[str]:
    """Where the counts of a packed table are not the expected ones, each as one short text."""
    found: Mapping[str, object] = {
        "clips": len(clips),
        "frames": None if expected.frames is None else num_frames,
        **{
            name: tuple(int((clips[name] == part).sum()) for part in ("train", "test"))
            for name in expected.parts
        },
        **{f"classes of {name} {part}": _classes(clips, name, part) for name, part in expected.classes},
    }
    known: Mapping[str, object] = {
        "clips": expected.clips,
        "frames": expected.frames,
        **expected.parts,
        **{f"classes of {name} {part}": counts for (name, part), counts in expected.classes.items()},
    }
    return [f"{what} {found[what]}, expected {known[what]}" for what in known if found[what] != known[what]]


def _classes(clips: pd.DataFrame, protocol: str, part: str) -> tuple[int, ...]:
    labels = clips.loc[clips[protocol] == part, "label"]
    return tuple(np.bincount(labels, minlength=int(clips["label"].max()) + 1).tolist())
