"""A transformer over a person's tokens, which the skeleton may guide (METHOD_JMM_TGT sections 1 and 3)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from einops import rearrange, reduce
from jaxtyping import Bool, Float, Int
from pydantic import Field, model_validator
from torch import Tensor, nn

from kinemask.encoders.attention import EPSILON, Block, init_linear
from kinemask.encoders.base import Encoded, Encoder, check_views, max_of_seen, mean_of_seen
from kinemask.encoders.table import Table
from kinemask.encoders.tokens import PersonRows, person_rows, to_tokens
from kinemask.encoders.topology import (
    HopBias,
    Hops,
    Topology,
    between_tokens,
    neighbours,
    shown_joints,
    split_between_tokens,
)
from kinemask.section import Section
from kinemask.skeleton.batch import Batch

POSITION_STD = 0.02  # of the position tables' first values, a normal cut off at two of them


class TransformerConfig(Section):
    """A token is `frames_per_token` frames of one joint.

    `topology`: a learned bias by the hops between joints (`hops`), none (`off`), or logits times A + A^T + I
    (`adjacency`). Joints `max_hops` apart count as those further apart.
    """

    name: Literal["transformer"]
    width: int = Field(ge=1)
    depth: int = Field(ge=1)
    heads: int = Field(ge=1)
    mlp_ratio: int = Field(ge=1)
    frames_per_token: int = Field(ge=1)
    topology: Topology
    max_hops: int = Field(ge=1)

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> "TransformerConfig":
        if self.width % self.heads:
            raise ValueError(f"{self.heads} heads do not divide a width of {self.width}")
        return self

    @property
    def features(self) -> int:
        """The width of an element of the sequence."""
        return self.width

    def misfit(self, num_frames: int) -> str | None:
        """Why clips of that length cannot be encoded, or None if they can."""
        if num_frames % self.frames_per_token:
            return (
                f"num_frames {num_frames} is no multiple of encoder.frames_per_token {self.frames_per_token}"
            )
        return None

    def most_persons(self, built_for: int) -> int | None:
        """Any number: each is encoded alone."""
        return None


@dataclass(frozen=True)
class TokenEncoded(Encoded):
    """Features of every token of every row. Those at times at which a person is absent mean nothing.

    An element of `sequence`, (N, P, D), is the mean over joints and the persons present at that time.
    """

    tokens: Float[Tensor, "R P V D"]
    rows: PersonRows


class EncoderBlock(Block):
    """A block with a topology of its own, or None."""

    def __init__(self, *, width: int, heads: int, mlp_ratio: int, hop_bias: HopBias | None) -> None:
        super().__init__(width=width, heads=heads, mlp_ratio=mlp_ratio)
        self.hop_bias = hop_bias


class TransformerEncoder(Encoder):
    """Every person is encoded alone; persons meet when features are pooled."""

    poolings: ClassVar[tuple[str, ...]] = ("mean", "joints", "max")

    def __init__(
        self,
        *,
        config: TransformerConfig,
        num_joints: int,
        num_frames: int,
        hops: Hops | None,
        num_coordinates: int = 3,
    ) -> None:
        super().__init__()
        problem = config.misfit(num_frames)
        if problem:
            raise ValueError(problem)
        if config.topology != "off" and (hops is None or len(hops) != num_joints):
            found = "none" if hops is None else f"those of {len(hops)} joints"
            raise ValueError(
                f"topology {config.topology!r} wants the hops between {num_joints} joints: found {found}"
            )
        self.stride = self.frames_per_token = config.frames_per_token
        self.num_joints, self.num_times, self.width = num_joints, num_frames // self.stride, config.width
        self.token_map = nn.Linear(self.stride * num_coordinates, config.width)
        self.time_positions = Table(torch.empty(self.num_times, config.width))
        self.joint_positions = Table(torch.empty(num_joints, config.width))
        self.blocks = nn.ModuleList(
            EncoderBlock(
                width=config.width,
                heads=config.heads,
                mlp_ratio=config.mlp_ratio,
                hop_bias=HopBias(hops=hops, heads=config.heads, max_hops=config.max_hops)
                if hops is not None and config.topology == "hops"
                else None,
            )
            for _ in range(config.depth)
        )
        self.norm = nn.LayerNorm(config.width, eps=EPSILON)
        self.factor: Tensor | None
        literal = hops is not None and config.topology == "adjacency"
        self.register_buffer("factor", neighbours(hops) if hops and literal else None, persistent=False)
        init_linear(self)
        for table in (self.time_positions, self.joint_positions):
            nn.init.trunc_normal_(table, std=POSITION_STD, a=-2 * POSITION_STD, b=2 * POSITION_STD)

    def forward(self, batch: Batch) -> TokenEncoded:
        """Features of every token. Raises ValueError for clips of another length than built for."""
        return self.encode_views([batch], prompts=[None], clean=0)[0]

    def encode_views(
        self, views: Sequence[Batch], *, prompts: Sequence[Float[Tensor, "M V C"] | None], clean: int
    ) -> list[TokenEncoded]:
        """Features of several views in one pass. It has no running statistics and takes no prompts."""
        self.refuse_prompts(prompts)
        check_views(views, prompts=prompts, clean=clean)
        rows = [person_rows(view, frames=self.frames_per_token) for view in views]
        tokens = torch.cat([self.embed_rows(one) for one in rows])
        present = torch.cat([one.present for one in rows])
        encoded = self.encode_tokens(tokens, None, present_keys=self._keys(present))
        parts = torch.split(encoded, [len(one.index) for one in rows])
        return [self._encoded(part, one) for part, one in zip(parts, rows, strict=True)]

    def embed_rows(self, rows: PersonRows) -> Float[Tensor, "R L D"]:
        """The tokens of whole rows with their positions, float32; L = P x V, joint after joint of each time.

        Raises ValueError for clips of another length than built for.
        """
        num_frames = self.num_times * self.frames_per_token
        if rows.joints.shape[1] != num_frames:
            raise ValueError(
                f"this encoder takes clips of {num_frames} frames, these have {rows.joints.shape[1]}"
            )
        # Not in bfloat16: its three digits are too few for metres.
        tokens: Tensor = self.token_map(to_tokens(rows.joints, frames=self.frames_per_token))
        positions = rearrange(self.time_positions, "P D -> P 1 D") + self.joint_positions
        return rearrange(tokens + positions, "R P V D -> R (P V) D")

    def encode_tokens(
        self,
        tokens: Float[Tensor, "R K D"],
        places: Int[Tensor, "R K"] | None,
        *,
        present_keys: Bool[Tensor, "R K"] | None = None,
    ) -> Float[Tensor, "R K D"]:
        """The blocks and the final norm, float32.

        `places` says which of the L tokens these are, time x V + joint; None: all, in order. Tokens that are
        not `present_keys` are attended to by none; in a row without any the features mean nothing, yet they
        are finite.
        """
        shown = None if places is None else shown_joints(places, num_joints=self.num_joints)
        hidden = None if present_keys is None else _hidden_keys(present_keys).to(self.precision)
        factor = None
        if self.factor is not None:
            factor = between_tokens(self.factor, shown, num_times=self.num_times)
        with self.autocast(tokens.device):
            for block in self.blocks:
                assert isinstance(block, EncoderBlock)
                bias, split = hidden, None
                if block.hop_bias is not None:
                    values = block.hop_bias().to(self.precision)
                    if shown is None and values.requires_grad:
                        split = split_between_tokens(values, num_times=self.num_times)
                    else:  # nothing learns, or tokens are few: wider heads would cost more than they save
                        bias = between_tokens(values, shown, num_times=self.num_times)
                        bias = bias if hidden is None else bias + hidden
                tokens = block(tokens, bias, factor, split)
            encoded: Tensor = self.norm(tokens)
        return encoded.float()

    def layer_groups(self) -> list[list[nn.Parameter]]:
        """The embedding, then each block; the final norm is in no group (METHOD_JMM_TGT section 6)."""
        embedding = [*self.token_map.parameters(), self.time_positions, self.joint_positions]
        return [embedding, *(list(block.parameters()) for block in self.blocks)]

    def set_drop_path(self, rate: float) -> None:
        """Leave out parts of blocks in training: never of the first, with probability `rate` of the last."""
        if not 0 <= rate < 1:
            raise ValueError(f"a rate of drop-path is in [0, 1): found {rate}")
        for number, block in enumerate(self.blocks):
            assert isinstance(block, EncoderBlock)
            block.drop_path = rate * number / max(len(self.blocks) - 1, 1)

    def pool(self, encoded: Encoded, pooling: str) -> Float[Tensor, "N P"]:
        """`mean` or `max` over seen times of the sequence; `joints`, side by side.

        The latter are the mean over the times of each person, then over present persons, and need all that
        this encoder returned. All three ask absent persons nothing.
        """
        if pooling == "mean":
            return mean_of_seen(encoded)
        if pooling == "max":
            return max_of_seen(encoded)
        if pooling == "joints" and isinstance(encoded, TokenEncoded):
            present = rearrange(encoded.rows.present, "R P -> R P 1 1")
            total = torch.where(present, encoded.tokens, 0.0).sum(dim=1)
            of_rows = total / present.sum(dim=1).clamp(min=1)
            persons = encoded.rows.spread(rearrange(of_rows, "R V D -> R (V D)"))
            count = encoded.rows.spread(encoded.rows.present.any(dim=1)).sum(dim=1, keepdim=True)
            return persons.sum(dim=1) / count.clamp(min=1)
        if pooling == "joints":
            raise ValueError("pooling 'joints' needs the tokens, and these features have none")
        raise ValueError(f"a transformer has no pooling {pooling!r}; it has {', '.join(self.poolings)}")

    def pooled_width(self, pooling: str) -> int:
        """The width, for each joint in `joints`."""
        return self.width * (self.num_joints if pooling == "joints" else 1)

    def _keys(self, present: Bool[Tensor, "R P"]) -> Bool[Tensor, "R K"] | None:
        """Which tokens are there; None, which costs nothing, if all are and a look does not wait."""
        if present.device.type == "cpu" and bool(present.all()):
            return None
        return rearrange(present.unsqueeze(-1).expand(-1, -1, self.num_joints), "R P V -> R (P V)")

    def _encoded(self, features: Float[Tensor, "R L D"], rows: PersonRows) -> TokenEncoded:
        tokens = rearrange(features, "R (P V) D -> R P V D", V=self.num_joints)
        present = rearrange(rows.present, "R P -> R P 1")
        of_rows = torch.where(present, reduce(tokens, "R P V D -> R P D", "mean"), 0.0)
        count = rows.spread(rows.present).sum(dim=1)  # (N, P)
        sequence = rows.spread(of_rows).sum(dim=1) / rearrange(count.clamp(min=1), "N P -> N P 1")
        return TokenEncoded(sequence, count > 0, tokens, rows)


def resized_times(table: Float[Tensor, "P D"], num_times: int) -> Float[Tensor, "Q D"]:
    """Positions of as many times over the same clip: linear between the centres of those there are."""
    of_width = rearrange(table, "P D -> 1 D P")
    resized = nn.functional.interpolate(of_width, size=num_times, mode="linear", align_corners=False)
    return rearrange(resized, "1 D Q -> Q D")


def _hidden_keys(present: Bool[Tensor, "R K"]) -> Float[Tensor, "R 1 1 K"]:
    """-inf for the logits of absent keys, but for none in a row without any: a softmax of nothing is NaN."""
    shown = present | ~present.any(dim=1, keepdim=True)
    bias = torch.zeros_like(shown, dtype=torch.float32).masked_fill(~shown, -torch.inf)
    return rearrange(bias, "R K -> R 1 1 K")
