"""What a look says that an encoder attends to is what it attends to, and asking changes nothing."""

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from kinemask.augment.temporal import centre_crop
from kinemask.encoders import build_encoder
from kinemask.encoders.precision import set_precision
from kinemask.encoders.transformer import TransformerEncoder
from kinemask.looks import ClipLook
from kinemask.methods.attention_look import add_attention, attention_of, look_at_attention, look_at_hop_bias
from kinemask.skeleton.batch import Batch
from kinemask.skeleton.layout import KINECT25
from tests.conftest import generator, make_batch, make_ragged
from tests.masking.bodies import CHAIN
from tests.methods.jmm_section import TRANSFORMER, build_jmm, encoder_of
from tests.methods.mtmc_section import GRU, inputs_of, train

HAND, HEAD = KINECT25.index("right_hand"), KINECT25.index("head")
NAMES = ("a", "b", "c", "d", "e")
LOOK = {"inputs": inputs_of(), "layout": KINECT25}


def build(layout=KINECT25, num_joints=25, **changes) -> TransformerEncoder:
    """An encoder of clips of eight frames whose topology has learned something."""
    torch.manual_seed(0)
    encoder = build_encoder(
        encoder_of(TRANSFORMER | changes),
        num_persons=2,
        num_joints=num_joints,
        num_frames=8,
        hops=layout.hops,
    )
    for block in encoder.blocks:
        if block.hop_bias is not None:
            torch.nn.init.normal_(block.hop_bias.table)
    return encoder


def one_person() -> Batch:
    """Two times of four frames, of which the person is seen in the first."""
    joints = make_batch().joints[:1, :, :1]
    present = torch.ones(1, 8, 1, dtype=torch.bool)
    present[:, 4:] = False
    return Batch(joints * present[..., None, None], present)


def moving(joint: int = HAND) -> Batch:
    """All joints jitter by centimetres, one swings by half a metre."""
    joints = 0.02 * torch.randn(1, 8, 1, 25, 3, generator=generator())
    joints[0, :, 0, joint, 0] += torch.tensor([0.0, 0.1, 0.2, 0.3, 0.5, 0.3, 0.2, 0.1])
    return Batch(joints, torch.ones(1, 8, 1, dtype=torch.bool))


