"""Writes all reports of a run."""

from pathlib import Path

from kinemask.evaluation.statistics import StatisticsConfig
from kinemask.reporting.ablation import ablation_table
from kinemask.reporting.blocks import blocks
from kinemask.reporting.classes import classes_table
from kinemask.reporting.collect import Collected
from kinemask.reporting.curves import curves_table
from kinemask.reporting.labels import labels_table
from kinemask.reporting.latex import latex_tables
from kinemask.reporting.markdown import results_markdown
from kinemask.reporting.occlusion import occlusion_table
from kinemask.reporting.published import published_table
from kinemask.reporting.report import report_html
from kinemask.reporting.tables import comparisons_table, csv_text, results_table
from kinemask.storage import write_text

REPORTS = Path("reports")


def write_reports(root: Path, collected: Collected, config: StatisticsConfig) -> dict[str, float]:
    """Write the tables as CSV, results.md, tables.tex and index.html to `root`/reports, each in one step.

    Returns how many rows the tables have and how much is missing in them.
    """
    results = results_table(collected, config)
    comparisons = comparisons_table(collected, config)
    ablation = ablation_table(collected, config)
    occlusion = occlusion_table(collected, config)
    found = blocks(results, comparisons, collected, 1 - config.confidence)
    tables = {
        "results": results,
        "comparisons": comparisons,
        "ablation": ablation,
        "curves": curves_table(collected, config),
        "occlusion": occlusion,
        "classes": classes_table(collected),
        "label_efficiency": labels_table(collected, config),
        "published": published_table(figure for block in found for figure in block.published),
    }
    texts = {
        **{f"{name}.csv": csv_text(table) for name, table in tables.items()},
        "results.md": results_markdown(
            found, ablation, collected, occlusion=occlusion, confidence=config.confidence
        ),
        "tables.tex": latex_tables(found, collected, confidence=config.confidence),
        "index.html": report_html(results, comparisons, ablation, collected, config, occlusion=occlusion),
    }
    for name, text in texts.items():
        write_text(root / REPORTS / name, text)
    rows = {name: float(len(table)) for name, table in tables.items()}
    return rows | {"missing": float(len(collected.missing))}
