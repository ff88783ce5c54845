"""Ways to turn the text of a recording into the coordinates of its joints, by libraries.

Each takes the bytes of a file and gives float32 of shape (K, 3): x, y, z of every joint line, in order. Each
is written to be as fast as its library allows: none reads columns or lines that it can leave out.
"""

import io
from collections.abc import Callable, Iterator
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

Coordinates = NDArray[np.float32]
Parser = Callable[[bytes], Coordinates]

_COLUMNS = 12
_BODY_VALUES = 10
_TABLE = [f"c{column}" for column in range(_COLUMNS)]
_NO_LINE_ENDS = bytes.maketrans(b" \n", b",,")


def joint_lines(data: bytes) -> Iterator[list[bytes]]:
    """The joint lines of each body of each frame, in order."""
    lines = data.split(b"\n")
    at = 1
    for _ in range(int(lines[0])):
        num_bodies = int(lines[at])
        at += 1
        for _ in range(num_bodies):
            num_joints = int(lines[at + 1])
            yield lines[at + 2 : at + 2 + num_joints]
            at += 2 + num_joints


def by_arrow(data: bytes) -> Coordinates:
    """The CSV reader of pyarrow: it skips what is no joint line, and reads three columns of twelve."""
    from pyarrow import csv

    table = csv.read_csv(
        io.BytesIO(data),
        csv.ReadOptions(use_threads=False, column_names=_TABLE),
        csv.ParseOptions(delimiter=" ", quote_char=False, invalid_row_handler=lambda row: "skip"),
        csv.ConvertOptions(include_columns=_TABLE[:3], column_types=dict.fromkeys(_TABLE[:3], "float32")),
    )
    return np.stack([column.to_numpy() for column in table.columns], axis=1)


def by_arrow_on_lines(data: bytes) -> Coordinates:
    """The CSV reader of pyarrow on the joint lines alone."""
    from pyarrow import csv

    lines = b"\n".join([line for body in joint_lines(data) for line in body])
    table = csv.read_csv(
        io.BytesIO(lines),
        csv.ReadOptions(use_threads=False, column_names=_TABLE),
        csv.ParseOptions(delimiter=" ", quote_char=False),
        csv.ConvertOptions(include_columns=_TABLE[:3], column_types=dict.fromkeys(_TABLE[:3], "float32")),
    )
    return np.stack([column.to_numpy() for column in table.columns], axis=1)


def by_pandas(data: bytes) -> Coordinates:
    """The C reader of pandas: shorter lines lack the last column, which tells the joint lines."""
    import pandas as pd

    table = pd.read_csv(
        io.BytesIO(data),
        sep=" ",
        header=None,
        names=_TABLE,
        usecols=[0, 1, 2, _COLUMNS - 1],
        engine="c",
        float_precision="high",
        na_filter=True,
        keep_default_na=False,
        na_values=[""],
    )
    joints = table[table[_TABLE[-1]].notna()]
    return joints[_TABLE[:3]].to_numpy(np.float32)


def by_polars(data: bytes) -> Coordinates:
    """The CSV reader of polars on the joint lines."""
    import polars as pl

    lines = b"\n".join([line for body in joint_lines(data) for line in body])
    table = pl.read_csv(
        lines,
        has_header=False,
        separator=" ",
        quote_char=None,
        columns=[0, 1, 2],
        schema_overrides=[pl.Float32] * _COLUMNS,
    )
    return np.asarray(table.to_numpy())


def by_simdjson(data: bytes) -> Coordinates:
    """simdjson, told that the text is one list of numbers."""
    import simdjson

    text = b"[" + data.strip().translate(_NO_LINE_ENDS) + b"]"
    numbers = np.frombuffer(simdjson.Parser().parse(text).as_buffer(of_type="d"), np.float64)
    return _among_all(numbers)


def by_orjson(data: bytes) -> Coordinates:
    """orjson, told that the coordinates are one list of numbers."""
    import orjson

    return np.array(orjson.loads(b"[" + b",".join(_tokens(data)) + b"]"), np.float32).reshape(-1, 3)


def by_fromstring(data: bytes) -> Coordinates:
    """np.fromstring on the whole file; ids lose their last digits, coordinates do not."""
    return _among_all(np.fromstring(data, sep=" "))


def by_array_of_all(data: bytes) -> Coordinates:
    """One np.array over every value of the file."""
    return _among_all(np.array(data.split(), np.float64))


def by_array(data: bytes) -> Coordinates:
    """One np.array over the coordinates of a file, through doubles."""
    return np.array(_tokens(data), np.float64).astype(np.float32).reshape(-1, 3)


def by_array_of_singles(data: bytes) -> Coordinates:
    """One np.array over the coordinates of a file, straight to float32."""
    return np.array(_tokens(data), np.float32).reshape(-1, 3)


def by_floats(data: bytes) -> Coordinates:
    """Python's float for each coordinate."""
    return np.array([float(token) for token in _tokens(data)], np.float32).reshape(-1, 3)


def by_loadtxt(data: bytes) -> Coordinates:
    """np.loadtxt on the joint lines."""
    lines = [line.decode() for body in joint_lines(data) for line in body]
    return np.loadtxt(lines, np.float64, usecols=(0, 1, 2), comments=None).astype(np.float32)


def by_array_of_each_line(data: bytes) -> Coordinates:
    """One np.array a joint line, as the three-script chain does."""
    rows = [np.array(line.split()[:3], np.float32) for body in joint_lines(data) for line in body]
    return np.stack(rows)


# name -> (parser, the package it needs). Those absent from the environment are left out.
PARSERS: dict[str, tuple[Parser, str]] = {
    "pysimdjson, whole file": (by_simdjson, "simdjson"),
    "pyarrow CSV, other lines skipped": (by_arrow, "pyarrow"),
    "pyarrow CSV, joint lines": (by_arrow_on_lines, "pyarrow"),
    "polars CSV, joint lines": (by_polars, "polars"),
    "orjson, coordinates": (by_orjson, "orjson"),
    "np.array, coordinates, float32": (by_array_of_singles, "numpy"),
    "np.array, coordinates, float64": (by_array, "numpy"),
    "pandas C reader": (by_pandas, "pandas"),
    "float, coordinates": (by_floats, "numpy"),
    "np.fromstring, whole file": (by_fromstring, "numpy"),
    "np.array, whole file": (by_array_of_all, "numpy"),
    "np.array, each joint line": (by_array_of_each_line, "numpy"),
    "np.loadtxt, joint lines": (by_loadtxt, "numpy"),
}


def available() -> dict[str, Parser]:
    """The parsers whose package is installed."""
    return {name: parser for name, (parser, package) in PARSERS.items() if find_spec(package)}


def _tokens(data: bytes) -> list[bytes]:
    """The coordinates of every joint line, as text."""
    return [token for body in joint_lines(data) for line in body for token in line.split(b" ", 3)[:3]]


def _among_all(numbers: NDArray[np.float64]) -> Coordinates:
    """The coordinates among all numbers of a file."""
    at = 1
    bodies = []
    for _ in range(int(numbers[0])):
        num_bodies = int(numbers[at])
        at += 1
        for _ in range(num_bodies):
            at += _BODY_VALUES
            num_values = _COLUMNS * int(numbers[at])
            at += 1
            bodies.append(numbers[at : at + num_values].reshape(-1, _COLUMNS)[:, :3])
            at += num_values
    return np.concatenate(bodies).astype(np.float32)
