"""Encoders: from clips to features. `ENCODERS` names them all."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from kinemask.encoders.base import Encoder
from kinemask.encoders.coordinates import CoordinatesConfig, CoordinatesEncoder
from kinemask.encoders.gru import GRUConfig, GRUEncoder
from kinemask.encoders.topology import Hops
from kinemask.encoders.transformer import TransformerConfig, TransformerEncoder

EncoderConfig = Annotated[GRUConfig | CoordinatesConfig | TransformerConfig, Field(discriminator="name")]


@dataclass(frozen=True)
class Fed:
    """What an encoder is built for."""

    num_persons: int
    num_joints: int
    num_frames: int
    hops: Hops | None  # of the layout; only an encoder that is guided by the body asks for them


def _gru(config: Any, fed: Fed) -> Encoder:
    return GRUEncoder(config=config, num_persons=fed.num_persons, num_joints=fed.num_joints)


def _coordinates(config: Any, fed: Fed) -> Encoder:
    return CoordinatesEncoder(
        num_persons=fed.num_persons, num_joints=fed.num_joints, num_frames=fed.num_frames
    )


def _transformer(config: Any, fed: Fed) -> Encoder:
    return TransformerEncoder(
        config=config, num_joints=fed.num_joints, num_frames=fed.num_frames, hops=fed.hops
    )


ENCODERS: dict[str, Callable[[Any, Fed], Encoder]] = {
    "gru": _gru,
    "coordinates": _coordinates,
    "transformer": _transformer,
}


def build_encoder(
    config: EncoderConfig,
    *,
    num_persons: int,
    num_joints: int,
    num_frames: int,
    hops: Hops | None = None,
) -> Encoder:
    """The encoder a section describes, for clips of `num_frames` frames.

    `hops` are the layout's. Raises ValueError if the section does not fit, or asks for hops and finds None.
    """
    return ENCODERS[config.name](config, Fed(num_persons, num_joints, num_frames, hops))
