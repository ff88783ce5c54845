from typing import Annotated, Literal

import pytest
from pydantic import Field, model_validator

from kinemask.section import ParamsError, Section, load_params, read_yaml, validate


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


def test_a_stage_gets_its_subtree_and_errors_name_the_place_in_the_file(tmp_path):
    class Part(Section):
        pet: Cat

    path = tmp_path / "params.yaml"
    path.write_text(GOOD)
    assert load_params(Part, {"pet": "pets.{who}"}, path, who="tom").pet.lives == 9
    path.write_text(GOOD.replace("lives: 9", "lives: 0"))
    with pytest.raises(
        ParamsError, match=r"pets\.tom\.lives: Input should be greater than or equal to 1 \(got 0\)"
    ):
        load_params(Part, {"pet": "pets.{who}"}, path, who="tom")


def test_a_place_that_is_not_there_lists_what_is(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(GOOD)
    with pytest.raises(ParamsError, match=r"has no pets\.felix: pets holds tom, rex"):
        load_params(Whole, {"seed": "pets.felix"}, path)


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
