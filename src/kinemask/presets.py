"""Presets of `methods` that inherit: the recipes of another with changes. Resolved here and nowhere else.

Beside `{small: ..., paper: ...}` an entry may be `{base: mtmc, changes: ..., small: ..., paper: ...}`: the
recipes of `base`, then `changes` (both sizes), then those of the size. Mappings merge key by key, but one of
another `name` than the mapping it meets replaces it whole, as it is of another kind. Anything else replaces.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from kinemask.section import Keys, Problem, params_error

SIZES: tuple[Literal["small"], Literal["paper"]] = ("small", "paper")
BASE, CHANGES = "base", "changes"
_MAPPINGS = (CHANGES, *SIZES)
_ROOT = "methods"


def resolve(methods: Any, path: Path) -> Any:
    """`methods` of params.yaml with every entry in its full form.

    Raises ParamsError where a name is no text, or a base does not exist or never ends. Everything else that
    is wrong is left to the sections to find; `trace` says where it is written.
    """
    if not isinstance(methods, dict):
        return methods
    entries = [name for name in methods if _is_derived(methods[name])]
    problems = (  # each asks for what those before it have found to be so
        [problem for name in methods for problem in _no_text(name)]
        or [problem for name in entries for problem in _no_base(methods, name)]
        or [
            problem
            for name in entries
            for problem in (*_endless(methods, name), *_unknown(methods[name], name))
        ]
    )
    if problems:
        raise params_error(path, problems)
    return {name: _resolved(methods, name) for name in methods}


def merge(under: Any, over: Any) -> Any:
    """`under` with `over` written into it."""
    if not isinstance(under, dict) or not isinstance(over, dict):
        return over
    if "name" in over and over["name"] != under.get("name"):
        return over
    return {**under, **{key: merge(under[key], new) if key in under else new for key, new in over.items()}}


def trace(methods: Any, problems: list[Problem]) -> list[Problem]:
    """The problems of resolved values at the places where they are written.

    What is wrong with a base is said there, and not again for all that inherit it.
    """
    found = set(problems)
    written = []
    for keys, text in problems:
        if keys[0] != _ROOT or len(keys) < 3 or not _is_derived(methods[keys[1]]):
            written.append((keys, text))
        elif ((_ROOT, methods[keys[1]][BASE], *keys[2:]), text) not in found:
            written.append((_place(methods, keys), text))
    return written


def derived(methods: Any) -> list[str]:
    """The names of the entries that have a base."""
    return (
        [name for name, entry in methods.items() if _is_derived(entry)] if isinstance(methods, dict) else []
    )


def _is_derived(entry: Any) -> bool:
    return isinstance(entry, dict) and BASE in entry


def _no_text(name: Any) -> list[Problem]:
    if isinstance(name, str):
        return []
    return [((_ROOT, str(name)), f"the name of a method is text: write '{name}' in quotes")]


def _no_base(methods: dict[str, Any], name: str) -> list[Problem]:
    base = methods[name][BASE]
    if isinstance(base, str) and base in methods:
        return []
    return [((_ROOT, name, BASE), f"there is no method {base!r}; there are {', '.join(methods)}")]


def _endless(methods: dict[str, Any], name: str) -> list[Problem]:
    chain = [name]
    while _is_derived(methods[chain[-1]]) and chain[-1] not in chain[:-1]:
        chain.append(methods[chain[-1]][BASE])
    if not (chain[-1] == name == min(chain, key=list(methods).index)):
        return []  # a circle is told once, by the first of it
    circle = " -> ".join(chain)
    return [((_ROOT, name, BASE), f"{circle} never ends: one of them must be written in full")]


def _unknown(entry: dict[str, Any], name: str) -> list[Problem]:
    return [
        ((_ROOT, name, str(key)), f"beside {BASE} there may be {', '.join(_MAPPINGS)}, each a section")
        for key, value in entry.items()
        if key != BASE and (key not in _MAPPINGS or not isinstance(value, dict))
    ]


def _resolved(methods: dict[str, Any], name: str) -> Any:
    entry = methods[name]
    if not _is_derived(entry):
        return entry
    base = _resolved(methods, entry[BASE])
    if not isinstance(base, dict):
        return base
    changed = {size: merge(recipe, entry.get(CHANGES, {})) for size, recipe in base.items()}
    return {size: merge(recipe, entry.get(size, {})) for size, recipe in changed.items()}


def _layers(methods: dict[str, Any], name: str, size: str) -> Iterator[tuple[Keys, Any]]:
    """What is written into a recipe, with its place in the file, the last word first."""
    while _is_derived(methods[name]):
        for part in (size, CHANGES):
            yield (_ROOT, name, part), methods[name].get(part, {})
        name = methods[name][BASE]
    yield (_ROOT, name, size), methods[name].get(size)


def _place(methods: dict[str, Any], keys: Keys) -> Keys:
    """Where in the file the last word on a key is; of a missing key, on the section that lacks it."""
    _, name, size, *inside = keys
    layers = _in_force(list(_layers(methods, str(name), str(size))), inside)
    for depth in range(len(inside), 0, -1):
        for place, values in layers:
            if _holds(values, inside[:depth]):
                return (*place, *inside)
    return keys


def _in_force(layers: list[tuple[Keys, Any]], keys: list[str | int]) -> list[tuple[Keys, Any]]:
    """The layers down to the first that replaces something on the way to the key: it hides the others."""
    found: list[tuple[Keys, Any]] = []
    under: Any = {}
    for place, values in reversed(layers):
        found = [(place, values), *([] if _replaces(under, values, keys) else found)]
        under = merge(under, values)
    return found


def _replaces(under: Any, over: Any, keys: list[str | int]) -> bool:
    for key in keys:
        if not (_holds(under, [key]) and _holds(over, [key])):
            return False
        under, over = under[key], over[key]
        if merge(under, over) is over:
            return True
    return False


def _holds(values: Any, keys: list[str | int]) -> bool:
    for key in keys:
        if not isinstance(values, dict) or key not in values:
            return False
        values = values[key]
    return True
