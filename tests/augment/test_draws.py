import torch
from torch.testing import assert_close

from kinemask.augment.draws import chosen, shuffled, uniform, within
from tests.conftest import generator


def test_the_chance_of_a_change_is_its_probability():
    for probability in (0.25, 0.5, 0.8):
        share = chosen(8000, probability, generator()).float().mean()
        assert abs(share - probability) < 0.02
    assert not chosen(1000, 0.0, generator()).any()
    assert chosen(1000, 1.0, generator()).all()


def test_numbers_stay_within_their_range_and_fill_it():
    numbers = within(5000, 0.1, 2.0, generator())
    assert 0.1 <= numbers.min() < 0.11
    assert 1.99 < numbers.max() <= 2.0
    signed = uniform(5000, generator=generator())
    assert -1 <= signed.min() < -0.99
    assert 0.99 < signed.max() <= 1


def test_each_row_is_an_order_of_its_own_and_every_number_equally_often_first():
    rows = shuffled(5000, 5, generator())
    assert torch.equal(rows.sort(dim=1).values, torch.arange(5).expand(5000, 5))
    share = torch.bincount(rows[:, 0], minlength=5) / 5000
    assert_close(share, torch.full((5,), 0.2), atol=0.02, rtol=0)
