"""Encoders: from clips to features. `ENCODERS` names them all."""

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import Field

from kinemask.encoders.base import Encoder
from kinemask.encoders.coordinates import CoordinatesConfig, CoordinatesEncoder
from kinemask.encoders.gru import GRUConfig, GRUEncoder

EncoderConfig = Annotated[GRUConfig | CoordinatesConfig, Field(discriminator="name")]


def _gru(config: Any, num_persons: int, num_joints: int, num_frames: int) -> Encoder:
    return GRUEncoder(config=config, num_persons=num_persons, num_joints=num_joints)


def _coordinates(config: Any, num_persons: int, num_joints: int, num_frames: int) -> Encoder:
    return CoordinatesEncoder(num_persons=num_persons, num_joints=num_joints, num_frames=num_frames)


ENCODERS: dict[str, Callable[[Any, int, int, int], Encoder]] = {"gru": _gru, "coordinates": _coordinates}


def build_encoder(config: EncoderConfig, *, num_persons: int, num_joints: int, num_frames: int) -> Encoder:
    """The encoder a section describes, for clips of `num_frames` frames."""
    return ENCODERS[config.name](config, num_persons, num_joints, num_frames)
