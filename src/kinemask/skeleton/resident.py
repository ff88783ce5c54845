"""Packed clips as tensors that stay in memory, or on the device, for the whole run."""

from collections.abc import Sequence

import numpy as np
import torch

from kinemask.skeleton.batch import RaggedClips
from kinemask.skeleton.packed import PackedClips


def load_clips(packed: PackedClips, rows: Sequence[int]) -> RaggedClips:
    """The clips of the given rows of the table, in that order, copied; no other clip is read."""
    offsets = packed.clips["offset"].to_numpy()[list(rows)]
    lengths = packed.clips["length"].to_numpy()[list(rows)]
    parts = [slice(offset, offset + length) for offset, length in zip(offsets, lengths, strict=True)]
    joints = np.concatenate([packed.joints[part] for part in parts])
    present = np.concatenate([packed.present[part] for part in parts])
    length = torch.from_numpy(lengths.astype(np.int64))
    return RaggedClips(
        torch.from_numpy(joints), torch.from_numpy(present), torch.cumsum(length, 0) - length, length
    )


def to_device(clips: RaggedClips, device: str) -> RaggedClips:
    """The clips on another device."""
    return RaggedClips(
        clips.joints.to(device), clips.present.to(device), clips.offsets.to(device), clips.lengths.to(device)
    )
