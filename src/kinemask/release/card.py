"""A folder to give away: an encoder's weights, and a card that says what they are and how they did."""

import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from kinemask.errors import few
from kinemask.evaluation.features import EncoderError
from kinemask.record import Record, hash_files, read_records
from kinemask.release.features import open_encoder
from kinemask.storage import StorageError, whole_folder, write_text, writing
from kinemask.training.pretrain import PRETRAINED, weights_file

WEIGHTS, CARD = "encoder.safetensors", "MODEL_CARD.md"
_TEMPLATE = "model_card.md"
_METRIC = "top1"
_SHOWN = 3
_STAGES = ("linear", "knn", "few", "semi", "finetune", "transfer")


@dataclass(frozen=True)
class Result:
    """An accuracy of the encoder, in percent."""

    subject: str
    stage: str
    setting: str
    percent: float


@dataclass(frozen=True)
class Released:
    """Where the two files lie, and how large the weights are."""

    folder: Path
    megabytes: float


def release(root: Path, benchmark: str, method: str, *, seed: int, out: Path) -> Released:
    """Write the encoder of a pretraining below `root` and its card into the folder `out`.

    Raises EncoderError if it was not pretrained, StorageError if `out` holds anything else or cannot be
    written.
    """
    source = root / PRETRAINED / benchmark / method / weights_file(seed)
    if not source.is_file():
        raise EncoderError(
            f"{source} is not there: put {benchmark}, {method} and seed {seed} into `run` of params.yaml, "
            "then `dvc repro`"
        )
    encoder, about = open_encoder(source)
    records = [one for one in read_records(root) if one.method == method and one.seed == seed]
    sha256 = _sha256(source)
    served = _served(root, source, sha256)
    trainings = [one for one in records if one.stage == "pretrain" and one.subject in served]
    pretrained = max(trainings, key=lambda one: one.seconds["work"])  # the others found it done
    method_section = pretrained.params["method"]
    text = (
        _environment()
        .from_string(files(__package__).joinpath(_TEMPLATE).read_text())
        .render(
            method=method,
            benchmark=benchmark,
            seed=seed,
            record=pretrained,
            about=about,
            simulated=method_section.get("simulated") is not None,
            real=method_section.get("real") is not None,
            num_weights=sum(parameter.numel() for parameter in encoder.parameters()),
            poolings=encoder.poolings,
            widths={pooling: encoder.pooled_width(pooling) for pooling in encoder.poolings},
            sha256=sha256,
            results=_results(records, served),
            weights=WEIGHTS,
        )
    )
    _refuse_others(out)
    with whole_folder(out) as folder, writing(out):
        shutil.copyfile(source, folder / WEIGHTS)
        write_text(folder / CARD, text)
    return Released(out, source.stat().st_size / 1e6)


def _environment() -> Environment:
    return Environment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )


def _sha256(path: Path) -> str:
    return hash_files([path])[path.as_posix()]


def _served(root: Path, weights: Path, sha256: str) -> set[str]:
    """The benchmarks whose encoder is this one: several, if it was trained without recordings."""
    files = (root / PRETRAINED).glob(f"*/{weights.parent.name}/{weights.name}")
    return {path.parent.parent.name for path in files if _sha256(path) == sha256}


def _results(records: Sequence[Record], benchmarks: Collection[str]) -> list[Result]:
    """What this one encoder reached, in every setting: nothing is chosen."""
    return [
        Result(record.subject, record.stage, setting, 100 * values[_METRIC])
        for stage in _STAGES
        for record in records
        if record.stage == stage
        for setting, values in record.metrics.items()
        if _METRIC in values and _is_of(setting, record, benchmarks)
    ]


def _is_of(setting: str, record: Record, benchmarks: Collection[str]) -> bool:
    """Whether it is of the last weights of the encoder of one of those benchmarks."""
    words = dict(word.split("=", 1) for word in setting.split() if "=" in word)
    return "step" not in words and words.get("from", record.subject) in benchmarks


def _refuse_others(out: Path) -> None:
    """Raises StorageError if the folder holds what is none of a release."""
    inside = sorted(path.name for path in out.iterdir()) if out.is_dir() else []
    others = [name for name in inside if name not in (WEIGHTS, CARD)]
    if others or out.is_file():
        found = f"holds {', '.join(few(others, _SHOWN))}" if others else "is a file"
        raise StorageError(f"{out} {found}: name a new folder with --out")
