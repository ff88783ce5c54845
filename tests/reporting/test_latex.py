"""LaTeX that compiles: environments close, rows have the columns of their table, letters mean themselves."""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from kinemask.reporting.blocks import BETTER, blocks
from kinemask.reporting.collect import collect
from kinemask.reporting.latex import escaped, latex_tables
from kinemask.reporting.tables import comparisons_table, results_table

from .conftest import Run, make_published

MakeRun = Callable[..., Run]


def latex(run: Run) -> str:
    found = collect(run.root, run.config)
    results, comparisons = results_table(found, run.statistics), comparisons_table(found, run.statistics)
    return latex_tables(blocks(results, comparisons, found, 0.05), found, confidence=0.95)


def tables(text: str) -> dict[str, str]:
    """Label -> table."""
    found = re.findall(r"\\begin{table}.*?\\end{table}", text, flags=re.DOTALL)
    return {re.search(r"\\label{tab:(\w+)}", one)[1]: one for one in found}


def check(text: str) -> None:
    """Balanced braces and environments, rows as wide as their table, nothing special that is not meant so."""
    assert text.isascii()
    for table in tables(text).values():
        depth = 0
        for brace in re.findall(r"(?<!\\)[{}]", table):
            depth += 1 if brace == "{" else -1
            assert depth >= 0
        assert depth == 0
        opened: list[str] = []
        for kind, name in re.findall(r"\\(begin|end){(\w+)}", table):
            assert kind == "begin" or opened.pop() == name
            opened += [name] if kind == "begin" else []
        assert opened == []
        (columns,) = re.findall(r"\\begin{tabular}{(\w+)}", table)
        body = table[table.index(r"\toprule") : table.index(r"\bottomrule")]
        for line in body.splitlines():
            if not line.startswith(("\\toprule", "\\midrule", "\\multicolumn")):
                assert len(re.findall(r"(?<!\\)&", line)) == len(columns) - 1, line
                assert re.search(r"\\\\(\[2pt\])?$", line), line
        assert not re.search(r"(?<!\\)[%#_^~]", table)
    assert text.count("$") % 2 == 0


def test_every_letter_that_is_special_is_printed() -> None:
    assert escaped("a_b & 5 % #1 $x^2$ {~} \\") == (
        r"a\_b \& 5 \% \#1 \$x\textasciicircum{}2\$ \{\textasciitilde{}\} \textbackslash{}"
    )
    assert escaped(f"86.1 ± 0.3 {BETTER}") == r"86.1 $\pm$ 0.3 $\uparrow$"


def test_there_is_a_table_an_evaluation_with_benchmarks_as_columns(make_run: MakeRun) -> None:
    run = make_run()
    text = latex(run)
    check(text)
    found = tables(text)
    assert list(found) == ["linear", "knn", "few"]
    lines = found["knn"].splitlines()
    assert r"method & irds-xsub & kinesim-xsub \\" in lines
    groups = [line for line in lines if line.startswith(r"\multicolumn")]
    assert groups == [rf"\multicolumn{{3}}{{l}}{{\textit{{k={k}}}}} \\" for k in (1, 20)]
    assert sum(line.startswith(("random &", "mtmc &")) for line in lines) == 2 * 2
    results = results_table(collect(run.root, run.config), run.statistics)
    own = results[
        (results[["method", "setting", "metric"]] == ["mtmc", "pooling=mean k=1", "top1"]).all(axis=1)
    ]
    first = own.iloc[0]
    row = lines.index(next(line for line in lines if line.startswith("mtmc &")))
    assert lines[row].startswith(
        rf"mtmc & {100 * first['mean']:.1f} $\pm$ {100 * first['std']:.1f} $\uparrow$ & "
    )
    interval = f"[{100 * first['ci_low']:.1f}, {100 * first['ci_high']:.1f}]"
    assert lines[row + 1].startswith(rf" & {{\scriptsize {interval}}} & ")


def test_cells_that_are_missing_say_why_in_a_word_with_a_footnote(make_run: MakeRun) -> None:
    run = make_run(benchmarks=("irds-xsub",), finetune=("mtmc",), seeds=(0,))
    config = run.config.model_copy(update={"benchmarks": ("irds-xsub", "ntu60-xsub")})
    text = latex(Run(run.root, config, run.statistics))
    check(text)
    tuned = tables(text)["finetune"]
    assert r"random & not run & not run \\" in tuned
    assert re.search(r"mtmc & [\d.]+ \$\\pm\$ - & no data \\\\", tuned)
    assert r"\par{\footnotesize not run: 'run' of params.yaml" in tuned
    assert "no data: the benchmark is not there" in tuned


def test_figures_of_others_stand_apart_with_their_sources(make_run: MakeRun) -> None:
    run = make_run(seeds=(0,))
    assert "Others" not in latex(run)
    make_published(run)
    text = latex(run)
    check(text)
    others = {name: table.partition("Others")[2] for name, table in tables(text).items()}
    assert "MacDiff (Transformer + diffusion decoder; J) (MD, FS) & 92.8 & - \\\\" in others["linear"]
    assert "Sources: AW: a third-party list" in others["linear"]
    assert others["knn"] == others["few"] == ""


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no LaTeX here; the checks above stand for it")
def test_latex_compiles_it(make_run: MakeRun, tmp_path: Path) -> None:
    (tmp_path / "tables.tex").write_text(latex(make_run(benchmarks=("irds-xsub",), seeds=(0,))))
    page = "\\documentclass{article}\\usepackage{booktabs}\\begin{document}\\input{tables}\\end{document}\n"
    (tmp_path / "page.tex").write_text(page)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 0
