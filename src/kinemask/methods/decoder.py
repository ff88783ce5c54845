"""The decoder of a masked prediction (METHOD_MTMC B4)."""

from typing import Literal

from einops import rearrange
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from kinemask.encoders.norm import MaskedBatchNorm
from kinemask.encoders.precision import Network
from kinemask.section import Section


class DecoderConfig(Section):
    """Two layers a frame with a norm between them, then a GRU in one direction."""

    hidden: int = Field(ge=1)
    depth: int = Field(ge=1)
    norm: Literal["none", "batch"]


class FrameDecoder(Network):
    """From features per frame to a prediction per frame, or per `Encoder.stride` frames."""

    def __init__(self, *, width: int, config: DecoderConfig, num_outputs: int) -> None:
        super().__init__()
        hidden = config.hidden
        self.squeeze = nn.Linear(width, hidden)
        self.norm = MaskedBatchNorm(width=hidden) if config.norm == "batch" else None
        self.mix = nn.Linear(hidden, hidden)
        self.gru = nn.GRU(hidden, hidden, config.depth, batch_first=True)
        self.head = nn.Linear(hidden, num_outputs)

    def forward(self, sequence: Float[Tensor, "N T D"], seen: Bool[Tensor, "N T"]) -> Float[Tensor, "N T P"]:
        """The prediction for every feature, float32; those not `seen` do not enter the norm's statistics."""
        with self.autocast(sequence.device):
            frames = self.squeeze(sequence)
            if self.norm is not None:
                # Nothing evaluates a decoder: it does no harm that its running statistics move at every call.
                frames = self.norm(frames, rearrange(seen, "N T -> N T 1"), moves_statistics=True)
            predicted: Tensor = self.head(self.gru(self.mix(functional.relu(frames)))[0])
        return predicted.float()
