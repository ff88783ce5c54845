"""The HTML report: one file that needs nothing from anywhere, made from records and tables alone."""

import csv
import hashlib
import json
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, StrictUndefined

from kinemask.evaluation.statistics import StatisticsConfig
from kinemask.record import Record
from kinemask.reporting.ablation import ablation_blocks
from kinemask.reporting.ablation import how_to_read as how_to_read_ablation
from kinemask.reporting.blocks import CHOSEN, NOTHING, WITHOUT_LEAKS, blocks, gain, mark
from kinemask.reporting.charts import (
    attention_charts,
    class_charts,
    interval_chart,
    label_charts,
    look_charts,
    step_charts,
    training_charts,
)
from kinemask.reporting.collect import Collected
from kinemask.reporting.gaps import NO_DATA, footnotes
from kinemask.reporting.markdown import (
    PUBLISHED_HEADER,
    UPPER_BOUND,
    about,
    how_to_read,
    leaks,
    missing_line,
    reference_line,
    unseen,
)
from kinemask.reporting.occlusion import how_to_read as how_to_read_occlusion
from kinemask.reporting.occlusion import kept_blocks, level_charts, words_used
from kinemask.reporting.published import OTHERS, tags_line
from kinemask.reporting.tables import COMPARED, CONTROL, METRICS, UNLEAKED
from kinemask.reporting.timing import instances
from kinemask.run import EVALUATIONS

TEMPLATE = Path(__file__).with_name("report.html")
GLOSSARY = Path(__file__).with_name("glossary.csv")
STAGES = ("download", "preprocess", "split", "pretrain", "embed", *(one.name for one in EVALUATIONS))


def report_html(
    results: pd.DataFrame,
    comparisons: pd.DataFrame,
    ablation: pd.DataFrame,
    collected: Collected,
    config: StatisticsConfig,
    *,
    occlusion: pd.DataFrame,
) -> str:
    """The whole page. The same tables and records give the same bytes."""
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    level = 1 - config.confidence
    found = blocks(results, comparisons, collected, level)
    records = sorted(collected.records, key=_order)
    dropped = [(one.subject, _counts(one)) for one in records if one.stage == "preprocess"]
    commits = sorted({record.commit for record in records})
    reference = collected.run.reference or ""
    page = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return page.render(
        commits=commits,
        date=commit_date(commits),
        digest=params_digest(records),
        machine=_machines(records),
        missing=missing_line(collected),
        num_missing=len(collected.missing),
        how_to_read=how_to_read(config.confidence),
        benchmarks=[
            (name, about(collected, name), leaks(collected, name), test.num_leaked)
            for name, test in collected.tests.items()
        ],
        blocks=found,
        charts={
            (block.benchmark, block.evaluation): interval_chart(block, results, collected, number)
            for number, block in enumerate(found)
            if block.rows
        },
        unseen=[(name, *footnotes([NO_DATA])) for name in unseen(collected)],
        notes={
            (block.benchmark, block.evaluation): footnotes(word for _, word in block.gaps) for block in found
        },
        upper_bound=UPPER_BOUND,
        published_header=PUBLISHED_HEADER,
        others=OTHERS,
        tags_line=tags_line,
        metrics=METRICS,
        compared=COMPARED,
        reference_line=reference_line,
        chosen=CHOSEN,
        without_leaks=WITHOUT_LEAKS,
        control=CONTROL,
        comparisons=_comparisons(comparisons, level),
        reference=reference,
        ablation=ablation_blocks(ablation, reference, level),
        how_to_read_ablation=how_to_read_ablation(reference, config.confidence),
        occlusion=kept_blocks(occlusion),
        how_to_read_occlusion=how_to_read_occlusion(config.confidence),
        level_charts=dict(level_charts(collected)),
        curves=training_charts(collected),
        step_charts=step_charts(collected),
        label_charts=label_charts(collected),
        class_charts=class_charts(collected),
        looks=look_charts(collected),
        attention=attention_charts(collected),
        times=instances(records),
        dropped=dropped,
        counted=list(dict.fromkeys(name for _, counts in dropped for name in counts)),
        words=glossary(collected),
        settings=_settings(records, config),
    )


