"""What methods are worth on damaged clips: reports/occlusion.csv, what is kept as a table, and the curves."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from markupsafe import Markup

from kinemask.evaluation.kept import ALL, KINDS, fill_as_found, words_of
from kinemask.evaluation.statistics import StatisticsConfig, estimate
from kinemask.reporting import figures
from kinemask.reporting.ablation import AblationBlock
from kinemask.reporting.blocks import CHOSEN, NOTHING, percent, spread
from kinemask.reporting.charts import Chart
from kinemask.reporting.collect import Collected
from kinemask.reporting.damage_curves import AS_THEY_ARE, EVALUATION, DamageCurve, Shares, damage_curves
from kinemask.reporting.figures import LevelLine
from kinemask.reporting.tables import UNLEAKED, origin, rounded

OVER_LEVELS = "mean"  # the level of a row over all levels, whose `kept` is the one number
_ESTIMATE = ("mean", "std", "ci_low", "ci_high")
OCCLUSION_COLUMNS = (
    *("benchmark", "method", "setting", "chosen", "probe", "kind", "fill", "level"),
    *(*_ESTIMATE, *(UNLEAKED + name for name in _ESTIMATE)),
    *("kept", "kept_std", "missing", "num_test", "num_leaked", "num_seeds", "scored_epoch", "commit"),
)
_UNITS = {
    "part": "", "joints": "share of the joints, whole clip", "frames": "share of the frames, one block",
    "frames_absolute": "frames about the 50th", "flicker": "share of joints and frames, each by itself",
    "noise": "standard deviation, metres",
}  # fmt: skip


def occlusion_table(collected: Collected, config: StatisticsConfig) -> pd.DataFrame:
    """OCCLUSION_COLUMNS: for each pooling a row of the undamaged clips, then of each level and over levels.

    `kept` is the mean over seeds of a seed's accuracy as a share of its own on undamaged clips; over levels
    the mean of these shares, and of the kind ALL the mean over kinds. `missing` is the share of joints lost.
    """
    rows: list[dict[str, Any]] = []
    curves = damage_curves(collected)
    for place, curve in enumerate(curves):
        if not place or _whose(curve) != _whose(curves[place - 1]):
            rows.append(_row(collected, curve, ("clean", AS_THEY_ARE, "", "0"), curve.clean, config))
        what = (curve.probe, curve.kind, curve.fill)
        if curve.kind != ALL:
            rows += [_row(collected, curve, (*what, at), curve.right[at], config) for at in curve.right]
        rows.append(_row(collected, curve, (*what, OVER_LEVELS), curve.over_levels, config))
    return rounded(rows, OCCLUSION_COLUMNS)


def kept_blocks(table: pd.DataFrame) -> tuple[AblationBlock, ...]:
    """For each benchmark what methods with their chosen poolings keep of each kind and of all, in percent."""
    blocks = []
    shown = table[table["chosen"] & table["level"].isin([OVER_LEVELS, "0"])]
    for benchmark, part in shown.groupby("benchmark", sort=False):
        kinds = [kind for kind in (*KINDS, ALL) if kind in set(part["kind"])]
        header = (
            "method",
            "setting",
            "probe",
            "fill",
            "undamaged, %",
            *(f"{kind}, % kept" for kind in kinds),
        )
        rows = []
        for (method, setting), lines in part.groupby(["method", "setting"], sort=False):
            clean = spread(_line(lines[lines["kind"] == AS_THEY_ARE]))
            for (probe, fill), _ in lines[lines["kind"] == ALL].groupby(["probe", "fill"], sort=False):
                own = lines[lines["probe"] == probe]
                cells = [_kept_of(own, kind, str(fill)) for kind in kinds]
                names = (str(method), f"{setting} {CHOSEN}", str(probe), str(fill) or NOTHING)
                rows.append((*names, clean, *cells))
        blocks.append(AblationBlock(str(benchmark), header, tuple(rows)))
    return tuple(blocks)


def words_used(collected: Collected) -> dict[str, set[str]]:
    """The words of the settings that the glossary explains: kinds, fills and probes."""
    settings = [words_of(cell.setting) for cell in collected.apart if cell.evaluation == EVALUATION]
    return {
        name: {words[name] for words in settings if words.get(name, AS_THEY_ARE) != AS_THEY_ARE}
        for name in ("kind", "fill", "probe")
    }


def how_to_read(confidence: float) -> str:
    """What stands in the table and is drawn in the charts."""
    return (
        "Clips are damaged in the coordinates of the camera, in the same way for every method. What is "
        "missing is filled with the origin of the camera (zero) or with where a joint was seen last "
        "(hold; until it is seen that is zero too, so where joints are missing in whole clips both are "
        f"one). Undamaged: accuracy of the clean probe on clips as they are [{100 * confidence:g} % "
        "interval]. Kept: accuracy on damaged clips as a share of that, the mean over levels ± standard "
        "deviation over seeds; all: the mean over kinds. The clean probe has seen undamaged clips alone; "
        "the adapted one is fitted to clips damaged as those it is tested on. Where it meets fewer levels "
        f"or kinds than the clean one, compare the two level by level, in reports/occlusion.csv. {CHOSEN} "
        "folds of the training part chose this pooling, or it is the only one. Who answers by chance "
        "keeps something too."
    )


def level_charts(collected: Collected) -> list[tuple[str, list[Chart]]]:
    """(benchmark, a chart for each kind and fill) of the clean probes with the chosen poolings."""
    grouped: dict[str, dict[tuple[str, str], list[DamageCurve]]] = {}
    for curve in damage_curves(collected):
        if curve.chosen and curve.probe == "clean" and curve.kind != ALL:
            of_benchmark = grouped.setdefault(curve.cell.benchmark, {})
            of_benchmark.setdefault((curve.kind, curve.fill), []).append(curve)
    methods = list(collected.run.methods)
    return [
        (
            benchmark,
            [_chart(curves, methods, f"o{number}-{place}") for place, curves in enumerate(charts.values())],
        )
        for number, (benchmark, charts) in enumerate(grouped.items())
    ]


def _chart(curves: list[DamageCurve], methods: list[str], name: str) -> Chart:
    kind, fill = curves[0].kind, curves[0].fill
    joined = kind != "part"
    levels = list(dict.fromkeys(level for curve in curves for level in curve.right))
    places = {level: float(level) if joined else 1.0 + place for place, level in enumerate(levels)}
    lines, told = [], []
    for curve in curves:
        points = {"0": curve.clean, **curve.right}
        seeds = [tuple((100 * right.mean(axis=1)).tolist()) for right in points.values()]
        means = tuple(sum(values) / len(values) for values in seeds)
        label = f"{curve.cell.method} {curve.pooling}"
        at = (0.0, *(places[level] for level in curve.right))
        lines.append(LevelLine(label, methods.index(curve.cell.method), at, means, tuple(seeds)))
        values = ", ".join(f"{mean:.1f} at {level}" for level, mean in zip(points, means, strict=True))
        told.append(f"{label}: {values}")
    title = f"{kind}, {fill}" if fill else kind
    ticks = [(0.0, "0" if joined else "none"), *((place, level) for level, place in places.items())]
    svg = figures.level_chart(lines, ticks, joined=joined, title=title, unit=_UNITS[kind], name=name)
    means_are = "the line joins their means." if joined else "the bar is their mean."
    return Chart(
        Markup(svg),
        f"{title}: top1 over levels of damage on {curves[0].cell.benchmark}, percent. {'; '.join(told)}",
        f"Circles are seeds, {means_are}",
    )


def _row(
    collected: Collected,
    curve: DamageCurve,
    what: tuple[str, str, str, str],  # probe, kind, fill and level
    right: Shares,
    config: StatisticsConfig,
) -> dict[str, Any]:
    test = collected.tests[curve.cell.benchmark]
    names = {"setting": f"pooling={curve.pooling}", "chosen": curve.chosen}
    names |= dict(zip(("probe", "kind", "fill", "level"), what, strict=True))
    whole = np.ones_like(test.leaked)
    line: dict[str, Any] = {"num_test": len(test.labels), "num_leaked": test.num_leaked}
    for prefix, clips in (("", whole), (UNLEAKED, ~test.leaked)):
        if not clips.any():
            continue
        if prefix and not test.num_leaked:
            line |= {UNLEAKED + name: line[name] for name in _ESTIMATE}
            continue
        found = estimate(right[:, clips], subjects=test.subjects[clips], classes=None, config=config)
        values = (found.mean, found.std, found.low, found.high)
        line |= {prefix + name: value for name, value in zip(_ESTIMATE, values, strict=True)}
    kept = _kept(right, curve.clean)
    line |= {"kept": kept.mean(), "kept_std": kept.std(ddof=1) if len(kept) > 1 else float("nan")}
    line["missing"] = _missing(collected, curve, what)
    return {**origin(collected, curve.cell), **names, **line, "num_seeds": len(curve.seeds)}


def _kept(right: Shares, clean: Shares) -> Float[np.ndarray, " S"]:
    """Of each seed; NaN where it was never right on undamaged clips."""
    of_seed, whole = right.mean(axis=1), clean.mean(axis=1)
    kept: np.ndarray = np.divide(of_seed, whole, out=np.full_like(whole, np.nan), where=whole > 0)
    return kept


def _missing(collected: Collected, curve: DamageCurve, what: tuple[str, str, str, str]) -> float:
    """The share of joints lost, the mean over seeds and draws; NaN over levels."""
    found = [
        values["missing"]
        for record in collected.of_run(EVALUATION, curve.cell.benchmark, curve.cell.method)
        for setting, values in record.metrics.items()
        if "missing" in values and record.seed in curve.seeds
        for words in [words_of(setting)]
        if words["pooling"] == curve.pooling
        and (words["probe"], words["kind"], words.get("fill", ""), words.get("level", "")) == what
    ]
    return float(np.mean(found)) if found else float("nan")


def _kept_of(lines: pd.DataFrame, kind: str, fill: str) -> str:
    wanted = fill if kind == ALL else fill_as_found(kind, fill)
    found = lines[(lines["kind"] == kind) & (lines["fill"] == wanted)]
    return kept_text(_line(found)) if len(found) else NOTHING


def kept_text(line: Mapping[str, Any], prefix: str = "") -> str:
    """A row of occlusion.csv as `36.8 ± 1.2`, in percent; `prefix` as in `spread`, whose rows have both."""
    return f"{percent(line[prefix + 'kept'])} ± {percent(line[prefix + 'kept_std'])}"


def _line(rows: pd.DataFrame) -> dict[str, Any]:
    return {str(name): value for name, value in rows.iloc[0].items()}


def _whose(curve: DamageCurve) -> tuple[str, str, str]:
    return curve.cell.benchmark, curve.cell.method, curve.pooling
