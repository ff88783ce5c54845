"""What is kept of an accuracy when clips are damaged: one number for each kind of damage, and one for all.

Of a kind: the mean over its levels of the accuracy there, as a share of the same method's on undamaged clips.
Of all: the mean over kinds. The names of the settings are made and read here.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import numpy as np

from kinemask.record import Metrics

Kind = Literal["part", "joints", "frames", "frames_absolute", "flicker", "noise"]
Fill = Literal["zero", "hold"]
Probe = Literal["clean", "adapted"]

KINDS: tuple[Kind, ...] = get_args(Kind)
NEVER_SEEN: tuple[Kind, ...] = ("part", "joints")  # missing in the whole clip: `hold` has nothing to hold
UNDAMAGED = ("kind=none", "level=0")
ALL = "all"  # the kind that is the mean over kinds

_Group = tuple[str, str]  # pooling and probe


def setting_of(pooling: str, probe: Probe, words: Sequence[str]) -> str:
    """`pooling=mean probe=clean kind=frames level=0.3 fill=zero`."""
    return " ".join((f"pooling={pooling}", f"probe={probe}", *words))


def words_of(setting: str) -> dict[str, str]:
    """The words of a setting by what they say."""
    return {name: value for name, _, value in (word.partition("=") for word in setting.split())}


def kept_metrics(metrics: Metrics) -> Metrics:
    """`kept` for each kind and fill of the settings, and for all, see `kept_of`."""
    kept = kept_of({setting: found["top1"] for setting, found in metrics.items()})
    return {setting: {"kept": value} for setting, value in kept.items()}


def kept_of(accuracies: Mapping[str, float]) -> dict[str, float]:
    """From the accuracy in each setting what is kept, by settings without level and draw.

    What the adapted probe keeps is a share of what the clean one has on undamaged clips, too. A fill of all
    takes in the kinds that have no such fill. Nothing is kept of an accuracy of zero, and there is no entry.
    """
    clean: dict[str, float] = {}
    levels: dict[_Group, dict[tuple[str, str], dict[str, list[float]]]] = {}
    for setting, accuracy in accuracies.items():
        words = words_of(setting)
        if words["kind"] == "none":
            clean[words["pooling"]] = accuracy
        else:
            group = levels.setdefault((words["pooling"], words["probe"]), {})
            of_kind = group.setdefault((words["kind"], words.get("fill", "")), {})
            of_kind.setdefault(words["level"], []).append(accuracy)
    found: dict[str, float] = {}
    for (pooling, probe), group in levels.items():
        if not clean[pooling] > 0:
            continue
        kept = {
            key: float(np.mean([np.mean(draws) for draws in of_kind.values()])) / clean[pooling]
            for key, of_kind in group.items()
        }
        kept |= _over_kinds(kept)
        found |= {
            f"pooling={pooling} probe={probe} kind={kind}{f' fill={fill}' if fill else ''}": value
            for (kind, fill), value in kept.items()
        }
    return found


def _over_kinds(kept: Mapping[tuple[str, str], float]) -> dict[tuple[str, str], float]:
    """The mean over kinds under each fill that all kinds have, or that changes nothing for them."""
    kinds = list(dict.fromkeys(kind for kind, _ in kept))
    found = {}
    for fill in dict.fromkeys(fill for kind, fill in kept if kind != "noise") or ("",):
        values = [kept.get((kind, fill_as_found(kind, fill))) for kind in kinds]
        if None not in values:
            found[ALL, fill] = float(np.mean([value for value in values if value is not None]))
    return found


def fill_as_found(kind: str, fill: str) -> str:
    """Under which fill a kind was measured, where `fill` is asked for: noise has none, some only zero."""
    if kind == "noise":
        return ""
    return "zero" if kind in NEVER_SEEN else fill
