import pytest
import torch
from pydantic import ValidationError
from torch.testing import assert_close

from kinemask.encoders.precision import set_precision
from kinemask.methods.token_decoder import TokenDecoder, TokenDecoderConfig
from tests.conftest import generator

SMALL = {"name": "tokens", "width": 8, "depth": 2, "heads": 2, "mlp_ratio": 2}
VISIBLE = torch.tensor([[0, 5, 7], [1, 2, 8]])  # of 3 times x 3 joints
PRESENT = torch.ones(2, 3, dtype=torch.bool)


def build(**changes):
    torch.manual_seed(0)
    config = TokenDecoderConfig.model_validate(SMALL | changes)
    return TokenDecoder(width=6, config=config, num_times=3, num_joints=3, num_outputs=12)


def features():
    return torch.randn(2, 3, 6, generator=generator())


def test_the_published_decoder_has_the_published_size():  # METHOD_JMM_TGT section 1
    config = TokenDecoderConfig(name="tokens", width=256, depth=5, heads=8, mlp_ratio=4)
    with torch.device("meta"):
        decoder = TokenDecoder(width=256, config=config, num_times=30, num_joints=25, num_outputs=12)
    # 256 x 256 + 256, mask token 256, 30 and 25 positions, 5 blocks, a norm, 256 x 12 + 12.
    by_hand = 65_792 + 256 + 55 * 256 + 5 * 789_760 + 512 + 3_084
    assert sum(weight.numel() for weight in decoder.parameters()) == by_hand == 4_032_524


def test_every_weight_gets_a_gradient():
    decoder = build()
    predicted = decoder(features(), VISIBLE, PRESENT)
    assert predicted.shape == (2, 3, 3, 12)
    predicted.square().sum().backward()
    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in decoder.parameters())


def test_order_is_restored_and_hidden_places_hold_the_mask_token():
    """The first block is fed, place by place, the visible feature or the mask token, plus the position."""
    decoder = build()
    fed = []
    decoder.blocks[0].register_forward_pre_hook(lambda block, inputs: fed.append(inputs[0]))
    decoder(features(), VISIBLE, PRESENT)
    embedded = decoder.embed(features())
    for row in range(2):
        for place in range(9):
            position = decoder.time_positions[place // 3] + decoder.joint_positions[place % 3]
            order = VISIBLE[row].tolist()
            held = embedded[row, order.index(place)] if place in order else decoder.mask_token
            assert_close(fed[0][row, place], held + position)


def test_absent_times_change_nothing_elsewhere_and_an_absent_row_is_finite():
    decoder = build()
    present = torch.tensor([[True, False, True], [False, False, False]])
    visible = torch.tensor([[0, 4, 7], [1, 2, 8]])  # place 4 is at the absent time of the first row
    spoilt = features()
    spoilt[0, 1] += 100.0
    before, after = decoder(features(), visible, present), decoder(spoilt, visible, present)
    assert torch.equal(before[0, [0, 2]], after[0, [0, 2]])
    assert not torch.equal(before[0, 1], after[0, 1])
    assert torch.isfinite(before).all()
    after.sum().backward()
    assert all(torch.isfinite(weight.grad).all() for weight in decoder.parameters())


def test_it_may_be_deeper_and_wider_than_what_feeds_it():
    predicted = build(depth=5, width=32)(features(), VISIBLE, PRESENT)
    assert predicted.shape == (2, 3, 3, 12)


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(ValidationError, match="3 heads do not divide a width of 8"):
        TokenDecoderConfig.model_validate(SMALL | {"heads": 3})


def test_bfloat16_is_inside_only():
    decoder = build()
    whole = decoder(features(), VISIBLE, PRESENT)
    set_precision(decoder, torch.bfloat16)
    half = decoder(features(), VISIBLE, PRESENT)
    assert half.dtype == torch.float32
    assert not torch.equal(half, whole)
    assert_close(half, whole, atol=0.05, rtol=0)
