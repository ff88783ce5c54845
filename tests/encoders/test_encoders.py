import json
from dataclasses import replace

import pytest
import torch
from pydantic import TypeAdapter
from safetensors.torch import load_file, save_file
from torch.testing import assert_close

from kinemask.encoders import ENCODERS, EncoderConfig, build_encoder
from kinemask.encoders.transformer import TokenEncoded
from kinemask.skeleton.batch import Batch
from kinemask.skeleton.layout import KINECT25
from tests.conftest import generator, make_batch

CLEAN = {"norm_statistics": "clean"}
SHAPE = {"width": 8, "depth": 2, "heads": 2, "mlp_ratio": 2, "frames_per_token": 2, "max_hops": 8}
SECTIONS = {
    "bigru": {"name": "gru", "form": "bigru", "hidden": 6, "depth": 2, "input_norm": "none", **CLEAN},
    "causal_twin": {
        "name": "gru",
        "form": "causal_twin",
        "hidden": 6,
        "depth": 2,
        "input_norm": "none",
        **CLEAN,
    },
    "normed": {"name": "gru", "form": "bigru", "hidden": 6, "depth": 1, "input_norm": "batch", **CLEAN},
    "coordinates": {"name": "coordinates"},
    "transformer": {"name": "transformer", "topology": "hops", **SHAPE},
    "transformer_off": {"name": "transformer", "topology": "off", **SHAPE},
    "transformer_adjacency": {"name": "transformer", "topology": "adjacency", **SHAPE},
}
RECURRENT = ["bigru", "causal_twin", "normed"]
TRANSFORMERS = [name for name in SECTIONS if name.startswith("transformer")]
EACH = pytest.mark.parametrize("section", SECTIONS.values(), ids=list(SECTIONS))


def build(section, num_persons=2, num_frames=8):
    torch.manual_seed(0)
    config = TypeAdapter(EncoderConfig).validate_json(json.dumps(section))
    return build_encoder(
        config, num_persons=num_persons, num_joints=25, num_frames=num_frames, hops=KINECT25.hops
    )


def excite(encoder):
    """Start the tables of a topology elsewhere than at zero, where they change nothing."""
    for name, parameter in encoder.named_parameters():
        if name.endswith("hop_bias.table"):
            torch.nn.init.normal_(parameter, std=0.5)
    return encoder


def test_every_encoder_has_a_section_and_is_tested_here():
    members = {str(choice.model_fields["name"].annotation) for choice in EncoderConfig.__args__[0].__args__}
    assert members == {f"typing.Literal['{name}']" for name in ENCODERS}
    assert {section["name"] for section in SECTIONS.values()} == set(ENCODERS)


@EACH
def test_pooled_features_are_finite_and_as_wide_as_promised(section, batch):
    encoder = build(section).eval()
    for pooling in encoder.poolings:
        features = encoder.pool(encoder(batch), pooling)
        assert features.shape == (len(batch.joints), encoder.pooled_width(pooling))
        assert features.isfinite().all()


@EACH
def test_clips_do_not_influence_one_another_in_evaluation(section, batch):
    encoder = excite(build(section)).eval()
    alone = encoder(Batch(batch.joints[1:2], batch.present[1:2]))
    assert_close(encoder(batch).sequence[1:2], alone.sequence, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("name", RECURRENT + TRANSFORMERS)
def test_an_absent_second_person_and_a_missing_one_give_the_same_features(name):
    encoder = excite(build(SECTIONS[name])).eval()
    batch = make_batch(num_persons=1)
    padded = Batch(
        torch.cat([batch.joints, torch.zeros_like(batch.joints)], dim=2),
        torch.cat([batch.present, torch.zeros_like(batch.present)], dim=2),
    )
    assert_close(encoder(batch).sequence, encoder(padded).sequence)
    for pooling in encoder.poolings:
        assert_close(encoder.pool(encoder(batch), pooling), encoder.pool(encoder(padded), pooling))


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_persons_are_interchangeable(name):
    encoder, batch = excite(build(SECTIONS[name])).eval(), make_batch()
    turned = Batch(batch.joints.flip(2), batch.present.flip(2))
    for pooling in encoder.poolings:
        assert_close(
            encoder.pool(encoder(batch), pooling), encoder.pool(encoder(turned), pooling), atol=1e-6, rtol=0
        )


@EACH
def test_saving_and_loading_keeps_the_features(section, batch, tmp_path):
    encoder = excite(build(section)).eval()
    save_file(encoder.state_dict(), tmp_path / "weights.safetensors")
    torch.manual_seed(1)
    other = build(section).eval()
    other.load_state_dict(load_file(tmp_path / "weights.safetensors"), strict=True)
    assert torch.equal(other(batch).sequence, encoder(batch).sequence)


@pytest.mark.parametrize("name", RECURRENT + TRANSFORMERS)
def test_every_weight_gets_a_gradient(name, batch):
    encoder = build(SECTIONS[name])
    random = torch.randn(encoder.pooled_width("mean"), generator=generator())
    (encoder.pool(encoder(batch), "mean") * random).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in encoder.parameters())


@pytest.mark.parametrize(
    ("name", "pooling"),
    [
        (name, pooling)
        for name in ("bigru", "causal_twin", "transformer")
        for pooling in build(SECTIONS[name]).poolings
    ],
)
def test_frames_without_anyone_enter_no_pooling(name, pooling):
    encoder = build(SECTIONS[name]).eval()
    batch = make_batch(num_persons=1)
    encoded = encoder(batch)
    spoiled = {"sequence": encoded.sequence.clone()}
    spoiled["sequence"][~encoded.seen] = 1e6  # of the last clip's two empty frames
    if isinstance(encoded, TokenEncoded):
        spoiled["tokens"] = encoded.tokens.clone()
        spoiled["tokens"][~encoded.rows.present] = 1e6
    assert not encoded.seen.all()
    assert_close(encoder.pool(replace(encoded, **spoiled), pooling), encoder.pool(encoded, pooling))


def test_mean_pooling_by_hand():
    encoder = build(SECTIONS["bigru"])
    sequence = torch.zeros(1, 3, 12)
    sequence[0, :, 0] = torch.tensor([2.0, 4.0, 90.0])
    encoded = type(encoder(make_batch()))(sequence, torch.tensor([[True, True, False]]))
    assert encoder.pool(encoded, "mean")[0, 0] == 3.0  # (2 + 4) / 2
    assert encoder.pool(encoded, "max")[0, 0] == 4.0
    assert encoder.pool(encoded, "last")[0, 0] == 4.0


def test_last_pooling_reads_the_backward_half_at_the_first_frame():
    encoder = build(SECTIONS["bigru"])
    sequence = torch.zeros(1, 3, 12)
    sequence[0, :, 11] = torch.tensor([5.0, 6.0, 7.0])
    encoded = type(encoder(make_batch()))(sequence, torch.tensor([[True, True, True]]))
    assert encoder.pool(encoded, "last")[0, 11] == 5.0


def test_more_persons_than_built_for_are_refused(batch):
    with pytest.raises(ValueError, match="takes 1 person"):
        build(SECTIONS["bigru"], num_persons=1)(batch)


def test_unknown_pooling_lists_those_that_exist(batch):
    encoder = build(SECTIONS["bigru"])
    with pytest.raises(ValueError, match="no pooling 'sum'; it has mean, last, max"):
        encoder.pool(encoder(batch), "sum")
