"""Rules between the sections of params.yaml, on the project's own file."""

import json
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from kinemask.params import check, check_values
from kinemask.plan import write_plan
from kinemask.section import ParamsError, plan_file, read_yaml
from tests.datasets.test_raw_folder import SECTION
from tests.project import NOTHING_NAMED, ROOT

RUN = read_yaml(ROOT / "params.yaml")["run"] | NOTHING_NAMED


@pytest.fixture
def problems(tmp_path) -> Callable[..., str]:
    """What `kinemask check` says of the project's params.yaml with own recordings, after an edit."""

    def check_edited(edit: Callable[[dict[str, Any]], object]) -> str:
        params = read_yaml(ROOT / "params.yaml")
        params["datasets"] = {"mine": dict(SECTION), "wmft": params["datasets"]["wmft"]}
        params["benchmarks"] = {
            f"{name}-xsub": {"dataset": name, "protocol": "xsub", "size": "small"}
            for name in params["datasets"]
        }
        params["run"] = {"benchmarks": ["mine-xsub"], "methods": ["random"], **NOTHING_NAMED, "seeds": [0]}
        params |= {"grids": {}, "ensembles": {}}
        params["methods"]["random"]["small"] = {"inputs": {"origin_joint": "hip"}}
        edit(params)
        path = tmp_path / "params.yaml"
        path.write_text(yaml.safe_dump(params, sort_keys=False))
        try:
            check(path)
        except ParamsError as error:
            return str(error)
        return ""

    return check_edited


def test_own_recordings_have_a_name_of_the_users_choice(problems):
    assert problems(lambda params: None) == ""
    said = problems(lambda params: params["datasets"].update(wmft=dict(SECTION)))
    assert "datasets.wmft is the name of a known dataset: call your recordings otherwise" in said
    said = problems(lambda params: params["datasets"].update(wmft2=params["datasets"]["wmft"]))
    assert "datasets.wmft2.name is 'wmft', it must repeat the key 'wmft2'" in said


def test_a_chosen_method_must_fit_the_body_of_a_chosen_benchmark(problems):
    said = problems(lambda params: params["run"].update(methods=["raw"]))
    assert "mine-xsub with methods.raw.small: inputs.origin_joint 'spine_base' is no joint of stick" in said

    def hide_all(params):
        params["run"]["methods"] = ["mtmc"]
        params["methods"]["mtmc"]["small"]["inputs"]["origin_joint"] = "hip"
        params["methods"]["mtmc"]["small"]["method"]["mask"]["hidden_ratio"] = 0.9

    said = problems(hide_all)
    assert "mine-xsub with methods.mtmc.small: mask.hidden_ratio 0.9 hides " in said


def test_groups_of_joints_that_are_lost_together_are_of_the_body_that_is_tested(problems):
    def group(*joints: str, occlusion: tuple[str, ...] = ("random",)) -> Callable[[dict[str, Any]], None]:
        def edit(params: dict[str, Any]) -> None:
            params["run"]["occlusion"] = list(occlusion)
            params["evaluation"]["occlusion"]["groups"]["stick"] = {"some": list(joints)}

        return edit

    assert problems(group("hip", "left_hand")) == ""
    said = problems(group("hip", "tail"))
    assert "mine-xsub: evaluation.occlusion.groups.stick names tail, stick has hip, " in said
    assert problems(group("hip", "tail", occlusion=())) == ""  # nobody asks


def test_a_method_to_fine_tune_has_an_encoder_that_learns_and_a_recipe_that_fits_it(problems):
    def tune(method: str, **changes: Any) -> Callable[[dict[str, Any]], None]:
        def edit(params: dict[str, Any]) -> None:
            params["run"] |= {"methods": [method], "finetune": [method]}
            params["methods"][method]["small"] = params["methods"][method].get("small", {})
            params["methods"][method]["small"].setdefault("inputs", {})["origin_joint"] = "hip"
            params["evaluation"]["finetune"]["gru"]["small"] |= changes

        return edit

    assert problems(tune("random")) == ""
    assert "run.finetune names 'raw': the encoder 'coordinates' has nothing to train" in problems(tune("raw"))
    said = problems(tune("random", drop_path=0.2))
    assert "finetune.gru.small: drop_path is 0.2, and 'gru' has no blocks to drop: set it to 0" in said
    head = {"pooling": "joints", "hidden": None, "dropout": 0.0, "batch_norm": False}
    said = problems(tune("random", head=head))
    assert "head.pooling is 'joints', and the encoder 'gru' offers mean, last, max" in said


def test_the_target_of_a_pair_exists_and_is_as_large_as_its_source(problems):
    def pair(target: str, **changes: Any) -> Callable[[dict[str, Any]], None]:
        def edit(params: dict[str, Any]) -> None:
            params["benchmarks"]["wmft-xsub"] |= changes
            params["run"] |= {
                "benchmarks": ["wmft-xsub"],
                "transfer": [{"source": "wmft-xsub", "target": target}],
            }
            params["benchmarks"]["other"] = {"dataset": "wmft", "protocol": "xcond", "size": "small"}
            params["methods"]["random"]["small"] = {}

        return edit

    assert problems(pair("other")) == ""
    assert "run.transfer names 'wmft-xsup'; there are mine-xsub, other, wmft-xsub" in problems(
        pair("wmft-xsup")
    )
    said = problems(pair("other", size="paper"))
    assert "run.transfer: wmft-xsub is paper and other is small, and an encoder is of one size: take" in said


