"""Checkpoints: a file that is always whole, in a folder that one run owns and one process at a time uses."""

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from kinemask.errors import KinemaskError
from kinemask.run_key import run_key
from kinemask.storage import write_whole

CHECKPOINTS = Path(".checkpoints")
LOCK_TIMEOUT_SECONDS = 600.0
FOLDER_DIGITS = 16
NAMED_PROBLEMS = 3  # how many bad tensors a message names

_LOG = logging.getLogger(__name__)


class CheckpointError(KinemaskError):
    """A checkpoint cannot be read or written: the message names the file, what is wrong and the cure."""


@dataclass(frozen=True)
class TrainingState:
    """Where a training stands, apart from its weights and its optimiser."""

    step: int  # optimiser steps done
    history: list[dict[str, float]]  # the rows logged so far
    totals: dict[str, Tensor]  # sums of the terms since the last row
    num_counted: int  # steps in `totals`


class Checkpoints:
    """The one checkpoint of a run, and the weights it keeps. `open_checkpoints` keeps other processes out."""

    def __init__(self, folder: Path, *, key: str) -> None:
        self.folder = folder
        self.key = key
        self.path = folder / "checkpoint.safetensors"

    def save(self, *, method: nn.Module, optimizer: torch.optim.Optimizer, state: TrainingState) -> None:
        """Replace the checkpoint in one step: killed at any point, the old or the new one is there, whole.

        Raises CheckpointError if the disk refuses; the old checkpoint stays.
        """
        tensors = {
            **_prefixed("method", method.state_dict()),
            **_prefixed("optimizer", _optimizer_tensors(optimizer)),
            **_prefixed("totals", state.totals),
        }
        about = json.dumps(
            {
                "run": self.key,
                "step": state.step,
                "history": state.history,
                "terms": list(state.totals),  # their order, which the file of tensors does not keep
                "num_counted": state.num_counted,
                "groups": _groups(optimizer),
            }
        )
        self._write(self.path, tensors, about)

    def load(self, *, method: nn.Module, optimizer: torch.optim.Optimizer) -> TrainingState | None:
        """Put the checkpoint into method and optimiser; None if this run has none yet.

        Raises CheckpointError if the file is not exactly what such a method and optimiser would have saved.
        """
        if not self.path.exists():
            return None
        tensors, found = self._read(self.path)
        self._check(tensors, found["groups"], method, optimizer)
        method.load_state_dict(_below("method", tensors))
        optimizer.load_state_dict(
            {
                "state": _nested(_below("optimizer", tensors)),
                "param_groups": optimizer.state_dict()["param_groups"],
            }
        )
        return TrainingState(
            step=found["step"],
            history=found["history"],
            totals={name: tensors[f"totals/{name}"] for name in found["terms"]},
            num_counted=found["num_counted"],
        )

    def keep(self, step: int, weights: Mapping[str, Tensor]) -> None:
        """Keep the weights after that many steps beside the checkpoint, in a file that is always whole.

        Raises CheckpointError if the disk refuses.
        """
        about = json.dumps({"run": self.key, "step": step})
        self._write(self._snapshot(step), _prefixed("weights", weights), about)

    def kept(self, step: int) -> dict[str, Tensor]:
        """The weights that were kept after that many steps.

        Raises CheckpointError if the file is not exactly what this run kept then.
        """
        path = self._snapshot(step)
        tensors, found = self._read(path)
        if found["step"] != step:
            raise self._unreadable(path, f"is of step {found['step']}")
        return _below("weights", tensors)

    def _snapshot(self, step: int) -> Path:
        return self.folder / f"step-{step}.safetensors"

    def _write(self, path: Path, tensors: dict[str, Tensor], about: str) -> None:
        # One entry only: safetensors writes several in an order that changes from process to process.
        proof = json.dumps({"about": about, "sha256": _digest(tensors, about)})
        data = save(tensors, metadata={"checkpoint": proof})
        try:
            write_whole(path, data)
        except OSError as error:
            raise CheckpointError(
                f"cannot write {path}: {error.strerror}; free space there or make it writable and run "
                "again: it goes on from the last checkpoint"
            ) from error

    def _read(self, path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """The tensors of a file of this run, and what it says of them."""
        try:
            with safe_open(path, framework="pt") as file:
                proof = json.loads((file.metadata() or {}).get("checkpoint", "{}"))
                tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError, ValueError) as error:
            raise self._unreadable(path, f"cannot be read ({' '.join(str(error).split())})") from error
        about = proof.get("about", "")
        if proof.get("sha256") != _digest(tensors, about):
            raise self._unreadable(path, "is damaged: its content does not match its own checksum")
        found: dict[str, Any] = json.loads(about)
        if found["run"] != self.key:
            raise self._unreadable(path, f"belongs to the run {found['run'][:FOLDER_DIGITS]}")
        return tensors, found

    def _check(
        self,
        tensors: Mapping[str, Tensor],
        groups: list[dict[str, Any]],
        method: nn.Module,
        optimizer: torch.optim.Optimizer,
    ) -> None:
        expected = _prefixed("method", method.state_dict())
        found = {name: tensor for name, tensor in tensors.items() if name.startswith("method/")}
        problems = [f"no {name}" for name in expected if name not in found]
        problems += [f"unexpected {name}" for name in found if name not in expected]
        problems += [
            f"{name} is {_kind(found[name])}, expected {_kind(expected[name])}"
            for name in expected
            if name in found and _kind(found[name]) != _kind(expected[name])
        ]
        if groups != _groups(optimizer):
            problems.append(f"an optimiser with groups {groups}, expected {_groups(optimizer)}")
        else:
            problems += _misfits(_below("optimizer", tensors), optimizer)
        if problems:
            more = f" and {len(problems) - NAMED_PROBLEMS} more" if len(problems) > NAMED_PROBLEMS else ""
            what = f"does not fit this run: {'; '.join(problems[:NAMED_PROBLEMS])}{more}"
            raise self._unreadable(self.path, what)

    def _unreadable(self, path: Path, what: str) -> CheckpointError:
        return CheckpointError(f"{path} {what}: delete {self.folder} to start this run afresh")


