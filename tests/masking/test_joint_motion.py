"""Masks of tokens: slow loops written from METHOD_JMM_TGT section 2, the numbers of section 8, properties."""

import itertools
import math

import pytest
import torch
from pydantic import ValidationError
from torch.testing import assert_close

from kinemask.masking.draws import uniform_draws
from kinemask.masking.joint_motion import (
    JointMotionMaskConfig,
    change_of_movement,
    draw_visible,
    hiding_chances,
    hiding_weights,
    literal_similarity,
)
from tests.conftest import generator
from tests.masking.test_draw_mask import Operations

SIMILARITIES = ("none", "literal", "correlation", "uniform")
every_similarity = pytest.mark.parametrize("similarity", SIMILARITIES)

MASK = {
    "ratio": 0.9,
    "rounding": "round",
    "similarity": "correlation",
    "similarity_share": 0.5,
    "temperature": 0.8,
}


def mask_config(**changes) -> JointMotionMaskConfig:
    return JointMotionMaskConfig(**(MASK | changes))


def body(rows=3, times=6, joints=5, frames=4, seed=0, dtype=torch.float64) -> torch.Tensor:
    """Tokens of joints that drift 4 mm a frame or so, about 1 m from the origin; joint 1 stands still."""
    numbers = generator(seed)
    steps = torch.randn(rows, times * frames, joints, 3, generator=numbers, dtype=dtype) * 0.004
    steps[:, :, 1] = 0
    path = steps.cumsum(dim=1) + torch.randn(rows, 1, joints, 3, generator=numbers, dtype=dtype)
    return path.unflatten(1, (times, frames)).movedim(2, 3).flatten(3)


def chances(tokens, **changes):
    config = mask_config(**changes)
    return hiding_chances(hiding_weights(tokens, config=config), temperature=config.temperature)


def visible_of(tokens, *, seed=0, present=None, **changes):
    return draw_visible(tokens, config=mask_config(**changes), generator=generator(seed), present=present)


# The slow reference: one person, plain lists


def loop_literal(now, before):
    size = len(now)
    a = [value - sum(now) / size for value in now]
    b = [value - sum(before) / size for value in before]
    norms = math.sqrt(sum(v * v for v in a)) * math.sqrt(sum(v * v for v in b))
    return sum(abs(x * y) / (norms + 1e-10) for x, y in zip(a, b, strict=True)) / size


def loop_path(token):
    """Each coordinate without its own mean over the frames; number 3 t + c is coordinate c of frame t."""
    means = [sum(token[c::3]) / len(token[c::3]) for c in range(3)]
    return [value - means[place % 3] for place, value in enumerate(token)]


def loop_change(now, before):
    a, b = loop_path(now), loop_path(before)
    norms = math.sqrt(sum(v * v for v in a)) * math.sqrt(sum(v * v for v in b))
    r = sum(x * y for x, y in zip(a, b, strict=True)) / norms if norms > 1e-20 else 0.0
    return (1 - r) / 2


def loop_weights(person, config):
    """Steps 1 to 3 up to W: a list of times of a list of joints."""
    times, joints = len(person), len(person[0])
    if config.similarity == "uniform" or times == 1:
        return [[1.0] * joints for _ in range(times)]
    moved, other = {}, {}
    for p, j in itertools.product(range(1, times), range(joints)):
        now, before = person[p][j], person[p - 1][j]
        moved[p, j] = sum(abs(x - y) for x, y in zip(now, before, strict=True)) / len(now)
        if config.similarity == "literal":
            other[p, j] = loop_literal(now, before)
        if config.similarity == "correlation":
            other[p, j] = loop_change(now, before)
    rows = []
    for p in range(1, times):
        if config.similarity == "none":
            rows.append([moved[p, j] for j in range(joints)])
        elif config.similarity == "literal":
            rows.append([moved[p, j] + other[p, j] for j in range(joints)])
        else:
            g, largest = config.similarity_share, max(moved.values())
            rows.append(
                [g * (moved[p, j] / largest if largest else 0) + (1 - g) * other[p, j] for j in range(joints)]
            )
    return [rows[0], *rows]


