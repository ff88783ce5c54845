import math
from dataclasses import replace

import pytest
import torch
from pydantic import ValidationError
from torch.testing import assert_close

from kinemask.encoders import CoordinatesConfig, build_encoder
from kinemask.methods.base import Domain
from kinemask.methods.twins import TwinContrast
from kinemask.objectives.contrastive import twin_error
from kinemask.skeleton.layout import Layout
from tests.conftest import generator, make_ragged
from tests.methods.mtmc_section import GRU, NORMED, build, config_of, inputs_of, train
from tests.methods.twins_section import ALL_TWINS, REAL, SIMULATED, TWINS

DIRECTIONS = torch.eye(4)


def test_the_error_of_two_pairs_by_hand():
    # a, b against a', b' = a, b: each vector has its twin at cosine 1 and two others at 0. With a temperature
    # of 0.5 its share is e^2 / (e^2 + 2): -log of that is 0.239518.
    error, found = twin_error(DIRECTIONS[:2], DIRECTIONS[:2], None, temperature=0.5)
    assert_close(error, torch.tensor(-math.log(math.exp(2) / (math.exp(2) + 2))), atol=1e-6, rtol=0)
    assert found == 1


def test_a_queue_adds_others_to_be_told_from():
    # Two more vectors at cosine 0: e^2 / (e^2 + 4).
    error, _ = twin_error(DIRECTIONS[:2], DIRECTIONS[:2], DIRECTIONS[2:], temperature=0.5)
    assert_close(error, torch.tensor(-math.log(math.exp(2) / (math.exp(2) + 4))), atol=1e-6, rtol=0)


def test_who_has_changed_places_is_never_found():
    _, found = twin_error(DIRECTIONS[:2], DIRECTIONS[:2].flip(0), None, temperature=0.5)
    assert found == 0


def test_both_sides_learn_from_each_other():
    first, second = (torch.randn(3, 4, generator=generator(seed), requires_grad=True) for seed in (0, 1))
    error, _ = twin_error(first, second, None, temperature=0.5)
    error.backward()
    assert (first.grad != 0).all()
    assert (second.grad != 0).all()


def test_simulated_twins_need_no_recording():
    # Whatever the clips are, the step is the same.
    steps = [build(TWINS).training_step(make_ragged(seed=seed), generator(), 0.0).loss for seed in range(2)]
    assert steps[0] == steps[1]


def test_a_body_that_nobody_has_described_is_simulated_by_its_bones():
    stick = Layout(
        name="stick",
        joints=("hip", "head", "left_hand", "right_hand"),
        parents=(0, 0, 1, 1),
        parts={"trunk": (0, 1), "left_arm": (2,), "right_arm": (3,)},
        mirrored=(0, 1, 3, 2),
    )
    bones = ((0.0, 0.0, 0.0), (0.0, 0.6, 0.0), (0.5, -0.3, 0.0), (-0.5, -0.3, 0.0))
    domain = Domain(layout=stick, num_persons=1, symmetries=frozenset(), rest=bones)
    encoder = build_encoder(GRU, num_persons=1, num_joints=4, num_frames=8)
    method = TwinContrast(
        config=config_of(TWINS), encoder=encoder, inputs=inputs_of(origin_joint="hip"), domain=domain
    )
    assert torch.isfinite(method.training_step(make_ragged(), generator(), 0.0).loss)
    with pytest.raises(ValueError, match="how stick stands"):
        TwinContrast(
            config=config_of(TWINS), encoder=encoder, inputs=inputs_of(), domain=replace(domain, rest=None)
        )


def test_real_twins_are_views_of_the_clips_of_the_batch(ragged):
    method = build(TWINS | {"simulated": None, "real": REAL})
    twins = method.draw(ragged, generator(), 0.0)
    assert len(twins.first.joints) == len(twins.second.joints) == len(ragged)
    assert not torch.equal(twins.first.joints, twins.second.joints)
    assert_close(twins.first.present[:, 0], twins.second.present[:, 0])


def test_simulated_end_when_real_ones_begin(ragged):
    method = build(TWINS | {"simulated": SIMULATED | {"until": 0.7}, "real": REAL | {"since": 0.7}})
    counts = [len(method.draw(ragged, generator(), done).first.joints) for done in (0.0, 0.69, 0.7, 0.99)]
    assert counts == [6, 6, 5, 5]


def test_twins_stand_at_the_origin_the_encoder_is_used_to(ragged):
    spine = 1
    first = build(TWINS).draw(ragged, generator(), 0.0).first
    assert (first.joints[:, 0, 0, spine] == 0).all()
    assert first.joints[:, 1:, 0, spine].abs().max() > 0.01
    every = build(TWINS, inputs=inputs_of(origin="every_frame")).draw(ragged, generator(), 0.0).first
    assert (every.joints[:, :, 0, spine] == 0).all()


