"""labels.csv of users' own recordings: which file shows what, by whom; and protocols over its columns."""

import csv
import io
import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd
from pydantic import Field, field_validator, model_validator

from kinemask.datasets.archives.member_rules import not_readable
from kinemask.datasets.protocols import parts
from kinemask.datasets.reader import DatasetError
from kinemask.errors import first_of
from kinemask.section import Section
from kinemask.skeleton.layout import repeated
from kinemask.skeleton.packed import COLUMNS, Rule

SUFFIXES = (".npy", ".csv", ".skeleton", ".bvh")
NUMBERED = ("subject", "camera", "setup", "replication")  # kept as numbers, a text also as <column>_name
NEEDED = ("file", "label")
# Columns of our own tables.
RESERVED = (*(set(COLUMNS) - set(NUMBERED) - {"label"}), *(f"{column}_name" for column in NUMBERED), "leaked")
UNKNOWN = -1  # the number of an empty cell; statistics take such a clip for a person of its own

_WHOLE = re.compile(r"[+-]?\d+")
_NUMBER = re.compile(r"[0-9]{1,18}")  # of a person, camera...; fits 64 bits
_SHOWN = 5
_LISTED = 20


class ColumnProtocol(Section):
    """Clips with these values in a column train; those with `test` values test, without it all others.

    A clip whose cell is empty does neither.
    """

    column: str
    train: tuple[int | str, ...] = Field(min_length=1)
    test: tuple[int | str, ...] | None = Field(default=None, min_length=1)

    @field_validator("column")
    @classmethod
    def _may_divide(cls, column: str) -> str:
        if column in NEEDED:
            raise ValueError("clips are not divided by file or label: take the column of a person or a place")
        return column

    @model_validator(mode="after")
    def _are_apart(self) -> "ColumnProtocol":
        train, test = (
            {canonical(str(value)) for value in values or ()} for values in (self.train, self.test)
        )
        both = train & test
        if both:
            raise ValueError(f"{', '.join(sorted(both))} both trains and tests")
        return self

    def rule(self) -> Rule:
        """Over the table of clips."""
        return lambda clips: self._divide(_texts_of(clips, self.column))

    def problems(self, place: str, labels: "Labels") -> list[str]:
        """What in labels.csv does not fit this protocol."""
        if self.column not in labels.columns:
            return [f"{place}.column {self.column!r}: labels.csv has {', '.join(labels.columns)}"]
        texts = pd.Series(labels.columns[self.column])
        known = set(texts) - {""}
        absent = [str(one) for one in (*self.train, *(self.test or ())) if not known & _spellings([one])]
        if absent:
            held = first_of(_in_order(known), _LISTED)
            return [f"{place} names {', '.join(absent)}: column {self.column} of labels.csv holds {held}"]
        found = self._divide(texts)
        lacking = [part for part in ("train", "test") if part not in set(found)]
        return [f"{place} leaves no recording to {part} on: change its values" for part in lacking]

    def doubts(self, place: str, labels: "Labels") -> list[str]:
        """What of this protocol can be run and is hardly meant."""
        found = self._divide(pd.Series(labels.columns[self.column]))
        trained, tested = (
            {row.label for row, one in zip(labels.rows, found, strict=True) if one == part}
            for part in ("train", "test")
        )
        untaught = [labels.class_names[label] for label in sorted(tested - trained)]
        if not untaught:
            return []
        named = first_of(untaught, _LISTED)
        return [f"{place} tests {named} and trains none of it: no such clip can be recognized"]

    def _divide(self, texts: "pd.Series[str]") -> pd.Series:
        train = texts.isin(_spellings(self.train))
        test = ~train & (texts != "") if self.test is None else texts.isin(_spellings(self.test))
        return parts(train, test)


@dataclass(frozen=True)
class Labelled:
    """One row: a file and what is said of it. `numbers` are those of NUMBERED that labels.csv has."""

    file: str
    label: int
    numbers: dict[str, int]
    traits: dict[str, str]


@dataclass(frozen=True)
class Labels:
    """labels.csv, its rows sorted by file. Whole numbers are written without leading zeros."""

    class_names: tuple[str, ...]
    rows: tuple[Labelled, ...]
    columns: dict[str, tuple[str, ...]]  # as texts, row by row


def canonical(text: str) -> str:
    """The one spelling of a whole number, and of other text."""
    return str(int(text)) if _WHOLE.fullmatch(text) else composed(text)


def composed(text: str) -> str:
    """The one spelling of letters with accents: macOS writes them as two characters in names of files."""
    return unicodedata.normalize("NFC", text)


def read_labels(path: Path, protocols: Mapping[str, ColumnProtocol], place: str) -> Labels:
    """Read and check labels.csv, also against the protocols of `place` in params.yaml.

    Raises DatasetError that names the lines, the columns and what to do.
    """
    header, rows = _read_rows(path)
    problems = [f"the header has no column {name}" for name in NEEDED if name not in header]
    taken = sorted(set(header) & {*RESERVED, *protocols})
    problems += [f"column {name}: tables here have their own, or a protocol is called so" for name in taken]
    problems += [f"column {name!r} stands there twice" for name in repeated(header) if name]
    if not problems:
        problems = _row_problems(header, rows)
    if problems:
        raise DatasetError(_complaint(path, problems))
    if not rows:
        raise DatasetError(f"{path} names no recording: one line a file below {','.join(header)}")
    rows = sorted(rows, key=lambda row: row[1][header.index("file")])
    columns = {name: tuple(_alike([cells[at] for _, cells in rows])) for at, name in enumerate(header)}
    labels = _labels(columns)
    problems = [one for name, rule in protocols.items() for one in rule.problems(f"{place}.{name}", labels)]
    if problems:
        raise DatasetError("; ".join(problems))
    return labels


