"""A small section of jmm_tgt for tests, on a small transformer and on a small GRU."""

import json
from typing import Any

import torch
from pydantic import TypeAdapter

from kinemask.encoders import EncoderConfig, build_encoder
from kinemask.methods import METHODS
from kinemask.methods.base import Domain
from kinemask.methods.jmm_tgt import JmmTgt
from kinemask.skeleton.inputs import InputConfig
from kinemask.skeleton.layout import KINECT25
from tests.methods.mtmc_section import CROP, GRU, config_of, inputs_of

MASK = {
    "ratio": 0.9, "rounding": "round", "similarity": "correlation", "similarity_share": 0.5,
    "temperature": 0.8,
}  # fmt: skip
TOKENS = {"name": "tokens", "width": 8, "depth": 1, "heads": 2, "mlp_ratio": 2}
FRAMES = {"name": "frames", "hidden": 8, "depth": 1, "norm": "none", "frames_per_token": 4}
JMM = {
    "name": "jmm_tgt",
    "view": {"crop": CROP, "rotate": {"degrees": [17.0, 17.0, 17.0], "probability": 1.0}},
    "mask": MASK, "target": "motion", "normalise": True, "decoder": TOKENS,
}  # fmt: skip
ON_GRU = JMM | {"decoder": FRAMES}
TRANSFORMER = {
    "name": "transformer", "width": 16, "depth": 2, "heads": 2, "mlp_ratio": 2, "frames_per_token": 4,
    "topology": "hops", "max_hops": 8,
}  # fmt: skip
DOMAIN = Domain(layout=KINECT25, num_persons=2, symmetries=frozenset({"mirror"}))


def encoder_of(section: dict[str, Any]) -> Any:
    """The section of an encoder, checked."""
    return TypeAdapter(EncoderConfig).validate_json(json.dumps(section))


def build_jmm(
    section: dict[str, Any] = JMM,
    *,
    encoder: dict[str, Any] | None = None,
    inputs: InputConfig | None = None,
    domain: Domain = DOMAIN,
) -> JmmTgt:
    """A method of that section on the encoder that its decoder asks for, always with the same weights."""
    torch.manual_seed(0)
    config, inputs = config_of(section), inputs or inputs_of()
    on_gru = config.decoder.name == "frames" and encoder is None
    network = build_encoder(
        GRU if on_gru else encoder_of(encoder or TRANSFORMER),
        num_persons=domain.num_persons,
        num_joints=25,
        num_frames=inputs.num_frames,
        hops=KINECT25.hops,
    )
    method = METHODS[config.name](config, network, inputs, domain)
    assert isinstance(method, JmmTgt)
    return method
