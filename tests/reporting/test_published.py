"""Others' figures: read whole or not at all, and shown beside the benchmark they were measured on alone."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from kinemask.reporting.published import (
    PUBLISHED,
    PUBLISHED_COLUMNS,
    PublishedError,
    figures_of,
    published_table,
    read_figures,
    tags_line,
)
from kinemask.reporting.tables import csv_text
from kinemask.skeleton.benchmark import BenchmarkInfo

HEADER = PUBLISHED.read_text().splitlines()[0]
GOOD = 'MAMP,ICCV\'23,Transformer,J,ntu60,xsub,semi,0.1,88.0,,"DM, R"'


def info(place: str, **changes: object) -> BenchmarkInfo:
    dataset, protocol = place.split("-")
    values = {
        **{"name": place, "dataset": dataset, "protocol": protocol, "size": "small", "class_names": ("a",)},
        **{"num_train": 1, "num_test": 1, "num_leaked": 0, "data_sha256": "ab", "complete": True},
    }
    return BenchmarkInfo(**(values | changes))


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def written(*lines: str) -> Path:
        path = tmp_path / "published.csv"
        path.write_text("\n".join([HEADER, *lines]) + "\n")
        return path

    return written


def test_every_figure_of_the_package_is_read_with_its_source() -> None:
    with PUBLISHED.open(newline="") as file:
        rows = list(csv.DictReader(file))
    figures = read_figures()
    assert len(figures) == len(rows) == 454
    for figure, row in zip(figures, rows, strict=True):
        assert (figure.method, str(figure.top1_percent)) == (row["method"], row["top1_percent"])
        assert figure.source == row["source"] != ""


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        (GOOD.replace("88.0", "880"), "line 3: top1_percent: Input should be less than or equal to 100"),
        (GOOD.replace("88.0", ""), "line 3: top1_percent: Input should be a valid decimal"),
        (GOOD.replace('"DM, R"', ""), "line 3: source: String should match pattern"),
        (GOOD.replace("ntu60", "kinesim"), "line 3: dataset: Input should be 'ntu60', 'ntu120'"),
        (GOOD.replace("0.1", "ten"), "line 3: semi has the setting 'ten'"),
        (GOOD.replace("semi", "linear"), "line 3: linear has the setting '0.1'"),
        (f"{GOOD},more", "line 3"),
        ("MAMP", "line 3: venue: Input should be a valid string"),
        (GOOD.replace("88.0", "88.1"), "line 3: ntu60-xsub semi 0.1 MAMP .* stands there already"),
    ],
)
def test_a_line_that_is_wrong_is_named(write: Callable[..., Path], bad: str, problem: str) -> None:
    path = write(GOOD, bad)
    with pytest.raises(PublishedError, match=f"published.csv: {problem}"):
        read_figures(path)
    assert len(read_figures(write(GOOD))) == 1


def test_figures_stand_beside_the_whole_benchmark_they_were_measured_on_and_no_other() -> None:
    found = figures_of(info("ntu60-xsub"), "linear")
    assert found
    assert {(one.benchmark, one.evaluation) for one in found} == {("ntu60-xsub", "linear")}
    assert figures_of(info("ntu60-xsub", complete=False), "linear") == ()
    assert figures_of(info("ntu60-xsub", part="validation"), "linear") == ()
    for name in ("kinesim-xsub", "irds-xsub", "wmft-xsub"):
        assert figures_of(info(name), "linear") == ()
    # A benchmark's name is the user's choice: what counts is the data set and the protocol.
    assert figures_of(info("kinesim-xsub", name="ntu60-xsub"), "linear") == ()
    assert figures_of(info("ntu60-xsub", name="mine"), "linear") == found


def test_settings_are_in_the_words_of_our_results(write: Callable[..., Path]) -> None:
    lines = (
        GOOD,
        GOOD.replace("semi,0.1", "knn,k=1"),
        GOOD.replace("ntu60,xsub,semi,0.1", "pku2,xsub,transfer,ntu60"),
        GOOD.replace("semi,0.1", "linear,"),
        GOOD.replace("semi,0.1", "occlusion,part:trunk"),
    )
    figures = read_figures(write(*lines))
    settings = [one.our_setting for one in figures]
    assert settings == ["labels=10%", "k=1", "from=ntu60", "", "part:trunk"]
    table = published_table(figures)
    assert tuple(table.columns) == PUBLISHED_COLUMNS
    assert csv_text(table).splitlines()[1] == (
        'ntu60-xsub,semi,labels=10%,MAMP,ICCV\'23,Transformer,J,top1,0.8800,,"DM, R"'
    )


def test_tags_that_are_used_are_explained_and_no_other(write: Callable[..., Path]) -> None:
    (figure,) = read_figures(write(GOOD.replace(",,", ",88.1 (FS),")))
    assert figure.read_in == "DM, R; 88.1 (FS)"
    assert figure.made_by == "MAMP (Transformer; J)"
    assert tags_line([figure]) == (
        "Sources: DM: the DiMoP manuscript; FS: the comparison tables of wengwanjiang/FoundSkelModel; "
        "R: the method's own README."
    )
