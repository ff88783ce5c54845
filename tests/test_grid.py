"""Grids: what they write into params.yaml, and what they say. The graph itself is run in test_graph.py."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from kinemask.cli import app
from kinemask.grid import with_run
from kinemask.section import read_yaml
from tests.project import NOTHING_NAMED, ROOT, make_tiny
from tests.reporting.conftest import write_record

NEW = {
    "benchmarks": ["a", "b-c"],
    "methods": ["mtmc"],
    "finetune": [],
    "seeds": [0, 1],
    "more_seeds": {"mtmc": [3]},
    "reference": "mtmc",
}

BLOCK = """# of the file
run:  # of run
  benchmarks: [x]  # of benchmarks
  # before methods
  methods:
    - m
    # between
    - n  # of n
  old:
    - 3  # of old
  # before seeds
  seeds: [7]  # of seeds

# of the next
hardware: {a: 1e-3,   b: null}  # odd  spaces
"""


def test_all_but_run_stays_letter_by_letter_and_so_do_the_comments_in_it():
    assert (
        with_run(BLOCK, NEW)
        == """# of the file
run:  # of run
  benchmarks: [a, b-c]  # of benchmarks
  # before methods
  methods: [mtmc]  # of n
  # before seeds
  seeds: [0, 1]  # of seeds
  finetune: []
  more_seeds: {mtmc: [3]}
  reference: mtmc

