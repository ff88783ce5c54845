import ast
import importlib
import json
import re
import sys
from pathlib import Path

import grimp
import pytest
import yaml
from dvc.utils.serialize import load_yaml

from kinemask.params import FINETUNED, Params, check, write_plan
from kinemask.section import PLAN, read_yaml
from kinemask.training.recipe import Preset

ROOT = Path(__file__).parents[1]
STAGES = {"params": "check_params"}  # stage -> script, where the names differ
# What only starts, shows, sends, keeps or stops. No number depends on it: editing it makes nothing run again.
OBSERVERS = {"stage", "errors", "progress", "run_key", "storage", "tracking", "workers"}
PACKAGE = "kinemask"

sys.path.insert(0, str(ROOT / "stages"))


def pipelines() -> dict[str, dict]:
    found = {}
    for path in (ROOT / "dvc.yaml", ROOT / "stages/dvc.yaml"):
        found |= yaml.safe_load(path.read_text())["stages"]
    return found


def body(name: str) -> dict:
    stage = pipelines()[name]
    return stage.get("do", stage)


def unit(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if parts[0] == PACKAGE and len(parts) > 1 else None


def imported_units(script: Path) -> set[str]:
    """Subpackages and modules of kinemask that a stage imports, directly or through others than observers."""
    graph = grimp.build_graph(PACKAGE)
    for module in [name for name in graph.modules if unit(name) in OBSERVERS]:
        graph.remove_module(
            module
        )  # and with it what only observers import: `tables` draws pictures, all send them
    modules: set[str] = set()
    for node in ast.walk(ast.parse(script.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(PACKAGE):
            modules.add(node.module)
            modules |= {
                f"{node.module}.{a.name}" for a in node.names if f"{node.module}.{a.name}" in graph.modules
            }
    modules &= graph.modules
    reached = set(modules)
    for module in modules:
        reached |= graph.find_upstream_modules(module)
    # Importing a module runs the __init__ of the packages above it, and what those import.
    for package in {m.rsplit(".", 1)[0] for m in reached if m.count(".") > 1}:
        reached |= {package} | graph.find_upstream_modules(package)
    return {name for name in map(unit, reached) if name}


EACH_STAGE = pytest.mark.parametrize("name", list(pipelines()))


@EACH_STAGE
def test_a_stage_depends_on_the_code_it_imports_and_on_no_other(name):
    deps = [dep for dep in body(name)["deps"] if dep.startswith("src/kinemask")]
    script = f"stages/{STAGES.get(name, name)}.py"
    assert script in body(name)["deps"]
    if deps == ["src/kinemask"]:
        return  # all of it
    listed = {Path(dep).relative_to("src/kinemask").with_suffix("").as_posix() for dep in deps}
    assert listed == imported_units(ROOT / script)
    assert all((ROOT / dep).exists() for dep in deps)


@EACH_STAGE
def test_a_stage_lists_exactly_the_params_it_reads(name):
    module = importlib.import_module(STAGES.get(name, name))
    listed = [
        place.replace("${key}", "*").replace("${item.benchmark}", "*").replace("${item.method}", "*")
        for place in body(name).get("params", [])
    ]
    reads = getattr(module, "READS", {})
    places = [place.format(dataset="*", benchmark="*", method="*") for place in reads.values()]
    free = {"hardware", "download"}  # where it runs and where bytes come from: both change no result
    in_plan = [place for place in places if place.startswith("plan.")]
    assert sorted(listed) == sorted(place for place in places if place not in {*free, *in_plan})
    # What stands in the plan of a method is a file to DVC, which the params stage writes.
    assert (f"{PLAN}/${{item.method}}.json" in body(name)["deps"]) == bool(in_plan)


def test_the_plan_of_a_method_holds_what_stages_read_of_it_and_only_of_methods_that_run(tmp_path):
    params = check(ROOT / "params.yaml")
    write_plan(params, tmp_path)
    write_plan(params, tmp_path)  # what an earlier run left is replaced
    files = {path.stem: json.loads(path.read_text()) for path in (tmp_path / PLAN).iterdir()}
    assert set(files) == set(params.run.methods)
    places = {
        place.removeprefix("plan.")
        for name in pipelines()
        for place in getattr(importlib.import_module(STAGES.get(name, name)), "READS", {}).values()
        if place.startswith("plan.")
    }
    for name, plan in files.items():
        assert set(plan) == places
        assert Preset.model_validate_json(json.dumps(plan["method"])) == params.methods[name]
        assert tuple(plan["seeds"]) == params.run.seeds_of(name)


@EACH_STAGE
def test_a_stage_is_thin(name):
    assert len((ROOT / "stages" / f"{STAGES.get(name, name)}.py").read_text().splitlines()) <= 60


def test_nothing_runs_before_the_params_are_checked():
    for name in pipelines():
        if name in ("params", "preprocess", "split", "tables", "embed", "linear", "knn", "few"):
            continue  # params itself, and stages that depend on what download or pretrain made
        # Both are written by the stage that checks.
        assert {"data/params.checked", f"{PLAN}/${{item.method}}.json"} & set(body(name)["deps"])


def test_our_reading_of_the_params_is_that_of_dvc():
    assert read_yaml(ROOT / "params.yaml") == load_yaml(ROOT / "params.yaml")


def test_numbers_in_exponent_form_are_numbers(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(
        "a: 1e-3\nb: 1e3\nc: 1.5E+2\nd: .5\ne: 12\nf: 1_000.5\ng: text\nh: 1e\ni: 012\nj: yes\nk: true\n"
        "l: 0x1F\nm: 0o17\nn: -7\no: off\np: null\nq: ~\nr: 1_000\n"
    )
    assert read_yaml(path) == load_yaml(path)
    assert read_yaml(path)["a"] == 0.001


def test_the_whole_file_is_valid_and_every_benchmark_and_method_is_known():
    params = check(ROOT / "params.yaml")
    assert set(params.run.benchmarks) <= set(params.benchmarks)


def test_no_value_of_the_methods_is_shared_by_an_anchor():
    # `dvc exp run -S` writes through anchors: an override would be lost, or change another method too.
    assert not re.search(r"[:\[,] *[&*]\w", (ROOT / "params.yaml").read_text())


def test_every_key_of_the_file_is_read_by_a_stage_or_by_the_graph():
    read = {"run", "benchmarks", "grids"}  # the graph itself, and other values of its `run`
    for name in pipelines():
        module = importlib.import_module(STAGES.get(name, name))
        read |= {place.split(".")[0] for place in getattr(module, "READS", {}).values()}
    read = (read - {"plan"}) | {"methods"}  # the plan is made of `methods` and `run`
    assert set(Params.model_fields) == read | {"evaluation"}
    evaluations = {
        place.split(".")[1]
        for name in pipelines()
        for place in getattr(importlib.import_module(STAGES.get(name, name)), "READS", {}).values()
        if place.startswith("evaluation.")
    }
    assert set(Params.model_fields["evaluation"].annotation.model_fields) == evaluations


def test_no_array_made_from_recordings_is_ever_pushed():
    outs = [out for name in pipelines() for out in body(name)["outs"]]
    settings = {place: how for out in outs if isinstance(out, dict) for place, how in out.items()}
    plain = [out for out in outs if isinstance(out, str)]
    assert {out.split("/")[0] for out in plain} <= {"records", "data"}
    # A line of text, and recipes.
    assert [out for out in plain if out.startswith("data")] == ["data/params.checked", str(PLAN)]
    assert str(FINETUNED) in plain
    kept = {place for place, how in settings.items() if how.get("push") is False or how.get("cache") is False}
    assert kept == set(settings)
    assert {place.split("/")[1] for place in kept if place.startswith("results")} == {
        "pretrain", "embed", "linear", "knn", "few", "finetune",
    }  # fmt: skip


def test_usage_reports_are_off():
    config = (ROOT / ".dvc/config").read_text()
    assert "analytics = false" in config
    assert "check_update = false" in config


def test_every_matrix_entry_is_what_run_asks_for():
    for stage in ("pretrain", "embed", "linear", "knn", "few"):
        matrix = pipelines()[stage]["matrix"]
        assert matrix == {"benchmark": "${run.benchmarks}", "method": "${run.methods}"}
    matrix = pipelines()["finetune"]["matrix"]
    assert matrix == {"benchmark": "${run.benchmarks}", "method": "${run.finetune}"}


def test_the_tables_depend_on_a_folder_of_fine_tuned_methods_that_is_there_without_any(tmp_path):
    params = check(ROOT / "params.yaml")
    assert params.run.finetune == ()
    write_plan(params, tmp_path)
    assert (tmp_path / FINETUNED).read_text() == ""
    assert FINETUNED.parent.as_posix() in body("tables")["deps"]
    tuned = params.run.model_copy(update={"finetune": ("mtmc", "random")})
    write_plan(params.model_copy(update={"run": tuned}), tmp_path)
    assert (tmp_path / FINETUNED).read_text() == "mtmc\nrandom\n"


def test_params_round_trip_as_json():
    assert json.loads(json.dumps(read_yaml(ROOT / "params.yaml")))
