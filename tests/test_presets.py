"""Presets that inherit, on a small schema of their own."""

from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, model_validator

from kinemask.presets import merge, resolve, trace
from kinemask.section import ParamsError, Section, validate

FILE = Path("params.yaml")


class Slow(Section):
    name: Literal["slow"]


class Fast(Section):
    name: Literal["fast"]
    factor: float = Field(gt=0)


class Geared(Section):
    name: Literal["geared"]
    factor: float = Field(gt=0)
    gears: int


class Recipe(Section):
    steps: int = Field(ge=1)
    layers: tuple[int, ...]
    speed: Annotated[Slow | Fast | Geared, Field(discriminator="name")]
    note: dict[str, int] | None

    @model_validator(mode="after")
    def _fits(self) -> "Recipe":
        if self.steps == 13:
            raise ValueError("13 steps bring bad luck")
        return self


class Preset(Section):
    small: Recipe
    paper: Recipe


class Whole(Section):
    methods: dict[str, Preset]


def base(**changes: Any) -> dict[str, Any]:
    recipe = {"steps": 5, "layers": [1, 2], "speed": {"name": "fast", "factor": 2.0}, "note": {"a": 1}}
    return {"small": {**recipe, **changes}, "paper": {**recipe, "steps": 50}}


def said(methods: dict[str, Any]) -> list[str]:
    """What is wrong, line by line without the first."""
    with pytest.raises(ParamsError) as caught:
        validate(Whole, {"methods": resolve(methods, FILE)}, FILE, lambda problems: trace(methods, problems))
    first, *lines = str(caught.value).splitlines()
    assert first == f"params.yaml has {len(lines)} problem(s):"
    return [line.strip() for line in lines]


def test_a_preset_is_its_base_with_changes_of_both_sizes_and_of_one():
    derived = {"base": "m", "changes": {"note": {"b": 2}}, "paper": {"steps": 60, "note": {"a": 9}}}
    found = resolve({"m": base(), "d": derived}, FILE)
    assert found["m"] == base()
    assert found["d"]["small"] == base()["small"] | {"note": {"a": 1, "b": 2}}
    assert found["d"]["paper"] == base()["paper"] | {"steps": 60, "note": {"a": 9, "b": 2}}


def test_a_chain_may_stand_in_any_order():
    methods = {
        "c": {"base": "b", "changes": {"steps": 7}},
        "b": {"base": "m", "changes": {"steps": 6, "note": None}},
        "m": base(),
    }
    assert resolve(methods, FILE)["c"]["small"] == base()["small"] | {"steps": 7, "note": None}


def test_a_mapping_of_another_name_replaces_the_one_it_meets_whole():
    fast = {"name": "fast", "factor": 2.0}
    assert merge(fast, {"name": "slow"}) == {"name": "slow"}
    assert merge(fast, {"name": "fast", "factor": 3.0}) == {"name": "fast", "factor": 3.0}
    assert merge(fast, {"factor": 3.0}) == {"name": "fast", "factor": 3.0}
    assert merge({"factor": 2.0}, {"name": "slow"}) == {"name": "slow"}


def test_whatever_is_no_mapping_replaces():
    assert merge({"a": {"b": 1}}, {"a": None}) == {"a": None}
    assert merge({"a": None}, {"a": {"b": 1}}) == {"a": {"b": 1}}
    assert merge({"a": [1, 2]}, {"a": [3]}) == {"a": [3]}


def test_merging_changes_neither_of_the_two():
    under, over = {"a": {"b": 1}}, {"a": {"c": 2}}
    assert merge(under, over) == {"a": {"b": 1, "c": 2}}
    assert (under, over) == ({"a": {"b": 1}}, {"a": {"c": 2}})


@pytest.mark.parametrize(
    ("methods", "line"),
    [
        ({"d": {"base": "n"}}, "methods.d.base: there is no method 'n'; there are m, d"),
        ({"d": {"base": ["m"]}}, "methods.d.base: there is no method ['m']; there are m, d"),
        (
            {"d": {"base": "d"}},
            "methods.d.base: d -> d never ends: one of them must be written in full",
        ),
        (
            {"d": {"base": "e"}, "e": {"base": "f"}, "f": {"base": "d"}, "g": {"base": "f"}},
            "methods.d.base: d -> e -> f -> d never ends: one of them must be written in full",
        ),
        (
            {"d": {"base": "m", "change": {"steps": 3}}},
            "methods.d.change: beside base there may be changes, small, paper, each a section",
        ),
        (
            {"d": {"base": "m", "small": None}},
            "methods.d.small: beside base there may be changes, small, paper, each a section",
        ),
    ],
)
def test_a_base_that_does_not_exist_or_never_ends_is_one_line(methods, line):
    assert said({"m": base(), **methods}) == [line]


