import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from torch import nn

from kinemask.encoders.table import Table
from kinemask.training.optim import OptimConfig, build_optimizer
from tests.training.conftest import ADAMW, SGD


def test_vectors_keep_their_size_unless_asked():
    layers = nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2))
    groups = build_optimizer(layers.parameters(), ADAMW).param_groups
    assert [group["weight_decay"] for group in groups] == [0.05, 0.0]
    assert [[parameter.ndim for parameter in group["params"]] for group in groups] == [[2], [1, 1, 1]]
    (group,) = build_optimizer(layers.parameters(), SGD).param_groups
    assert len(group["params"]) == 4


def test_sgd_step_by_hand():
    # Gradient 1, decay 1e-4 of weight 2, rate 0.05: 2 - 0.05 (1 + 0.0002) = 1.94999; then with momentum 0.9:
    # 1 + 0.0001 * 1.94999 + 0.9 * 1.0002 = 1.900374999; 1.94999 - 0.05 * 1.900374999 = 1.85497125.
    weight = nn.Parameter(torch.tensor([[2.0]], dtype=torch.float64))
    optimizer = build_optimizer([weight], SGD)
    for expected in (1.94999, 1.85497125005):
        weight.grad = torch.ones_like(weight)
        optimizer.step()
        assert weight.item() == pytest.approx(expected, abs=1e-10)


def test_first_adamw_step_by_hand():
    # The first step of Adam is the rate times the sign; decay first: 2 (1 - 0.01 * 0.05) - 0.01 = 1.989.
    weight = nn.Parameter(torch.tensor([[2.0]], dtype=torch.float64))
    optimizer = build_optimizer([weight], ADAMW)
    weight.grad = torch.full_like(weight, 7.0)
    optimizer.step()
    assert weight.item() == pytest.approx(1.989, abs=1e-8)


def test_frozen_parameters_are_left_out_and_nothing_to_train_is_an_error():
    teacher = nn.Linear(2, 2).requires_grad_(False)
    student = nn.Linear(2, 2)
    groups = build_optimizer([*teacher.parameters(), *student.parameters()], SGD).param_groups
    trained = groups[0]["params"]
    assert all(found is own for found, own in zip(trained, student.parameters(), strict=True))
    with pytest.raises(ValueError, match="nothing to train"):
        build_optimizer(teacher.parameters(), SGD)


def test_tables_are_spared_as_vectors_are():
    parameters = [Table(torch.zeros(3, 2)), nn.Parameter(torch.zeros(3, 2))]
    groups = build_optimizer(parameters, ADAMW).param_groups
    assert [(group["weight_decay"], group["params"][0] is parameters[0]) for group in groups] == [
        (0.05, False),
        (0.0, True),
    ]
    (group,) = build_optimizer(parameters, SGD).param_groups
    assert len(group["params"]) == 2


def test_each_layer_learns_at_a_share_of_the_rate_of_the_one_behind_it():
    # Two layers and a head, decay 0.5: 0.5^2, 0.5^1, 1; vectors of each stand in a group of their own.
    first, second, head = nn.Linear(3, 3), nn.LayerNorm(3), nn.Linear(3, 2)
    model = nn.Sequential(first, second, head)
    layers = [list(first.parameters()), list(second.parameters())]
    groups = build_optimizer(model.parameters(), ADAMW, layers=layers, layer_decay=0.5).param_groups
    found = [
        (group["rate_share"], group["weight_decay"], [tuple(one.shape) for one in group["params"]])
        for group in groups
    ]
    assert found == [
        (0.25, 0.05, [(3, 3)]),
        (0.25, 0.0, [(3,)]),
        (0.5, 0.0, [(3,), (3,)]),
        (1.0, 0.05, [(2, 3)]),
        (1.0, 0.0, [(2,)]),
    ]
    plain = build_optimizer(model.parameters(), ADAMW).param_groups
    assert [group["rate_share"] for group in plain] == [1.0, 1.0]


def test_section_admits_only_the_fields_of_its_optimiser():
    read = TypeAdapter(OptimConfig).validate_json
    schedule = '{"name": "cosine", "warmup_ratio": 0.2, "minimum_ratio": 0.1}'
    common = (
        f'"lr": 0.05, "weight_decay": 1e-4, "decay_vectors": true, "clip_norm": null, "schedule": {schedule}'
    )
    assert read(f'{{"name": "sgd", "momentum": 0.9, {common}}}') == SGD
    with pytest.raises(ValidationError, match="betas"):
        read(f'{{"name": "adamw", "momentum": 0.9, {common}}}')
    with pytest.raises(ValidationError, match="clip_norm"):
        read(f'{{"name": "sgd", "momentum": 0.9, {common.replace("null", "0")}}}')
