import itertools

import pytest
import torch
from torch import tensor
from torch.testing import assert_close

from kinemask.masking.draws import draw_any, draw_connected, gumbel_scores, highest, uniform_draws
from tests.conftest import generator

# METHOD D2, five parts.
WEIGHTS = tensor([0.149617, 0.371060, 0.187881, 0.145721, 0.145721], dtype=torch.float64)
DRAWS = tensor([0.9, 0.2, 0.5, 0.7, 0.1], dtype=torch.float64)
STAR = tensor([[other in joined for other in range(5)] for joined in ((1, 2, 3, 4), (0,), (0,), (0,), (0,))])


def test_scores_are_those_worked_out_by_hand():
    noise = gumbel_scores(torch.ones(5), DRAWS)
    assert_close(
        noise,
        tensor([2.250367, -0.475885, 0.366513, 1.030930, -0.834032], dtype=torch.float64),
        atol=6e-7,
        rtol=0,
    )
    scores = gumbel_scores(WEIGHTS, DRAWS)
    expected = tensor([0.350689, -1.467275, -1.305435, -0.895131, -2.760094], dtype=torch.float64)
    assert_close(scores, expected, atol=5e-6, rtol=0)  # the weights are rounded to six digits
    assert scores.argsort(descending=True)[:3].tolist() == [0, 3, 2]
    assert highest(scores, 3).tolist() == [True, False, True, True, False]


def test_three_of_five_are_drawn_as_often_as_worked_out_by_hand():
    rows = 200_000
    drawn = draw_any(WEIGHTS.expand(rows, 5), count=3, generator=generator())
    expected = tensor([0.522724, 0.839824, 0.612604, 0.512424, 0.512424])
    assert_close(drawn.float().mean(dim=0), expected, atol=0.005, rtol=0)  # four times the standard error


def test_noise_is_finite_at_the_ends_of_the_draws(monkeypatch):
    # In float32 1 - 1e-10 is 1, and its noise is infinite.
    assert gumbel_scores(torch.ones(2), tensor([1e-10, 1 - 1e-10], dtype=torch.float64)).isfinite().all()
    draws = uniform_draws(100_000, generator=generator())
    assert draws.dtype == torch.float64
    assert draws.min() > 0
    assert draws.max() < 1
    monkeypatch.setattr(torch, "rand", lambda *_, **__: tensor([0.0, 1.0], dtype=torch.float64))
    assert uniform_draws(2, generator=generator()).tolist() == [1e-10, 1 - 1e-10]


def test_the_asked_number_is_drawn_and_all_are_different():
    # Trap E18: entries drawn with repeats hide fewer than asked. Here one weight is all but everything.
    weights = torch.full((500, 25), 1e-12)
    weights[:, 3] = 1
    drawn = draw_any(weights, count=15, generator=generator())
    assert (drawn.sum(dim=-1) == 15).all()
    assert drawn[:, 3].all()


def test_weights_of_zero_come_last_and_in_any_order():
    weights = tensor([0.0, 0.0, 0.0, 1.0]).expand(5000, 4)
    drawn = draw_any(weights, count=2, generator=generator())
    assert (drawn.sum(dim=-1) == 2).all()
    assert_close(drawn.float().mean(dim=0), tensor([1 / 3, 1 / 3, 1 / 3, 1.0]), atol=0.03, rtol=0)


def connected_shares(weights: list[float], count: int) -> torch.Tensor:
    """How often each is drawn by `draw_connected` on the star, summed over all orders of drawing."""
    shares = torch.zeros(len(weights), dtype=torch.float64)
    for order in itertools.permutations(range(len(weights)), count):
        chance = 1.0
        for turn, chosen in enumerate(order):
            before = order[:turn]
            left = [part for part in range(len(weights)) if part not in before]
            near = [part for part in left if any(STAR[part, one] for one in before)]
            open_parts = near or left
            if chosen not in open_parts:
                chance = 0.0
                break
            chance *= weights[chosen] / sum(weights[part] for part in open_parts)
        shares[list(order)] += chance
    return shares


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_connected_draws_have_the_chances_of_drawing_one_by_one(count):
    weights = [0.1, 0.4, 0.3, 0.15, 0.05]
    rows = 200_000
    drawn = draw_connected(
        tensor(weights).expand(rows, 5), count=count, neighbours=STAR, generator=generator()
    )
    assert (drawn.sum(dim=-1) == count).all()
    assert_close(drawn.double().mean(dim=0), connected_shares(weights, count), atol=0.005, rtol=0)


def test_on_a_chain_the_next_is_drawn_by_weight_among_all_that_are_in_reach():
    # 0-1-2-3 from 1 (its weight is all but everything): then 0 or 2, and after 2 also 3. Had the noise of the
    # turns before been kept, 0 would have lost to 2 already and 3 would come too often.
    chain = tensor([[abs(one - other) == 1 for other in range(4)] for one in range(4)])
    weights = tensor([1.0, 1e9, 1.0, 1.0], dtype=torch.float64).expand(100_000, 4)
    drawn = draw_connected(weights, count=3, neighbours=chain, generator=generator())
    expected = tensor([0.75, 1.0, 1.0, 0.25])
    # Second turn: 0 or 2, half each. After 0 only 2; after 2, 0 or 3, half each.
    assert_close(drawn.float().mean(dim=0), expected, atol=0.006, rtol=0)


def test_without_a_neighbour_left_any_other_is_drawn():
    apart = torch.zeros(4, 4, dtype=torch.bool)
    drawn = draw_connected(torch.ones(1000, 4), count=2, neighbours=apart, generator=generator())
    assert (drawn.sum(dim=-1) == 2).all()
    assert_close(drawn.float().mean(dim=0), torch.full((4,), 0.5), atol=0.06, rtol=0)