def loop_chances(weights, temperature):
    flat = [value for row in weights for value in row]
    odds = [math.exp(value / (temperature * max(flat) + 1e-10)) for value in flat]
    return [one / sum(odds) for one in odds]


def loop_visible(shares, draws, num_visible):
    scores = [math.log(q) - math.log(-math.log(u)) for q, u in zip(shares, draws, strict=True)]
    order = sorted(range(len(scores)), key=lambda place: scores[place], reverse=True)
    hidden = order[: len(order) - num_visible]
    return [place for place in range(len(scores)) if place not in hidden]


@pytest.mark.parametrize("shape", [(3, 6, 5, 4), (2, 30, 25, 4), (2, 1, 12, 4), (4, 2, 7, 2), (2, 5, 4, 1)])
@every_similarity
def test_weights_chances_and_draws_are_those_of_slow_loops(similarity, shape):
    rows, times, joints, frames = shape
    tokens = body(rows, times, joints, frames, seed=times)
    tokens[-1, :, :, :] = tokens[-1, :1, :, :3].repeat(1, 1, frames)  # the last person stands still
    config = mask_config(similarity=similarity, ratio=0.7, similarity_share=0.3, temperature=0.5)
    found = hiding_weights(tokens, config=config)
    expected = [loop_weights(person, config) for person in tokens.tolist()]
    assert_close(found, torch.tensor(expected, dtype=torch.float64), atol=1e-12, rtol=1e-9)
    single = hiding_weights(tokens.float(), config=config)
    assert single.dtype == torch.float32
    assert_close(single.double(), found, atol=1e-4, rtol=0)
    shares = [loop_chances(weights, 0.5) for weights in expected]
    found_shares = hiding_chances(found, temperature=0.5)
    assert_close(found_shares, torch.tensor(shares, dtype=torch.float64), atol=1e-12, rtol=1e-9)
    draws = uniform_draws(rows, times * joints, generator=generator(3)).tolist()
    visible = [
        loop_visible(q, u, config.num_visible(times * joints)) for q, u in zip(shares, draws, strict=True)
    ]
    assert draw_visible(tokens, config=config, generator=generator(3)).tolist() == visible


# By hand


def along_x(*values: float) -> list[float]:
    return [number for value in values for number in (value, 0.0, 0.0)]


def test_weights_worked_out_by_hand():
    # One joint goes on, one goes back, one stands. D = 4 * 4 / 12 = 4 / 3, (3 + 1 + 1 + 3) / 12 = 2 / 3, 0.
    ahead, back = along_x(0, 1, 2, 3), along_x(3, 2, 1, 0)
    still = along_x(2, 2, 2, 2)
    tokens = torch.tensor([[[ahead, ahead, still], [along_x(4, 5, 6, 7), back, still]]])
    assert_close(change_of_movement(tokens)[0, 0], torch.tensor([0.0, 1.0, 0.5]))
    moved = torch.tensor([4 / 3, 2 / 3, 0])
    assert_close(hiding_weights(tokens, config=mask_config(similarity="none"))[0, 1], moved)
    # W = D / (2 max D) + S / 2
    found = hiding_weights(tokens, config=mask_config())
    assert_close(found[0, 1], torch.tensor([0.5, 0.75, 0.25]))
    assert_close(
        hiding_weights(tokens, config=mask_config(similarity_share=1.0)) * 4 / 3, moved.expand(1, 2, 3)
    )
    alone = hiding_weights(tokens, config=mask_config(similarity_share=0.0))
    assert_close(alone[0, 1], torch.tensor([0.0, 1.0, 0.5]))
    # Odds of the first to the last: e^((0.5 - 0.25) / (0.8 * 0.75)) = e^(5 / 12).
    shares = chances(tokens)[0, 3:]
    assert_close((shares[0] / shares[2]).item(), math.exp(5 / 12), atol=1e-6, rtol=0)


