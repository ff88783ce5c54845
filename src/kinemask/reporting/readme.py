"""Fills the tables of README.md from CSV files, so that no number in it is typed by hand.

A block is a line `<!-- table: reports/results.csv metric=top1 benchmark=irds-xsub,irds-xpos -->`, anything,
and a line `<!-- end -->`. After the path come conditions `column=value`, with several values as `column=a,b`,
in quotes if they hold spaces, and `columns=a,b` to show only those. `across=benchmark` gives each benchmark
a column of its own, which holds the last of `columns`. A column that a condition fixes to one
value is not shown. Where test clips are leaked, the score without them stands beside each score; a sentence
below the table counts them.
"""

import re
import shlex
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import pandas as pd

from kinemask.reporting.blocks import NOTHING, WITHOUT_LEAKS, gain, percent, spread
from kinemask.reporting.markdown import markdown_table
from kinemask.reporting.occlusion import kept_text
from kinemask.reporting.scores import ReportError
from kinemask.reporting.tables import UNLEAKED
from kinemask.storage import write_text

_START = re.compile(r"<!-- table:(?P<order>.*)-->\s*")
_END = "<!-- end -->"
_SHOWN = "columns"
_ACROSS = "across"
# A column that says what follows it in one cell, and the columns it takes in.
_MERGED = {
    "mean": ("%", spread, ("std", "ci_low", "ci_high")),
    "difference": ("points", gain, ("ci_low", "ci_high", "difference_low", "difference_high")),
    "kept": ("% kept", kept_text, ("kept_std",)),
}
_SHARES = ("value", "missing")
_COUNTS = ("num_test", "num_leaked")  # told in a sentence, shown only if asked for


@dataclass(frozen=True)
class _Order:
    """What a block asks for."""

    path: Path
    conditions: dict[str, list[str]]
    columns: list[str] | None
    across: str | None


def update_readme(readme: Path, root: Path, *, check: bool = False) -> list[str]:
    """Fill every block of `readme` from files below `root`; the first lines of blocks not up to date before.

    With `check` nothing is written. Raises ReportError, with the line, for a block that has no end, and for a
    file or column that does not exist.
    """
    if not readme.is_file():
        raise ReportError(f"{readme} is missing: run this from the root of the project")
    lines = readme.read_text(encoding="utf-8").splitlines()
    written: list[str] = []
    stale = []
    number = 0
    while number < len(lines):
        start = _START.fullmatch(lines[number])
        written.append(lines[number])
        number += 1
        if start is None:
            continue
        if _END not in lines[number:]:
            raise ReportError(f"{readme}, line {number}: this table has no line {_END} below it: add one")
        end = lines.index(_END, number)
        table = _table(_order(start["order"], f"{readme}, line {number}"), root, f"{readme}, line {number}")
        if list(filter(None, lines[number:end])) != list(filter(None, table.splitlines())):
            stale.append(start["order"].strip())
        written += ["", *table.splitlines(), "", _END]
        number = end + 1
    if stale and not check:
        write_text(readme, "\n".join(written) + "\n")
    return stale


def _order(text: str, where: str) -> _Order:
    try:
        path, *conditions = shlex.split(text)
    except ValueError as error:
        raise ReportError(f"{where}: {text.strip()!r} names no file or has an open quote ({error})") from None
    found = {name: values.split(",") for name, _, values in (one.partition("=") for one in conditions)}
    columns = found.pop(_SHOWN, None)
    across = ",".join(found.pop(_ACROSS, [])) or None
    if across is not None and columns is None:
        raise ReportError(f"{where}: {_ACROSS}={across} needs {_SHOWN}=, whose last one it spreads")
    return _Order(Path(path), found, columns, across)


