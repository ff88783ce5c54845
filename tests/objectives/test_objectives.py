import torch
from torch.testing import assert_close

from kinemask.objectives.contrastive import info_nce
from kinemask.objectives.reconstruction import masked_error

QUERY, KEY = torch.tensor([[0.6, 0.8]]), torch.tensor([[0.0, 1.0]])
QUEUE = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])


def test_info_nce_of_the_worked_example_d4():
    assert_close(info_nce(QUERY, KEY, QUEUE, temperature=0.07).item(), 0.721459, atol=1e-6, rtol=0)
    assert_close(info_nce(QUERY, KEY, QUEUE, temperature=0.5).item(), 1.004715, atol=1e-6, rtol=0)


def test_info_nce_is_the_mean_over_the_batch():
    one = info_nce(QUERY, KEY, QUEUE, temperature=0.5)
    other = info_nce(-QUERY, KEY, QUEUE, temperature=0.5)
    both = info_nce(torch.cat([QUERY, -QUERY]), torch.cat([KEY, KEY]), QUEUE, temperature=0.5)
    assert_close(both, (one + other) / 2)


def test_masked_error_of_the_worked_example_d7():
    predicted, target = torch.tensor([1.5, 2.0, 1.0, 0.0]), torch.tensor([1.0, 2.0, 3.0, 4.0])
    hidden = torch.tensor([True, False, True, False])
    assert masked_error(predicted, target, hidden).item() == 2.125  # (0.25 + 4) / 2; entry 4 is visible


def test_masked_error_of_nothing_hidden_is_zero():
    assert masked_error(torch.ones(3), torch.zeros(3), torch.zeros(3, dtype=torch.bool)).item() == 0


def test_an_error_at_a_visible_entry_has_no_gradient():
    predicted = torch.tensor([1.0, 2.0], requires_grad=True)
    masked_error(predicted, torch.zeros(2), torch.tensor([True, False])).backward()
    assert predicted.grad is not None
    assert predicted.grad.tolist() == [2.0, 0.0]