def test_the_literal_similarity_is_at_most_a_twelfth_and_that_for_a_joint_at_rest():
    numbers = [0.3, -1.0, 2.0, 0.1, 0.5, 0.9, -0.7, 0.0, 0.2, 1.1, 0.4, -0.6]
    centred = torch.tensor(numbers) - sum(numbers) / 12
    same = torch.stack([centred, centred, centred, torch.tensor([1.0, -1.0] + [0.0] * 10)])
    next_ = torch.stack([centred, -3 * centred, centred.flip(0), torch.tensor([0.0] * 10 + [1.0, -1.0])])
    found = literal_similarity(torch.stack([same, next_])[None])[0, 0]
    assert_close(found[:2], torch.full((2,), 1 / 12))  # |a| and |b| alike but for a factor
    assert found[2] < 1 / 12
    assert found[3] == 0
    many = literal_similarity(torch.randn(4, 9, 25, 12, generator=generator()))
    assert many.max() <= 1 / 12
    # At rest D = 0: the weight is the similarity.
    at_rest = body()[:, :1, :, :3].repeat(1, 6, 1, 4)
    weights = hiding_weights(at_rest, config=mask_config(similarity="literal"))
    assert_close(weights, torch.full_like(weights, 1 / 12), atol=1e-8, rtol=0)


@every_similarity
@pytest.mark.parametrize("temperature", [0.8, 0.75, 0.1])
def test_odds_between_two_tokens_are_at_most_e_to_one_over_tau(similarity, temperature):
    shares = chances(body(), similarity=similarity, temperature=temperature)
    odds = shares.amax(dim=1) / shares.amin(dim=1)
    assert (odds <= math.exp(1 / temperature) * (1 + 1e-9)).all()
    assert_close(shares.sum(dim=1), torch.ones(3, dtype=torch.float64))


def test_the_largest_odds_are_reached_by_a_joint_at_rest():
    shares = chances(body(), similarity="none")
    odds = shares.amax(dim=1) / shares.amin(dim=1)
    assert_close(odds, torch.full((3,), 3.4903, dtype=torch.float64), atol=1e-4, rtol=0)


def test_75_of_750_tokens_stay_visible_where_the_published_floor_keeps_74():
    assert mask_config().num_visible(750) == 75
    assert mask_config(rounding="floor").num_visible(750) == 74 == int(750 * (1 - 0.9))
    # .5 up, of the ratio as it is written: in binary 1 - 0.9 is less than 0.1.
    assert mask_config().num_visible(5) == 1
    assert mask_config(ratio=0.7).num_visible(10) == 3
    assert draw_visible(body(times=30, joints=25), config=mask_config(), generator=generator()).shape == (
        3,
        75,
    )
    floor = mask_config(rounding="floor")
    assert draw_visible(body(times=30, joints=25), config=floor, generator=generator()).shape == (3, 74)


# Properties of the weights


@pytest.mark.parametrize("similarity", ["none", "literal", "correlation"])
def test_the_first_token_has_the_weight_of_the_second(similarity):
    weights = hiding_weights(body(), config=mask_config(similarity=similarity))
    assert torch.equal(weights[:, 0], weights[:, 1])
    assert not torch.equal(weights[:, 1], weights[:, 2])


def test_moving_a_body_changes_no_displacement_but_the_literal_similarity():
    tokens = body()
    tokens = tokens - tokens[:, :1, :, :3].repeat(1, 1, 1, 4)  # joints start at the origin
    moved = tokens + torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64).repeat(4)
    for similarity in ("none", "correlation"):
        config = mask_config(similarity=similarity)
        assert_close(hiding_weights(moved, config=config), hiding_weights(tokens, config=config))
    config = mask_config(similarity="literal")
    away = hiding_weights(moved, config=config) - hiding_weights(tokens, config=config)
    assert away.abs().max() > 0.01