def test_a_pool_holds_so_many_clips_and_no_more(ragged):
    pool = SIMULATED | {"pool": {"clips": 24, "seed": 1}}
    method = build(TWINS | {"simulated": pool})
    drawn = [method.draw(ragged, generator(seed), 0.0).first.joints for seed in range(12)]
    assert len({one.numpy().tobytes() for one in drawn}) == 2  # 24 clips are two steps of 6 pairs
    unlimited = build(TWINS)
    drawn = [unlimited.draw(ragged, generator(seed), 0.0).first.joints for seed in range(12)]
    assert len({one.numpy().tobytes() for one in drawn}) == 12


@pytest.mark.parametrize("section", [TWINS, ALL_TWINS], ids=["plain", "everything"])
def test_every_weight_learns(section, ragged):
    method = build(section)
    method.training_step(ragged, generator(), 0.5).loss.backward()
    for name, parameter in method.named_parameters():
        assert not parameter.requires_grad or (parameter.grad is not None and parameter.grad.any()), name


def test_twins_are_told_apart_better_and_better(ragged):
    few = SIMULATED | {"pool": {"clips": 12, "seed": 1}}
    losses = train(build(TWINS | {"simulated": few}), ragged, 60, lr=0.2)
    assert sum(losses[-10:]) < 0.5 * sum(losses[:10])


def test_the_teacher_follows_and_its_keys_are_enqueued_only_after_the_step(ragged):
    method = build(ALL_TWINS)
    before = {pooling: queue.keys.clone() for pooling, queue in method.queues.items()}
    method.training_step(ragged, generator(), 0.5)
    assert all(torch.equal(method.queues[pooling].keys, keys) for pooling, keys in before.items())
    with torch.no_grad():
        for parameter in method.projectors.parameters():
            parameter.add_(1.0)
    weights = {pooling: projector[0].weight.clone() for pooling, projector in method.teacher[1].items()}
    method.after_optimizer_step(0)
    assert set(before) == set(weights) == {"mean", "max"}
    for pooling, keys in before.items():
        # 6 simulated and 5 real pairs make 11 of 20 keys; the teacher moves by a tenth of the way.
        assert (method.queues[pooling].keys != keys).any(dim=1).sum() == 11
        assert_close(method.teacher[1][pooling][0].weight, weights[pooling] + 0.1, atol=1e-5, rtol=0)
    assert not torch.equal(method.queues["mean"].keys, method.queues["max"].keys)


def test_the_error_is_the_mean_over_the_poolings(ragged):
    method = build(TWINS)
    method.projectors["max"].load_state_dict(method.projectors["mean"].state_dict())
    alone = []
    for pooling in ("mean", "max"):
        single = build(TWINS | {"poolings": [pooling]})
        single.encoder.load_state_dict(method.encoder.state_dict())
        single.projectors[pooling].load_state_dict(method.projectors["mean"].state_dict())
        alone.append(single.training_step(ragged, generator(), 0.0).loss)
    both = method.training_step(ragged, generator(), 0.0).loss
    assert_close(both, torch.stack(alone).mean())
    assert alone[0] != alone[1]


def test_all_terms_are_logged(ragged):
    metrics = build(ALL_TWINS).training_step(ragged, generator(), 0.5).metrics
    assert set(metrics) == {"contrast", "found", "prediction", "spread"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"simulated": None}, "both null"),
        ({"poolings": ["mean", "mean"]}, "name one twice"),
        ({"simulated": SIMULATED | {"until": 0.5}}, "end at 0.5"),
        ({"simulated": SIMULATED | {"until": 0.5}, "real": REAL | {"since": 0.6}}, "begin at 0.6"),
        ({"simulated": None, "real": REAL | {"since": 0.1}}, "begin at 0.1"),
        ({"simulated": SIMULATED | {"pool": {"clips": 13, "seed": 0}}}, "no multiple of the 12"),
        ({"drop": {"kind": "input", "ratio": 0.2, "threshold": 0.7}}, "drops no channels"),
    ],
)
def test_sections_without_sense_are_refused(changes, said):
    with pytest.raises(ValidationError, match=said):
        config_of(TWINS | changes)


def test_what_does_not_fit_is_said():
    config = config_of(ALL_TWINS)
    assert config.misfit(inputs_of(), GRU) is None
    assert "nothing to train" in config.misfit(inputs_of(), CoordinatesConfig(name="coordinates"))
    assert "use none" in config.misfit(inputs_of(), NORMED)
    assert "num_segments" in config.misfit(inputs_of(num_frames=6), GRU)
