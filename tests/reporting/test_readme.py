from pathlib import Path

import pytest

from kinemask.reporting.readme import update_readme
from kinemask.reporting.scores import ReportError

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


def with_leaks(root: Path, counts: tuple[tuple[int, int], ...]) -> None:
    """The same table as a run of today writes it; `counts` are num_test and num_leaked of each row."""
    header, *lines = CSV.splitlines()
    more = ["0.8412,0.0034,0.8200,0.8620" if leaked < test else ",,," for test, leaked in counts]
    lines = [f"{line},{text},{t},{n}" for line, text, (t, n) in zip(lines, more, counts, strict=True)]
    header += ",unleaked_mean,unleaked_std,unleaked_ci_low,unleaked_ci_high,num_test,num_leaked"
    (root / "reports/results.csv").write_text("\n".join([header, *lines]) + "\n")


def test_leaked_clips_add_a_score_without_them_and_a_count(root: Path) -> None:
    with_leaks(root, ((1234, 12), (1234, 12), (4, 4), (1234, 12)))
    path = readme(root, "reports/results.csv metric=top1 method=mtmc columns=benchmark,mean,num_seeds")
    update_readme(path, root)
    assert path.read_text().split("-->\n", 1)[1] == (
        "\n| benchmark | % | % without leaked clips | num_seeds |\n"
        "| --- | --- | --- | --- |\n"
        "| irds-xsub | 86.1 ± 0.3 [84.0, 88.2] | 84.1 ± 0.3 [82.0, 86.2] | 3 |\n"
        "| irds-xpos | 60.1 ± 0.3 [58.0, 62.2] | - | 3 |\n"
        "\nTest clips that stand in the training part as well (same content): "
        "irds-xsub 12 of 1,234, irds-xpos 4 of 4.\n"
        "\n<!-- end -->\n\nLast words.\n"
    )
    assert update_readme(path, root, check=True) == []


@pytest.mark.parametrize("columns", ["", " columns=method,setting,mean,num_seeds"])
def test_without_leaked_clips_only_the_count_is_told(root: Path, columns: str) -> None:
    with_leaks(root, ((1234, 0),) * 4)
    path = readme(root, "reports/results.csv metric=top1 benchmark=irds-xsub" + columns)
    update_readme(path, root)
    text = path.read_text()
    assert "| method | setting | % | num_seeds |\n" in text
    assert "(same content): irds-xsub 0 of 1,234.\n" in text


def test_comparisons_without_leaked_clips_stand_beside_each_figure(root: Path) -> None:
    (root / "reports/comparisons.csv").write_text(
        "benchmark,method,difference,ci_low,ci_high,p,unleaked_difference,unleaked_ci_low,unleaked_ci_high,"
        "unleaked_p,num_test,num_leaked\n"
        "x,mtmc,0.0210,0.0040,0.0390,0.0078,0.0110,-0.0040,0.0290,0.0812,9,1\n"
        "y,mtmc,0.0210,0.0040,0.0390,0.0078,,,,,9,9\n"
    )
    path = readme(root, "reports/comparisons.csv")
    update_readme(path, root)
    assert [line for line in path.read_text().splitlines() if line.startswith("|")] == [
        "| benchmark | method | points | points without leaked clips | p | p without leaked clips |",
        "| --- | --- | --- | --- | --- | --- |",
        "| x | mtmc | +2.1 [0.4, 3.9] | +1.1 [-0.4, 2.9] | 0.0078 | 0.0812 |",
        "| y | mtmc | +2.1 [0.4, 3.9] | - | 0.0078 | - |",
    ]


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


def test_values_of_a_column_stand_side_by_side(root: Path) -> None:
    path = readme(root, "reports/results.csv metric=top1 columns=method,mean across=benchmark")
    update_readme(path, root)
    assert (
        "| method | irds-xsub | irds-xpos |\n"
        "| --- | --- | --- |\n"
        "| mtmc | 86.1 ± 0.3 [84.0, 88.2] | 60.1 ± 0.3 [58.0, 62.2] |\n"
        "| random | 85.1 ± - [83.0, 87.2] | - |\n"
    ) in path.read_text()


def test_leaked_clips_add_a_column_beside_each_that_stands_side_by_side(root: Path) -> None:
    with_leaks(root, ((1234, 12), (1234, 12), (4, 4), (1234, 12)))
    path = readme(root, "reports/results.csv metric=top1 columns=method,mean across=benchmark")
    update_readme(path, root)
    assert (
        "| method | irds-xsub | irds-xsub without leaked clips "
        "| irds-xpos | irds-xpos without leaked clips |\n"
        "| --- | --- | --- | --- | --- |\n"
        "| mtmc | 86.1 ± 0.3 [84.0, 88.2] | 84.1 ± 0.3 [82.0, 86.2] | 60.1 ± 0.3 [58.0, 62.2] | - |\n"
        "| random | 85.1 ± - [83.0, 87.2] | 84.1 ± 0.3 [82.0, 86.2] | - | - |\n"
    ) in path.read_text()


@pytest.mark.parametrize(
    ("order", "said"),
    [
        (
            "columns=method,mean across=benchmark",
            r"more than one row is \['mtmc', 'irds-xsub'\]: add conditions",
        ),
        ("metric=top1 across=benchmark", "across=benchmark needs columns="),
        ("columns=method,mean across=bench", "no column 'bench'"),
    ],
)
def test_columns_that_cannot_stand_side_by_side(root: Path, order: str, said: str) -> None:
    with pytest.raises(ReportError, match=said):
        update_readme(readme(root, f"reports/results.csv {order}"), root)
