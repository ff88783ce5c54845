"""Grids: named values of `run` in params.yaml, and the one command that runs one and says what came of it."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from kinemask.errors import KinemaskError
from kinemask.params import Params, check_values
from kinemask.record import Record, read_records
from kinemask.reporting.timing import instances
from kinemask.reporting.write import REPORTS
from kinemask.run import EVALUATIONS, RunConfig
from kinemask.section import PARAMS_FILE, ParamsError, read_yaml
from kinemask.storage import write_text

_ENDLESS = 1_000_000  # letters in a line: lists are written in one
_MINUTE_SECONDS = 60

Say = Callable[[str], None]


class GridError(KinemaskError):
    """A grid did not run to its end: the message says how to go on."""


def list_grids(root: Path) -> str:
    """One line a grid of params.yaml: what there is to train, or why it cannot run. Raises ParamsError."""
    path = root / PARAMS_FILE
    values = read_yaml(path)
    grids = check_values(values, path).grids
    if not grids:
        return f"{path} has no grids: add some under `grids`, each as `run` is"
    lines = []
    for name in grids:
        try:
            params = check_values({**values, "run": values["grids"][name]}, path)
            lines.append(f"{name}: {_size(params, params.run)}")
        except ParamsError as error:
            lines.append(f"{name} cannot run: {error}")
    return "\n".join(lines)


def run_grid(root: Path, name: str, say: Say) -> None:
    """Make `run` of params.yaml the grid, run the graph, and say where the tables are and what took how long.

    What an interrupted run has finished is not done again. Raises ParamsError if the grid does not exist or
    cannot run, and changes nothing then; GridError if the graph stops.
    """
    path = root / PARAMS_FILE
    values = read_yaml(path)
    grids = check_values(values, path).grids
    if name not in grids:
        raise ParamsError(f"{path} has no grid {name!r}; there are {', '.join(grids) or 'none'}")
    before, wanted = values["run"], values["grids"][name]
    params = check_values({**values, "run": wanted}, path)  # do its methods fit the bodies of its benchmarks
    say(f"grid {name}: {_size(params, params.run)}")
    if before == wanted:
        say("params.yaml asks for it already: what is finished stays as it is")
    else:
        write_text(path, with_run(path.read_text(), wanted))
        say(f"`run` of params.yaml is now that of grids.{name}. To go back, make it again")
        say(f"run: {_flow(before)}")
    programs = Path(sys.executable).parent  # of this environment, also where it is not activated
    environment = {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', '')}"}
    done = subprocess.run([str(programs / "dvc"), "repro"], cwd=root, env=environment, check=False)
    if done.returncode != 0:
        raise GridError(f"grid {name} stopped: `kinemask grid {name}` goes on where it was")
    for table in ("ablation.csv", "results.csv", "index.html"):
        say(f"Table: {(root / REPORTS / table).resolve()}")
    say("\n".join(_times(params.run, read_records(root))))


def with_run(text: str, run: Mapping[str, Any]) -> str:
    """The text of params.yaml with another `run`; all other letters, and the comments in `run`, stay."""
    document = yaml.compose(text, Loader=yaml.SafeLoader)
    assert isinstance(document, yaml.MappingNode), "the file was checked before"
    section = next(value for key, value in document.value if key.value == "run")
    if section.flow_style:
        return text[: section.start_mark.index] + _flow(run) + text[section.end_mark.index :]
    indent = " " * section.start_mark.column
    known = {key.value for key, _ in section.value}
    last = _line_end(text, _end(section))
    added = "".join(f"\n{indent}{key}: {_flow(value)}" for key, value in run.items() if key not in known)
    text = text[:last] + added + text[last:]
    for key, value in reversed(section.value):  # from the end, so that the places before it stay
        if key.value in run:
            text = f"{text[: key.end_mark.index]}: {_flow(run[key.value])}{text[_end(value) :]}"
        else:
            first = key.start_mark.index - key.start_mark.column
            text = text[:first] + text[_line_end(text, _end(value)) + 1 :]
    return text


def _end(node: yaml.Node) -> int:
    """Where the last letter of a node is: the end that YAML gives a block lies behind the comments below."""
    while isinstance(node, yaml.CollectionNode) and not node.flow_style:
        last = node.value[-1]
        node = last[1] if isinstance(node, yaml.MappingNode) else last
    return int(node.end_mark.index)


def _line_end(text: str, index: int) -> int:
    found = text.find("\n", index)
    return len(text) if found < 0 else found


def _flow(value: Any) -> str:
    """In one line, without the sign for the end of a document that a lone word would have."""
    text: str = yaml.safe_dump(value, default_flow_style=True, width=_ENDLESS, sort_keys=False)
    return text.removesuffix("...\n").strip()


def _size(params: Params, run: RunConfig) -> str:
    trained = [
        (benchmark, method, seed)
        for benchmark in run.benchmarks
        for method in run.methods
        for seed in run.seeds_of(method)
        if params.methods[method].recipe(params.benchmarks[benchmark].size).training is not None
    ]
    return f"{len(run.benchmarks)} benchmarks, {len(run.methods)} methods, {len(trained)} pretrainings"


def _times(run: RunConfig, records: Iterable[Record]) -> list[str]:
    """How long each stage took when it ran, by method: all benchmarks, pairs and seeds together."""
    stages = ("pretrain", "embed", *(one.name for one in EVALUATIONS))
    subjects = {stage: run.subjects_of(stage) for stage in stages}
    found = pd.DataFrame(
        [
            {"method": one.method, "stage": one.stage, "minutes": one.work_seconds / _MINUTE_SECONDS}
            for one in instances(record for record in records if record.stage in stages)
            if one.method in run.methods and one.subject in subjects[one.stage]
        ],
        columns=["method", "stage", "minutes"],
    )
    if found.empty:
        return []
    minutes = found.pivot_table(index="method", columns="stage", values="minutes", aggfunc="sum", sort=False)
    ordered = minutes.reindex(
        index=[method for method in run.methods if method in minutes.index],
        columns=[stage for stage in stages if stage in minutes.columns],
    )
    return [
        "Minutes of each stage, all benchmarks (seeds side by side as hardware.processes says):",
        ordered.rename_axis(index=None, columns=None).to_string(float_format="{:.1f}".format, na_rep="-"),
    ]
