import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from kinemask.cli import app
from kinemask.section import read_yaml

ROOT = Path(__file__).parents[1]
COMMANDS = ("check", "data", "features", "grid", "published", "release", "summary", "track", "ui")


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


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "data"])
def test_each_command_teaches_by_example(runner, name):
    found = runner.invoke(app, [name, "--help"])
    assert found.exit_code == 0
    assert f"Example: kinemask {name}" in found.output


@pytest.mark.parametrize("name", ["check", "list"])
def test_each_command_on_data_teaches_by_example(runner, name):
    found = runner.invoke(app, ["data", name, "--help"])
    assert found.exit_code == 0
    assert f"Example: kinemask data {name}" in found.output


PARAMS = """
download: {mirrors: [mirror]}
datasets:
  irds: {name: irds, one_clip_in: 1, max_damaged_share: 0.0}
  wmft: {name: wmft, one_clip_in: 1, max_damaged_share: 0.0}
"""


def test_check_of_data_says_what_was_found_and_its_status_whether_it_is_whole(runner, tmp_path, monkeypatch):
    from kinemask.datasets import DATASETS
    from kinemask.datasets.reader import Verdict

    (tmp_path / "params.yaml").write_text(PARAMS)
    asked = []

    def check(verdict):
        return lambda section, name, mirrors: asked.append((name, mirrors)) or verdict

    monkeypatch.setenv("KINEMASK_MIRROR", "/")
    whole = replace(DATASETS["irds"], check=check(Verdict("whole", ("one fact", "another"))))
    partial = replace(
        DATASETS["wmft"], check=check(Verdict("partial", ("a fact",), ("wrong\n  1. do this",)))
    )
    monkeypatch.setitem(DATASETS, "irds", whole)
    monkeypatch.setitem(DATASETS, "wmft", partial)
    found = runner.invoke(app, ["data", "check", "irds"])
    assert (found.exit_code, found.output) == (0, "irds: whole\n  one fact\n  another\n")
    found = runner.invoke(app, ["data", "check", "wmft", "--root", str(tmp_path)])
    assert (found.exit_code, found.output) == (1, "wmft: partial\n  a fact\n  ! wrong\n    1. do this\n")
    assert asked == [("irds", ("/", "mirror")), ("wmft", ("/", str(tmp_path / "mirror")))]


def test_check_of_data_that_would_be_downloaded_says_from_where_and_is_good(runner, tmp_path, monkeypatch):
    monkeypatch.delenv("KINEMASK_MIRROR", raising=False)
    params = PARAMS.replace("[mirror]", "[mirror, 'https://example.org/mirror']")
    (tmp_path / "params.yaml").write_text(params)
    found = runner.invoke(app, ["data", "check", "wmft"])
    assert found.exit_code == 0
    assert found.output.startswith(
        "wmft: downloadable\n  no folder of the mirrors has it, looked in mirror (no such folder): `dvc "
        "repro` downloads it from https://example.org/mirror, or from https://github.com/alexandrebarachant/WMFT_JBHI/"
    )
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror/wmft.zip").write_bytes(b"another")
    (tmp_path / "data/raw/wmft").mkdir(parents=True)
    (tmp_path / "data/raw/wmft/source.json").write_text("{}")
    found = runner.invoke(app, ["data", "check", "wmft"])
    assert found.exit_code == 0
    assert "mirror/wmft.zip is another archive than the known" in found.output
    assert found.output.endswith("  so far: downloaded, not packed\n")


def test_check_of_data_names_a_mirror_that_is_a_file_or_nowhere(runner, tmp_path, monkeypatch):
    (tmp_path / "params.yaml").write_text(PARAMS)
    (tmp_path / "mirror").touch()
    monkeypatch.setenv("KINEMASK_MIRROR", "/typo")
    found = runner.invoke(app, ["data", "check", "wmft", "--root", str(tmp_path)])
    assert found.exit_code == 0  # it would be downloaded
    assert found.output.splitlines()[-2:] == [
        "  ! KINEMASK_MIRROR names /typo (no such folder): name the folder that holds the archives",
        f"  ! download.mirrors of params.yaml names {tmp_path}/mirror (a file, no folder): name the folder "
        f"that holds the archives, which is {tmp_path} for this file",
    ]
    monkeypatch.setenv("KINEMASK_MIRROR", "~nobody_here/x")
    found = runner.invoke(app, ["data", "check", "wmft", "--root", str(tmp_path)])
    assert (found.exit_code, len(found.output.splitlines())) == (1, 1)
    assert found.output.startswith("~nobody_here/x: this machine knows no home of ~nobody_here: ")


