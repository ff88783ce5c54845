"""The ablation table: every method of a run beside the one that is taken apart, `run.reference`."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from kinemask.evaluation.statistics import StatisticsConfig
from kinemask.reporting.blocks import NOTHING, WITHOUT_LEAKS, gain, mark, spread
from kinemask.reporting.collect import Cell, Collected
from kinemask.reporting.tables import (
    CONTROL,
    UNLEAKED,
    apart_from_pooling,
    chosen_of,
    comparison_line,
    correct_by_holm,
    is_chosen,
    result_line,
    rounded,
)

METRIC = "top1"
SHOWN = ("", "k=1", "labels=1%")  # apart from their pooling: linear and finetune, one neighbour, few labels
ROLES = {  # the others are what is compared
    "raw": "floor",
    CONTROL: "control",
    "random-transformer": "control",
    "supervised": "ceiling",
}
_ESTIMATE = ("mean", "std", "ci_low", "ci_high")
_COMPARISON = {  # as comparison_line calls it -> as it is called beside a mean
    **{"difference": "difference", "ci_low": "difference_low", "ci_high": "difference_high"},
    **{"p": "p", "p_holm": "p_holm"},
}
ABLATION_COLUMNS = (
    *("benchmark", "evaluation", "metric", "method", "role", "setting", *_ESTIMATE, "num_seeds"),
    *("reference", "reference_setting", *_COMPARISON.values(), "num_pairs"),
    *(UNLEAKED + name for name in (*_ESTIMATE, *_COMPARISON.values())),
    *("num_test", "num_leaked"),
)


@dataclass(frozen=True)
class AblationBlock:
    """The table of one benchmark as people read it, all as text."""

    benchmark: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def ablation_table(collected: Collected, config: StatisticsConfig) -> pd.DataFrame:
    """ABLATION_COLUMNS: a row for each benchmark, evaluation of SHOWN and method; none without a reference.

    Every method has the pooling that is best for it on folds of the training part, or its only one, and so
    has the reference; they are compared on the clips and seeds that both have, which `num_pairs` counts.
    Holm's correction runs over the table of a benchmark. Where nothing chose a pooling there is no row.
    """
    reference = collected.run.reference
    rows: list[dict[str, Any]] = []
    for benchmark, test in collected.tests.items() if reference is not None else ():
        cells = _chosen_cells(collected, benchmark)
        compared: list[dict[str, Any]] = []
        for cell in cells:
            ensemble = "ensemble" if cell.method in collected.ensembles else ""
            role = "reference" if cell.method == reference else ROLES.get(cell.method, ensemble)
            names = {"benchmark": benchmark, "evaluation": cell.evaluation, "method": cell.method}
            own = result_line(test, cell, METRIC, config)
            rows.append({**names, "role": role, "setting": cell.setting, **own})
            other = _reference_of(cell, cells, reference)
            if other is not None:
                line = comparison_line(test, cell, other, METRIC, config)
                line |= {"row": rows[-1], "reference": other.method, "reference_setting": other.setting}
                compared.append(line)
        correct_by_holm(compared)
        for line in compared:
            _add_comparison(line.pop("row"), line)
    return rounded(rows, ABLATION_COLUMNS)


def ablation_blocks(table: pd.DataFrame, reference: str, level: float) -> tuple[AblationBlock, ...]:
    """The table for people; a mark where p after Holm's correction is below `level`."""
    blocks = []
    for benchmark, part in table.groupby("benchmark", sort=False):
        leaks = bool(part["num_leaked"].any())
        scores = [f"{METRIC}, %", f"against {reference}, points", "p (Holm)"]
        beside = [f"{name} {WITHOUT_LEAKS}" for name in scores if leaks]
        header = ("evaluation", "method", "role", "setting", *scores, *beside, "seeds", "paired")
        lines = [{str(name): value for name, value in line.items()} for line in part.to_dict("records")]
        blocks.append(
            AblationBlock(str(benchmark), header, tuple(_texts(line, level, leaks) for line in lines))
        )
    return tuple(blocks)


def how_to_read(reference: str, confidence: float) -> str:
    """What stands in the table."""
    return (
        f"Every method minus {reference}, in points, each with the pooling that folds of the training part "
        "chose for it, or its only one, on the clips and seeds that both have (`paired` counts them); "
        f"{100 * confidence:g} % intervals. p is that of a paired permutation test, after Holm's correction "
        "over the table of the benchmark. Roles: floor, no encoder; control, the encoder as it is "
        "initialised; ceiling, trained with all labels; ensemble, class probabilities of methods added."
    )


def _chosen_cells(collected: Collected, benchmark: str) -> list[Cell]:
    """The cells of a benchmark that are shown, with the pooling chosen; the reference comes first."""
    chosen = chosen_of(collected)
    run = collected.run

    shown = [
        cell
        for cell in collected.cells
        if cell.benchmark == benchmark
        and apart_from_pooling(cell.setting) in SHOWN
        and is_chosen(cell, chosen)
    ]
    evaluations = list(dict.fromkeys(cell.evaluation for cell in shown))
    return sorted(shown, key=lambda cell: (evaluations.index(cell.evaluation), cell.method != run.reference))


def _reference_of(cell: Cell, cells: list[Cell], reference: str | None) -> Cell | None:
    """What a cell is compared with, None for the reference itself and where they have no seed in common."""
    for one in cells:
        if one.method == reference != cell.method and one.evaluation == cell.evaluation:
            return one if set(one.seeds) & set(cell.seeds) else None
    return None


def _add_comparison(row: dict[str, Any], line: dict[str, Any]) -> None:
    row |= {"reference": line["reference"], "reference_setting": line["reference_setting"]}
    row["num_pairs"] = line["num_seeds"]
    for prefix in ("", UNLEAKED):
        row |= {prefix + to: line[prefix + name] for name, to in _COMPARISON.items()}


def _texts(line: dict[str, Any], level: float, leaks: bool) -> tuple[str, ...]:
    scores: list[str] = []
    for prefix in ("", *([UNLEAKED] if leaks else [])):
        p = line[f"{prefix}p_holm"]
        against = f"{gain(line, prefix)} {mark(line, level, prefix)}".strip()
        scores += [spread(line, prefix), against, NOTHING if pd.isna(p) else f"{p:.4f}"]
    names = (str(line[name]) for name in ("evaluation", "method", "role", "setting"))
    pairs = line["num_pairs"]
    return (*names, *scores, str(line["num_seeds"]), NOTHING if pd.isna(pairs) else f"{pairs:.0f}")
