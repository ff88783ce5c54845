"""The graph as its user meets it: run, run again, edited, misused, killed. Slow, each runs `dvc repro`."""

import json
import os
import shutil
import signal
import sys
import time

import pandas as pd
import psutil
import pytest
from mlflow import MlflowClient

from kinemask.record import read_records
from kinemask.section import read_yaml
from kinemask.tracking.fields import record_name
from kinemask.tracking.mlflow_run import PARENT_TAG, RECORD_TAG
from kinemask.tracking.store import DATABASE
from tests.project import NOTHING_NAMED, Project, stages_run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A project whose graph has run from start to end."""
    project = Project.copy(tmp_path_factory.mktemp("graph"))
    project.repro()
    return project


@pytest.fixture
def finished(undisturbed, tmp_path):
    """A copy of that project, for one test to change."""
    folder = tmp_path / "graph"
    shutil.copytree(undisturbed.folder, folder, symlinks=True)
    return Project(folder)


def results(project):
    return (project.folder / "reports/results.csv").read_text()


def test_every_selected_cell_has_a_row_with_all_columns(finished):
    table = pd.read_csv(finished.folder / "reports/results.csv")
    assert list(table.columns) == [
        "benchmark", "method", "evaluation", "setting", "stream", "metric",
        "mean", "std", "ci_low", "ci_high",
        "unleaked_mean", "unleaked_std", "unleaked_ci_low", "unleaked_ci_high",
        "num_test", "num_leaked", "num_seeds", "scored_epoch", "commit",
        "best_epoch_upper_bound", "source", "chosen",
    ]  # fmt: skip
    assert set(table["method"]) == {"mtmc", "random"}
    assert set(table["evaluation"]) == {"linear", "knn", "few"}
    assert (table["num_seeds"] == 2).all()
    ranged = table[table["metric"] != "calibration_error"]
    assert ((ranged["ci_low"] <= ranged["mean"]) & (ranged["mean"] <= ranged["ci_high"])).all()
    assert (table.loc[table["method"] == "random", "scored_epoch"] == 0).all()


def test_a_second_repro_runs_nothing(finished):
    assert stages_run(finished.repro()) == []


def test_one_number_of_one_method_reruns_that_method_and_the_tables_only(finished):
    def edit(params):
        params["methods"]["mtmc"]["small"]["method"]["temperature"] = 0.2

    finished.edit(edit)
    ran = stages_run(finished.repro())
    assert ran == [
        "stages/dvc.yaml:params",
        "simulate@mtmc",  # it looks whether the recipe asks for other people now
        *(f"{stage}@kinesim-xsub-mtmc" for stage in ("pretrain", "embed")),
        *(name for name in ran if name.split("@")[0] in ("linear", "knn", "few")),
        "tables",
    ]
    assert len(ran) == 8
    assert all(name.endswith("mtmc") for name in ran[1:-1])


def test_an_edited_module_runs_again_what_imports_it_and_nothing_else(finished):
    module = finished.folder / "src/kinemask/evaluation/knn.py"
    before = module.read_text()
    module.write_text(f"{before}# edited\n")
    probes = {f"knn@kinesim-xsub-{method}" for method in ("mtmc", "random")}
    assert set(stages_run(finished.repro())) == {"stages/dvc.yaml:params", *probes, "tables"}


def test_a_base_changes_what_inherits_from_it_and_a_preset_only_itself(finished):
    def to_run():
        finished.repro("stages/dvc.yaml:params")
        changed = json.loads(finished.run("dvc", "status", "--json").stdout)
        return {name for name in changed if not name.startswith("stages/")}  # of other data nothing ever ran

    def stages_of(method):
        stages = ("pretrain", "embed", "linear", "knn", "few")
        return {f"simulate@{method}", *(f"{stage}@kinesim-xsub-{method}" for stage in stages)}

    assert to_run() == set()
    finished.edit(lambda params: params["methods"]["random"].update(small={"inputs": {"num_frames": 20}}))
    assert to_run() == stages_of("random")
    finished.edit(lambda params: params["methods"]["random"].pop("small"))
    assert to_run() == set()
    finished.edit(lambda params: params["methods"]["mtmc"]["small"]["encoder"].update(hidden=10))
    assert to_run() == stages_of("mtmc") | stages_of("random")


def test_more_seeds_of_a_method_run_alone_and_train_no_finished_seed_again(finished):
    weights = finished.folder / "results/pretrain/kinesim-xsub/mtmc"
    checkpoints = finished.folder / ".checkpoints"
    first = {path.name: path.read_bytes() for path in weights.iterdir()}
    touched = {path: path.stat().st_mtime_ns for path in checkpoints.glob("*/checkpoint.safetensors")}
    finished.edit(lambda params: params["run"].update(more_seeds={"mtmc": [5]}))
    ran = stages_run(finished.repro())
    assert {name for name in ran if name.endswith("-random")} == set()
    assert {"pretrain@kinesim-xsub-mtmc", "knn@kinesim-xsub-mtmc", "tables"} <= set(ran)
    assert {path.name for path in weights.iterdir()} == {*first, "seed-5.safetensors"}
    assert {name: (weights / name).read_bytes() for name in first} == first
    assert touched
    assert {path: path.stat().st_mtime_ns for path in touched} == touched
    table = pd.read_csv(finished.folder / "reports/results.csv")
    assert dict(zip(table["method"], table["num_seeds"], strict=True)) == {"mtmc": 3, "random": 2}


def test_an_ablation_is_one_line_of_dvc(finished):
    place = "methods.mtmc.small.method"
    changes = (
        f"{place}.mask.motion=uniform",
        f"{place}.extreme_view.axis_mask=null",
        f"+{place}.normal_view.reverse.probability=0.5",  # a key that the file does not have
    )
    words = [word for change in changes for word in ("-S", change)]
    done = finished.run("dvc", "exp", "run", *words, "pretrain")
    assert stages_run(done.stdout + done.stderr) == [
        "stages/dvc.yaml:params", "simulate@mtmc", "pretrain@kinesim-xsub-mtmc"
    ]  # fmt: skip
    method = json.loads((finished.folder / "data/plan/methods/mtmc.json").read_text())["method"]["small"][
        "method"
    ]
    assert method["mask"]["motion"] == "uniform"
    assert method["extreme_view"]["axis_mask"] is None
    assert method["normal_view"]["reverse"] == {"probability": 0.5}


def test_snapshots_give_a_curve_that_starts_at_the_control_and_ends_at_the_result(finished):
    plain = without_commit(finished)
    assert len(pd.read_csv(finished.folder / "reports/curves.csv")) == 0
    changed = "methods.mtmc.small.training.snapshots=[0, 10]"
    done = finished.run("dvc", "exp", "run", "-S", changed)
    assert not any(name.endswith("-random") for name in stages_run(done.stdout + done.stderr))
    weights = finished.folder / "results/pretrain/kinesim-xsub/mtmc"
    assert {path.name for path in weights.iterdir()} == {
        f"seed-{seed}{step}.safetensors" for seed in (0, 1) for step in ("", "-step-0", "-step-10")
    }
    assert without_commit(finished) == plain
    results = pd.read_csv(finished.folder / "reports/results.csv").query("metric == 'top1'")
    assert results.loc[results["evaluation"] == "linear", "best_epoch_upper_bound"].notna().any()
    curves = pd.read_csv(finished.folder / "reports/curves.csv")
    keys = ["evaluation", "setting"]
    for step, method in ((0, "random"), (30, "mtmc")):
        points = curves[curves["step"] == step].set_index(keys).sort_index()
        own = results[results["method"] == method].set_index(keys).sort_index()
        columns = ["mean", "std", "ci_low", "ci_high"]
        pd.testing.assert_frame_equal(points[columns], own[columns])
    assert set(curves["step"]) == {0, 10, 30}


def test_a_grid_is_one_command_and_the_way_back_runs_nothing_again(finished):
    before = read_yaml(finished.folder / "params.yaml")["run"]
    grid = {
        "benchmarks": ["kinesim-xsub"], "methods": ["random", "raw"], **NOTHING_NAMED, "seeds": [0],
        "reference": "raw",
    }  # fmt: skip
    finished.edit(lambda params: params.update(grids={"floor": grid}))
    done = finished.run(sys.executable, "-m", "kinemask.cli", "grid", "floor")
    assert "grid floor: 1 benchmarks, 2 methods, 0 pretrainings" in done.stdout
    times = [line.split() for line in done.stdout.split("Minutes of each stage")[1].splitlines()[1:]]
    assert times[0] == ["pretrain", "embed", "linear", "knn", "few"]
    assert [line[0] for line in times[1:]] == ["random", "raw"]
    table = pd.read_csv(finished.folder / "reports/ablation.csv")
    assert table["method"].tolist() == ["raw", "random"] * 3
    assert table.loc[table["method"] == "random", "difference"].notna().all()
    again = finished.run(sys.executable, "-m", "kinemask.cli", "grid", "floor")
    assert "asks for it already" in again.stdout
    assert stages_run(again.stdout) == []
    finished.edit(lambda params: params.update(run=before))
    ran = stages_run(finished.repro())  # random has lost a seed and got it back
    assert not any(name.endswith("-mtmc") for name in ran)


def test_fine_tuning_joins_the_graph_for_the_methods_that_ask_for_it_and_leaves_it_again(finished):
    plain = without_commit(finished)
    finished.edit(lambda params: params["run"].update(finetune=["mtmc", "random"]))
    ran = stages_run(finished.repro())
    tuned = {f"finetune@kinesim-xsub-{method}" for method in ("mtmc", "random")}
    assert set(ran) == {"stages/dvc.yaml:params", *tuned, "tables"}
    results = pd.read_csv(finished.folder / "reports/results.csv")
    found = results[results["evaluation"] == "finetune"]
    assert set(found["method"]) == {"mtmc", "random"}
    assert set(found["setting"]) == {"pooling=mean"}
    assert (found["num_seeds"] == 2).all()
    assert stages_run(finished.repro()) == []
    finished.edit(lambda params: params["run"].update(finetune=[]))
    assert not any(name.startswith("finetune") for name in stages_run(finished.repro()))
    assert without_commit(finished) == plain


def test_another_number_of_processes_runs_only_the_check(finished):
    finished.edit(lambda params: params["hardware"].update(processes=1))
    assert stages_run(finished.repro()) == ["stages/dvc.yaml:params"]


def test_killed_in_pretraining_it_goes_on_and_ends_with_the_same_numbers(finished):
    name = "pretrain@kinesim-xsub-mtmc"
    checkpoints = finished.folder / ".checkpoints"
    shutil.rmtree(checkpoints)
    finished.edit(lambda params: params["methods"]["mtmc"]["small"]["training"].update(budget={"steps": 200}))
    process = finished.start("dvc", "repro", name)
    until = time.monotonic() + 120
    while not list(checkpoints.glob("*/checkpoint.safetensors")) and time.monotonic() < until:
        time.sleep(0.05)
    assert process.poll() is None, "it ended before it could be killed"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert list(checkpoints.glob("*/checkpoint.safetensors"))
    assert stages_run(finished.repro(name)) == [name]
    resumed = pretrained(finished)
    shutil.rmtree(checkpoints)
    assert stages_run(finished.repro("--force", "--single-item", name)) == [name]
    assert pretrained(finished) == resumed


def pretrained(project):
    """The weights of each seed, and what its record says that no clock and no commit decides."""
    place = "pretrain/kinesim-xsub/mtmc"
    found = {}
    for path in (project.folder / "results" / place).iterdir():
        record = json.loads((project.folder / "records" / place / f"{path.stem}.json").read_text())
        found[path.stem] = path.read_bytes(), record["metrics"], record["history"]
    return found


def without_commit(project):
    table = pd.read_csv(project.folder / "reports/results.csv")
    return table.drop(columns=["commit", "best_epoch_upper_bound"]).to_csv()  # snapshots fill the latter


def test_records_that_come_back_from_the_cache_are_all_in_mlflow_below_their_pipeline(finished):
    shutil.rmtree(finished.folder / "records")
    for path in finished.folder.glob("mlflow.db*"):
        path.unlink()
    finished.run("dvc", "checkout", "--allow-missing")  # of benchmarks that did not run there is nothing
    records = read_records(finished.folder)
    stages = {
        "download",
        "preprocess",
        "split",
        "simulate",
        "pretrain",
        "embed",
        "linear",
        "knn",
        "few",
        "tables",
    }
    assert {record.stage for record in records} == stages
    done = finished.run(sys.executable, "-m", "kinemask.cli", "track")
    assert done.stdout.startswith(f"{len(records)} records sent, 0 already there")
    client = MlflowClient(tracking_uri=f"sqlite:///{finished.folder / DATABASE}")
    experiments = [one.experiment_id for one in client.search_experiments()]
    runs = client.search_runs(experiments, max_results=1000)
    (parent,) = [run.info.run_id for run in runs if PARENT_TAG not in run.data.tags]
    below = [run for run in runs if run.data.tags.get(PARENT_TAG) == parent]
    assert sorted(run.data.tags[RECORD_TAG] for run in below) == sorted(map(record_name, records))


def test_two_repros_at_once_are_told_apart_and_nothing_is_lost(finished):
    finished.edit(lambda params: params["methods"]["mtmc"]["small"]["training"].update(budget={"steps": 120}))
    first = finished.start("dvc", "repro")
    until = time.monotonic() + 60
    while not is_pretraining(first) and time.monotonic() < until:
        time.sleep(0.05)
    second = finished.repro(check=False)
    assert "is busy, it is being blocked by" in second
    assert first.wait(timeout=300) == 0
    assert stages_run(finished.repro()) == []


def is_pretraining(process):
    try:
        below = psutil.Process(process.pid).children(recursive=True)
        return any("pretrain.py" in " ".join(child.cmdline()) for child in below)
    except psutil.Error:
        return False  # a process that ended while it was looked at


def of_schema(params):
    params["methods"]["mtmc"]["small"]["method"] |= {"temprature": 1, "temperature": float("inf")}
    params["methods"]["my method"] = params["methods"]["raw"]
    params["evaluation"]["knn"]["ks"] = ["one"]
    params["evaluation"]["embed"]["poolings"] = ["maximum"]
    params["hardware"]["processes"] = 0
    params["colour"] = "red"


def of_names(params):
    params["run"] |= {"benchmarks": ["ntu60-xsup"], "methods": ["mtmcc"]}
    params["benchmarks"]["kinesim-xsub"]["protocol"] = "xset"


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (
            of_schema,
            (
                "temprature: Extra inputs",
                "finite number",
                "String should match pattern",
                "evaluation.knn.ks.0: Input should be a valid int",
                "Input should be 'mean', 'last'",
                "hardware.processes: Input should be greater than",
                "colour: Extra inputs are not permitted",
            ),
        ),
        (
            of_names,
            (
                "names 'ntu60-xsup'; there are irds-xgroup",
                "names 'mtmcc'; there are aimclr, ",
                "names 'xset'; there are xsub, xview",
            ),
        ),
    ],
)
def test_bad_params_stop_everything_before_data_is_read(finished, edit, said):
    tables = results(finished)
    finished.edit(edit)
    output = finished.repro(check=False)
    for problem in said:
        assert problem in output
    assert "Traceback" not in output
    assert stages_run(output) == ["stages/dvc.yaml:params"]
    assert results(finished) == tables


def test_without_mirror_and_network_the_cure_is_one_line(finished):
    finished.edit(lambda params: params["run"].update(benchmarks=["wmft-xsub"]))
    finished.environment |= {
        "KINEMASK_MIRROR": str(finished.folder / "nowhere"),
        "HTTPS_PROXY": "http://127.0.0.1:9",
    }
    output = finished.repro(check=False)
    (line,) = [line for line in output.splitlines() if line.startswith("ERROR: wmft")]
    assert "KINEMASK_MIRROR" in line
    assert "Traceback" not in output
