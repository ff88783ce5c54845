"""What MLflow shows of a record: names it accepts, params, tags, metrics and the series of the history."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from kinemask.record import RECORDS, Record

MAX_NAME = 250
MAX_VALUE = 500  # older servers refuse longer params; the whole value is in record.json
STAGES_ON_DATASETS = ("download", "preprocess")  # the subject of all other stages is a benchmark

_ILLEGAL = re.compile(r"[^/\w.\- ]", re.ASCII)

Point = tuple[str, int, float]  # name, step, value


def record_name(record: Record) -> str:
    """The record's path below records/ without its ending, such as `linear/ntu60-xsub/mtmc/seed-0`."""
    return record.path.relative_to(RECORDS).with_suffix("").as_posix()


def shown_name(record: Record) -> str:
    """What tells runs apart comes first, because MLflow's column is narrow: `linear mtmc 0 ntu60-xsub`."""
    parts = (record.stage, record.method, record.seed, record.subject)
    return " ".join(str(part) for part in parts if part is not None)


def record_hash(record: Record) -> str:
    """The same for the same content, however the file is laid out."""
    return hashlib.sha256(record.model_dump_json().encode()).hexdigest()


def legal_names(names: Iterable[str]) -> dict[str, str]:
    """Each name -> one that MLflow accepts: other characters become `-`, and no two names become one."""
    legal: dict[str, str] = {}
    for name in names:
        short = _legal(name)
        if short in legal.values():
            digest = hashlib.sha256(name.encode()).hexdigest()[:8]
            short = f"{short[: MAX_NAME - 9]} {digest}"
        legal[name] = short
    return legal


def params_of(record: Record) -> dict[str, str]:
    """Params and hardware as flat text, `section.key` -> value, long values cut short."""
    flat = dict(_flatten(record.params, ""))
    flat |= dict(_flatten(record.hardware, "hardware."))
    legal = legal_names(flat)
    return {legal[name]: _cut(_text(value)) for name, value in flat.items()}


def tags_of(record: Record, dataset: str | None) -> dict[str, str]:
    """The columns by which runs are found and compared. `dataset` is that of the record's benchmark."""
    on_dataset = record.stage in STAGES_ON_DATASETS
    tags = {
        "stage": record.stage,
        "benchmark": None if on_dataset else record.subject,
        "dataset": record.subject if on_dataset else dataset,
        "method": record.method,
        "seed": record.seed,
        "commit": record.commit,
        "mlflow.source.git.commit": record.commit,
    }
    tags |= {f"input.{name}": value for name, value in record.inputs.items()}
    tags |= {f"environment.{name}": value for name, value in record.environment.items()}
    known = {name: value for name, value in tags.items() if value not in (None, "")}
    legal = legal_names(known)
    return {legal[name]: _cut(str(value)) for name, value in known.items()}


def series_of(stage: str, rows: Iterable[Mapping[str, float | int]]) -> list[Point]:
    """The history as points: `pretrain/loss` at each row's "step"."""
    points = [
        (f"{stage}/{name}", int(row["step"]), float(value))
        for row in rows
        for name, value in row.items()
        if name != "step"
    ]
    legal = legal_names(dict.fromkeys(name for name, _, _ in points))
    return [(legal[name], step, value) for name, step, value in points]


def metrics_of(record: Record) -> list[Point]:
    """The results, such as `linear/top1 pooling-mean`, at the last step of the history, and their cost."""
    last = max((int(row["step"]) for row in record.history), default=0)
    results = [
        (f"{record.stage}/{name} {setting}".rstrip(), last, value)
        for setting, found in record.metrics.items()
        for name, value in found.items()
    ]
    costs = [(f"seconds/{phase}", 0, value) for phase, value in record.seconds.items()]
    points = [*results, *costs, ("memory/peak_mib", 0, record.peak_memory_mib)]
    legal = legal_names(name for name, _, _ in points)
    return [(legal[name], step, value) for name, step, value in points]


def _legal(name: str) -> str:
    parts = [part for part in _ILLEGAL.sub("-", name).split("/") if part]
    legal = "/".join("-" if part in (".", "..") else part for part in parts).strip() or "-"
    if len(legal) <= MAX_NAME:
        return legal
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{legal[: MAX_NAME - 9]} {digest}"


def _flatten(section: Mapping[str, Any], prefix: str) -> Iterable[tuple[str, Any]]:
    for key, value in section.items():
        if isinstance(value, Mapping) and value:
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _cut(value: str) -> str:
    return value if len(value) <= MAX_VALUE else f"{value[: MAX_VALUE - 3]}..."
