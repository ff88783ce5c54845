from pathlib import Path

import pytest

from kinemask.reporting.collect import ReportError
from kinemask.reporting.readme import update_readme

CSV = """benchmark,method,setting,metric,mean,std,ci_low,ci_high,num_seeds
irds-xsub,mtmc,pooling=mean k=20,top1,0.8612,0.0034,0.8400,0.8820,3
irds-xsub,random,pooling=mean k=20,top1,0.8512,,0.8300,0.8720,1
irds-xpos,mtmc,pooling=mean k=20,top1,0.6012,0.0034,0.5800,0.6220,3
irds-xsub,mtmc,pooling=mean k=20,top5,0.9912,0.0034,0.9800,1.0000,3
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports/results.csv").write_text(CSV)
    return tmp_path


def readme(root: Path, order: str, old: str = "") -> Path:
    path = root / "README.md"
    path.write_text(f"# Title\n\n<!-- table: {order} -->\n{old}<!-- end -->\n\nLast words.\n")
    return path


def test_block_is_filled_and_the_rest_is_left(root: Path) -> None:
    path = readme(root, "reports/results.csv metric=top1 benchmark=irds-xsub", "| old |\n")
    assert update_readme(path, root) == ["reports/results.csv metric=top1 benchmark=irds-xsub"]
    assert path.read_text() == (
        "# Title\n\n<!-- table: reports/results.csv metric=top1 benchmark=irds-xsub -->\n\n"
        "| method | setting | % | num_seeds |\n"
        "| --- | --- | --- | --- |\n"
        "| mtmc | pooling=mean k=20 | 86.1 ± 0.3 [84.0, 88.2] | 3 |\n"
        "| random | pooling=mean k=20 | 85.1 ± - [83.0, 87.2] | 1 |\n"
        "\n<!-- end -->\n\nLast words.\n"
    )


def test_second_time_nothing_is_stale(root: Path) -> None:
    path = readme(root, "reports/results.csv metric=top1")
    update_readme(path, root)
    before = path.read_bytes()
    assert update_readme(path, root) == []
    assert update_readme(path, root, check=True) == []
    assert path.read_bytes() == before


def test_check_tells_of_a_changed_number_and_writes_nothing(root: Path) -> None:
    path = readme(root, "reports/results.csv metric=top1")
    update_readme(path, root)
    path.write_text(path.read_text().replace("86.1", "96.1"))
    before = path.read_bytes()
    assert update_readme(path, root, check=True) == ["reports/results.csv metric=top1"]
    assert path.read_bytes() == before


def test_several_values_quotes_and_columns(root: Path) -> None:
    order = "reports/results.csv 'setting=pooling=mean k=20' benchmark=irds-xsub,irds-xpos metric=top1"
    path = readme(root, order + " method=mtmc columns=benchmark,mean")
    update_readme(path, root)
    assert [line for line in path.read_text().splitlines() if line.startswith("|")] == [
        "| benchmark | % |",
        "| --- | --- |",
        "| irds-xsub | 86.1 ± 0.3 [84.0, 88.2] |",
        "| irds-xpos | 60.1 ± 0.3 [58.0, 62.2] |",
    ]


def test_comparisons_are_in_points(root: Path) -> None:
    (root / "reports/comparisons.csv").write_text(
        "method,difference,ci_low,ci_high,p\nmtmc,0.0210,0.0040,0.0390,0.0078\n"
    )
    path = readme(root, "reports/comparisons.csv")
    update_readme(path, root)
    assert "| mtmc | +2.1 [0.4, 3.9] | 0.0078 |" in path.read_text()


def test_readme_without_blocks_is_left_alone(root: Path) -> None:
    path = root / "README.md"
    path.write_text("# Title")
    assert update_readme(path, root) == []
    assert path.read_text() == "# Title"


@pytest.mark.parametrize(
    ("order", "problem"),
    [
        ("reports/none.csv", "line 3: reports/none.csv is not there"),
        ("reports/results.csv metrik=top1", "no column 'metrik', it has benchmark, method"),
        ("reports/results.csv columns=mean,p", "no column 'p'"),
        ("reports/results.csv metric=top9", "no row of reports/results.csv"),
        ("reports/results.csv 'metric=top1", "open quote"),
        ("", "names no file"),
    ],
)
def test_what_is_wrong_with_a_block_is_named(root: Path, order: str, problem: str) -> None:
    path = readme(root, order)
    before = path.read_bytes()
    with pytest.raises(ReportError, match=problem):
        update_readme(path, root)
    assert path.read_bytes() == before


def test_block_without_end_is_an_error(root: Path) -> None:
    path = root / "README.md"
    path.write_text("<!-- table: reports/results.csv -->\nAll the rest of the page.\n")
    with pytest.raises(ReportError, match=r"line 1: this table has no line <!-- end -->"):
        update_readme(path, root)
