"""How MLflow loads a logged encoder: `mlflow.pyfunc.load_model` calls `_load_pyfunc` with its weights.

MLflow keeps the safetensors file and the name of this module, no code and no pickle: opening a model runs the
installed kinemask and nothing that came with the model. Imported by whoever loads one, never by what sends.

>>> encoder = mlflow.pyfunc.load_model("models:/m-0123456789abcdef")
>>> encoder.predict({"joints": joints, "present": present}, params={"pooling": "mean"})
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from safetensors import safe_open

from kinemask.encoders import build_encoder
from kinemask.encoders.base import Encoder
from kinemask.skeleton.batch import Batch
from kinemask.skeleton.inputs import InputConfig, as_input
from kinemask.skeleton.layout import Layout
from kinemask.training.pretrain import EncoderAbout


class EncoderModel:
    """An encoder that takes arrays: `inputs` and `layout` are those it was trained on."""

    def __init__(self, *, encoder: Encoder, inputs: InputConfig, layout: Layout) -> None:
        self.encoder = encoder.eval()
        self.inputs = inputs
        self.layout = layout

    @torch.no_grad()
    def predict(
        self, model_input: dict[str, np.ndarray], params: dict[str, Any]
    ) -> Float32[np.ndarray, "N P"]:
        """One vector a clip, pooled as params["pooling"] says. Raises ValueError for an unknown pooling.

        `joints`, float32 (N, T, M, V, C): positions in metres, joints ordered as in the layout, of clips
        - moved as `inputs` says, so that `origin_joint` of the first present person is at the origin in the
          clip's first present frame, or in every frame. This is done before any frame is cut away.
        - then cut to their central share (evaluation.embed.crop_share of params.yaml) and stretched to
          T = `num_frames` frames: kinemask.augment.temporal.centre_crop.
        The stream (joint, bone, motion) is made here. `present`, bool (N, T, M): False for absent persons and
        frames, whose joints are not looked at; zero joints do not mean absent.
        """
        joints, present = (torch.from_numpy(model_input[name]) for name in ("joints", "present"))
        shown = torch.where(present[..., None, None], joints, 0.0)
        encoded = self.encoder(as_input(Batch(shown, present), config=self.inputs, layout=self.layout))
        return self.encoder.pool(encoded, params["pooling"]).float().numpy()


def load_encoder(path: Path) -> EncoderModel:
    """The encoder of a file that pretrain wrote. Loading is strict."""
    with safe_open(path, framework="pt") as file:
        about = EncoderAbout.model_validate_json(file.metadata()["kinemask"])
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no dict)
    encoder = build_encoder(
        about.encoder,
        num_persons=about.persons,
        num_joints=about.layout.num_joints,
        num_frames=about.inputs.num_frames,
        hops=about.layout.hops,
    )
    encoder.load_state_dict(weights, strict=True)
    return EncoderModel(encoder=encoder, inputs=about.inputs, layout=about.layout)


def _load_pyfunc(path: str) -> EncoderModel:
    """MLflow's name for it."""
    return load_encoder(Path(path))
