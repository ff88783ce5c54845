"""Sections of params.yaml: the base class, the loader, and one message that lists every problem."""

import json
import re
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from kinemask.errors import KinemaskError

PARAMS_FILE = Path("params.yaml")
# What the params stage settled: a file of JSON for each section that a stage depends on. For each instance
# of a stage with `params:` DVC reads all of params.yaml again; the hash of a file it knows.
PLAN = Path("data/plan")
# Of params.yaml itself: on what it runs and where bytes come from, which change no result.
UNPLANNED = ("hardware", "download")

Keys = tuple[str | int, ...]
Problem = tuple[Keys, str]  # where in the values, and what is wrong there
Trace = Callable[[list[Problem]], list[Problem]]

N = TypeVar("N", int, float)
S = TypeVar("S", bound="Section")

_MERGE = "tag:yaml.org,2002:merge"
_BOOL, _INT, _FLOAT = (f"tag:yaml.org,2002:{kind}" for kind in ("bool", "int", "float"))
_YAML12_FLOAT = re.compile(
    r"""^(?:[-+]?(?:[0-9][0-9_]*)\.[0-9_]*(?:[eE][-+]?[0-9]+)?
    |[-+]?(?:[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)
    |\.[0-9_]+(?:[eE][-+]?[0-9]+)?
    |[-+]?\.(?:inf|Inf|INF)
    |\.(?:nan|NaN|NAN))$""",
    re.VERBOSE,
)


class ParamsError(KinemaskError):
    """params.yaml is wrong: the message names every place, what is wrong there and what was found."""


class Section(BaseModel):
    """A frozen part of params.yaml in which every key is known, typed and in range."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def _ascending(values: tuple[N, ...]) -> tuple[N, ...]:
    if any(left >= right for left, right in pairwise(values)):
        raise ValueError("must be ascending, each value once")
    return values


ASCENDING = AfterValidator(_ascending)  # of a field that holds a tuple of numbers


def _ordered(pair: tuple[N, N]) -> tuple[N, N]:
    if pair[0] > pair[1]:
        raise ValueError("the first number must not be greater than the second")
    return pair


# The smallest and the largest of what is drawn.
Range = Annotated[tuple[float, float], AfterValidator(_ordered)]
CountRange = Annotated[
    tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]], AfterValidator(_ordered)
]


class _Loader(yaml.CSafeLoader):
    """PyYAML's safe loader with numbers, truth values and unique keys of YAML 1.2, the reading DVC uses."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - as in PyYAML, which fills it below
        first: [(tag, pattern) for tag, pattern in rules if tag not in (_BOOL, _INT, _FLOAT)]
        for first, rules in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        text = str(self.construct_scalar(node)).replace("_", "")
        return int(text, 0) if text[:2] in ("0x", "0o") else int(text)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        own = [key for key, _ in node.value if key.tag != _MERGE]
        keys = [self.construct_object(key, deep=True) for key in own]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} appears twice", node.start_mark
                )
        return super().construct_mapping(node, deep)