@pytest.mark.parametrize(
    ("derived", "line"),
    [
        ({"changes": {"stepps": 3}}, "methods.d.changes.stepps: Extra inputs are not permitted (got 3)"),
        (
            {"paper": {"speed": {"factor": 0.0}}},
            "methods.d.paper.speed.factor: Input should be greater than 0 (got 0.0)",
        ),
        (
            {"small": {"note": {"b": "x"}}},
            'methods.d.small.note.b: Input should be a valid integer (got "x")',
        ),
        ({"changes": {"layers": [1, "two"]}}, 'methods.d.changes.layers.1: Input should be a valid integer'),
        ({"changes": {"speed": {"name": "fast", "facto": 1.0}}}, "methods.d.changes.speed.facto: Extra"),
        (
            {"changes": {"note": {"b": 1}}, "small": {"note": {"b": "x"}}},
            'methods.d.small.note.b: Input should be a valid integer (got "x")',
        ),
        ({"small": {"steps": 13}}, "methods.d.small: 13 steps bring bad luck"),
    ],
)  # fmt: skip
def test_what_a_preset_gets_wrong_is_told_where_its_user_wrote_it(derived, line):
    (found,) = said({"m": base(), "d": {"base": "m", **derived}})
    assert found.startswith(line)


def test_a_key_that_a_new_mapping_lacks_is_told_at_that_mapping():
    methods = {"m": base(speed={"name": "slow"}), "d": {"base": "m", "small": {"speed": {"name": "fast"}}}}
    assert said(methods) == ["methods.d.small.speed.factor: Field required"]


@pytest.mark.parametrize("changes", [{}, {"note": {"b": 2}}])
def test_a_key_that_the_base_has_in_another_kind_is_told_where_the_kind_was_chosen(changes):
    """`factor` is in the file, below m, but the mapping of another name left nothing of it."""
    chosen = {"base": "m", "changes": changes, "small": {"speed": {"name": "geared", "gears": 5}}}
    line = "methods.d.small.speed.factor: Field required"
    assert said({"m": base(), "d": chosen}) == [line]
    above = {"base": "d", "small": {"speed": {"gears": 6}}}
    assert said({"m": base(), "d": chosen, "e": above}) == [line]


def test_a_key_of_a_section_that_was_emptied_between_is_told_where_it_is_filled_again():
    methods = {
        "m": base(speed={"name": "geared", "factor": 2.0, "gears": 5}),
        "d": {"base": "m", "small": {"speed": {"name": "slow"}}},
        "e": {"base": "d", "small": {"speed": {"name": "geared", "gears": 5}}},
    }
    assert said(methods) == ["methods.e.small.speed.factor: Field required"]
    methods["d"]["small"] = {"speed": None}
    assert "methods.e.small.speed.factor: Field required" in said(methods)


def test_a_value_in_the_same_kind_stays_told_where_it_is_written():
    wrong = base(speed={"name": "geared", "factor": 2.0, "gears": "x"})
    methods = {"m": wrong, "d": {"base": "m", "small": {"speed": {"name": "geared", "factor": 0.0}}}}
    assert said(methods) == [
        'methods.m.small.speed.gears: Input should be a valid integer (got "x")',
        "methods.d.small.speed.factor: Input should be greater than 0 (got 0.0)",
    ]


def test_all_bases_that_are_no_name_are_told_before_any_chain_is_followed():
    methods = {"m": base(), "d": {"base": ["m"]}, "e": {"base": "d"}, "f": {"base": "f"}, "g": {"base": {}}}
    assert said(methods) == [
        "methods.d.base: there is no method ['m']; there are m, d, e, f, g",
        "methods.g.base: there is no method {}; there are m, d, e, f, g",
    ]


@pytest.mark.parametrize(("key", "name"), [(2024, "2024"), (1.5, "1.5"), (True, "True"), (None, "None")])
def test_a_method_whose_name_is_no_text_is_told_to_be_quoted(key, name):
    line = f"methods.{name}: the name of a method is text: write '{name}' in quotes"
    assert said({"m": base(), key: {"base": "m", "small": {"steps": 0}}}) == [line]
    assert said({"m": base(), key: base(), "d": {"base": key}}) == [line]


def test_what_is_wrong_with_a_base_is_not_told_again_for_all_that_inherit_it():
    methods = {
        "m": base(steps=0),
        "d": {"base": "m", "changes": {"note": {"b": 2}}},
        "e": {"base": "d", "changes": {"layers": []}},
    }
    assert said(methods) == ["methods.m.small.steps: Input should be greater than or equal to 1 (got 0)"]
    methods["m"] = base(steps=13)
    assert said(methods) == ["methods.m.small: 13 steps bring bad luck"]


def test_entries_in_full_and_what_is_no_mapping_are_left_to_the_schema():
    assert resolve({"m": base(), "n": 3}, FILE) == {"m": base(), "n": 3}
    assert resolve(None, FILE) is None
    (line,) = said({"m": base(), "n": 3})
    assert line.startswith("methods.n: Input should be an object")
