"""What a method does with a few training clips, kept beside the records of its pretraining."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError, model_validator

from kinemask.record import LOOKS, RECORDS, RecordError
from kinemask.storage import write_text

HIDDEN, SHOWN, ABSENT = "#", ".", "-"  # of a joint in a frame; absent: the person is not there

Row = Annotated[str, StringConstraints(pattern=r"^[#.\-]+$")]


class _Look(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class MaskLook(_Look):
    """The masked view of a clip, by its first person. T frames are divided into S segments."""

    hidden: tuple[Row, ...]  # a row a joint (V), a character a frame (T)
    intensity: tuple[tuple[float, ...], ...]  # (S, P) mean speed of each part; the largest of the clip is 1
    weight: tuple[tuple[float, ...], ...]  # (S, P) of each part in the draw; rows sum to one


class DropLook(_Look):
    """The channels (D) of the pooled feature that the extreme view of a clip loses."""

    kind: str
    dropped: tuple[bool, ...]  # (D,)
    score: tuple[float, ...] | None  # (D,) what they are dropped by, largest first; None: by chance


class ClipLook(_Look):
    """One clip; None where the method has no such thing."""

    clip: str
    mask: MaskLook | None
    drop: DropLook | None


class Looks(_Look):
    """looks.json: some clips of one seed, and the body that they are of."""

    seed: int
    joints: tuple[str, ...]  # (V,) their names
    parts: dict[str, tuple[int, ...]]  # (P,) name -> its joints
    clips: tuple[ClipLook, ...]

    @model_validator(mode="after")
    def _fits(self) -> "Looks":
        numbers = sorted(joint for part in self.parts.values() for joint in part)
        if numbers != list(range(len(self.joints))):
            raise ValueError(f"parts hold the joints {numbers}, expected each of {len(self.joints)} once")
        for one in self.clips:
            problem = self._mask_problem(one.mask) or _drop_problem(one.drop)
            if problem:
                raise ValueError(f"{one.clip}: {problem}")
        return self

    def _mask_problem(self, mask: MaskLook | None) -> str | None:
        if mask is None:
            return None
        frames = {len(row) for row in mask.hidden}
        if len(mask.hidden) != len(self.joints) or len(frames) != 1:
            found = f"{len(mask.hidden)} rows of {sorted(frames)} frames"
            return f"hidden has {found}, expected {len(self.joints)} of one length"
        num_segments = len(mask.intensity)
        if not num_segments or max(frames) % num_segments or len(mask.weight) != num_segments:
            return f"{num_segments} and {len(mask.weight)} segments do not divide {max(frames)} frames"
        widths = {len(row) for row in (*mask.intensity, *mask.weight)}
        if widths != {len(self.parts)}:
            return f"segments have {sorted(widths)} values, expected one for each of {len(self.parts)} parts"
        return None


def _drop_problem(drop: DropLook | None) -> str | None:
    if drop is None or drop.score is None or len(drop.score) == len(drop.dropped):
        return None
    return f"{len(drop.score)} scores of {len(drop.dropped)} channels"


def looks_path(benchmark: str, method: str) -> Path:
    """Where the looks lie below the root of the project."""
    return RECORDS / "pretrain" / benchmark / method / LOOKS


def write_looks(path: Path, looks: Looks) -> None:
    """Write them in one step. The same looks give the same bytes. Raises StorageError."""
    write_text(path, looks.model_dump_json() + "\n")


def read_looks(path: Path) -> Looks:
    """Raises RecordError if the file is absent or damaged."""
    try:
        return Looks.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        problem = " ".join(str(error).split())[:200]
        raise RecordError(f"{path} holds no looks ({problem}): remove it and run `dvc repro`") from error
