"""Figures that others published, with their sources: beside ours of the same benchmark, never among them."""

import csv
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Literal, get_args

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from kinemask.errors import KinemaskError, few
from kinemask.skeleton.benchmark import BenchmarkInfo

PUBLISHED = Path(__file__).with_name("published.csv")
PUBLISHED_COLUMNS = (
    *("benchmark", "evaluation", "setting", "method", "venue", "backbone", "streams"),
    *("metric", "value", "note", "source"),
)
METRIC = "top1"
Real = Literal["ntu60", "ntu120", "pku1", "pku2"]  # data sets that others measure on, too
OTHERS = "Others' figures, not made by this run and not compared with it"
# Where a figure was read. One that is not here was not read, whether or not it was reported.
TAGS = {
    "AW": "a third-party list",
    "DM": "the DiMoP manuscript",
    "FS": "the comparison tables of wengwanjiang/FoundSkelModel",
    "GA": "the README of GA-SCL",
    "GN": "notes on GFP, second hand",
    "HT": "notes on Heterogeneous Skeleton, second hand",
    "IG": "notes on IGM, second hand",
    "MD": "notes on MacDiff, second hand",
    "R": "the method's own README",
    "SL": "the table of SLiM (KAIST-VICLab/SLiM)",
    "US": "the comparison tables of USDRL",
    "WZ": "a third-party listing, unverified",
}
_PROBLEMS = 3  # of the file that are told at a time
_TAG = re.compile(r"\b(?:" + "|".join(TAGS) + r")\b")
_NAMED = r"\S"


class PublishedError(KinemaskError):
    """The file of published figures is wrong, or has none of a benchmark; the message says what there is."""


class Figure(BaseModel):
    """One line of published.csv."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: str = Field(pattern=_NAMED)
    venue: str
    backbone: str
    streams: str = Field(pattern=_NAMED)
    dataset: Real
    protocol: Literal["xsub", "xview", "xset"]
    evaluation: Literal["linear", "knn", "semi", "finetune", "transfer", "occlusion"]
    setting: str  # share of the labels, k=1, the data set of the source, kind:level of occlusion; or nothing
    top1_percent: Decimal = Field(gt=0, le=100)  # with the digits that were printed
    cell_note: str
    source: str = Field(pattern=_NAMED)  # tags of TAGS, or the file itself

    @model_validator(mode="after")
    def _setting_fits(self) -> "Figure":
        forms = {"semi": r"0\.\d+", "knn": r"k=\d+", "transfer": r"\w+", "occlusion": r"\w+:\w+"}
        if not re.fullmatch(forms.get(self.evaluation, ""), self.setting):
            raise ValueError(f"{self.evaluation} has the setting {self.setting!r}")
        return self

    @property
    def benchmark(self) -> str:
        """As params.yaml calls it."""
        return f"{self.dataset}-{self.protocol}"

    @property
    def our_setting(self) -> str:
        """The setting in the words of our own results."""
        if self.evaluation == "semi":
            return f"labels={(100 * Decimal(self.setting)).normalize():f}%"
        return f"from={self.setting}" if self.evaluation == "transfer" else self.setting

    @property
    def made_by(self) -> str:
        """`MAMP (Transformer; J)`: the method with its backbone, if that is known, and its streams."""
        return f"{self.method} ({'; '.join(filter(None, (self.backbone, self.streams)))})"

    @property
    def read_in(self) -> str:
        """The source, with what is said of this figure alone."""
        return "; ".join(filter(None, (self.source, self.cell_note)))


def read_figures(path: Path = PUBLISHED) -> tuple[Figure, ...]:
    """All figures of the file. Raises PublishedError that names the lines that are wrong or stand twice."""
    figures: dict[tuple[str, ...], Figure] = {}
    problems = []
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        for row in reader:
            try:
                figure = Figure.model_validate(row)
            except ValidationError as error:
                problems += [f"line {reader.line_num}: {_problem(one)}" for one in error.errors()]
                continue
            key = (figure.benchmark, figure.evaluation, figure.setting, figure.made_by, figure.venue)
            if key in figures:
                problems.append(f"line {reader.line_num}: {' '.join(filter(None, key))} stands there already")
            figures[key] = figure
    if problems:
        raise PublishedError(f"{path}: {'; '.join(few(problems, _PROBLEMS))}: correct the file")
    return tuple(figures.values())


def figures_of(info: BenchmarkInfo, evaluation: str) -> tuple[Figure, ...]:
    """What others published on the benchmark in an evaluation.

    Nothing if a part of its recordings was used, or if held-out training people are scored in place of the
    test part: nobody else measured that.
    """
    if info.dataset not in get_args(Real) or not info.complete or info.part != "test":
        return ()
    wanted = (info.dataset, info.protocol, evaluation)
    return tuple(one for one in read_figures() if (one.dataset, one.protocol, one.evaluation) == wanted)


def published_table(figures: Iterable[Figure]) -> pd.DataFrame:
    """PUBLISHED_COLUMNS, a row a figure; values are shares in [0, 1], as in results.csv."""
    rows = [
        {
            **{"benchmark": one.benchmark, "evaluation": one.evaluation, "setting": one.our_setting},
            **{"method": one.method, "venue": one.venue, "backbone": one.backbone, "streams": one.streams},
            **{"metric": METRIC, "value": float(one.top1_percent / 100)},
            **{"note": one.cell_note, "source": one.source},
        }
        for one in figures
    ]
    return pd.DataFrame(rows, columns=list(PUBLISHED_COLUMNS))


def tags_line(figures: Iterable[Figure]) -> str:
    """What the tags of these figures mean."""
    used = {tag for one in figures for tag in _TAG.findall(one.read_in)}
    return "Sources: " + "; ".join(f"{tag}: {TAGS[tag]}" for tag in sorted(used)) + "."


def list_figures(benchmark: str | None) -> str:
    """The figures of a benchmark, or all, in columns. Raises PublishedError if there are none of it."""
    figures = [one for one in read_figures() if benchmark in (None, one.benchmark)]
    if not figures:
        known = dict.fromkeys(one.benchmark for one in read_figures())
        raise PublishedError(f"no figure of {benchmark!r} is known; there are some of {', '.join(known)}")
    rows = [
        (
            *(one.benchmark, one.evaluation, one.our_setting, one.method, one.backbone, one.streams),
            *(str(one.top1_percent), one.read_in),
        )
        for one in figures
    ]
    header = ("benchmark", "evaluation", "setting", "method", "backbone", "streams", "top1 %", "source")
    return "\n".join([*_columns([header, *rows]), "", f"{OTHERS}.", tags_line(figures)])


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def _problem(error: object) -> str:
    assert isinstance(error, dict)
    place = ".".join(map(str, error["loc"]))
    return f"{place + ': ' if place else ''}{error['msg'].removeprefix('Value error, ')}"
