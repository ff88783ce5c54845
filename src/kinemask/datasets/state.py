"""How far the datasets are, and what can be said of their archives: what `kinemask data` prints."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from kinemask.datasets import DATASETS, DatasetConfig
from kinemask.datasets.archives.fetch import SOURCE_FILE, lost_links
from kinemask.datasets.archives.gated import about_remotes
from kinemask.datasets.archives.mirrors import (
    DownloadConfig,
    is_url,
    local_path,
    mirrors_in_order,
    misnamed,
)
from kinemask.datasets.reader import DatasetError, Verdict
from kinemask.errors import few
from kinemask.section import Section, read_params, read_yaml
from kinemask.skeleton.packed import PACKED

RAW = Path("data/raw")
_NAMED = 3
_NOT_HERE = "not here yet"
_READS = {"dataset": "datasets.{dataset}", "download": "download"}


class _Params(Section):
    dataset: DatasetConfig
    download: DownloadConfig


def check_dataset(root: Path, name: str) -> Verdict:
    """What the archives of a dataset are like, before anyone waits for them. Raises ParamsError."""
    params = read_params(_Params, _READS, root / "params.yaml", dataset=name)
    own = [mirror if is_url(mirror) else str(root / local_path(mirror)) for mirror in params.download.mirrors]
    mirrors = mirrors_in_order(own)
    reader = DATASETS[params.dataset.name]
    try:
        verdict = reader.check(params.dataset, name, mirrors)
    except DatasetError as error:
        verdict = Verdict("unusable", (), (str(error),))
    remotes = about_remotes(root) if reader.gated else None
    so_far = _state(root, name)
    facts = (
        *verdict.facts,
        *([f"so far: {so_far}"] if so_far != _NOT_HERE else []),
        *([f"{name} is {remotes}"] if remotes else []),
    )
    problems = (
        *misnamed(mirrors),
        *verdict.problems,
        *few(lost_files(root, [name]), _NAMED),
        *_overtaken(root, name, verdict),
    )
    return replace(verdict, facts=facts, problems=problems)


def _overtaken(root: Path, name: str, verdict: Verdict) -> Iterator[str]:
    """What to do if other files are found now than those in use: DVC does not look for new ones."""
    raw = root / RAW / name
    in_use = {path.resolve() for path in raw.rglob("*") if path.is_symlink()}
    found = {path.resolve() for path in verdict.files}
    if verdict.files and in_use and in_use != found:
        yield (
            f"{RAW / name} was made of {len(in_use)} file(s), {len(in_use - found)} of them not among the "
            f"{len(found)} found now: remove {RAW / name}, and the next `dvc repro` takes these"
        )


def worded(name: str, verdict: Verdict) -> str:
    """A verdict as text: the state first, then what was found, then with a mark what is wrong or missing."""
    facts = [f"  {fact}" for fact in verdict.facts]
    problems = [f"  ! {problem}".replace("\n", "\n  ") for problem in verdict.problems]
    return "\n".join([f"{name}: {verdict.state}", *facts, *problems])


def is_good(verdict: Verdict) -> bool:
    """Whether nothing stands in the way of preparing all of the dataset."""
    return verdict.state in ("whole", "made here", "downloadable")


def lost_files(root: Path, names: Iterable[str]) -> list[str]:
    """What these datasets have in use and is gone, one line each: DVC stops at links that lead nowhere."""
    return [
        f"{path.relative_to(root)} leads to {path.readlink()}, which is gone: put it back, or remove "
        f"{RAW / name}, and the next run looks for its files again"
        for name in names
        for path in lost_links(root / RAW / name)
    ]


def list_datasets(root: Path) -> str:
    """One line a dataset of params.yaml: whether it is packed, downloaded or neither. Raises ParamsError."""
    names = list(read_yaml(root / "params.yaml").get("datasets", {}))
    width = max(map(len, names), default=0)
    return "\n".join(f"{name:{width}}  {_state(root, name)}" for name in names)


def _state(root: Path, name: str) -> str:
    try:
        about = json.loads((root / PACKED / name / "dataset.json").read_text())
        return f"packed: {about['num_clips']:,} clips" + ("" if about["complete"] else ", not complete")
    except (OSError, ValueError, KeyError):
        pass
    if (root / RAW / name / SOURCE_FILE).is_file():
        return "downloaded, not packed"
    return _NOT_HERE