@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_units_change_no_chance_but_those_of_the_literal_similarity(factor):
    tokens = body()
    for similarity in ("none", "correlation"):
        scaled = chances(tokens * factor, similarity=similarity)
        assert_close(scaled, chances(tokens, similarity=similarity), atol=1e-6, rtol=0)
    literal = chances(tokens * factor, similarity="literal") - chances(tokens, similarity="literal")
    assert literal.abs().max() > 1e-4


@pytest.mark.parametrize("frames", [3, 4, 5, 6, 10])
def test_a_joint_at_rest_has_no_path_wherever_it_stands(frames):
    # In float32 the mean of equal numbers need not be that number.
    places = torch.rand(200, 1, 1, 3, generator=generator()) * 3
    tokens = places.repeat(1, 4, 1, frames)
    assert torch.equal(change_of_movement(tokens), torch.full((200, 3, 1), 0.5))


@every_similarity
def test_a_body_at_rest_hides_all_tokens_alike(similarity):
    for tokens in (torch.zeros(2, 6, 5, 12), body(dtype=torch.float32)[:, :1, :, :3].repeat(1, 6, 1, 4)):
        shares = chances(tokens, similarity=similarity)
        assert_close(shares, torch.full_like(shares, 1 / 30), atol=1e-8, rtol=0)


@every_similarity
def test_a_single_time_hides_all_tokens_alike(similarity):
    shares = chances(body(times=1, joints=25), similarity=similarity)
    assert_close(shares, torch.full_like(shares, 1 / 25))
    assert visible_of(body(times=1, joints=25), similarity=similarity).shape == (3, 3)  # 2.5, rounded up


@every_similarity
def test_persons_count_by_themselves(similarity):
    tokens = body()
    expected = chances(tokens, similarity=similarity)
    other = tokens.clone()
    other[1] *= 50
    other[2] = torch.nan
    assert torch.equal(chances(other, similarity=similarity)[0], expected[0])
    places = visible_of(other, similarity=similarity)
    assert torch.equal(places[0], visible_of(tokens, similarity=similarity)[0])
    assert all(len(set(row)) == 3 and 0 <= min(row) <= max(row) < 30 for row in places.tolist())


@pytest.mark.parametrize("similarity", ["none", "literal", "correlation"])
def test_absent_times_weigh_nothing_and_move_no_other_weight(similarity):
    tokens, config = body(), mask_config(similarity=similarity)
    present = torch.ones(3, 6, dtype=torch.bool)
    assert torch.equal(
        hiding_weights(tokens, config=config, present=present), hiding_weights(tokens, config=config)
    )
    present[0, 2] = False  # a gap: 3 has the weight of 4
    present[1, :4] = False  # comes late, 4 has the weight of 5
    present[2, 1:] = False  # one time alone
    for garbage in (0.0, 1e6, torch.inf, torch.nan):
        dirty = torch.where(present[..., None, None], tokens, garbage)
        found = hiding_weights(dirty, config=config, present=present)
        places = visible_of(dirty, similarity=similarity, present=present)
        assert torch.equal(places, visible_of(tokens, similarity=similarity, present=present))
        assert not found[~present].any()
        assert not found[2].any()
        assert torch.equal(found[0, 3], found[0, 4])
        late = hiding_weights(tokens[1:2, 4:], config=config)
        assert torch.equal(found[1:2, 4:], late)
        if similarity != "correlation":  # whose largest displacement may be that of a gap
            whole = hiding_weights(tokens, config=config)
            assert torch.equal(found[0, [0, 1, 4, 5]], whole[0, [0, 1, 4, 5]])


# Draws


@every_similarity
def test_the_visible_are_different_ascending_and_as_many_as_asked(similarity):
    places = visible_of(body(rows=200, times=10, joints=25, dtype=torch.float32), similarity=similarity)
    assert places.shape == (200, 25)
    assert places.dtype == torch.int64
    assert (places[:, 1:] > places[:, :-1]).all()
    assert places.min() >= 0
    assert places.max() < 250
    assert len({tuple(row) for row in places.tolist()}) == 200  # every person has a draw of its own


