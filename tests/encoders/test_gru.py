"""What METHOD_MTMC B4, D9 and trap E1 say of the recurrent encoder."""

import math

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from kinemask.encoders import GRUConfig, build_encoder
from kinemask.encoders.precision import set_precision
from kinemask.skeleton.batch import Batch
from tests.conftest import make_batch

NUM_COORDINATES = 75  # of one person


def config(form, *, hidden=5, depth=3, input_norm="none"):
    return GRUConfig(
        name="gru", form=form, hidden=hidden, depth=depth, input_norm=input_norm, norm_statistics="clean"
    )


def build(form, *, depth=3, num_persons=1, input_norm="none"):
    torch.manual_seed(0)
    about = config(form, depth=depth, input_norm=input_norm)
    return build_encoder(about, num_persons=num_persons, num_joints=25, num_frames=8)


def ancestor_of(encoder):
    """torch's bidirectional GRU of the same weights: what CMD and PCM3 build."""
    hidden, depth = encoder.width // 2, len(encoder.layers)
    gru = nn.GRU(NUM_COORDINATES, hidden, depth, batch_first=True, bidirectional=True)
    weights = {}
    for number, twins in enumerate(encoder.layers):
        for twin, ending in zip(twins, ("", "_reverse"), strict=True):
            for name, weight in twin.state_dict().items():
                weights[name.replace("_l0", f"_l{number}{ending}")] = weight
    gru.load_state_dict(weights, strict=True)
    return gru


def stepped(gru, frames):
    """One call a frame that carries the state, as the ancestors' EncoderRNN.forward does."""
    outputs, state = [], None
    for t in range(frames.shape[1]):
        output, state = gru(frames[:, t : t + 1], state)
        outputs.append(output)
    return torch.cat(outputs, dim=1)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_causal_twin_equals_the_ancestors_steps_frame_by_frame(depth):  # D9
    encoder, batch = build("causal_twin", depth=depth).eval(), make_batch(num_persons=1)
    expected = stepped(ancestor_of(encoder), batch.joints.flatten(2))
    assert_close(encoder(batch).sequence, expected, atol=1e-6, rtol=0)
    views = [make_batch(num_persons=1, seed=1), batch]
    viewed = encoder.encode_views(views, prompts=[None, None], clean=0)[1]
    assert_close(viewed.sequence, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_one_call_of_a_bidirectional_gru_read_at_the_last_step_is_another_model(depth):  # D9, trap E1
    encoder, batch = build("causal_twin", depth=depth).eval(), make_batch(num_persons=1)
    whole = ancestor_of(encoder)(batch.joints.flatten(2))[0]
    difference = (encoder(batch).sequence[:, -1] - whole[:, -1]).abs().max()
    assert difference > 0.1  # to rounding it would be 1e-6; METHOD's toy has 0.19


@pytest.mark.parametrize("input_norm", ["none", "batch"])
@pytest.mark.parametrize(("form", "sees_ahead"), [("causal_twin", False), ("bigru", True)])
def test_causal_twin_never_looks_ahead_and_bigru_does(form, sees_ahead, input_norm):
    batch = make_batch(num_persons=1)
    later = batch.joints.clone()
    later[:, 5:] += 1.0
    encoder = build(form, input_norm=input_norm).eval()
    before, after = encoder(batch).sequence, encoder(Batch(later, batch.present)).sequence
    assert torch.equal(before[:, :5], after[:, :5]) is not sees_ahead
    assert not torch.equal(before[:, 5:], after[:, 5:])


def test_the_published_encoder_has_the_published_size():  # B4
    with torch.device("meta"):
        encoder = build_encoder(
            config("causal_twin", hidden=1024, input_norm="batch"),
            num_persons=2,
            num_joints=25,
            num_frames=64,
        )
    assert sum(weight.numel() for weight in encoder.layers.parameters()) == 44_998_656
    assert sum(weight.numel() for weight in encoder.norm.parameters()) == 2 * 150
    assert encoder.pooled_width("last") == 2048


@pytest.mark.parametrize("form", ["causal_twin", "bigru"])
def test_gate_matrices_start_as_xaviers_and_biases_as_torchs(form):  # B4
    torch.manual_seed(0)
    encoder = build_encoder(config(form, hidden=40), num_persons=1, num_joints=25, num_frames=8)
    shapes = set()
    for name, weight in encoder.layers.named_parameters():
        if weight.ndim == 2:  # the three gates are stacked into one matrix
            bound = math.sqrt(6 / (weight.shape[0] + weight.shape[1]))
            shapes.add(tuple(weight.shape))
        else:
            assert "bias" in name
            bound = 1 / math.sqrt(40)
        assert weight.abs().max() <= bound
        assert weight.abs().max() > 0.95 * bound
    assert shapes == {(120, 75), (120, 80), (120, 40)}


@pytest.mark.parametrize("form", ["causal_twin", "bigru"])
def test_bfloat16_is_inside_only_and_close_to_float32(form):
    encoder, batch = build(form), make_batch(num_persons=1)
    whole = encoder(batch).sequence
    set_precision(encoder, torch.bfloat16)
    half = encoder(batch).sequence
    assert half.dtype == torch.float32
    assert not torch.equal(half, whole)
    assert_close(half, whole, atol=0.05, rtol=0)
    half.square().sum().backward()
    assert all(weight.grad.dtype == weight.dtype == torch.float32 for weight in encoder.parameters())
    set_precision(encoder, torch.float32)
    assert torch.equal(encoder(batch).sequence, whole)


def test_features_are_float32_even_if_the_layers_give_less():
    encoder = build("bigru")  # GPUs' GRUs return what they compute in, those of CPUs do not
    encoder.layers[-1][0].register_forward_hook(lambda module, args, out: (out[0].bfloat16(), out[1]))
    assert encoder(make_batch(num_persons=1)).sequence.dtype == torch.float32


def test_layers_stand_in_order_with_the_input_norm_in_the_first():
    encoder = build("causal_twin", depth=2, input_norm="batch")
    first, second = encoder.layer_groups()
    assert {id(one) for one in first} == {
        id(one) for part in (encoder.norm, encoder.layers[0]) for one in part.parameters()
    }
    assert [id(one) for one in second] == [id(one) for one in encoder.layers[1].parameters()]
