"""Ensembles as one more method: made from the stored scores of their members, seed by seed."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from kinemask.evaluation.ensemble import EnsembleConfig, add_scores
from kinemask.reporting.collect import Cell, Collected
from kinemask.reporting.scores import RESULTS, Outcome, outcome, read_scores

Key = tuple[str, str, str]  # evaluation, benchmark or pair, setting


def with_ensembles(root: Path, collected: Collected, ensembles: Mapping[str, EnsembleConfig]) -> Collected:
    """With a cell for every evaluation and setting that all members of an ensemble have, of the common seeds.

    An ensemble of which the run lacks a method is left out: it is defined, and nobody asked for it.
    """
    running = {name: one for name, one in ensembles.items() if {*one.methods} <= {*collected.run.methods}}
    cells = [*collected.cells]
    for name, one in running.items():
        cells += _cells(root, collected, name, one)
    order = list(collected.tests)
    cells.sort(key=lambda cell: order.index(cell.benchmark))
    return replace(collected, cells=tuple(cells), ensembles=running)


def _cells(root: Path, collected: Collected, name: str, ensemble: EnsembleConfig) -> Iterable[Cell]:
    members = [
        {
            (cell.evaluation, cell.subject, cell.setting): cell
            for cell in collected.cells
            if cell.method == one
        }
        for one in ensemble.methods
    ]
    shared = {key: members[0][key] for key in members[0] if all(key in cells for cells in members)}
    seeds = {
        key: [seed for seed in cell.seeds if all(seed in cells[key].seeds for cells in members)]
        for key, cell in shared.items()
    }
    outcomes: dict[Key, dict[int, Outcome]] = {key: {} for key in shared}
    for evaluation, subject in dict.fromkeys(key[:2] for key in shared):
        of_stage = [key for key in shared if key[:2] == (evaluation, subject)]
        for seed in dict.fromkeys(seed for key in of_stage for seed in seeds[key]):
            paths = (RESULTS / evaluation / subject / one / f"seed-{seed}.npz" for one in ensemble.methods)
            scores = [read_scores(root, path) for path in paths]
            for key in (key for key in of_stage if seed in seeds[key]):
                added = add_scores([one[key[2]] for one in scores], ensemble.weights)
                labels = collected.tests[shared[key].benchmark].labels
                outcomes[key][seed] = outcome(added, labels)
    for key, cell in shared.items():
        if seeds[key]:
            of_seeds = Outcome.of_seeds([outcomes[key][seed] for seed in seeds[key]])
            yield replace(cell, method=name, seeds=tuple(seeds[key]), outcome=of_seeds)