@contextmanager
def open_checkpoints(
    parts: Mapping[str, str],
    *,
    root: Path = CHECKPOINTS,
    lock_timeout_seconds: float = LOCK_TIMEOUT_SECONDS,
) -> Iterator[Checkpoints]:
    """The checkpoints of the run that `parts` define, for this process alone while the context lasts.

    Another process in the same run (an orphan that is still ending) is waited for, with one line in the log.
    Raises CheckpointError if that takes too long, or if the folder cannot be written.
    """
    key = run_key(parts)
    folder = root / key[:FOLDER_DIGITS]
    lock = FileLock(folder / "lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _acquire(lock, folder, lock_timeout_seconds)
    except Timeout:
        raise CheckpointError(
            f"{folder} is still used by another process after {lock_timeout_seconds:g} s: end that process, "
            "then run again"
        ) from None
    except OSError as error:
        raise CheckpointError(
            f"cannot write in {folder}: {error.strerror}; free space or make it writable, then run again"
        ) from error
    try:
        _describe(folder, parts)
        yield Checkpoints(folder, key=key)
    finally:
        lock.release()


def _acquire(lock: FileLock, folder: Path, timeout_seconds: float) -> None:
    try:
        lock.acquire(timeout=0)
    except Timeout:
        _LOG.warning("waiting for another process that is in the same run and holds %s", folder)
        lock.acquire(timeout=timeout_seconds)


def _describe(folder: Path, parts: Mapping[str, str]) -> None:
    """Say in clear what defines the run."""
    path = folder / "run.json"
    text = json.dumps(dict(parts), indent=1, sort_keys=True) + "\n"
    try:
        if not path.exists():
            write_whole(path, text.encode())
        elif path.read_text() != text:
            raise CheckpointError(f"{path} describes another run: delete {folder} to start this run afresh")
    except OSError as error:
        raise CheckpointError(
            f"cannot write {path}: {error.strerror}; free space there, then run again"
        ) from error


def _optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    tensors = {}
    for index, values in optimizer.state_dict()["state"].items():
        for name, value in values.items():
            assert isinstance(value, Tensor), f"{name} of parameter {index} is no tensor but {value!r}"
            tensors[f"{index}/{name}"] = value
    return tensors


def _groups(optimizer: torch.optim.Optimizer) -> list[dict[str, Any]]:
    """What the groups of parameters are, as JSON knows it; the rate is left out: it follows from the step."""
    groups = optimizer.state_dict()["param_groups"]
    plain = json.loads(
        json.dumps([{name: group[name] for name in group if name != "lr"} for group in groups])
    )
    assert isinstance(plain, list)
    return plain


def _misfits(tensors: Mapping[str, Tensor], optimizer: torch.optim.Optimizer) -> list[str]:
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    shapes = {str(index): parameter.shape for index, parameter in enumerate(parameters)}
    return [
        f"optimizer/{name} is {_kind(tensor)}, its parameter {tuple(shapes.get(name.split('/')[0], ()))}"
        for name, tensor in tensors.items()
        if tensor.ndim > 0 and tensor.shape != shapes.get(name.split("/")[0])
    ]


def _kind(tensor: Tensor) -> str:
    return f"{tuple(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}"


def _prefixed(kind: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    # A copy each: safetensors refuses tensors that share memory, as tied weights do.
    return {f"{kind}/{name}": tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}


def _below(kind: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        name.removeprefix(f"{kind}/"): value for name, value in tensors.items() if name.startswith(f"{kind}/")
    }


def _nested(tensors: Mapping[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    state: dict[int, dict[str, Tensor]] = {}
    for place, tensor in tensors.items():
        index, name = place.split("/")
        state.setdefault(int(index), {})[name] = tensor
    return state


def _digest(tensors: Mapping[str, Tensor], about: str) -> str:
    digest = hashlib.sha256(about.encode())
    for name in sorted(tensors):
        digest.update(f"\n{name} {_kind(tensors[name])}\n".encode())
        digest.update(tensors[name].reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