def _table(order: _Order, root: Path, where: str) -> str:
    if not (root / order.path).is_file():
        raise ReportError(f"{where}: {order.path} is not there: run `dvc repro`")
    table = pd.read_csv(root / order.path, dtype={"scored_epoch": str, "commit": str})
    for name in (*order.conditions, *(order.columns or ()), *filter(None, [order.across])):
        if name not in table:
            raise ReportError(
                f"{where}: {order.path} has no column {name!r}, it has {', '.join(map(str, table))}"
            )
    for name, values in order.conditions.items():
        table = table[table[name].astype(str).isin(values)]
    if table.empty:
        raise ReportError(f"{where}: no row of {order.path} is {order.conditions}")
    fixed = {name for name, values in order.conditions.items() if len(values) == 1}
    shown = order.columns or [
        name
        for name in map(str, table)
        if name not in fixed and name not in _COUNTS and not name.startswith(UNLEAKED)
    ]
    if order.across is not None:
        return _as_wide_markdown(table, shown, order.across, where) + _leaks(table)
    return _as_markdown(table, shown) + _leaks(table)


def _leaks(table: pd.DataFrame) -> str:
    """The sentence below a table, nothing for a table that does not count leaks."""
    if not {"benchmark", *_COUNTS} <= set(table):
        return ""
    counts = table.groupby("benchmark", sort=False)[list(_COUNTS)].max()
    told = [f"{name} {row.num_leaked:,} of {row.num_test:,}" for name, row in counts.iterrows()]
    return f"\n\nTest clips that stand in the training part as well (same content): {', '.join(told)}."


def _as_markdown(table: pd.DataFrame, shown: list[str]) -> str:
    taken = {part for name in shown if name in _MERGED for part in _MERGED[name][2]}
    names = _with_unleaked([name for name in shown if name not in taken], table)
    rows = []
    for line in table.to_dict("records"):
        values = {str(name): value for name, value in line.items()}
        rows.append([_cell(values, name) for name in names])
    return markdown_table(list(map(_header, names)), rows)


def _as_wide_markdown(table: pd.DataFrame, shown: list[str], across: str, where: str) -> str:
    *names, spread_out = shown
    scores = _with_unleaked([spread_out], table)
    values = list(dict.fromkeys(map(str, table[across])))
    rows: dict[tuple[str, ...], dict[str, list[str]]] = {}
    for line in table.to_dict("records"):
        cells = {str(name): value for name, value in line.items()}
        row_names = tuple(_cell(cells, name) for name in names)
        row = rows.setdefault(row_names, {})
        if str(cells[across]) in row:
            raise ReportError(f"{where}: more than one row is {[*row_names, cells[across]]}: add conditions")
        row[str(cells[across])] = [_cell(cells, name) for name in scores]
    nothing = [NOTHING] * len(scores)
    lines = [[*row, *chain(*(found.get(value, nothing) for value in values))] for row, found in rows.items()]
    header = [
        value if name == spread_out else f"{value} {WITHOUT_LEAKS}" for value in values for name in scores
    ]
    return markdown_table([*map(_header, names), *header], lines)


def _with_unleaked(names: list[str], table: pd.DataFrame) -> list[str]:
    """The columns, and beside each score the one without leaked clips where some are and it is not named."""
    if not ("num_leaked" in table and table["num_leaked"].any()):
        return names
    found = []
    for name in names:
        found.append(name)
        if UNLEAKED + name in table and UNLEAKED + name not in names:
            found.append(UNLEAKED + name)
    return found


def _header(name: str) -> str:
    own = name.removeprefix(UNLEAKED)
    return (_MERGED[own][0] if own in _MERGED else own) + (f" {WITHOUT_LEAKS}" if own != name else "")


def _cell(values: dict[str, Any], name: str) -> str:
    own = name.removeprefix(UNLEAKED)
    if own in _MERGED:
        return _MERGED[own][1](values, UNLEAKED if own != name else "")
    if name in _SHARES:
        return percent(values[name])
    return NOTHING if pd.isna(values[name]) else str(values[name])
