import json

import pytest
import torch
from pydantic import TypeAdapter
from safetensors.torch import load_file, save_file
from torch.testing import assert_close

from kinemask.encoders import ENCODERS, EncoderConfig, build_encoder
from kinemask.skeleton.batch import Batch
from tests.conftest import make_batch

CLEAN = {"norm_statistics": "clean"}
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
}
EACH = pytest.mark.parametrize("section", SECTIONS.values(), ids=list(SECTIONS))


def build(section, num_persons=2, num_frames=8):
    torch.manual_seed(0)
    config = TypeAdapter(EncoderConfig).validate_json(json.dumps(section))
    return build_encoder(config, num_persons=num_persons, num_joints=25, num_frames=num_frames)


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
    encoder = build(section).eval()
    alone = encoder(Batch(batch.joints[1:2], batch.present[1:2]))
    assert_close(encoder(batch).sequence[1:2], alone.sequence, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("name", ["bigru", "causal_twin", "normed"])
def test_an_absent_second_person_and_a_missing_one_give_the_same_features(name):
    encoder = build(SECTIONS[name]).eval()
    batch = make_batch(num_persons=1)
    padded = Batch(
        torch.cat([batch.joints, torch.zeros_like(batch.joints)], dim=2),
        torch.cat([batch.present, torch.zeros_like(batch.present)], dim=2),
    )
    assert_close(encoder(batch).sequence, encoder(padded).sequence)


@EACH
def test_saving_and_loading_keeps_the_features(section, batch, tmp_path):
    encoder = build(section).eval()
    save_file(encoder.state_dict(), tmp_path / "weights.safetensors")
    torch.manual_seed(1)
    other = build(section).eval()
    other.load_state_dict(load_file(tmp_path / "weights.safetensors"), strict=True)
    assert torch.equal(other(batch).sequence, encoder(batch).sequence)


@pytest.mark.parametrize("name", ["bigru", "causal_twin", "normed"])
def test_every_weight_gets_a_gradient(name, batch):
    encoder = build(SECTIONS[name])
    encoder.pool(encoder(batch), "mean").square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in encoder.parameters())


@pytest.mark.parametrize("name", ["bigru", "causal_twin"])
@pytest.mark.parametrize("pooling", ["mean", "last", "max"])
def test_frames_without_anyone_enter_no_pooling(name, pooling):
    encoder = build(SECTIONS[name]).eval()
    batch = make_batch(num_persons=1)
    encoded = encoder(batch)
    changed = encoded.sequence.clone()
    changed[-1, -2:] = 1e6  # the last clip's two empty frames
    spoiled = type(encoded)(changed, encoded.seen)
    assert_close(encoder.pool(spoiled, pooling), encoder.pool(encoded, pooling))


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
