import subprocess
import sys

import pytest
from typer.testing import CliRunner

from kinemask.cli import app

COMMANDS = ("check", "summary", "track", "ui")


@pytest.fixture
def runner(tmp_path, monkeypatch) -> CliRunner:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    return CliRunner()


def test_the_command_lists_what_there_is_to_do(runner):
    found = runner.invoke(app, ["--help"])
    assert found.exit_code == 0
    for name in COMMANDS:
        assert f" {name} " in found.output


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_teaches_by_example(runner, name):
    found = runner.invoke(app, [name, "--help"])
    assert found.exit_code == 0
    assert f"Example: kinemask {name}" in found.output


def test_help_imports_nothing_slow():
    code = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from kinemask.cli import app\n"
        "CliRunner().invoke(app, ['--help'])\n"
        "print({'mlflow', 'torch', 'pandas', 'numpy', 'sklearn', 'matplotlib'} & set(sys.modules))\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


def test_nothing_to_send_is_no_error(runner):
    found = runner.invoke(app, ["track"])
    assert found.exit_code == 0
    assert found.output.startswith("0 records sent, 0 already there")


def test_wrong_params_are_listed_and_end_with_one(runner, tmp_path):
    (tmp_path / "params.yaml").write_text("- not\n- sections\n")
    found = runner.invoke(app, ["check"])
    assert (found.exit_code, found.output) == (1, "params.yaml must hold sections, found list\n")


def test_a_page_without_runs_is_one_line(runner, tmp_path):
    found = runner.invoke(app, ["ui"])
    assert found.exit_code == 1
    assert found.output == f"there is no mlflow.db in {tmp_path} yet: run `kinemask track` first\n"


def test_a_dead_server_is_one_line(runner, tmp_path, monkeypatch):
    record = tmp_path / "records/tables/all/record.json"
    record.parent.mkdir(parents=True)
    record.write_text(
        '{"stage": "tables", "subject": "all", "params": {}, "metrics": {}, "inputs": {}, "hardware": {},'
        ' "environment": {}, "commit": "x", "seconds": {}, "peak_memory_mib": 1.0}'
    )
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    found = runner.invoke(app, ["track"])
    assert (found.exit_code, found.output) == (
        1,
        "MLflow at http://127.0.0.1:1 does not answer: no connection\n",
    )
