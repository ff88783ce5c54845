import ast
import copy
import hashlib
import importlib
import json
import re
import sys
from pathlib import Path

import grimp
import pytest
import yaml
from dvc.utils.serialize import load_yaml
from ruamel.yaml import YAML

from kinemask.code import OBSERVERS, code_of
from kinemask.params import Params, check, check_values
from kinemask.plan import NAMED, write_plan
from kinemask.run import EVALUATIONS, Pair, RunConfig
from kinemask.section import PLAN, UNPLANNED, plan_file, read_yaml
from kinemask.storage import write_text
from kinemask.training.recipe import Preset
from tests.project import NOTHING_NAMED

ROOT = Path(__file__).parents[1]
STAGES = {"params": "check_params"}  # stage -> script, where the names differ
SCRIPTS = sorted((ROOT / "stages").glob("*.py"))
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


def imported(script: Path) -> set[str]:
    """Modules of kinemask that a stage imports, directly or through others than observers."""
    graph = grimp.build_graph(PACKAGE)
    for module in [name for name in graph.modules if name.split(".")[1:2] in [[one] for one in OBSERVERS]]:
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
    reached: set[str] = set()
    ahead = modules & graph.modules | {PACKAGE}
    while ahead:
        reached |= ahead
        found = {other for module in ahead for other in graph.find_upstream_modules(module)}
        # Importing a module runs the __init__ of the packages above it, and what those import.
        found |= {module.rpartition(".")[0] for module in found | ahead} - {""}
        ahead = found - reached
    return reached


EACH_STAGE = pytest.mark.parametrize("name", list(pipelines()))


@EACH_STAGE
def test_a_stage_depends_on_the_code_it_imports_and_on_no_other(name):
    script = ROOT / f"stages/{STAGES.get(name, name)}.py"
    code = [dep for dep in body(name)["deps"] if "src" in dep or "code" in dep or dep.endswith(".py")]
    if name == "params":  # it reads all of it
        assert sorted(code) == ["src/kinemask", *(f"stages/{one.name}" for one in SCRIPTS)]
        return
    assert code == [plan_file(f"code.{script.stem}").as_posix()]
    modules = {path for path in code_of(script) if path.endswith(".py") and path != script.name}
    found = {path.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for path in modules}
    assert found == imported(script)


def test_the_code_of_a_stage_is_its_script_its_modules_and_what_lies_beside_them():
    code = code_of(ROOT / "stages/tables.py")
    digest = hashlib.sha256((ROOT / "src/kinemask/reporting/report.html").read_bytes()).hexdigest()
    assert code["kinemask/reporting/report.html"] == digest
    assert code["tables.py"] == hashlib.sha256((ROOT / "stages/tables.py").read_bytes()).hexdigest()
    assert not any(path.endswith(".html") for path in code_of(ROOT / "stages/linear.py"))


def test_code_that_a_stage_does_not_import_changes_nothing_for_it_and_what_it_imports_does(tmp_path):
    package, script = tmp_path / "kinemask", tmp_path / "stage.py"
    files = {
        "__init__.py": "",
        "used/__init__.py": "from kinemask.used.inner import x\n",
        "used/inner.py": "x = 1\n",
        "used/outer.py": "def late():\n    import kinemask.late\n",
        "used/other.py": "",
        "used/table.csv": "a,b\n",
        "late.py": "",
        "beside.py": "",
        "storage.py": "import kinemask.beside\n",
    }
    for name, text in files.items():
        write_text(package / name, text)
    script.write_text("import json\nfrom kinemask.used import outer\nfrom kinemask.storage import x\n")
    before = code_of(script, package)
    counting = {
        "__init__.py",
        "used/__init__.py",
        "used/inner.py",
        "used/outer.py",
        "used/table.csv",
        "late.py",
    }
    assert set(before) == {"stage.py", *(f"kinemask/{name}" for name in counting)}
    for name in files:
        (package / name).write_text(files[name] + "# edited\n")
        assert (code_of(script, package) != before) == (name in counting)
        (package / name).write_text(files[name])
    assert code_of(script, package) == before


def reads(name: str) -> dict[str, str]:
    """Field -> place in params.yaml of what a stage reads."""
    return getattr(importlib.import_module(STAGES.get(name, name)), "READS", {})


