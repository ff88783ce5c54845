"""Features of somebody's own recordings by an encoder's file: no graph, no labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import torch
from safetensors import SafetensorError

from kinemask.datasets.kinect.cleaning import Cleaned, Cleaning
from kinemask.datasets.own.files import files_below
from kinemask.datasets.own.frames import METRES, Convention
from kinemask.datasets.own.labels import SUFFIXES
from kinemask.datasets.own.recording import read_recording
from kinemask.datasets.reader import DamagedError
from kinemask.encoders.base import Encoder
from kinemask.errors import KinemaskError, few
from kinemask.evaluation.features import EmbedConfig, EncoderError, embed
from kinemask.evaluation.frozen import Pooling
from kinemask.progress import progress
from kinemask.skeleton.batch import RaggedClips
from kinemask.skeleton.inputs import centre
from kinemask.tracking.encoder_model import load_encoder
from kinemask.training.pretrain import EncoderAbout, read_about

# Of more bodies than an encoder takes, those that move most: as for NTU RGB+D in params.yaml.
CLEANING = Cleaning(
    empty_frames="drop",
    gaps="keep",
    min_body_frames=8,
    spread=None,
    motion="time",
    motion_limits=None,
    persons="most_moving",
    origin="camera",
)
_SHOWN = 3
_BATCH = 256


class RecordingsError(KinemaskError):
    """There is nothing to make features of: the message says where was looked and for what."""


@dataclass(frozen=True)
class Featured:
    """A row a recording: its file, then the features. `left_out` says which files are damaged, and how."""

    table: pd.DataFrame
    left_out: tuple[str, ...]


def make_features(
    encoder_file: Path,
    recordings: Sequence[Path],
    *,
    pooling: str,
    crop_share: float,
    units: str,
    up: Literal["y", "z"],
) -> Featured:
    """Features of each recording: .skeleton, .npy, .csv or .bvh files, and those in folders.

    Raises EncoderError if the file holds no encoder or that offers no such pooling, RecordingsError if no
    recording can be read.
    """
    encoder, about = open_encoder(encoder_file)
    if pooling not in encoder.poolings:
        raise EncoderError(
            f"{encoder_file} pools by {', '.join(encoder.poolings)}, found --pooling {pooling!r}"
        )
    convention = Convention(
        layout=about.layout, names={}, persons=about.persons, metres=METRES[units], up=up, lost_joints="fill"
    )
    files = _files_of(recordings)
    read: dict[str, Cleaned] = {}
    left_out = []
    for path in progress(files, name="read", unit="file", total=len(files)):
        try:
            read[str(path)] = read_recording(path, convention, CLEANING)
        except (DamagedError, OSError) as error:
            left_out.append(f"{path}: {error}")
    if not read:
        raise RecordingsError(f"none of {len(files)} files can be read: {'; '.join(few(left_out, _SHOWN))}")
    clips = centre(_ragged(list(read.values())), config=about.inputs, layout=about.layout)
    config = EmbedConfig(crop_share=crop_share, batch=_BATCH, poolings=(_pooling(pooling),))
    features = embed(encoder, clips, config=config, inputs=about.inputs, layout=about.layout, name="embed")
    values = features[pooling]
    columns = [f"feature_{number}" for number in range(values.shape[1])]
    table = pd.DataFrame(values, columns=columns)
    table.insert(0, "file", list(read))
    return Featured(table, tuple(left_out))


def open_encoder(path: Path) -> tuple[Encoder, EncoderAbout]:
    """The encoder of a file, which says of itself what it is. Raises EncoderError."""
    try:
        return load_encoder(path).encoder, read_about(path)
    except (OSError, SafetensorError, RuntimeError, KeyError, TypeError, ValueError) as error:
        raise EncoderError(f"{path} holds no encoder ({' '.join(str(error).split())[:200]})") from error


def _pooling(name: str) -> Pooling:
    return name  # type: ignore[return-value]  # one of the encoder's, which were looked up


def _files_of(recordings: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for path in recordings:
        if path.is_dir():
            found += files_below(path).paths.values()
        elif path.is_file() and path.suffix.lower() in SUFFIXES:
            found.append(path)
        else:
            raise RecordingsError(f"{path}: no folder, and no file of {', '.join(sorted(SUFFIXES))}")
    if not found:
        asked = ", ".join(map(str, recordings))
        raise RecordingsError(f"{asked}: no file of {', '.join(sorted(SUFFIXES))} there")
    return found


def _ragged(clips: Sequence[Cleaned]) -> RaggedClips:
    lengths = torch.tensor([len(one.joints) for one in clips])
    return RaggedClips(
        torch.from_numpy(np.concatenate([one.joints for one in clips])),
        torch.from_numpy(np.concatenate([one.present for one in clips])),
        torch.cumsum(lengths, 0) - lengths,
        lengths,
    )