def test_shares_are_those_of_the_first_block_written_out():
    encoder, view = build(topology="hops"), one_person()
    found = attention_of(encoder, view, HAND)
    # The tokens of the first time are there, those of the second are not.
    tokens = encoder.token_map(view.joints[0, :4, 0].permute(1, 0, 2).reshape(25, 12))
    tokens = tokens + encoder.time_positions[0] + encoder.joint_positions
    block = encoder.blocks[0]
    normed = block.attention_norm(tokens)
    query, key, _ = block.attention.queries_keys_values(normed).split(16, dim=-1)
    expected = torch.zeros(25)
    for head in range(2):
        part = slice(8 * head, 8 * head + 8)
        logits = key[:, part] @ query[HAND, part] / 8**0.5
        for other in range(25):
            logits[other] = logits[other] + block.hop_bias.table[head, min(8, KINECT25.hops[HAND][other])]
        expected += torch.softmax(logits, dim=0) / 2
    assert_close(found[0], expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("topology", ["hops", "off", "adjacency"])
def test_shares_of_every_block_sum_to_one(topology):
    encoder = build(topology=topology, depth=3)
    for view in (one_person(), make_batch()):
        found = attention_of(encoder, view, HEAD)
        assert found.shape == (3, 25)
        assert found.min() > 0
        assert_close(found.sum(dim=1), torch.ones(3))


def test_shares_in_bfloat16_sum_to_one_too():
    encoder, whole = build(), attention_of(build(), moving(), HAND)
    set_precision(encoder, torch.bfloat16)
    found = attention_of(encoder, moving(), HAND)
    assert_close(found.sum(dim=1), torch.ones(2), atol=1e-3, rtol=0)
    assert_close(found, whole, atol=0.02, rtol=0)
    assert not torch.equal(found, whole)


def test_a_large_bias_for_the_joint_itself_draws_all_attention_there():
    encoder = build()
    with torch.no_grad():
        encoder.blocks[1].hop_bias.table[:, 0] = 30.0
    assert_close(attention_of(encoder, moving(), HAND)[1, HAND], torch.tensor(1.0))


def test_the_last_block_sees_what_the_first_has_changed():
    encoder = build()
    before = attention_of(encoder, moving(), HAND)
    with torch.no_grad():
        encoder.blocks[0].mlp[2].weight.mul_(2.0)
    after = attention_of(encoder, moving(), HAND)
    assert torch.equal(before[0], after[0])
    assert not torch.equal(before[1], after[1])


def test_the_joint_that_swings_asks_where_it_is_farthest_from_its_mean():
    found = look_at_attention(build(), moving(), **LOOK)
    assert (found.joint, found.frame) == (HAND, 4)
    assert_close(torch.tensor(found.pose), moving().joints[0, 4, 0, :, :2], atol=5e-4, rtol=1e-3)
    assert [sum(row) for row in found.shares] == pytest.approx([1.0, 1.0], abs=1e-3)
    assert_close(torch.tensor(found.shares), attention_of(build(), moving(), HAND), atol=5e-5, rtol=0)


def test_frames_without_the_person_are_neither_drawn_nor_asked():
    view = moving()
    joints, present = view.joints.clone(), view.present.clone()
    joints[..., HEAD, 1] += 3.0
    present[0, 4:] = False  # a head that falls by three metres, if zero joints counted
    gone = Batch(joints * present[..., None, None], present)
    found = look_at_attention(build(), gone, **LOOK)
    assert found.joint == HAND
    assert found.frame in (0, 3)
    assert look_at_attention(build(), Batch(joints, torch.zeros_like(present)), **LOOK) is None


def test_the_pose_is_of_joints_though_the_encoder_is_fed_motion():
    inputs = inputs_of().model_copy(update={"stream": "motion"})
    found = look_at_attention(build(), moving(), inputs=inputs, layout=KINECT25)
    plain = look_at_attention(build(), moving(), **LOOK)
    assert (found.pose, found.joint) == (plain.pose, plain.joint)
    assert found.shares != plain.shares


def test_looks_get_the_attention_of_their_clip_and_clips_without_a_look_get_one():
    encoder, clips = build(), make_ragged()
    looks = build_jmm().look(clips, NAMES, generator())
    found = add_attention(looks, encoder, clips, NAMES, **LOOK)
    assert [(one.clip, one.mask) for one in found] == [(one.clip, one.mask) for one in looks]
    whole = centre_crop(clips, share=1.0, num_frames=8)
    alone = Batch(whole.joints[3:4, :, :1], whole.present[3:4, :, :1])
    assert found[3].attention == look_at_attention(encoder, alone, **LOOK)
    assert len({one.attention for one in found}) == 5
    bare = add_attention((), encoder, clips, NAMES, **LOOK)
    assert bare == tuple(
        ClipLook(clip=one.clip, mask=None, drop=None, attention=one.attention) for one in found
    )


def test_a_clip_without_its_first_person_keeps_its_look_alone():
    clips = make_ragged((9, 8))
    clips.present[:9, 0] = False
    clips = replace(clips, joints=clips.joints * clips.present[..., None, None])
    looks = build_jmm().look(clips, NAMES[:2], generator())
    found = add_attention(looks, build(), clips, NAMES[:2], **LOOK)
    assert [one.attention is None for one in found] == [True, False]
    assert [one.clip for one in add_attention((), build(), clips, NAMES[:2], **LOOK)] == ["b"]


def test_the_bias_has_the_hops_that_the_body_has():
    encoder = build()
    found = look_at_hop_bias(encoder, KINECT25)
    assert found.farthest == 12  # from a hand's tip to a foot
    assert_close(torch.tensor(found.blocks[1]), encoder.blocks[1].hop_bias.table.detach(), atol=0, rtol=1e-3)
    short = build(layout=CHAIN, num_joints=5)
    found = look_at_hop_bias(short, CHAIN)
    assert found.farthest == 4
    assert_close(
        torch.tensor(found.blocks[0]), short.blocks[0].hop_bias.table[:, :5].detach(), atol=0, rtol=1e-3
    )


def test_who_does_not_attend_or_has_no_topology_has_no_such_look():
    gru = build_encoder(GRU, num_persons=2, num_joints=25, num_frames=8)
    assert look_at_hop_bias(gru, KINECT25) is None
    assert look_at_hop_bias(build(topology="off"), KINECT25) is None
    assert look_at_hop_bias(build(topology="adjacency"), KINECT25) is None
    look = ClipLook(clip="a", mask=None, drop=None)
    assert add_attention((look,), gru, make_ragged((9,)), NAMES[:1], **LOOK) == (look,)


def test_a_look_changes_nothing():
    asked, left_alone = build_jmm(), build_jmm()
    for method in (asked, left_alone):
        method.encoder.set_drop_path(0.5)
        torch.manual_seed(1)
        train(method, make_ragged(), 2)
    before = torch.get_rng_state()
    first = add_attention((), asked.encoder, make_ragged(), NAMES, **LOOK)
    assert torch.equal(before, torch.get_rng_state())
    assert add_attention((), asked.encoder, make_ragged(), NAMES, **LOOK) == first
    assert asked.encoder.training
    assert not any(block.attention._forward_pre_hooks for block in asked.encoder.blocks)
    torch.manual_seed(1)
    ours = train(asked, make_ragged(), 2)
    torch.manual_seed(1)
    assert train(left_alone, make_ragged(), 2) == ours
    states = asked.state_dict(), left_alone.state_dict()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