@EACH_STAGE
def test_a_stage_depends_on_exactly_the_files_of_the_plan_that_it_reads(name):
    key = "${key}" if "do" in pipelines()[name] else "${item.benchmark}"
    places = [place.format(dataset=key, benchmark=key, method="") for place in reads(name).values()]
    files = {plan_file(place, "${item.method}") for place in places if place not in UNPLANNED}
    deps = [Path(dep) for dep in body(name)["deps"]]
    assert {dep for dep in deps if dep.is_relative_to(PLAN)} - {plan_file(f"code.{name}")} == files
    assert not {dep for dep in deps if dep.name == "params.yaml"} or name == "params"
    assert "params" not in body(name)  # for each instance DVC would read all of params.yaml again


def test_the_plan_of_a_method_holds_what_stages_read_of_it_and_only_of_methods_that_run(tmp_path):
    params = check(ROOT / "params.yaml")
    write_plan(params, tmp_path)
    gone = tmp_path / plan_file("plan", "gone")
    gone.write_text("{}")
    write_plan(params, tmp_path)  # what an earlier run left is replaced
    files = {path.stem: json.loads(path.read_text()) for path in gone.parent.iterdir()}
    assert set(files) == set(params.run.methods)
    places = {
        place.removeprefix("plan.")
        for name in pipelines()
        for place in reads(name).values()
        if place.startswith("plan.")
    }
    for name, plan in files.items():
        assert set(plan) == places
        assert Preset.model_validate_json(json.dumps(plan["method"])) == params.methods[name]
        assert tuple(plan["seeds"]) == params.run.seeds_of(name)


def test_the_plan_says_what_params_yaml_says(tmp_path):
    params = check(ROOT / "params.yaml")
    write_plan(params, tmp_path)
    for kind, sections in {
        "datasets": params.datasets,
        "benchmarks": params.benchmarks,
        "evaluation": dict(params.evaluation),
    }.items():
        assert {path.stem for path in (tmp_path / PLAN / kind).iterdir()} == set(sections)
        for name, section in sections.items():
            text = (tmp_path / plan_file(f"{kind}.{name}")).read_text()
            assert type(section).model_validate_json(text) == section
    assert RunConfig.model_validate_json((tmp_path / plan_file("run")).read_text()) == params.run


def test_one_edit_changes_the_files_of_the_plan_that_it_touches_and_no_other(tmp_path):
    values = read_yaml(ROOT / "params.yaml")

    def written(edit) -> dict[Path, str]:
        changed = copy.deepcopy(values)
        edit(changed)
        write_plan(check_values(changed, ROOT / "params.yaml"), tmp_path)
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        return {path.relative_to(tmp_path): path.read_text() for path in files}

    def touched(edit) -> set[Path]:
        before, after = written(lambda params: None), written(edit)
        return {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}

    assert touched(lambda params: params["hardware"].update(processes=7)) == set()
    assert touched(lambda params: params.update(datasets=dict(reversed(params["datasets"].items())))) == set()
    assert touched(lambda params: params["evaluation"]["knn"].update(ks=[3])) == {plan_file("evaluation.knn")}
    assert touched(lambda params: params["datasets"]["wmft"].update(one_clip_in=2)) == {
        plan_file("datasets.wmft")
    }
    other = {"dataset": "wmft", "protocol": "xsub", "size": "paper"}
    assert touched(lambda params: params["benchmarks"].update(mine=other)) == {plan_file("benchmarks.mine")}
    assert touched(lambda params: params["run"].update(seeds=[0])) == {
        plan_file("run"),
        *(plan_file("plan", method) for method in values["run"]["methods"]),
    }
    assert touched(lambda params: params["run"].update(finetune=["mtmc"])) == {
        plan_file("run"),
        Path("records/finetune/methods.txt"),
    }


@EACH_STAGE
def test_a_stage_is_thin(name):
    assert len((ROOT / "stages" / f"{STAGES.get(name, name)}.py").read_text().splitlines()) <= 60


def test_nothing_runs_before_the_params_are_checked():
    for name in pipelines():
        if name in ("params", "preprocess", "split", "tables", "embed", "linear", "knn", "few"):
            continue  # params itself, and stages that depend on what download or pretrain made
        assert any(
            dep.startswith(f"{PLAN}/") for dep in body(name)["deps"]
        )  # which the stage that checks writes


