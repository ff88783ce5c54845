"""The validation part of a benchmark: people held out of its training part, for whoever chooses or tunes.

Who they are depends on names, ids and classes of the training clips alone, and is the same everywhere.
"""

import numpy as np
import pandas as pd
from jaxtyping import Bool, Int

from kinemask.seeding import derive_seed
from kinemask.skeleton.packed import PackedError

HELD_OUT_SHARE = 1 / 3  # of the people


def hold_out(clips: pd.DataFrame) -> Bool[np.ndarray, " N"]:
    """Which of the clips to train on are held out: a third of the people, at least one and never all.

    The columns needed are name, label and subject. Drawn by their numbers, but so that no class loses its
    last clip to train on, and that who does more classes not yet held out comes first. Where whoever is first
    takes a last clip away, it is who takes the fewest, and nobody follows. A clip whose subject is
    unknown (negative) stays. Where fewer than two people are known, a third of the clips of each class is
    held out instead, at least one and never all.
    Raises PackedError if no class has clips on both sides.
    """
    subjects, labels = clips["subject"].to_numpy(), clips["label"].to_numpy()
    if len(np.unique(subjects[subjects >= 0])) < 2:
        held = _clips_of_each_class(clips["name"].to_numpy(), labels)
    else:
        held = np.isin(subjects, _people(subjects, labels))
    if not set(labels[held].tolist()) & set(labels[~held].tolist()):
        num_classes = len(np.unique(labels))
        raise PackedError(
            f"of {len(clips)} clips to train on, of {num_classes} classes, none can be held out so that "
            "a class stays on both sides: that wants two people who do the same, or two clips of a class"
        )
    return held


def _people(subjects: Int[np.ndarray, " N"], labels: Int[np.ndarray, " N"]) -> Int[np.ndarray, " P"]:
    people = np.array(sorted(set(subjects[subjects >= 0].tolist()), key=_draw))
    classes = np.unique(labels)
    does = np.zeros((len(people), len(classes)), bool)  # (P, K): in the order drawn
    unknown = np.isin(classes, labels[subjects < 0])  # these clips stay
    for row, person in enumerate(people):
        does[row] = np.isin(classes, labels[subjects == person])
    held = np.zeros(len(people), bool)
    while held.sum() < max(1, round(HELD_OUT_SHARE * len(people))):
        doers = does[~held].sum(axis=0) + unknown
        lost, alone = (does & (doers == 1)).sum(axis=1), ~(does & (doers > 1)).any(axis=1)
        new = (does & ~does[held].any(axis=0)).sum(axis=1)
        first = min(np.flatnonzero(~held), key=lambda row: (alone[row], lost[row], -new[row]))
        if lost[first] and held.any():
            break
        held[first] = True
    return people[held]


def _clips_of_each_class(names: np.ndarray, labels: Int[np.ndarray, " N"]) -> Bool[np.ndarray, " N"]:
    held = np.zeros(len(names), bool)
    for label in np.unique(labels):
        rows = sorted(np.flatnonzero(labels == label).tolist(), key=lambda row: _draw(str(names[row])))
        held[rows[: max(min(1, len(rows) - 1), round(HELD_OUT_SHARE * len(rows)))]] = True
    return held


def _draw(name: str | int) -> int:
    """A number that stands for chance: who is drawn does not hang on who else is there."""
    return derive_seed(0, "validation", name)
