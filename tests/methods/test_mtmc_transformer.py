"""mtmc on the transformer, whose sequence has an element for several frames."""

import json

import pytest
import torch
from pydantic import ValidationError
from torch.testing import assert_close

from kinemask.encoders import CoordinatesConfig, TransformerConfig, build_encoder
from kinemask.masking.features import frame_speed
from kinemask.methods import METHODS
from kinemask.skeleton.layout import KINECT25
from kinemask.training.recipe import Recipe
from tests.conftest import generator, make_batch
from tests.methods.mtmc_section import DOMAIN, EVERYTHING, GRU, MTMC, config_of, inputs_of, train

SECTION = {
    "name": "transformer", "width": 16, "depth": 2, "heads": 2, "mlp_ratio": 2, "frames_per_token": 2,
    "topology": "hops", "max_hops": 8,
}  # fmt: skip
TRANSFORMER = TransformerConfig.model_validate(SECTION)
ALL_TERMS = EVERYTHING | {"prompts": False}
DROPS = ("trajectory", "gate", "random", "energy", "threshold", "input", "frame_joints")


def build(section=ALL_TERMS):
    torch.manual_seed(0)
    inputs = inputs_of()
    encoder = build_encoder(
        TRANSFORMER, num_persons=2, num_joints=25, num_frames=inputs.num_frames, hops=KINECT25.hops
    )
    return METHODS["mtmc"](config_of(section), encoder, inputs, DOMAIN)


@pytest.mark.parametrize("kind", DROPS)
def test_a_step_gives_a_finite_loss_and_a_gradient_to_every_trainable_weight(kind, ragged):
    method = build(ALL_TERMS | {"drop": {"kind": kind, "ratio": 0.2, "threshold": 0.7}})
    output = method.training_step(ragged, generator(), 0.9)
    output.loss.backward()
    assert output.loss.isfinite()
    for name, parameter in method.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name
            assert parameter.grad.abs().sum() > 0, name


def test_it_learns(ragged):
    losses = train(build(), ragged, 8, lr=0.02)
    assert sum(losses[-3:]) < sum(losses[:3])


def test_the_decoder_predicts_as_many_frames_as_an_element_stands_for(ragged):
    method = build()
    assert method.decoder.head.out_features == 2 * 2 * 25 * 3
    with torch.no_grad():
        method.decoder.head.weight.zero_()
        method.decoder.head.bias.copy_(torch.arange(300.0))  # by frame, person, joint, axis
    batch = make_batch()
    encoded = method.encoder(batch)
    predicted = method._decode(encoded.sequence, encoded, batch.joints, generator())
    assert predicted.shape == batch.joints.shape
    expected = torch.arange(300.0).reshape(2, 2, 25, 3)
    for frame in range(8):
        assert torch.equal(predicted[1, frame], expected[frame % 2])


def test_speeds_are_as_many_as_features(ragged):
    method = build()
    view = method.views.draw_extreme(ragged, generator(), drops=True, fill=None)
    assert view.speed.shape == method.encoder(view.shown).seen.shape == (5, 4)
    assert_close(view.speed, frame_speed(view.shown, stride=2))  # of the joint stream: it is the view


def test_it_can_be_looked_at(ragged):
    method = build()
    looks = method.look(ragged, ["a", "b", "c", "d", "e"], generator())
    assert [len(look.drop.dropped) for look in looks] == [16] * 5
    assert method.encoder.training


def test_what_a_transformer_lacks_is_refused():
    inputs = inputs_of()
    assert config_of(ALL_TERMS).misfit(inputs, TRANSFORMER) is None
    assert config_of(EVERYTHING).misfit(inputs, GRU) is None
    assert "no prompts: use prompts false" in config_of(EVERYTHING).misfit(inputs, TRANSFORMER)
    last = config_of(ALL_TERMS | {"pooling": "last"})
    assert "use pooling mean or max" in last.misfit(inputs, TRANSFORMER)
    assert "nothing to train" in config_of(MTMC).misfit(inputs, CoordinatesConfig(name="coordinates"))


def test_channels_are_counted_by_the_width_of_a_feature():
    few = config_of(ALL_TERMS | {"drop": {"kind": "random", "ratio": 0.02, "threshold": 0.7}})
    assert "drops 0 of 16 channels" in few.misfit(inputs_of(), TRANSFORMER)
    assert "drops 0 of 24 channels" in few.misfit(inputs_of(), GRU.model_copy(update={"hidden": 12}))


def test_a_recipe_whose_clips_do_not_divide_into_tokens_is_refused():
    section = {
        "inputs": inputs_of(num_frames=9).model_dump(), "encoder": SECTION, "method": {"name": "untrained"},
        "training": None,
    }  # fmt: skip
    with pytest.raises(ValidationError, match=r"num_frames 9 is no multiple of encoder.frames_per_token 2"):
        Recipe.model_validate_json(json.dumps(section))