def test_our_reading_of_the_params_is_that_of_dvc():
    assert read_yaml(ROOT / "params.yaml") == load_yaml(ROOT / "params.yaml")


def test_dvc_reads_yaml_by_the_parser_in_c():
    # Without it, which nobody asks for but us, DVC works too: a call takes a third longer.
    assert YAML(typ="safe").Parser.__module__.endswith("_ruamel_yaml")


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
        read |= {place.split(".")[0] for place in reads(name).values()}
    read = (read - {"plan"}) | {"methods"}  # the plan is made of `methods` and `run`
    assert set(Params.model_fields) == read | {"evaluation"}
    evaluations = {
        place.split(".")[1]
        for name in pipelines()
        for place in reads(name).values()
        if place.startswith("evaluation.")
    }
    assert set(Params.model_fields["evaluation"].annotation.model_fields) == evaluations


def test_no_array_made_from_recordings_is_ever_pushed():
    outs = [out for name in pipelines() for out in body(name)["outs"]]
    settings = {place: how for out in outs if isinstance(out, dict) for place, how in out.items()}
    plain = [out for out in outs if isinstance(out, str)]
    assert {out.split("/")[0] for out in plain} <= {"records", "data"}
    assert [out for out in plain if out.startswith("data")] == [str(PLAN)]  # recipes
    kept = {place for place, how in settings.items() if how.get("push") is False or how.get("cache") is False}
    assert kept == set(settings)
    assert {place.split("/")[1] for place in kept if place.startswith("results")} == {
        "pretrain", "embed", *(one.name for one in EVALUATIONS),
    }  # fmt: skip


def test_usage_reports_are_off():
    config = (ROOT / ".dvc/config").read_text()
    assert "analytics = false" in config
    assert "check_update = false" in config


def test_every_evaluation_is_a_stage_of_what_run_names_for_it():
    stages = pipelines()
    for stage in ("pretrain", "embed"):
        assert stages[stage]["matrix"] == {"benchmark": "${run.benchmarks}", "method": "${run.methods}"}
    assert {one.name for one in EVALUATIONS} <= stages.keys()
    for one in EVALUATIONS:
        where = {"pair": f"${{run.{one.name}}}"} if one.pairs else {"benchmark": "${run.benchmarks}"}
        methods = f"${{run.{one.name}}}" if one.listed else "${run.methods}"
        assert stages[one.name]["matrix"] == {**where, "method": methods}
        subject = "${item.pair.source}-to-${item.pair.target}" if one.pairs else "${item.benchmark}"
        folder = f"{one.name}/{subject}/${{item.method}}"
        results, records = stages[one.name]["outs"]
        assert (list(results), records) == ([f"results/{folder}"], f"records/{folder}")


def test_the_tables_depend_on_every_evaluation_also_where_run_names_nothing_for_it(tmp_path):
    params = check(ROOT / "params.yaml")
    nothing = params.run.model_copy(update=NOTHING_NAMED)
    write_plan(params.model_copy(update={"run": nothing}), tmp_path)
    for one in EVALUATIONS:
        assert f"records/{one.name}" in body("tables")["deps"]
        # DVC has no folder before something is in it: results come with the records of the same instance.
        named = one.listed or one.pairs
        assert (f"results/{one.name}" in body("tables")["deps"]) != named
        assert (one in NAMED) == named
    for one, path in NAMED.items():
        assert (tmp_path / path).read_text() == f"run.{one.name} names:\n"
        assert path.parent == Path("records", one.name)
        assert str(path) in body("params")["outs"]
    pairs = (Pair(source="kinesim-xsub", target="kinesim-xview"),)
    named = nothing.model_copy(update={"finetune": ("mtmc", "random"), "transfer": pairs})
    write_plan(params.model_copy(update={"run": named}), tmp_path)
    texts = {one.name: (tmp_path / path).read_text() for one, path in NAMED.items()}
    assert texts["finetune"] == "run.finetune names:\nmtmc\nrandom\n"
    assert texts["transfer"] == "run.transfer names:\nkinesim-xsub-to-kinesim-xview\n"


def test_params_round_trip_as_json():
    assert json.loads(json.dumps(read_yaml(ROOT / "params.yaml")))