def two_by_two(rows: int) -> torch.Tensor:
    """Two joints, two times: one moves, the other hardly."""
    moved = torch.tensor(
        [[along_x(0, 1, 2, 3), along_x(0, 0, 0, 0)], [along_x(4, 5, 6, 7), along_x(1, 1, 1, 1)]]
    )
    return moved.expand(rows, 2, 2, 12)


@pytest.mark.parametrize("num_hidden", [1, 2, 3])
def test_tokens_are_hidden_as_often_as_drawing_one_by_one_says(num_hidden):
    rows = 200_000
    config = {"similarity": "none", "ratio": num_hidden / 4}
    q = chances(two_by_two(1), **config)[0].tolist()
    assert q[0] == q[2] > 1.5 * q[1]  # W = 1 and 1 / 4 of the largest: e^(0.75 / 0.8) = 2.55
    expected = [0.0] * 4
    for order in itertools.permutations(range(4), num_hidden):
        chance, left = 1.0, 1.0
        for token in order:
            chance, left = chance * q[token] / left, left - q[token]
        for token in order:
            expected[token] += chance
    places = visible_of(two_by_two(rows), **config)
    hidden = torch.ones(rows, 4).scatter_(1, places, 0)
    assert (hidden.sum(dim=1) == num_hidden).all()
    assert_close(hidden.mean(dim=0), torch.tensor(expected), atol=0.005, rtol=0)  # 4.5 standard errors


def test_the_same_generator_draws_the_same_and_only_its_own_numbers():
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    assert torch.equal(visible_of(body()), visible_of(body()))
    assert not torch.equal(visible_of(body()), visible_of(body(), seed=1))
    assert torch.equal(torch.random.get_rng_state(), before)


@every_similarity
def test_autocast_changes_no_draw_and_no_gradient_passes(similarity):
    tokens = body(times=30, joints=25, dtype=torch.float32).requires_grad_()
    expected = visible_of(tokens, similarity=similarity)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(visible_of(tokens, similarity=similarity), expected)
    assert not hiding_weights(tokens, config=mask_config(similarity=similarity)).requires_grad


@every_similarity
def test_a_draw_asks_for_no_value_and_as_often_for_many_persons_as_for_few(similarity):
    names = []
    for rows, times in ((2, 4), (40, 30)):
        tokens = body(rows=rows, times=times, joints=25)
        with Operations() as operations:
            visible_of(tokens, similarity=similarity, present=torch.ones(rows, times, dtype=torch.bool))
        names.append(operations.names)
    assert names[0] == names[1]
    assert not {"aten::_local_scalar_dense", "aten::nonzero", "aten::masked_select", "aten::equal"} & set(
        names[0]
    )


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")
@every_similarity
def test_a_draw_does_not_wait_for_the_device(similarity):
    tokens, draws = body(times=30, joints=25).cuda(), torch.Generator("cuda").manual_seed(0)
    torch.cuda.set_sync_debug_mode("error")
    try:
        places = draw_visible(tokens, config=mask_config(similarity=similarity), generator=draws)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert places.shape == (3, 75)


# Bad input


@pytest.mark.parametrize(
    "change",
    [
        {"ratio": 0.0},
        {"ratio": 1.0},
        {"ratio": 90},
        {"rounding": "ceil"},
        {"similarity": "cosine"},
        {"similarity_share": 1.1},
        {"similarity_share": -0.1},
        {"temperature": 0.0},
        {"seed": 0},
    ],
)
def test_values_out_of_range_are_refused(change):
    with pytest.raises(ValidationError):
        mask_config(**change)


def test_a_mask_that_hides_or_shows_nothing_is_refused():
    assert mask_config().misfit(750) is None
    problem = "mask.ratio 0.9 leaves 0 of 4 tokens visible: at least one must be visible and one hidden"
    assert mask_config().misfit(4) == problem
    assert "leaves 4 of 4 tokens" in (mask_config(ratio=0.1).misfit(4) or "")
    with pytest.raises(ValueError, match="leaves 0 of 4 tokens visible"):
        draw_visible(body(times=2, joints=2), config=mask_config(), generator=generator())