_Loader.add_constructor(_INT, _Loader.construct_yaml_int)
_Loader.add_implicit_resolver(_BOOL, re.compile("^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))
_Loader.add_implicit_resolver(
    _INT, re.compile("^(?:[-+]?[0-9][0-9_]*|0o[0-7]+|0x[0-9a-fA-F]+)$"), list("-+0123456789")
)
_Loader.add_implicit_resolver(_FLOAT, _YAML12_FLOAT, list("-+0123456789."))


def read_yaml(path: Path = PARAMS_FILE) -> dict[str, Any]:
    """The file as plain values, unchecked. Raises ParamsError if it is absent or not YAML."""
    try:
        values = yaml.load(path.read_text(), Loader=_Loader)
    except FileNotFoundError:
        raise ParamsError(f"{path} is missing: run this from the root of the project") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ParamsError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise ParamsError(f"{path} must hold sections, found {type(values).__name__}")
    return values


def load_params(section: type[S], reads: Mapping[str, str], path: Path = PARAMS_FILE, **names: str) -> S:
    """What a stage reads of the plan, and of UNPLANNED in params.yaml, checked.

    `reads` maps each field of `section` to its place in params.yaml; `{method}` and the like in a place are
    filled from `names`. A place below `plan` is one in the plan of the method, see `plan_file`.
    Raises ParamsError that lists every problem with its place in params.yaml and the value found.
    """
    places = {field: place.format(**names) for field, place in reads.items()}
    direct = [place for place in places.values() if place.split(".")[0] in UNPLANNED]
    values = read_yaml(path) if direct else {}
    found = {
        field: _lookup(values, place, path) if place in direct else _planned(path.parent, place, names)
        for field, place in places.items()
    }
    return _validated(section, found, places, path)


def read_params(section: type[S], reads: Mapping[str, str], path: Path = PARAMS_FILE, **names: str) -> S:
    """Like `load_params`, but all of it from params.yaml itself: for who comes before the params stage."""
    places = {field: place.format(**names) for field, place in reads.items()}
    values = read_yaml(path)
    found = {field: _lookup(values, place, path) for field, place in places.items()}
    return _validated(section, found, places, path)


def plan_file(place: str, method: str = "") -> Path:
    """Where the params stage writes what is at a place of params.yaml, such as `evaluation.linear`.

    Places below `plan` share one file, that of the method: its seeds, its recipes in full and the people that
    are simulated for it.
    """
    parts = ("methods", method) if place.split(".")[0] == "plan" else place.split(".")
    return PLAN.joinpath(*parts[:-1], f"{parts[-1]}.json")


def _validated(section: type[S], found: dict[str, Any], places: Mapping[str, str], path: Path) -> S:
    def trace(problems: list[Problem]) -> list[Problem]:
        return [((places.get(str(first), first), *rest), text) for (first, *rest), text in problems]

    return validate(section, found, path, trace)


def validate(section: type[S], values: dict[str, Any], path: Path, trace: Trace = list, **context: Any) -> S:
    """The values as `section`: a key that it does not know is an error. Sections see `context` and the root.

    `trace` says where in the file the problems of the values are, where that is another place, and may leave
    out what is said already. Raises ParamsError that lists every problem once.
    """
    try:
        # As JSON, so that a list fills a tuple while text never fills a number.
        return section.model_validate_json(json.dumps(values), context={"root": path.parent, **context})
    except ValidationError as error:
        problems = [describe(one, values) for one in error.errors(include_url=False)]
    except TypeError as error:
        raise ParamsError(
            f"{path} holds a value that is not plain text, number, list or section: {error}"
        ) from None
    raise params_error(path, trace(problems))


def describe(error: Mapping[str, Any], values: dict[str, Any]) -> Problem:
    """What one of pydantic's errors says of `values`, and where in them."""
    is_section = isinstance(error["input"], dict)
    found = "" if error["type"] == "missing" or is_section else f" (got {json.dumps(error['input'])})"
    return _keys(error["loc"], values), f"{error['msg'].removeprefix('Value error, ')}{found}"


def params_error(path: Path, problems: list[Problem]) -> ParamsError:
    """The error that lists the problems, each once."""
    lines = problem_lines(problems)
    return ParamsError("\n".join([f"{path} has {len(lines)} problem(s):", *(f"  {line}" for line in lines)]))


def problem_lines(problems: list[Problem]) -> list[str]:
    """Each problem once, as `place.in.the.file: what is wrong`."""
    return list(dict.fromkeys(f"{'.'.join(map(str, keys))}: {text}" for keys, text in problems))


def _planned(root: Path, place: str, names: Mapping[str, str]) -> Any:
    path = root / plan_file(place, names.get("method", ""))
    try:
        values = json.loads(path.read_bytes())
    except FileNotFoundError:
        where = "it is in run.methods" if place.startswith("plan.") else f"there is {place}"
        others = ", ".join(sorted(other.stem for other in path.parent.glob("*.json"))) or "none"
        raise ParamsError(
            f"{path} is missing, beside it are {others}: if {where} in params.yaml, "
            "`dvc repro stages/dvc.yaml:params` writes it"
        ) from None
    except ValueError as error:
        raise ParamsError(f"{path} is not JSON ({error}): delete it and run `dvc repro`") from None
    return _lookup({"plan": values}, place, path) if place.startswith("plan.") else values


def _lookup(values: dict[str, Any], place: str, path: Path) -> Any:
    node: Any = values
    parts = place.split(".")
    for depth, part in enumerate(parts):
        if not isinstance(node, dict) or part not in node:
            where = ".".join(parts[:depth]) or "the file"
            known = ", ".join(map(str, node)) if isinstance(node, dict) else "no sections"
            raise ParamsError(f"{path} has no {place}: {where} holds {known}")
        node = node[part]
    return node


def _keys(location: Keys, values: Any) -> Keys:
    """The steps of an error's location that are keys of the file: pydantic adds names of union members."""
    keys: list[str | int] = []
    node = values
    for step in location[:-1]:
        is_key = step in node if isinstance(node, dict) else isinstance(node, list) and isinstance(step, int)
        if is_key:
            keys.append(step)
            node = node[step]
    last = location[-1:]
    if last and isinstance(node, dict) and last[0] not in node and node.get("name") == last[0]:
        last = ()  # a rule of one member of a union, which pydantic calls as the section calls itself
    return (*keys, *last) or ("the file",)
