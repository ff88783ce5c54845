"""Writes all reports of a run."""

from pathlib import Path

from kinemask.evaluation.statistics import StatisticsConfig
from kinemask.reporting.ablation import ablation_table
from kinemask.reporting.blocks import blocks
from kinemask.reporting.collect import Collected
from kinemask.reporting.curves import curves_table
from kinemask.reporting.markdown import results_markdown
from kinemask.reporting.occlusion import occlusion_table
from kinemask.reporting.report import report_html
from kinemask.reporting.tables import comparisons_table, csv_text, results_table
from kinemask.storage import write_text

REPORTS = Path("reports")


def write_reports(root: Path, collected: Collected, config: StatisticsConfig) -> dict[str, float]:
    """Write the tables as CSV, results.md and index.html to `root`/reports, each in one step.

    Returns how many rows the tables have and how much is missing in them.
    """
    results = results_table(collected, config)
    comparisons = comparisons_table(collected, config)
    ablation = ablation_table(collected, config)
    curves = curves_table(collected, config)
    occlusion = occlusion_table(collected, config)
    found = blocks(results, comparisons, collected, 1 - config.confidence)
    texts = {
        "results.csv": csv_text(results),
        "comparisons.csv": csv_text(comparisons),
        "ablation.csv": csv_text(ablation),
        "curves.csv": csv_text(curves),
        "occlusion.csv": csv_text(occlusion),
        "results.md": results_markdown(
            found, ablation, collected, occlusion=occlusion, confidence=config.confidence
        ),
        "index.html": report_html(results, comparisons, ablation, collected, config, occlusion=occlusion),
    }
    for name, text in texts.items():
        write_text(root / REPORTS / name, text)
    return {
        "results": float(len(results)),
        "comparisons": float(len(comparisons)),
        "ablation": float(len(ablation)),
        "curves": float(len(curves)),
        "occlusion": float(len(occlusion)),
        "missing": float(len(collected.missing)),
    }
