"""Sections of params.yaml: the base class, the loader, and one message that lists every problem."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from kinemask.errors import KinemaskError

PARAMS_FILE = Path("params.yaml")

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


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with numbers, truth values and unique keys of YAML 1.2, the reading DVC uses."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - as in PyYAML, which fills it below
        first: [(tag, pattern) for tag, pattern in rules if tag not in (_BOOL, _INT, _FLOAT)]
        for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
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
    """The part of params.yaml a stage reads, checked.

    Sections see the folder of the file as `root` of the context, for paths that start there.
    `reads` maps each field of `section` to its place in the file; `{method}` and the like in a place are
    filled from `names`. Raises ParamsError that lists every problem with its place and the value found.
    """
    values = read_yaml(path)
    places = {field: place.format(**names) for field, place in reads.items()}
    found: dict[str, Any] = {}
    for field, place in places.items():
        found[field] = _lookup(values, place, path)
    return _validate(section, found, places, path)


def load_all(section: type[S], path: Path = PARAMS_FILE) -> S:
    """The whole file, checked: a key that no section knows is an error."""
    return _validate(section, read_yaml(path), {}, path)


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


def _validate(section: type[S], values: dict[str, Any], places: Mapping[str, str], path: Path) -> S:
    try:
        # As JSON, so that a list fills a tuple while text never fills a number.
        return section.model_validate_json(json.dumps(values), context={"root": path.parent})
    except ValidationError as error:
        problems = error.errors(include_url=False)
    except TypeError as error:
        raise ParamsError(
            f"{path} holds a value that is not plain text, number, list or section: {error}"
        ) from None
    lines = [f"{path} has {len(problems)} problem(s):"]
    for problem in problems:
        first, *rest = _keys(problem["loc"], values)
        place = ".".join(str(step) for step in (places.get(str(first), first), *rest))
        is_section = isinstance(problem["input"], dict)
        found = "" if problem["type"] == "missing" or is_section else f" (got {json.dumps(problem['input'])})"
        lines.append(f"  {place}: {problem['msg'].removeprefix('Value error, ')}{found}")
    raise ParamsError("\n".join(lines))


def _keys(location: tuple[str | int, ...], values: Any) -> list[str | int]:
    """The steps of an error's location that are keys of the file: pydantic adds names of union members."""
    keys: list[str | int] = []
    node = values
    for step in location[:-1]:
        is_key = step in node if isinstance(node, dict) else isinstance(node, list) and isinstance(step, int)
        if is_key:
            keys.append(step)
            node = node[step]
    return [*keys, *location[-1:]] or ["the file"]
