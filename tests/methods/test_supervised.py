import dataclasses
import json

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from torch.testing import assert_close

from kinemask.encoders import CoordinatesConfig, GRUConfig, build_encoder
from kinemask.encoders.precision import set_precision
from kinemask.methods import LEARN_FROM_LABELS, METHODS, MethodConfig
from kinemask.methods.base import Domain
from kinemask.methods.supervised import HeadConfig, LabelledClips, Supervised, build_head
from kinemask.skeleton.batch import RaggedClips
from kinemask.skeleton.inputs import InputConfig
from kinemask.skeleton.layout import KINECT25
from tests.conftest import generator, make_ragged

NORMAL = {
    "crop": {"share_low": 0.5, "share_high": 1.0, "min_unit": "share", "min_length": 0.5},
    "rotate": {"degrees": [10.0, 30.0, 10.0], "probability": 1.0},
}
HEAD = {"pooling": "mean", "hidden": None, "dropout": 0.0, "batch_norm": False}
SECTION = {"name": "supervised", "head": HEAD, "normal_view": NORMAL, "label_smoothing": 0.0}
INPUTS = InputConfig(stream="joint", num_frames=8, origin="first_frame", origin_joint="spine_mid")
GRU = GRUConfig(name="gru", form="bigru", hidden=6, depth=1, input_norm="batch", norm_statistics="clean")
DOMAIN = Domain(layout=KINECT25, num_persons=2, symmetries=frozenset(), num_classes=3)
LABELS = torch.tensor([0, 1, 2, 1, 0])


def build(section=SECTION, domain=DOMAIN):
    torch.manual_seed(0)
    config = TypeAdapter(MethodConfig).validate_json(json.dumps(section))
    encoder = build_encoder(GRU, num_persons=2, num_joints=25, num_frames=8)
    return METHODS["supervised"](config, encoder, INPUTS, domain)


def labelled():
    return LabelledClips.of(make_ragged(), LABELS)


def test_selected_clips_keep_their_labels():
    clips = labelled()
    chosen = clips.select(torch.tensor([3, 0]))
    assert chosen.labels.tolist() == [1, 0]
    assert chosen.lengths.tolist() == clips.lengths[[3, 0]].tolist()
    assert chosen.joints is clips.joints


def test_other_methods_clips_have_no_field_for_labels():  # trap E12
    assert {field.name for field in dataclasses.fields(RaggedClips)} == {
        "joints", "present", "offsets", "lengths",
    }  # fmt: skip
    assert {"supervised"} == LEARN_FROM_LABELS
    assert set(METHODS) >= LEARN_FROM_LABELS


def test_a_step_gives_a_finite_loss_and_a_gradient_to_every_weight():
    method = build()
    output = method.training_step(labelled(), generator(), 0.0)
    output.loss.backward()
    assert output.loss.isfinite()
    assert_close(output.loss.detach(), output.metrics["cross_entropy"])
    for name, weight in method.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.abs().sum() > 0, name


def test_a_head_that_knows_nothing_has_the_entropy_of_all_classes():
    method = build()
    torch.nn.init.zeros_(method.head[-1].weight)
    metrics = method.training_step(labelled(), generator(), 0.0).metrics
    assert_close(metrics["cross_entropy"], torch.tensor(3.0).log())
    assert metrics["top1"] == 0.4  # equal scores: class 0, which two of five clips are


def test_softened_labels_by_hand():
    # Scores that give class 0 the log-probability -a and the others -b each: with smoothing s of 3 classes,
    # a clip of class 0 costs (1 - s + s/3) a + 2 s/3 b.
    method = build(SECTION | {"label_smoothing": 0.3})
    torch.nn.init.zeros_(method.head[-1].weight)
    with torch.no_grad():
        method.head[-1].bias[0] = 2.0
    clips = LabelledClips.of(make_ragged(), torch.zeros(5, dtype=torch.long))
    a, b, _ = (-method.head[-1].bias.detach().log_softmax(dim=0)).tolist()
    loss = method.training_step(clips, generator(), 0.0).loss.detach()
    assert_close(loss, torch.tensor(0.8 * a + 0.2 * b))


