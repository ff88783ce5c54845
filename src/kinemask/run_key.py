"""The name of a run: a hash of everything that defines it, so that only itself can be resumed."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

PACKAGE = Path(__file__).parent

# What decides the numbers of a pretraining. `progress.py` and `record.py` only watch.
TRAINING_CODE = (
    "skeleton", "augment", "masking", "encoders", "objectives", "methods", "training",
    "seeding.py", "section.py",
)  # fmt: skip


def run_key(parts: Mapping[str, str]) -> str:
    """64 hex digits that change with the name or the text of any part, and not with their order."""
    return hashlib.sha256(json.dumps(dict(parts), sort_keys=True).encode()).hexdigest()


def code_digest(packages: Sequence[str] = TRAINING_CODE, *, root: Path = PACKAGE) -> str:
    """sha256 over the paths and sources of the named subpackages and `.py` modules of kinemask.

    Raises FileNotFoundError for a name that is neither.
    """
    digest = hashlib.sha256()
    for path in sorted(source for name in set(packages) for source in _sources(root / name)):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.relative_to(root).as_posix()} {content}\n".encode())
    return digest.hexdigest()


def _sources(place: Path) -> list[Path]:
    if place.is_file():
        return [place]
    found = list(place.rglob("*.py"))
    if not found:
        raise FileNotFoundError(f"{place} holds no Python source, so it cannot be part of a run's name")
    return found
