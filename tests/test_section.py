from typing import Annotated, Literal

import pytest
from pydantic import Field, model_validator

from kinemask.section import ParamsError, Section, load_params, plan_file, read_params, read_yaml, validate
from kinemask.storage import write_text


class Cat(Section):
    name: Literal["cat"]
    lives: int = Field(ge=1, le=9)


class Fox(Section):
    name: Literal["fox"]
    den: dict[str, int]

    @model_validator(mode="after")
    def _fits(self) -> "Fox":
        if len(self.den) > 1:
            raise ValueError("a fox has one den")
        return self


class Dog(Section):
    name: Literal["dog"]
    ratio: float = Field(gt=0, lt=1)
    tricks: tuple[str, ...]


class Whole(Section):
    seed: int
    pets: dict[str, Annotated[Cat | Dog | Fox, Field(discriminator="name")]]


GOOD = "seed: 1\npets:\n  tom: {name: cat, lives: 9}\n  rex: {name: dog, ratio: 1e-1, tricks: [sit]}\n"


def problems(tmp_path, text):
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(ParamsError) as caught:
        validate(Whole, read_yaml(path), path)
    return str(caught.value)


def test_a_good_file_loads_with_lists_as_tuples(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(GOOD)
    assert validate(Whole, read_yaml(path), path).pets["rex"] == Dog(name="dog", ratio=0.1, tricks=("sit",))


def test_every_problem_is_reported_at_once_with_place_and_value(tmp_path):
    text = "seed: one\npets:\n  tom: {name: cat, lives: 12, lifes: 3}\n  rex: {name: dog, ratio: 0.5}\n"
    message = problems(tmp_path, text)
    assert "has 4 problem(s)" in message
    assert '  seed: Input should be a valid integer (got "one")' in message
    assert "  pets.tom.lives: Input should be less than or equal to 9 (got 12)" in message
    assert "  pets.tom.lifes: Extra inputs are not permitted (got 3)" in message
    assert "  pets.rex.tricks: Field required" in message


def test_the_kind_of_a_section_is_no_step_of_a_place(tmp_path):
    text = "seed: 1\npets:\n  a: {name: fox, den: {x: 1, y: 2}}\n"
    assert problems(tmp_path, text).splitlines()[1:] == ["  pets.a: a fox has one den"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("seed: '1'", "valid integer"),
        ("seed: 1.0", "valid integer"),
        ("seed: true", "valid integer"),
        ("seed: null", "valid integer"),
    ],
)
def test_text_and_truth_values_never_fill_a_number(tmp_path, wrong, said):
    assert said in problems(tmp_path, GOOD.replace("seed: 1", wrong))


def test_a_key_of_the_file_that_nobody_reads_is_an_error(tmp_path):
    assert "  colour: Extra inputs are not permitted" in problems(tmp_path, GOOD + "colour: red\n")


class Part(Section):
    pet: Cat


PET = {"pet": "pets.{who}"}


def test_a_part_of_the_file_is_its_subtree_and_errors_name_the_place_in_the_file(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(GOOD)
    assert read_params(Part, PET, path, who="tom").pet.lives == 9
    path.write_text(GOOD.replace("lives: 9", "lives: 0"))
    with pytest.raises(
        ParamsError, match=r"pets\.tom\.lives: Input should be greater than or equal to 1 \(got 0\)"
    ):
        read_params(Part, PET, path, who="tom")


def test_a_stage_reads_the_plan_that_dvc_tracks_and_errors_name_the_place_in_the_params(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(GOOD)
    with pytest.raises(
        ParamsError, match=r"tom.json is missing, .* none: if there is pets.tom in params.yaml, `dvc"
    ):
        load_params(Part, PET, path, who="tom")
    plan = tmp_path / plan_file("pets.tom")
    write_text(plan, '{"name": "cat", "lives": 3}')
    assert load_params(Part, PET, path, who="tom").pet.lives == 3  # 9 in params.yaml
    write_text(plan, '{"name": "cat", "lives": 0}')
    with pytest.raises(
        ParamsError, match=r"/params.yaml has 1 problem\(s\):\n  pets.tom.lives: Input .*got 0"
    ):
        load_params(Part, PET, path, who="tom")
    write_text(plan, '{"name": "cat",')
    with pytest.raises(ParamsError, match=r"tom.json is not JSON \(.*\): delete it and run `dvc repro`"):
        load_params(Part, PET, path, who="tom")


def test_a_stage_reads_where_it_runs_in_the_params_themselves(tmp_path):
    class Where(Section):
        processes: int

    class Params(Section):
        hardware: Where
        seeds: tuple[int, ...]

    path = tmp_path / "params.yaml"
    path.write_text("hardware: {processes: 2}\n")
    write_text(tmp_path / plan_file("plan", "cat"), '{"seeds": [1, 2]}')
    reads = {"hardware": "hardware", "seeds": "plan.seeds"}
    assert load_params(Params, reads, path, method="cat") == Params(hardware=Where(processes=2), seeds=(1, 2))
    with pytest.raises(
        ParamsError, match=r"dog.json is missing, beside it are cat: if it is in run.methods in"
    ):
        load_params(Params, reads, path, method="dog")


def test_no_two_places_share_a_file_of_the_plan():
    places = ["run", "datasets.run", "benchmarks.a", "datasets.a", "evaluation.a", "evaluation.run"]
    files = [plan_file(place) for place in places]
    files += [plan_file("plan.seeds", name) for name in ("a", "run", "evaluation")]
    assert len(set(files)) == len(files)
    assert plan_file("plan.seeds", "a") == plan_file("plan.method", "a")


def test_a_place_that_is_not_there_lists_what_is(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(GOOD)
    with pytest.raises(ParamsError, match=r"has no pets\.felix: pets holds tom, rex"):
        read_params(Whole, {"seed": "pets.felix"}, path)


@pytest.mark.parametrize("text", ["a: [1", "a: 1\na: 2\n", "- 1\n", "a: \x00"])
def test_what_is_no_mapping_in_yaml_is_one_line(tmp_path, text):
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(ParamsError) as caught:
        read_yaml(path)
    assert "\n" not in str(caught.value)


def test_an_absent_file_says_where_to_be(tmp_path):
    with pytest.raises(ParamsError, match="run this from the root"):
        read_yaml(tmp_path / "params.yaml")


def test_merged_keys_are_not_duplicates(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\n")
    assert read_yaml(path)["b"] == {"x": 1, "y": 3}