def test_training_learns_which_clip_is_which():
    method, clips = build(), labelled()
    optimizer = torch.optim.SGD(method.parameters(), lr=0.5)
    for step in range(150):
        output = method.training_step(clips, generator(step), step / 150)
        optimizer.zero_grad()
        output.loss.backward()
        optimizer.step()
    assert output.metrics["top1"] == 1.0
    assert output.loss < 0.2


def test_same_seed_same_loss():
    first, second = (build().training_step(labelled(), generator(5), 0.0).loss for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, build().training_step(labelled(), generator(6), 0.0).loss)


def test_the_head_starts_small_and_without_bias():
    head = build().head[-1]
    assert (head.bias == 0).all()
    assert 0 < head.weight.abs().max() < 0.06


def test_clips_without_labels_and_domains_without_classes_are_refused():
    with pytest.raises(TypeError, match="found clips without labels"):
        build().training_step(make_ragged(), generator(), 0.0)
    with pytest.raises(ValueError, match="found none in the domain"):
        build(domain=dataclasses.replace(DOMAIN, num_classes=None))


def test_it_runs_in_bfloat16():
    whole, half = build(), build()
    set_precision(half, torch.bfloat16)
    first, second = (method.training_step(labelled(), generator(), 0.0).loss for method in (whole, half))
    assert second.dtype == torch.float32
    assert not torch.equal(first, second)
    assert_close(first, second, atol=0.02, rtol=0)


def test_misfits_are_named():
    config = build().config
    assert config.misfit(INPUTS, GRU) is None
    coordinates = CoordinatesConfig(name="coordinates")
    assert "has nothing to train: use gru or transformer" in config.misfit(INPUTS, coordinates)
    assert config.misfit_body(KINECT25) is None
    with pytest.raises(ValidationError, match="less than 1"):
        build(SECTION | {"label_smoothing": 1.0})


def head_of(**changes):
    return build_head(HeadConfig(**(HEAD | changes)), width=4, num_classes=3)


def test_a_deep_head_by_hand():
    # Pooled (1, -1, 2, 0); hidden units 1 + 2 = 3 and -1 + 0 = -1, the latter cut off; scores 3 w + b.
    head = head_of(hidden=2)
    with torch.no_grad():
        head[0].weight.copy_(torch.tensor([[1.0, 0, 1, 0], [0, 1, 0, 1]]))
        head[0].bias.zero_()
        head[-1].weight.copy_(torch.tensor([[1.0, 5], [0, 5], [-1, 5]]))
        head[-1].bias.copy_(torch.tensor([0.5, 0, 0]))
    scores = head(torch.tensor([[1.0, -1, 2, 0]]))
    assert_close(scores, torch.tensor([[3.5, 0.0, -3.0]]))


def test_the_parts_of_a_head_stand_in_order():
    def kinds(**changes):
        return [type(layer).__name__ for layer in head_of(**changes)]

    assert kinds() == ["Linear"]
    assert kinds(dropout=0.3, hidden=5, batch_norm=True) == [
        "Dropout", "Linear", "BatchNorm1d", "ReLU", "Linear",
    ]  # fmt: skip
    assert kinds(batch_norm=True) == ["BatchNorm1d", "Linear"]
    assert head_of(hidden=5)[-1].weight.abs().max() < 0.06


def test_a_pooling_that_the_encoder_lacks_is_a_misfit():
    config = build(SECTION | {"head": HEAD | {"pooling": "joints"}}).config
    assert (
        config.misfit(INPUTS, GRU) == "head.pooling is 'joints', and the encoder 'gru' offers mean, last, max"
    )


def test_a_frozen_encoder_stays_as_it_is_while_the_head_learns():
    plain = build()
    method = Supervised(
        config=plain.config, encoder=plain.encoder, inputs=INPUTS, domain=DOMAIN, frozen=True
    ).train()
    before = {name: value.clone() for name, value in method.encoder.state_dict().items()}
    method.training_step(labelled(), generator(), 0.0).loss.backward()
    assert all(torch.equal(before[name], value) for name, value in method.encoder.state_dict().items())
    assert all(weight.grad is None for weight in method.encoder.parameters())
    assert method.head[-1].weight.grad.abs().sum() > 0
    assert not method.encoder.training
    assert method.head.training