def test_no_benchmark_is_called_as_a_pair_is(problems):
    other = {"dataset": "wmft", "protocol": "xcond", "size": "small"}
    said = problems(lambda params: params["benchmarks"].update({"a-to-b": other}))
    assert "benchmarks.a-to-b: '-to-' stands in the names of pairs alone: call it otherwise" in said


def test_methods_that_are_trained_with_few_labels_need_an_encoder_that_learns_too(problems):
    def train_raw(params):
        params["run"] |= {"benchmarks": ["wmft-xsub"], "methods": ["raw"], "semi": ["raw"]}

    assert "run.semi names 'raw': the encoder 'coordinates' has nothing to train" in problems(train_raw)


def test_between_a_pair_of_benchmarks_bodies_are_the_same_and_persons_no_more(problems):
    def pair(source: str, target: str, method: str = "random") -> Callable[[dict[str, Any]], None]:
        def edit(params: dict[str, Any]) -> None:
            params["datasets"]["kinesim2"] = read_yaml(ROOT / "params.yaml")["datasets"]["kinesim2"]
            params["benchmarks"]["kinesim2-xsub"] = {
                "dataset": "kinesim2",
                "protocol": "xsub",
                "size": "small",
            }
            params["run"] |= {"benchmarks": [source], "methods": [method]}
            params["run"]["transfer"] = [{"source": source, "target": target}]
            if source != "mine-xsub":
                params["methods"]["random"]["small"] = {}

        return edit

    said = problems(pair("mine-xsub", "wmft-xsub"))
    assert "run.transfer: mine-xsub to wmft-xsub: bodies of stick and of kinect25, and an encoder " in said
    said = problems(pair("wmft-xsub", "kinesim2-xsub"))
    assert (
        "run.transfer: wmft-xsub to kinesim2-xsub: the encoder of random is built for 1 person(s) and takes "
        "no more, and clips of kinesim2-xsub have up to 2: take another target"
    ) in said
    assert problems(pair("kinesim2-xsub", "wmft-xsub")) == ""
    assert problems(pair("wmft-xsub", "kinesim2-xsub", "random-transformer")) == ""


def test_an_ensemble_has_methods_that_exist_and_a_name_of_its_own(problems):
    def add(name: str, *methods: str) -> Callable[[dict[str, Any]], None]:
        ensemble = {"methods": list(methods), "weights": [1.0] * len(methods)}
        return lambda params: params["ensembles"].update({name: ensemble})

    assert problems(add("both", "random", "mtmc-bone")) == ""  # no matter whether they run
    assert "ensembles.both.methods names 'nobody'; there are" in problems(add("both", "random", "nobody"))
    said = problems(add("raw", "random", "mtmc"))
    assert "ensembles.raw is the name of a method: call it otherwise" in said
    said = problems(lambda params: params.update(ensembles={"x": {"methods": ["raw"], "weights": [1.0]}}))
    assert "ensembles.x.methods: " in said


def test_a_preset_that_does_not_run_may_not_fit_its_changed_base(problems):
    def four_segments(params):
        params["methods"]["mtmc"]["small"]["inputs"]["num_frames"] = 33
        params["methods"]["mtmc"]["small"]["method"]["mask"]["num_segments"] = 3
        params["methods"]["four"] = {"base": "mtmc", "changes": {"method": {"mask": {"num_segments": 4}}}}

    assert problems(four_segments) == ""

    def run_it(params):
        four_segments(params)
        params["run"]["methods"] = ["four"]

    assert "methods.four.small: num_frames 33 is no multiple of mask.num_segments 4" in problems(run_it)

    def mistype_too(params):
        four_segments(params)
        params["methods"]["four"]["changes"]["method"]["mask"]["num_segmets"] = 4

    assert "methods.four.changes.method.mask.num_segmets: Extra inputs" in problems(mistype_too)


def four_segments(params: dict[str, Any]) -> None:
    """Presets that 33 frames do not fit, and one that inherits from another of them."""
    params["methods"] = {name: params["methods"][name] for name in ("mtmc", "random", "raw")}
    params["methods"]["mtmc"]["small"]["inputs"]["num_frames"] = 33
    params["methods"]["mtmc"]["small"]["method"]["mask"]["num_segments"] = 3
    params["methods"]["four"] = {"base": "mtmc", "changes": {"method": {"mask": {"num_segments": 4}}}}
    params["methods"]["more"] = {"base": "four", "changes": {"training": {"batch_size": 8}}}
    params["run"] = {"benchmarks": ["wmft-xsub"], "methods": ["random"], **NOTHING_NAMED, "seeds": [0]}
    params |= {"grids": {}, "ensembles": {}}


