"""Accuracy over levels of damage: of every method, probe and kind, from the scores of its clips."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from kinemask.evaluation.kept import ALL, KINDS, UNDAMAGED, fill_as_found, setting_of, words_of
from kinemask.reporting.collect import Cell, Collected
from kinemask.reporting.tables import apart_from_pooling, chosen_settings

EVALUATION = "occlusion"
AS_THEY_ARE = "none"  # the kind of undamaged clips

Shares = Float[np.ndarray, "S N"]  # of the answers of a seed to a clip, those that are right


class _Key(NamedTuple):
    """What a curve is of, beside method and benchmark."""

    pooling: str
    probe: str
    kind: str
    fill: str


@dataclass(frozen=True)
class DamageCurve:
    """A method, pooling and probe over the levels of a kind under one fill ("": none).

    `right` is by level; of the kind ALL by kind, the mean over its levels. `clean` is the same of undamaged
    clips by the clean probe. `cell` is one of its cells: they all have the same origin.
    """

    cell: Cell
    seeds: tuple[int, ...]
    pooling: str
    probe: str
    kind: str
    fill: str
    chosen: bool  # folds of the training part chose this pooling, or it is the only one
    right: Mapping[str, Shares]
    clean: Shares

    @cached_property
    def over_levels(self) -> Shares:
        """The mean over levels."""
        found: np.ndarray = np.mean(list(self.right.values()), axis=0)
        return found


def damage_curves(collected: Collected) -> list[DamageCurve]:
    """The curves of every method, pooling and probe, kind by kind, and then that of all kinds."""
    grouped: dict[tuple[str, str], list[Cell]] = {}
    for cell in collected.apart:
        if cell.evaluation == EVALUATION:
            grouped.setdefault((cell.benchmark, cell.method), []).append(cell)
    chosen = chosen_settings(collected.records)
    apart = apart_from_pooling(setting_of("", "clean", UNDAMAGED))
    curves = []
    for names, cells in grouped.items():
        best = words_of(chosen.get((*names, EVALUATION, apart), "")).get("pooling")
        curves += _curves_of(cells, best)
    return curves


def _curves_of(cells: list[Cell], best: str | None) -> list[DamageCurve]:
    """Those of one method on one benchmark, over the seeds that have all settings."""
    seeds = tuple(seed for seed in cells[0].seeds if all(seed in cell.seeds for cell in cells))
    if not seeds:
        return []
    drawn: dict[_Key, dict[str, list[Shares]]] = {}
    clean: dict[str, Shares] = {}
    for cell in cells:
        words = words_of(cell.setting)
        right = (cell.ranks[[cell.seeds.index(seed) for seed in seeds]] == 0).astype(np.float64)
        if words["kind"] == AS_THEY_ARE:
            clean[words["pooling"]] = right
            continue
        key = _Key(words["pooling"], words["probe"], words["kind"], words.get("fill", ""))
        drawn.setdefault(key, {}).setdefault(words["level"], []).append(right)
    found: dict[_Key, dict[str, Shares]] = {
        key: {level: np.mean(levels[level], axis=0) for level in sorted(levels, key=_in_order)}
        for key, levels in sorted(drawn.items(), key=lambda item: _place(item[0]))
    }
    found |= _over_kinds(found)
    return [
        DamageCurve(
            cells[0],
            seeds,
            pooling=key.pooling,
            probe=key.probe,
            kind=key.kind,
            fill=key.fill,
            chosen=key.pooling == best,
            right=right,
            clean=clean[key.pooling],
        )
        for key, right in sorted(found.items(), key=lambda item: _place(item[0]))
    ]


def _over_kinds(found: Mapping[_Key, Mapping[str, Shares]]) -> dict[_Key, dict[str, Shares]]:
    """For each fill that every kind has, or for which it makes no difference, the mean of each kind."""
    groups: dict[tuple[str, str], dict[tuple[str, str], Shares]] = {}
    for key, right in found.items():
        group = groups.setdefault((key.pooling, key.probe), {})
        group[key.kind, key.fill] = np.mean(list(right.values()), axis=0)
    all_kinds = {}
    for (pooling, probe), group in groups.items():
        kinds = list(dict.fromkeys(kind for kind, _ in group))
        for fill in dict.fromkeys(fill for _, fill in group if fill) or ("",):
            measured = [(kind, fill_as_found(kind, fill)) for kind in kinds]
            if all(one in group for one in measured):
                right = {kind: group[kind, own] for kind, own in measured}
                all_kinds[_Key(pooling, probe, ALL, fill)] = right
    return all_kinds


def _place(key: _Key) -> tuple[object, ...]:
    """By pooling, the clean probe before the adapted one, kinds as in KINDS, zero before hold."""
    return key.pooling, key.probe != "clean", (*KINDS, ALL).index(key.kind), key.fill != "zero", key.fill


def _in_order(level: str) -> tuple[float, str]:
    """Numbers by their size, names by themselves."""
    try:
        return float(level), ""
    except ValueError:
        return 0.0, level
