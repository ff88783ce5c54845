"""Several views in one pass: who is normed by what, and what a prompt changes."""

import pytest
import torch
from torch.testing import assert_close

from kinemask.encoders import GRUConfig, build_encoder
from kinemask.encoders.coordinates import CoordinatesEncoder
from kinemask.skeleton.batch import Batch
from tests.conftest import make_batch

NORMED = GRUConfig(
    name="gru", form="causal_twin", hidden=4, depth=2, input_norm="batch", norm_statistics="clean"
)
EVERY = NORMED.model_copy(update={"norm_statistics": "every_view"})
NO_NORM = NORMED.model_copy(update={"input_norm": "none"})


def build(config=NORMED, num_persons=2):
    torch.manual_seed(0)
    return build_encoder(config, num_persons=num_persons, num_joints=25, num_frames=8)


def three_views():
    """A clean one, one ten times as large with fewer clips, one elsewhere."""
    clean, other = make_batch(seed=0), make_batch(num_clips=3, seed=1)
    big = Batch(other.joints * 10, other.present)
    far = make_batch(seed=2)
    return [clean, big, Batch((far.joints + 5) * far.present[..., None, None], far.present)]


def encode(encoder, views, clean, prompts=None):
    return encoder.encode_views(views, prompts=prompts or [None] * len(views), clean=clean)


@pytest.mark.parametrize("config", [NORMED, EVERY, NO_NORM], ids=["clean", "every_view", "no_norm"])
@pytest.mark.parametrize("training", [True, False])
def test_each_view_is_as_if_it_were_encoded_alone(config, training):
    together = encode(build(config).train(training), three_views(), clean=0)
    for view, encoded in zip(three_views(), together, strict=True):
        (alone,) = encode(build(config).train(training), [view], clean=-1)
        assert_close(encoded.sequence, alone.sequence)
        assert torch.equal(encoded.seen, alone.seen)


def test_forward_is_the_pass_of_one_clean_view():
    one, other = build(), build()
    (view, *_) = three_views()
    assert_close(one(view).sequence, encode(other, [view], clean=0)[0].sequence)
    assert torch.equal(one.norm.mean, other.norm.mean)


@pytest.mark.parametrize("clean", [0, 2])
def test_only_the_clean_view_moves_running_statistics(clean):  # trap E3
    encoder, alone = build(), build()
    encode(encoder, three_views(), clean=clean)
    encode(alone, [three_views()[clean]], clean=0)
    assert (encoder.norm.mean != 0).any()
    assert torch.equal(encoder.norm.mean, alone.norm.mean)
    assert torch.equal(encoder.norm.variance, alone.norm.variance)


def test_every_view_moves_them_in_turn_if_asked_to():
    encoder, stepwise = build(EVERY), build(NORMED)
    encode(encoder, three_views(), clean=0)
    for view in three_views():
        encode(stepwise, [view], clean=0)
    assert_close(encoder.norm.mean, stepwise.norm.mean)
    assert_close(encoder.norm.variance, stepwise.norm.variance)


@pytest.mark.parametrize("config", [NORMED, EVERY], ids=["clean", "every_view"])
def test_without_a_clean_view_no_statistics_move(
    config,
):  # traps E2 and E3: a teacher's move by averaging only
    encoder = build(config)
    encode(encoder, three_views(), clean=-1)
    assert (encoder.norm.mean == 0).all()
    assert (encoder.norm.variance == 1).all()


def test_views_go_through_the_layers_in_one_pass():
    encoder, calls = build(), []
    encoder.layers[0][0].register_forward_hook(lambda module, args, output: calls.append(len(args[0])))
    encode(encoder, three_views(), clean=0)
    assert calls == [4 + 3 + 4]


def test_a_prompt_changes_its_own_view_only():
    prompt = torch.full((2, 25, 3), 0.5)
    plain = encode(build(), three_views(), clean=0)
    prompted = encode(build(), three_views(), clean=0, prompts=[None, prompt, None])
    assert torch.equal(plain[0].sequence, prompted[0].sequence)
    assert not torch.equal(plain[1].sequence, prompted[1].sequence)
    assert torch.equal(plain[2].sequence, prompted[2].sequence)


def test_a_prompt_of_one_value_a_coordinate_survives_the_norm_of_its_view():
    # Before the norm, as in PCM3, the batch's mean would take it away: nothing would change.
    encoder, batch = build(num_persons=1), make_batch(num_persons=1)
    prompt = torch.randn(1, 25, 3, generator=torch.Generator().manual_seed(0))
    (plain,) = encode(encoder, [batch], clean=-1)
    (prompted,) = encode(encoder, [batch], clean=-1, prompts=[prompt])
    assert (plain.sequence - prompted.sequence).abs().max() > 0.01


@pytest.mark.parametrize("config", [NORMED, NO_NORM], ids=["batch", "none"])
def test_a_prompt_is_not_added_to_who_is_absent(config):
    encoder = build(config)
    batch = make_batch()
    alone = Batch(batch.joints[:1], batch.present[:1])  # its second person is absent
    prompt = torch.zeros(2, 25, 3)
    prompt[1] = 3.0
    (plain,) = encode(encoder, [alone], clean=-1)
    (prompted,) = encode(encoder, [alone], clean=-1, prompts=[prompt])
    assert torch.equal(plain.sequence, prompted.sequence)


def test_a_prompt_learns():
    prompt = torch.zeros(2, 25, 3, requires_grad=True)
    encode(build(), three_views()[:1], clean=0, prompts=[prompt])[0].sequence.sum().backward()
    assert (prompt.grad != 0).all()


def test_views_with_fewer_persons_than_built_for_may_stand_beside_others():
    views = [make_batch(), make_batch(num_persons=1)]
    together = encode(build().eval(), views, clean=0)
    assert_close(together[1].sequence, build().eval()(views[1]).sequence)


def test_an_encoder_without_norm_and_prompts_splits_one_pass():
    encoder = CoordinatesEncoder(num_persons=2, num_joints=25, num_frames=8)
    for view, encoded in zip(three_views(), encode(encoder, three_views(), clean=0), strict=True):
        assert torch.equal(encoded.sequence, encoder(view).sequence)
        assert torch.equal(encoded.seen, encoder(view).seen)
    with pytest.raises(ValueError, match="CoordinatesEncoder takes no prompts"):
        encode(encoder, three_views()[:1], clean=0, prompts=[torch.zeros(2, 25, 3)])


@pytest.mark.parametrize("encoder", [build(), CoordinatesEncoder(num_persons=2, num_joints=25, num_frames=8)])
def test_what_does_not_belong_together_is_refused(encoder):
    with pytest.raises(ValueError, match="found 1 for 3 view"):
        encode(encoder, three_views(), clean=0, prompts=[None])
    for clean in (3, -2):
        with pytest.raises(ValueError, match=f"found {clean} for 3 view"):
            encode(encoder, three_views(), clean=clean)