def params_digest(records: Iterable[Record]) -> str:
    """Twelve hexadecimal digits that change with any parameter of any record."""
    texts = sorted({json.dumps([r.stage, r.subject, r.method, r.params], sort_keys=True) for r in records})
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:12]


def commit_date(commits: Sequence[str]) -> str:
    """The day of the newest of the commits, `unknown` where git does not know any of them."""
    dates = []
    for commit in commits:
        command = [
            "git",
            "show",
            "--no-patch",
            "--format=%cs",
            "--end-of-options",
            f"{commit.removesuffix('-dirty')}^{{commit}}",
            "--",
        ]
        try:
            dates.append(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())
        except (subprocess.CalledProcessError, FileNotFoundError):
            continue
    return max(dates, default="unknown")


def glossary(collected: Collected) -> list[tuple[str, str]]:
    """A sentence for each name that occurs in the tables, in the order of glossary.csv."""
    infos = [test.info for test in collected.tests.values()]
    used = {
        "method": {cell.method for cell in collected.cells},
        "evaluation": {cell.evaluation for cell in (*collected.cells, *collected.apart)},
        "metric": set(METRICS),
        "setting": {part.partition("=")[0] for cell in collected.cells for part in cell.setting.split()},
        **words_used(collected),
        "axis": {"step"} if collected.snapshots else set(),
        "dataset": {info.dataset for info in infos},
        "protocol": {info.protocol for info in infos},
        "word": {"leaked"},  # every benchmark has a sentence with it or about it
    }
    with GLOSSARY.open(newline="", encoding="utf-8") as file:
        known = [(row["kind"], row["name"], row["sentence"]) for row in csv.DictReader(file)]
    named = {(kind, name) for kind, name, _ in known}
    unnamed = sorted(
        (kind, name) for kind, names in used.items() for name in names if (kind, name) not in named
    )
    return [(name, sentence) for kind, name, sentence in known if name in used.get(kind, set())] + [
        (name, _unnamed(collected, kind, name)) for kind, name in unnamed
    ]


def _unnamed(collected: Collected, kind: str, name: str) -> str:
    if kind == "method" and name in collected.ensembles:
        one = collected.ensembles[name]
        added = ", ".join(
            f"{weight:g} of {method}" for method, weight in zip(one.methods, one.weights, strict=True)
        )
        return f"An ensemble: class probabilities added clip by clip, {added}; nothing is fitted."
    return f"A {kind} of this project, set in params.yaml."


def _order(record: Record) -> tuple[Any, ...]:
    place = STAGES.index(record.stage) if record.stage in STAGES else len(STAGES)
    return (
        place,
        record.stage,
        record.subject,
        record.method or "",
        -1 if record.seed is None else record.seed,
    )


def _machines(records: Iterable[Record]) -> str:
    kinds = {
        ", ".join(
            f"{name} {record.environment[name]}"
            for name in ("system", "machine", "python", "torch", "numpy")
            if name in record.environment
        )
        for record in records
    }
    return "; ".join(sorted(kinds))


def _counts(record: Record) -> dict[str, str]:
    """Counts with their thousands apart, shares with four digits."""
    values = record.metrics.get("all", {})
    return {
        name: f"{value:,.0f}" if value == int(value) else f"{value:.4g}" for name, value in values.items()
    }


def _comparisons(comparisons: pd.DataFrame, level: float) -> list[dict[str, Any]]:
    return [
        {
            **line,
            **{"gain": gain(line), "mark": mark(line, level)},
            **{"unleaked_gain": gain(line, UNLEAKED), "unleaked_mark": mark(line, level, UNLEAKED)},
            "unleaked_p_holm": NOTHING if pd.isna(p := line[f"{UNLEAKED}p_holm"]) else f"{p:.4f}",
        }
        for line in ({str(k): v for k, v in row.items()} for row in comparisons.to_dict("records"))
    ]


def _settings(records: Iterable[Record], config: StatisticsConfig) -> list[tuple[str, str]]:
    """(whose, params as JSON), each once: the seeds of an instance share them."""
    found = {" ".join(filter(None, (r.stage, r.subject, r.method))): r.params for r in records}
    found["tables"] = {"statistics": config.model_dump(mode="json")}
    return [(name, json.dumps(params, indent=1, sort_keys=True)) for name, params in found.items()]