def test_check_of_gated_data_tells_of_a_remote(runner, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    shutil.copy(ROOT / "params.yaml", tmp_path)
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text("['remote \"team\"']\n    url = /disk\n")
    found = runner.invoke(app, ["data", "check", "ntu60"])
    assert (found.exit_code, found.output.splitlines()[0]) == (1, "ntu60: absent")
    assert "  ntu60 is licence-gated, and there is a DVC remote (team): `dvc push` leaves" in found.output
    assert "DVC remote" not in runner.invoke(app, ["data", "check", "kinesim"]).output


def test_check_of_data_that_params_do_not_know_is_one_line(runner, tmp_path):
    (tmp_path / "params.yaml").write_text(PARAMS)
    found = runner.invoke(app, ["data", "check", "ntu"])
    assert (found.exit_code, found.output) == (
        1,
        "params.yaml has no datasets.ntu: datasets holds irds, wmft\n",
    )


def test_list_of_data_says_how_far_each_dataset_is(runner, tmp_path):
    (tmp_path / "params.yaml").write_text(PARAMS + "  mine: {name: raw_folder}\n")
    (tmp_path / "data/raw/irds").mkdir(parents=True)
    (tmp_path / "data/raw/irds/source.json").write_text("{}")
    (tmp_path / "data/packed/wmft").mkdir(parents=True)
    (tmp_path / "data/packed/wmft/dataset.json").write_text('{"num_clips": 1080, "complete": false}')
    found = runner.invoke(app, ["data", "list"])
    assert found.output == (
        "irds  downloaded, not packed\nwmft  packed: 1,080 clips, not complete\nmine  not here yet\n"
    )


def test_published_figures_are_those_of_the_benchmark_with_their_sources(runner):
    found = runner.invoke(app, ["published", "--benchmark", "pku2-xview"])
    assert (found.exit_code, found.output) == (
        1,
        "no figure of 'pku2-xview' is known; there are some of ntu60-xsub, ntu60-xview, ntu120-xsub, "
        "ntu120-xset, pku1-xsub, pku2-xsub\n",
    )
    lines = runner.invoke(app, ["published", "--benchmark", "ntu60-xsub"]).output.splitlines()
    assert lines[0].split() == [
        *("benchmark", "evaluation", "setting", "method", "backbone", "streams", "top1", "%", "source")
    ]
    assert lines[1].split() == ["ntu60-xsub", "linear", "SkeletonCLR", "ST-GCN", "J", "68.3", "AW"]
    assert all(line.startswith("ntu60-xsub ") for line in lines[1:-3])
    assert lines[-2].startswith("Others' figures, not made by this run")
    assert "AW: a third-party list" in lines[-1]
    assert len(runner.invoke(app, ["published"]).output.splitlines()) == 1 + 454 + 3


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


def test_presets_that_do_not_run_are_told_by_check_and_are_no_failure(runner, tmp_path):
    params = read_yaml(ROOT / "params.yaml")
    params["methods"]["twin"] = {"base": "mtmc", "small": {"inputs": {"num_frames": 33}}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    found = runner.invoke(app, ["check"])
    assert (found.exit_code, found.output.splitlines()) == (
        0,
        [
            "does not run: methods.twin.small: num_frames 33 is no multiple of mask.num_segments 4",
            "params.yaml is good",
        ],
    )


def test_recordings_in_use_that_are_gone_are_named_before_dvc_stops_at_them(runner, tmp_path):
    shutil.copy(ROOT / "params.yaml", tmp_path)
    link = tmp_path / "data/raw/kinesim/archive.zip"
    link.parent.mkdir(parents=True)
    link.symlink_to("/mnt/moved.zip")
    found = runner.invoke(app, ["check"])
    line = (
        "data/raw/kinesim/archive.zip leads to /mnt/moved.zip, which is gone: put it back, or remove "
        "data/raw/kinesim, and the next run looks for its files again\n"
    )
    assert (found.exit_code, found.output) == (1, line)
    assert line.strip() in runner.invoke(app, ["data", "check", "kinesim"]).output
    link.unlink()
    assert runner.invoke(app, ["check"]).exit_code == 0


def test_other_files_than_those_in_use_are_told_as_dvc_looks_for_none(runner, tmp_path, monkeypatch):
    shutil.copy(ROOT / "params.yaml", tmp_path)
    from kinemask.datasets import DATASETS
    from kinemask.datasets.reader import Verdict

    files = [tmp_path / "old.zip", tmp_path / "new.zip"]
    for file in files:
        file.write_bytes(b"")
    link = tmp_path / "data/raw/ntu60/archive.zip"
    link.parent.mkdir(parents=True)
    link.symlink_to(files[0])

    def said(file):
        whole = replace(DATASETS["ntu60"], check=lambda *_: Verdict("whole", (), (), (file,)))
        monkeypatch.setitem(DATASETS, "ntu60", whole)
        return runner.invoke(app, ["data", "check", "ntu60"]).output

    assert "made of" not in said(files[0])
    assert "! data/raw/ntu60 was made of 1 file(s), 1 of them not among the 1 found now" in said(files[1])


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
