"""What a method does with a few training clips, kept beside the records of its pretraining."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError, model_validator

from kinemask.record import LOOKS, RECORDS, RecordError
from kinemask.storage import write_text

HIDDEN, SHOWN, ABSENT = "#", ".", "-"  # of a joint in a frame; absent: the person is not there

_ROUNDING = 1e-2  # of shares with few digits, summed over the joints

Pose = tuple[tuple[float, float], ...]  # (V, 2) x and y, metres
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


class AttentionLook(_Look):
    """What the first person's tokens of one joint attend to, with the whole clip shown."""

    joint: int  # that asks
    frame: int  # of the clip as the encoder is fed, in which the pose is
    pose: Pose
    shares: tuple[tuple[float, ...], ...]  # (B, V) in each block; rows sum to one


class TwinsLook(_Look):
    """A recording beside two performances of a simulated programme: S poses of each, evenly spread."""

    recorded: tuple[Pose, ...]
    first: tuple[Pose, ...]
    second: tuple[Pose, ...]

    @property
    def rows(self) -> dict[str, tuple[Pose, ...]]:
        """What is shown below what."""
        return {"recorded": self.recorded, "simulated": self.first, "its twin": self.second}


class HopBiasLook(_Look):
    """What attention learned to add to its logits, by the hops between two joints (METHOD_JMM_TGT section 3).

    B blocks, H heads, K numbers of hops from 0 on; the last stands for all up to `farthest`.
    """

    blocks: tuple[tuple[tuple[float, ...], ...], ...]  # (B, H, K)
    farthest: int  # hops between two joints of the body


class ClipLook(_Look):
    """One clip; None where the method has no such thing."""

    clip: str
    mask: MaskLook | None
    drop: DropLook | None
    attention: AttentionLook | None = None  # older files know of none
    twins: TwinsLook | None = None

    @property
    def shows(self) -> bool:
        """Whether there is anything."""
        return any((self.mask, self.drop, self.attention, self.twins))

    @property
    def has_poses(self) -> bool:
        """Whether anything is drawn on the body."""
        return any((self.attention, self.twins))


class Looks(_Look):
    """looks.json: some clips of one seed, and the body that they are of."""

    seed: int
    joints: tuple[str, ...]  # (V,) their names
    parts: dict[str, tuple[int, ...]]  # (P,) name -> its joints
    clips: tuple[ClipLook, ...]
    bones: tuple[tuple[int, int], ...] | None = None  # (parent, joint); None: nothing is drawn on the body
    hop_bias: HopBiasLook | None = None  # of the encoder

    @model_validator(mode="after")
    def _fits(self) -> "Looks":
        numbers = sorted(joint for part in self.parts.values() for joint in part)
        if numbers != list(range(len(self.joints))):
            raise ValueError(f"parts hold the joints {numbers}, expected each of {len(self.joints)} once")
        ends = {end for bone in self.bones or () for end in bone}
        if not ends <= set(numbers):
            raise ValueError(f"bones end at {sorted(ends)}, expected joints 0 to {len(self.joints) - 1}")
        if problem := _hop_bias_problem(self.hop_bias):
            raise ValueError(f"hop_bias: {problem}")
        for one in self.clips:
            problem = (
                self._mask_problem(one.mask)
                or _drop_problem(one.drop)
                or self._attention_problem(one.attention)
                or self._twins_problem(one.twins)
            )
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

    def _attention_problem(self, attention: AttentionLook | None) -> str | None:
        if attention is None:
            return None
        if self.bones is None:
            return "attention is drawn on the body, and there are no bones"
        num_joints = len(self.joints)
        if not 0 <= attention.joint < num_joints:
            return f"joint {attention.joint} attends, expected 0 to {num_joints - 1}"
        if len(attention.pose) != num_joints:
            return f"the pose has {len(attention.pose)} joints, expected {num_joints}"
        if {len(row) for row in attention.shares} != {num_joints}:
            found = sorted({len(row) for row in attention.shares})
            return f"blocks have {found} shares, expected one for each of {num_joints} joints"
        sums = [sum(row) for row in attention.shares]
        if min(map(min, attention.shares)) < 0 or max(abs(total - 1) for total in sums) > _ROUNDING:
            return f"shares sum to {sums}, expected parts of 1"
        return None

    def _twins_problem(self, twins: TwinsLook | None) -> str | None:
        if twins is None:
            return None
        if self.bones is None:
            return "twins are drawn on the body, and there are no bones"
        poses = {len(row) for row in twins.rows.values()}
        joints = {len(pose) for row in twins.rows.values() for pose in row}
        if len(poses) != 1 or joints != {len(self.joints)}:
            return f"rows have {sorted(poses)} poses of {sorted(joints)} joints, expected {len(self.joints)}"
        return None


def _hop_bias_problem(bias: HopBiasLook | None) -> str | None:
    if bias is None:
        return None
    heads, hops = {len(block) for block in bias.blocks}, {len(row) for block in bias.blocks for row in block}
    if len(heads) != 1 or len(hops) != 1:
        return f"blocks have {sorted(heads)} heads of {sorted(hops)} hops, expected as many in each"
    if not 0 < max(hops) <= bias.farthest + 1:
        return f"{max(hops)} numbers of hops, expected at most 0 to {bias.farthest}"
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
    # Without what is None by default, so that a method without attention has the file that it always had.
    write_text(path, looks.model_dump_json(exclude_defaults=True) + "\n")


def read_looks(path: Path) -> Looks:
    """Raises RecordError if the file is absent or damaged."""
    try:
        return Looks.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        problem = " ".join(str(error).split())[:200]
        raise RecordError(f"{path} holds no looks ({problem}): remove it and run `dvc repro`") from error
