"""The transformer and its step as the field's code runs them: attention written out, absent persons kept."""

import math
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kinemask.encoders.attention import Attention, Block, SplitBias
from kinemask.encoders.tokens import person_rows
from kinemask.methods.jmm_tgt import JmmTgt, MaskedView
from kinemask.skeleton.batch import Batch, RaggedClips


class PlainAttention(Attention):
    """softmax(q k^T / sqrt d) v with its matrices L x L."""

    def forward(
        self,
        tokens: Float[Tensor, "R K D"],
        bias: Float[Tensor, "#R #H #K K"] | None = None,
        factor: None = None,
        split: SplitBias | None = None,
    ) -> Float[Tensor, "R K D"]:
        num_rows, num_tokens, width = tokens.shape
        projected = self.queries_keys_values(tokens)
        query, key, value = projected.reshape(num_rows, num_tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        logits = (query @ key.mT) * (1 / math.sqrt(query.shape[-1]))
        if split is not None:
            logits = logits + split.queries @ split.keys.mT
        if bias is not None and (bias.requires_grad or bool(bias.any())):  # zeros are not paid for
            logits = logits + bias
        mixed = logits.softmax(dim=-1) @ value
        attended: Tensor = self.out(mixed.transpose(1, 2).reshape(num_rows, num_tokens, width))
        return attended


def unfuse(module: nn.Module) -> None:
    """Give every block a plain attention with the weights it has."""
    for block in module.modules():
        if isinstance(block, Block):
            plain = PlainAttention(width=block.attention.out.in_features, heads=block.attention.heads)
            plain.load_state_dict(block.attention.state_dict())
            block.attention = plain


class KeepingAbsent(JmmTgt):
    """Whoever is absent stands at the origin without moving, and enters the loss like the others."""

    @torch.no_grad()
    def draw_masked(self, clips: RaggedClips, generator: torch.Generator) -> MaskedView:
        masked = super().draw_masked(clips, generator)
        whole = Batch(masked.whole.joints, torch.ones_like(masked.whole.present))
        rows = person_rows(whole, frames=self.frames)
        num_joints = self.domain.layout.num_joints
        num_tokens, num_visible = rows.present.shape[1] * num_joints, masked.visible.shape[1]
        visible = torch.arange(num_visible).repeat(len(rows.index), 1)  # of absent persons it does not matter
        visible[masked.rows.index] = masked.visible
        hidden = torch.ones(len(visible), num_tokens, dtype=torch.bool).scatter(1, visible, False)
        return replace(
            masked,
            whole=whole,
            rows=rows,
            visible=visible,
            hidden=hidden.reshape(*rows.present.shape, num_joints),
        )
