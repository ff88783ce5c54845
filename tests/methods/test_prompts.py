import math

import pytest
import torch
from torch.testing import assert_close

from kinemask.methods.prompts import OutputPrompt
from tests.conftest import generator

WIDTH = 64  # 2 halves of 32, of which 4 channels each are changed: 64 / 16


def prompt(width=WIDTH):
    torch.manual_seed(0)
    made = OutputPrompt(width)
    with torch.no_grad():
        made.vectors[0] = torch.arange(1.0, made.vectors.shape[1] + 1)
        made.vectors[1] = -made.vectors[0]
    return made


def test_the_published_prompt_is_two_times_128_channels():  # METHOD_MTMC B4
    assert OutputPrompt(2048).vectors.shape == (2, 128)
    assert OutputPrompt(18).vectors.shape == (2, 2)  # 18 / 16, rounded up


def test_a_stretch_of_each_half_is_changed_at_the_same_place():
    added = prompt()(torch.zeros(50, WIDTH), generator())
    for row in added:
        first, second = row[:32], row[32:]
        start = int(first.nonzero()[0])
        assert first.nonzero().flatten().tolist() == list(range(start, start + 4))
        assert first[start : start + 4].tolist() == [1.0, 2.0, 3.0, 4.0]
        assert torch.equal(second, -first)


def test_every_clip_has_a_draw_of_its_own_and_all_places_occur():
    added = prompt()(torch.zeros(2000, WIDTH), generator())
    starts = (added[:, :32] != 0).int().argmax(dim=1)
    assert set(starts.tolist()) == set(range(29))  # from 0 to 32 - 4


def test_the_frames_of_a_clip_share_its_draw():
    sequence = prompt()(torch.zeros(5, 7, WIDTH), generator())
    pooled = prompt()(torch.zeros(5, WIDTH), generator())
    assert torch.equal(sequence, pooled[:, None].expand(5, 7, WIDTH))


def test_it_is_added_to_what_is_there():
    features = torch.randn(5, WIDTH, generator=generator(1))
    assert_close(
        prompt()(features, generator()) - features,
        prompt()(torch.zeros(5, WIDTH), generator()),
        atol=1e-6,
        rtol=0,
    )


def test_chance_comes_from_the_generator_alone():
    made, features = prompt(), torch.zeros(20, WIDTH)
    first = made(features, generator(3))
    torch.manual_seed(123)
    assert torch.equal(made(features, generator(3)), first)
    assert not torch.equal(made(features, generator(4)), first)


def test_the_vectors_learn_and_the_features_keep_their_gradient():
    made = prompt()
    features = torch.zeros(6, 3, WIDTH, requires_grad=True)
    made(features, generator()).sum().backward()
    assert_close(made.vectors.grad, torch.full((2, 4), 6.0 * 3.0))
    assert (features.grad == 1).all()


def test_it_starts_within_xaviers_bound_of_one_row():
    torch.manual_seed(0)
    vectors = OutputPrompt(2048).vectors
    bound = math.sqrt(6 / 257)
    assert 0.9 * bound < vectors.abs().max() <= bound


def test_a_feature_without_two_halves_is_refused():
    with pytest.raises(ValueError, match="found width 7"):
        OutputPrompt(7)
