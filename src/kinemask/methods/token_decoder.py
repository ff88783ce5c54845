"""The decoder of masked tokens: it sees all places, predicts what was hidden (METHOD_JMM_TGT section 4)."""

from typing import Literal

import torch
from einops import rearrange, repeat
from jaxtyping import Bool, Float, Int
from pydantic import Field, model_validator
from torch import Tensor, nn

from kinemask.encoders.attention import EPSILON, Block, init_linear
from kinemask.encoders.precision import Network
from kinemask.encoders.table import Table
from kinemask.encoders.transformer import POSITION_STD
from kinemask.section import Section

UNSEEN = -1e9  # of a logit: nothing is left of it, and a row of such keys alone has no infinities


class TokenDecoderConfig(Section):
    """Attention blocks over all tokens of a person; they may be more than the encoder's, or wider."""

    name: Literal["tokens"]
    width: int = Field(ge=1)
    depth: int = Field(ge=1)
    heads: int = Field(ge=1)
    mlp_ratio: int = Field(ge=1)

    @model_validator(mode="after")
    def _heads_divide(self) -> "TokenDecoderConfig":
        if self.width % self.heads:
            raise ValueError(f"{self.heads} heads do not divide a width of {self.width}")
        return self


class TokenDecoder(Network):
    """From features of the visible tokens to a prediction for every token."""

    def __init__(
        self, *, width: int, config: TokenDecoderConfig, num_times: int, num_joints: int, num_outputs: int
    ) -> None:
        super().__init__()
        self.num_joints = num_joints
        self.embed = nn.Linear(width, config.width)
        self.mask_token = nn.Parameter(torch.empty(config.width))
        self.time_positions = Table(torch.empty(num_times, config.width))
        self.joint_positions = Table(torch.empty(num_joints, config.width))
        self.blocks = nn.ModuleList(
            Block(width=config.width, heads=config.heads, mlp_ratio=config.mlp_ratio)
            for _ in range(config.depth)
        )
        self.norm = nn.LayerNorm(config.width, eps=EPSILON)
        self.head = nn.Linear(config.width, num_outputs)
        init_linear(self)
        for table in (self.mask_token, self.time_positions, self.joint_positions):
            nn.init.trunc_normal_(table, std=POSITION_STD, a=-2 * POSITION_STD, b=2 * POSITION_STD)

    def forward(
        self,
        features: Float[Tensor, "R K D"],
        visible: Int[Tensor, "R K"],
        present: Bool[Tensor, "R P"],
    ) -> Float[Tensor, "R P V F"]:
        """The prediction of every token, float32. Nobody attends to times in which the person is absent."""
        with self.autocast(features.device):
            shown = self.embed(features)
            num_tokens = present.shape[1] * self.num_joints
            tokens = repeat(self.mask_token.to(shown.dtype), "D -> R L D", R=len(shown), L=num_tokens)
            positions = rearrange(self.time_positions, "P D -> P 1 D") + self.joint_positions
            places = repeat(visible, "R K -> R K D", D=shown.shape[-1])
            tokens = tokens.scatter(1, places, shown) + rearrange(positions, "P V D -> (P V) D")
            keys = repeat(present, "R P -> R 1 1 (P V)", V=self.num_joints)
            bias = torch.zeros_like(keys, dtype=tokens.dtype).masked_fill(~keys, UNSEEN)
            for block in self.blocks:
                tokens = block(tokens, bias)
            predicted: Tensor = self.head(self.norm(tokens))
        return rearrange(predicted.float(), "R (P V) F -> R P V F", V=self.num_joints)