REASON = "num_frames 33 is no multiple of mask.num_segments 4"
LINES = [
    f"does not run: methods.four.small: {REASON}",
    "does not run, as it inherits this: more",
]


@pytest.fixture
def forgiven(tmp_path, monkeypatch) -> Path:
    """A folder with the project's params.yaml, and in it presets that do not run; it is the current one."""
    monkeypatch.chdir(tmp_path)
    params = read_yaml(ROOT / "params.yaml")
    four_segments(params)
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    return tmp_path


def test_presets_that_were_forgiven_are_told_with_the_reason(forgiven):
    told: list[str] = []
    check(forgiven / "params.yaml", told.append)
    assert told == LINES
    check(ROOT / "params.yaml", told.append)
    assert told == LINES


def test_a_mistake_of_both_sizes_of_a_base_is_told_once(forgiven):
    params = read_yaml()
    mixed = {"training": {"budget": {"steps": 4, "epochs": 3}}}
    params["methods"] |= {"both": {"base": "mtmc", "changes": mixed}}
    params["methods"] |= {f"both-{letter}": {"base": "both"} for letter in "abcd"}
    Path("params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    told: list[str] = []
    check(forgiven / "params.yaml", told.append)
    assert told[0] == LINES[0]
    assert told[1].startswith("does not run: methods.both.changes.training.budget: give exactly one of")
    assert told[2:] == ["does not run, as it inherits this: more, both-a, both-b, both-c, both-d"]


def test_a_forgiven_preset_is_told_where_its_user_wrote_it(forgiven):
    params = read_yaml()
    params["methods"] |= {"more": {"base": "four", "changes": {"training": {"budget": {"epochs": 2}}}}}
    Path("params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    told: list[str] = []
    check(forgiven / "params.yaml", told.append)
    assert "does not run: methods.more.changes.training.budget: give exactly one of" in "\n".join(told)


def test_nothing_is_told_of_presets_where_the_file_is_wrong(forgiven):
    params = read_yaml()
    params["hardware"]["processes"] = 0
    Path("params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    told: list[str] = []
    with pytest.raises(ParamsError, match=r"hardware\.processes"):
        check(forgiven / "params.yaml", told.append)
    assert told == []


def test_the_params_stage_tells_of_presets_that_do_not_run(forgiven, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["check_params.py"])
    runpy.run_path(str(ROOT / "stages/check_params.py"), run_name="__main__")
    assert capsys.readouterr() == ("", "".join(f"{line}\n" for line in LINES))
    assert sorted(path.name for path in forgiven.glob("data/plan/methods/*.json")) == ["random.json"]


def test_a_rule_that_an_entry_in_full_breaks_is_told_even_if_it_does_not_run(problems):
    def shorten(params):
        params["methods"]["mtmc"]["small"]["inputs"]["num_frames"] = 33

    said = problems(shorten)
    assert "has 1 problem(s)" in said  # once, not for all that inherit it
    assert "methods.mtmc.small: num_frames 33 is no multiple of mask.num_segments" in said


def test_a_joint_that_no_body_has_is_a_typo_wherever_it_stands(problems):
    def mistype(params):
        params["methods"]["mtmc"]["paper"]["inputs"]["origin_joint"] = "spine_mit"

    assert "methods.mtmc.paper.inputs.origin_joint is 'spine_mit': no body has it" in problems(mistype)


def test_a_body_that_cannot_be_read_is_a_problem_only_where_it_is_used(problems):
    def take(params):
        params["datasets"]["mine"]["layout"] = {"name": "mocap", "bvh": "a.bvh"}

    assert "datasets.mine.layout.bvh: " in problems(take)

    def take_and_leave(params):
        take(params)
        params["run"]["benchmarks"] = ["wmft-xsub"]
        params["methods"]["random"]["small"] = {}

    assert problems(take_and_leave) == ""


def test_a_chosen_method_is_trained_on_simulated_people_only_where_somebody_can_simulate_them(problems):
    def choose(params):
        params["run"]["methods"] = ["mtmc-simulated"]

    said = problems(choose)
    assert "methods.mtmc-simulated.small.training.simulated.dataset names 'kinesim'; there are " in said

    def record(params):
        choose(params)
        params["methods"]["mtmc-simulated"]["changes"]["training"]["simulated"]["dataset"] = "wmft"

    assert "training.simulated.dataset names 'wmft'; there are " in problems(record)


def test_the_plan_describes_the_simulated_people_that_a_size_asks_for(tmp_path):
    params = check_values(
        {
            **read_yaml(ROOT / "params.yaml"),
            "run": {**RUN, **NOTHING_NAMED, "methods": ["mtmc-simulated", "random"], "reference": None},
        },
        ROOT / "params.yaml",
    )
    write_plan(params, tmp_path)
    plans = [json.loads((tmp_path / plan_file("plan", name)).read_text()) for name in params.run.methods]
    section = params.datasets["kinesim"].model_dump(mode="json")
    assert plans[0]["simulated"]["small"] == {**section, "seed": 100, "subjects": 36}
    assert plans[0]["simulated"]["small"] != section
    assert plans[1]["simulated"] == {"small": None, "paper": None}
