"""What a transformer attends to, as numbers to be shown; of any method, which needs no code for it.

Nothing is drawn at random and nothing of the encoder changes.
"""

from collections.abc import Sequence

import torch
from einops import rearrange, reduce
from jaxtyping import Bool, Float
from torch import Tensor, nn

from kinemask.augment.temporal import centre_crop
from kinemask.encoders.attention import Attention
from kinemask.encoders.base import Encoder
from kinemask.encoders.tokens import person_rows
from kinemask.encoders.transformer import EncoderBlock, TransformerEncoder
from kinemask.looks import AttentionLook, ClipLook, HopBiasLook
from kinemask.methods.look_numbers import rounded, rounded_rows
from kinemask.skeleton.batch import Batch, RaggedClips
from kinemask.skeleton.inputs import InputConfig, as_input
from kinemask.skeleton.layout import Layout


def add_attention(
    looks: Sequence[ClipLook],
    encoder: Encoder,
    clips: RaggedClips,
    names: Sequence[str],
    *,
    inputs: InputConfig,
    layout: Layout,
) -> tuple[ClipLook, ...]:
    """The looks, with what the encoder attends to in each of the clips; as they are if it does not attend."""
    if not isinstance(encoder, TransformerEncoder):
        return tuple(looks)
    known = {one.clip: one for one in looks}
    whole = centre_crop(clips, share=1.0, num_frames=inputs.num_frames)
    found = []
    for number, name in enumerate(names):
        # The first person alone, and clip by clip: all shares of a long one take tens of megabytes.
        view = Batch(whole.joints[number : number + 1, :, :1], whole.present[number : number + 1, :, :1])
        attention = look_at_attention(encoder, view, inputs=inputs, layout=layout)
        one = known.get(name, ClipLook(clip=name, mask=None, drop=None))
        found.append(one.model_copy(update={"attention": attention}))
    return tuple(one for one in found if one.shows)


@torch.no_grad()
def look_at_attention(
    encoder: TransformerEncoder, view: Batch, *, inputs: InputConfig, layout: Layout
) -> AttentionLook | None:
    """What the joint that moves most attends to, in one clip of one person; None if nobody is there.

    It is the joint whose place varies most about its mean over the clip, which jitter hardly changes; the
    pose is that in which it is farthest from its mean.
    """
    present = view.present[0, :, 0]
    if not bool(present.any()):
        return None
    joints = view.joints[0, :, 0]
    away = (joints - joints[present].mean(dim=0)).norm(dim=-1) * rearrange(present, "T -> T 1")
    joint = int(away.square().sum(dim=0).argmax())
    frame = int(away[:, joint].where(present, -1.0).argmax())
    shares = attention_of(encoder, as_input(view, config=inputs, layout=layout), joint)
    return AttentionLook(
        joint=joint,
        frame=frame,
        pose=tuple((rounded(x), rounded(y)) for x, y, *_ in joints[frame].tolist()),
        shares=rounded_rows(shares),
    )


@torch.no_grad()
def attention_of(encoder: TransformerEncoder, view: Batch, joint: int) -> Float[Tensor, "B V"]:
    """What the tokens of a joint give to those of each joint, in every block, in evaluation; sums to one.

    A mean over heads and over the times at which a person is present.
    """
    present = person_rows(view, frames=encoder.frames_per_token).present
    seen: list[Tensor] = []

    def watch(attention: nn.Module, fed: tuple[Tensor, Tensor | None, Tensor | None, None]) -> None:
        assert isinstance(attention, Attention)
        # The very tokens, bias and factor that the encoder hands to its attention: only what learns is split.
        tokens, bias, factor, split = fed
        assert split is None
        shares = attention.shares(tokens, bias, factor)
        seen.append(_of_joint(shares, present, joint, num_joints=encoder.num_joints))

    handles = [block.attention.register_forward_pre_hook(watch) for block in _blocks(encoder)]
    was_training = encoder.training
    try:
        encoder.eval()(view)
    finally:
        encoder.train(was_training)
        for handle in handles:
            handle.remove()
    return torch.stack(seen)


def look_at_hop_bias(encoder: Encoder, layout: Layout) -> HopBiasLook | None:
    """The topology bias of every block; None if the encoder has none."""
    if not isinstance(encoder, TransformerEncoder):
        return None
    farthest = max(map(max, layout.hops))
    tables = [block.hop_bias.table[:, : farthest + 1] for block in _blocks(encoder) if block.hop_bias]
    if not tables:
        return None
    return HopBiasLook(blocks=tuple(map(rounded_rows, tables)), farthest=farthest)


def _blocks(encoder: TransformerEncoder) -> list[EncoderBlock]:
    return [block for block in encoder.blocks if isinstance(block, EncoderBlock)]


def _of_joint(
    shares: Float[Tensor, "R H L L"], present: Bool[Tensor, "R P"], joint: int, *, num_joints: int
) -> Float[Tensor, " V"]:
    """The mean of the rows of that joint's tokens, by the joint of the column."""
    asked = rearrange(shares, "R H (P V) L -> R P V H L", V=num_joints)[:, :, joint][present]  # (K, H, L)
    return reduce(reduce(asked.float(), "K H (Q V) -> K H V", "sum", V=num_joints), "K H V -> V", "mean")
