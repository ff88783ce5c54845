"""A small section of mtmc for tests, and what it takes to build and train it."""

import json
from typing import Any

import torch
from pydantic import TypeAdapter

from kinemask.encoders import GRUConfig, build_encoder
from kinemask.methods import METHODS, MethodConfig
from kinemask.methods.base import Domain, Method
from kinemask.skeleton.batch import RaggedClips
from kinemask.skeleton.inputs import InputConfig
from kinemask.skeleton.layout import KINECT25
from tests.conftest import generator

CROP = {"share_low": 0.5, "share_high": 1.0, "min_unit": "share", "min_length": 0.5}
NORMAL = {
    "crop": CROP,
    "shear": {"amplitude": 0.5, "probability": 0.5},
    "rotate": {"degrees": [10.0, 30.0, 10.0], "probability": 1.0},
    "corrupt": {"share": 0.2, "probability": 0.5},
}
EXTREME = NORMAL | {"blur": {"taps": 5, "std_low": 0.1, "std_high": 2.0, "probability": 0.5}}
MIX = {"num_groups": 4, "groups_low": 1, "groups_high": 3, "parts_low": 2, "parts_high": 3}
MASK = {
    "num_segments": 4, "hidden_ratio": 0.6, "topology": "parts", "topology_weight": "degree",
    "motion": "guided", "motion_share": 0.7, "motion_temperature": 0.75, "persons": "all", "shared": False,
    "fill": "zero",
}  # fmt: skip
WEIGHTS = {
    "contrast": 1.0, "extreme": 0.5, "dropped": 0.5, "masked_contrast": 1.0, "predicted_contrast": 1.0,
    "mixed_contrast": 0.0, "similarity": 1.0, "prediction": 1.0,
}  # fmt: skip
NOTHING = dict.fromkeys(WEIGHTS, 0.0)
MTMC = {
    "name": "mtmc", "pooling": "mean",
    "normal_view": NORMAL, "masked_view": NORMAL, "extreme_view": EXTREME, "mix": None,
    "mask": MASK, "drop": {"kind": "trajectory", "ratio": 0.2, "threshold": 0.7},
    "target": "coordinates", "error_unit": "relative",
    "decoder": {"hidden": 8, "depth": 1, "norm": "none"}, "predicted_gradient": "decoder", "prompts": False,
    "projector_width": 5, "temperature": 0.1,
    "similarity": {"student_temperature": 0.1, "teacher_temperature": 0.05, "top": None},
    "teaching": "star", "schedule": {"name": "cascade"}, "mining": None, "teacher_momentum": 0.9,
    "queue_length": 12, "weights": WEIGHTS,
}  # fmt: skip
EVERYTHING = MTMC | {
    "mix": MIX, "prompts": True, "mask": MASK | {"fill": "learned"},
    "decoder": {"hidden": 8, "depth": 1, "norm": "batch"}, "mining": {"from_ratio": 0.5, "top": 1},
    "weights": WEIGHTS | {"mixed_contrast": 1.0},
}  # fmt: skip
GRU = GRUConfig(name="gru", form="bigru", hidden=16, depth=1, input_norm="none", norm_statistics="clean")
NORMED = GRU.model_copy(update={"input_norm": "batch"})
DOMAIN = Domain(layout=KINECT25, num_persons=2, symmetries=frozenset({"mirror"}))


def inputs_of(**changes: Any) -> InputConfig:
    """What the encoder is fed: eight frames of the joint stream, but for the changes."""
    values = {"stream": "joint", "num_frames": 8, "origin": "first_frame", "origin_joint": "spine_mid"}
    return InputConfig.model_validate(values | changes)


def config_of(section: dict[str, Any]) -> Any:
    """The section, checked."""
    return TypeAdapter(MethodConfig).validate_json(json.dumps(section))


def build(
    section: dict[str, Any] = MTMC, *, encoder: GRUConfig = GRU, inputs: InputConfig | None = None
) -> Method:
    """A method of that section on a small encoder, always with the same weights."""
    torch.manual_seed(0)
    config, inputs = config_of(section), inputs or inputs_of()
    network = build_encoder(encoder, num_persons=2, num_joints=25, num_frames=inputs.num_frames)
    return METHODS[config.name](config, network, inputs, DOMAIN)


def train(method: Method, clips: RaggedClips, num_steps: int, lr: float = 0.05) -> list[float]:
    """The losses of a few steps of plain gradient descent."""
    optimizer = torch.optim.SGD([p for p in method.parameters() if p.requires_grad], lr=lr)
    losses = []
    for step in range(num_steps):
        output = method.training_step(clips, generator(step), step / num_steps)
        optimizer.zero_grad()
        output.loss.backward()
        optimizer.step()
        method.after_optimizer_step(step)
        losses.append(output.loss.item())
    return losses
