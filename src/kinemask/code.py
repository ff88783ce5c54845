"""Which code a stage runs: its script, and what of the package that imports, directly or through others."""

import ast
import hashlib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent

# What only starts, shows, sends, keeps or stops. No number depends on it: editing it makes nothing run again.
OBSERVERS = ("errors", "progress", "run_key", "stage", "storage", "tracking", "workers")


def code_of(script: Path, package: Path = PACKAGE) -> dict[str, str]:
    """The sha256 of a stage's script, by its name, and of files of the package, by their path from above it.

    Importing a module runs the `__init__` of the packages above it, so these count. OBSERVERS do not, nor
    what only they import. Files that are no modules, such as tables, count with the modules beside them.
    """
    modules = {_name(path, package): path for path in sorted(package.rglob("*.py"))}
    reached = set[str]()
    ahead = list(_imported(script, modules))
    while ahead:
        name = ahead.pop()
        if name not in reached and not _observes(name):
            reached.add(name)
            ahead += _imported(modules[name], modules)
            ahead += [above for above in (name.rpartition(".")[0],) if above]
    files = {modules[name] for name in reached}
    for folder in {file.parent for file in files}:
        files |= {file for file in folder.iterdir() if file.is_file() and file.suffix not in (".py", ".pyc")}
    found = {path.relative_to(package.parent).as_posix(): _sha256(path) for path in sorted(files)}
    return {script.name: _sha256(script), **found}


def _name(path: Path, package: Path) -> str:
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _observes(module: str) -> bool:
    return module.split(".")[1:2] in [[name] for name in OBSERVERS]


def _imported(path: Path, modules: Mapping[str, Path]) -> Iterator[str]:
    """The modules of the package that a file imports, wherever in it."""
    return (name for name in _named_in_imports(path.read_text()) if name in modules)


@cache  # a dozen stages share most of their modules
def _named_in_imports(source: str) -> tuple[str, ...]:
    """Modules, and what is imported from them, which may be modules too."""
    names: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [one.name for one in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names += [node.module, *(f"{node.module}.{one.name}" for one in node.names)]
    return tuple(names)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