# of the next
hardware: {a: 1e-3,   b: null}  # odd  spaces
"""
    )


def test_run_in_one_line_stays_in_one_line():
    text = "a: 1\nrun: {benchmarks: [x], methods: [m],\n  seeds: [0]}  # why\nb: 2\n"
    keys = "benchmarks: [a, b-c], methods: [mtmc], finetune: [], seeds: [0, 1], more_seeds: {mtmc: [3]}"
    assert with_run(text, NEW) == f"a: 1\nrun: {{{keys}, reference: mtmc}}  # why\nb: 2\n"


@pytest.mark.parametrize(
    "text",
    [
        BLOCK,
        "run:\n    seeds: [0]",  # the end of the file, no line break
        "run:\n  reference:\n  seeds: [0]\n",
        "run:\n  reference:  # none\n  more_seeds: {}\nz: 1\n",
        "run:\n  more_seeds:\n    mtmc:\n    - 1\n    - 2\n\n\nz: 1\n",
        "run: {}\nz: 1\n",
        "z: {run: 1}\n'run': {seeds: [1]}\n",
        (ROOT / "params.yaml").read_text(),
    ],
)
def test_what_is_written_is_what_was_asked_for(text):
    before, after = yaml.safe_load(text), yaml.safe_load(with_run(text, NEW))
    assert after == {**before, "run": NEW}
    assert with_run(with_run(text, NEW), NEW) == with_run(text, NEW)


def test_there_and_back_is_the_file_as_it_was():
    text = (ROOT / "params.yaml").read_text()
    there = with_run(text, {**NOTHING_NAMED, **NEW})
    assert with_run(there, yaml.safe_load(text)["run"]) == text


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """A folder with a tiny params.yaml of two grids; it is the current one."""
    monkeypatch.chdir(tmp_path)
    params = read_yaml(ROOT / "params.yaml")
    make_tiny(params)
    common = {"benchmarks": ["kinesim-xsub"], **NOTHING_NAMED, "seeds": [0, 1]}
    params["grids"] = {
        "two": {**common, "methods": ["mtmc", "random"], "more_seeds": {"mtmc": [2]}},
        "one": {**common, "methods": ["raw"]},
    }
    Path("params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    return tmp_path


@pytest.fixture
def dvc(monkeypatch) -> list[Any]:
    """What is run in place of DVC, and with which status it ends."""
    status = [0]

    def run(command: list[str], **settings: Any) -> subprocess.CompletedProcess[str]:
        ran.append((Path(command[0]).name, *command[1:], read_yaml(settings["cwd"] / "params.yaml")["run"]))
        return subprocess.CompletedProcess(command, status[0])

    ran: list[Any] = [status]
    monkeypatch.setattr("kinemask.grid.subprocess.run", run)
    return ran


def grid(*words: str) -> tuple[int, str]:
    found = CliRunner().invoke(app, ["grid", *words])
    return found.exit_code, found.output


def test_a_grid_that_a_change_of_a_base_broke_is_listed_as_such_and_stops_no_other(project, dvc):
    params = read_yaml()
    params["methods"]["twin"] = {"base": "mtmc", "small": {"inputs": {"num_frames": 33}}}
    params["grids"]["two"]["methods"] = ["mtmc", "twin"]
    Path("params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    code, output = grid()
    assert code == 0
    assert (
        "two cannot run: params.yaml has 1 problem(s):\n  methods.twin.small: num_frames 33 is no mult"
        in output
    )
    assert output.endswith("one: 1 benchmarks, 1 methods, 0 pretrainings\n")
    assert grid("one")[0] == 0
    assert grid("two")[0] == 1
    assert len(dvc[1:]) == 1


@pytest.mark.usefixtures("project")
def test_the_list_counts_what_is_trained():
    assert grid() == (
        0,
        "two: 1 benchmarks, 2 methods, 3 pretrainings\none: 1 benchmarks, 1 methods, 0 pretrainings\n",
    )


def test_a_grid_runs_the_graph_with_its_run_and_says_what_came_of_it(project, dvc):
    for seed, seconds in ((0, 90.0), (1, 120.0)):
        clock = {"startup": 1.0, "work": seconds}
        write_record(project, "pretrain", "kinesim-xsub", "mtmc", seed, seconds=clock)
    write_record(project, "pretrain", "irds-xsub", "mtmc", 0, seconds={"startup": 1.0, "work": 6000.0})
    write_record(project, "knn", "kinesim-xsub", "random", 0, seconds={"startup": 1.0, "work": 30.0})
    before = read_yaml()["run"]
    code, output = grid("two")
    assert code == 0
    assert dvc[1:] == [("dvc", "repro", read_yaml()["grids"]["two"])]
    flow = yaml.safe_dump(before, default_flow_style=True, width=999, sort_keys=False)
    assert f"To go back, make it again\nrun: {flow}" in output
    assert f"Table: {project / 'reports/ablation.csv'}\n" in output
    times = [line.split() for line in output.splitlines()[-3:]]
    # The seeds share a process; the other benchmark is not asked for.
    assert times == [["pretrain", "knn"], ["mtmc", "2.0", "-"], ["random", "-", "0.5"]]


def test_called_again_a_grid_goes_on_and_leaves_the_file_alone(project, dvc):
    dvc[0][0] = 1
    code, output = grid("two")
    assert code == 1
    assert output.endswith("grid two stopped: `kinemask grid two` goes on where it was\n")
    text = Path("params.yaml").read_text()
    dvc[0][0] = 0
    code, output = grid("two")
    assert code == 0
    assert "asks for it already" in output
    assert "To go back" not in output
    assert Path("params.yaml").read_text() == text


@pytest.mark.parametrize(
    ("change", "words", "said"),
    [
        ({}, ["three"], "has no grid 'three'; there are two, one"),
        ({"methods": ["mtcm"]}, ["two"], "grids.two.methods names 'mtcm'; there are"),
        ({"benchmarks": ["nowhere"]}, [], "grids.two.benchmarks names 'nowhere'; there are"),
        ({"reference": "raw"}, ["two"], "grids.two: reference names 'raw'; methods are mtmc, random"),
        ({"benchmarks": ["mine-xsub"]}, ["two"], "mine-xsub with methods.mtmc.small: "),
    ],
)
def test_a_grid_that_cannot_run_changes_nothing(project, dvc, change, words, said):
    from tests.datasets.test_raw_folder import SECTION

    params = read_yaml()
    params["datasets"]["mine"] = dict(SECTION)
    params["benchmarks"]["mine-xsub"] = {"dataset": "mine", "protocol": "xsub", "size": "small"}
    params["grids"]["two"] |= {"more_seeds": {}, **change}
    text = yaml.safe_dump(params, sort_keys=False)
    Path("params.yaml").write_text(text)
    code, output = grid(*words)
    assert code == 1
    assert said in output
    assert Path("params.yaml").read_text() == text
    assert dvc[1:] == []