def _labels(columns: dict[str, tuple[str, ...]]) -> Labels:
    class_names = _in_order(columns["label"])
    numbers: dict[str, list[int]] = {}
    traits = {name: texts for name, texts in columns.items() if name not in (*NEEDED, *NUMBERED)}
    for name in NUMBERED:
        if name in columns:
            texts = columns[name]
            if all(_NUMBER.fullmatch(text) for text in texts if text):
                numbers[name] = [int(text) if text else UNKNOWN for text in texts]
            else:
                order = _in_order([text for text in texts if text])
                numbers[name] = [order.index(text) + 1 if text else UNKNOWN for text in texts]
                traits[f"{name}_name"] = texts
    rows = [
        Labelled(
            file=file,
            label=class_names.index(columns["label"][row]),
            numbers={"subject": UNKNOWN} | {name: values[row] for name, values in numbers.items()},
            traits={name: texts[row] for name, texts in traits.items()},
        )
        for row, file in enumerate(columns["file"])
    ]
    return Labels(class_names, tuple(rows), columns)


def _read_rows(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The header, and of each row that is not blank its line and its cells, without blanks around them."""
    try:
        text = composed(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise DatasetError(f"{path} is missing: write it, with the header file,label,subject") from None
    except UnicodeDecodeError:
        raise DatasetError(f"{path} is not UTF-8 text: save it as `CSV UTF-8`") from None
    except IsADirectoryError:
        raise DatasetError(f"{path} is a folder: `labels` names a file of text") from None
    except OSError as error:
        raise DatasetError(not_readable(path, error)) from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except csv.Error as error:
        raise DatasetError(f"{path}, line {reader.line_num}: {error}: quotes must be closed") from None
    rows = [row for row in rows if any(row[1])]
    if not rows:
        raise DatasetError(f"{path} is empty: its first line is file,label,subject, then one line a file")
    header = rows[0][1]
    if len(header) == 1 and re.search(r"[;\t]", header[0]):
        raise DatasetError(f"{path}: the header is {header[0]!r}: cells are divided by commas")
    # Spreadsheets write commas for columns that were once used.
    while not header[-1] and not any(any(cells[len(header) - 1 :]) for _, cells in rows[1:]):
        header = header[:-1]
        rows = [(line, cells[: len(header)]) for line, cells in rows]
    return header, rows[1:]


def _row_problems(header: Sequence[str], rows: Sequence[tuple[int, list[str]]]) -> list[str]:
    problems = [] if all(header) else ["a column has no name"]
    seen: dict[str, int] = {}
    for line, cells in rows:
        if len(cells) != len(header):
            problems.append(f"line {line}: {len(cells)} cells, the header has {len(header)}")
            continue
        file, label = (cells[header.index(name)] for name in NEEDED)
        if not label:
            problems.append(f"line {line}: the label of {file or 'the file'} is empty")
        reason = _wrong_file(file)
        if reason:
            problems.append(f"line {line}: file {file!r} {reason}")
        elif file in seen:
            problems.append(f"line {line}: file {file} stands in line {seen[file]} already")
        seen.setdefault(file, line)
    return problems


def _wrong_file(file: str) -> str | None:
    path = PurePosixPath(file)
    if not file or "\\" in file or path.is_absolute() or ".." in path.parts or str(path) != file:
        return "must be a path below the folder, with / between folders"
    if path.suffix.lower() not in SUFFIXES:
        return f"must end in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}"
    return None


def _spellings(values: Collection[int | str]) -> set[str]:
    """How values of params.yaml may be written in a table."""
    return {spelled for value in values for spelled in (str(value), canonical(str(value)))}


def _alike(texts: list[str]) -> list[str]:
    """Whole numbers in one spelling, if a column holds nothing else."""
    whole = all(_WHOLE.fullmatch(text) for text in texts if text)
    return [canonical(text) if whole and text else text for text in texts]


def _in_order(texts: Collection[str]) -> tuple[str, ...]:
    """The different texts, sorted: numbers by size if there is nothing else."""
    whole = all(_WHOLE.fullmatch(text) for text in texts)
    return tuple(sorted(set(texts), key=int if whole else str))


def _texts_of(clips: pd.DataFrame, column: str) -> "pd.Series[str]":
    """A column of labels.csv, from the table of clips."""
    if column not in NUMBERED:
        return clips[column]
    if f"{column}_name" in clips.columns:
        return clips[f"{column}_name"]
    return clips[column].astype(str).replace(str(UNKNOWN), "")


def _complaint(path: Path, problems: Sequence[str]) -> str:
    return f"{path} has {len(problems)} problem(s): {first_of(problems, _SHOWN, '; ')}"
