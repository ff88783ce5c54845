import torch
from torch.testing import assert_close

from kinemask.objectives.reconstruction import masked_error
from tests.conftest import generator


def test_masked_error_of_the_worked_example_d7():
    predicted, target = torch.tensor([1.5, 2.0, 1.0, 0.0]), torch.tensor([1.0, 2.0, 3.0, 4.0])
    hidden = torch.tensor([True, False, True, False])
    error = masked_error(predicted, target, hidden)
    assert error.item() == 2.125  # (0.25 + 4) / 2; entry 4 is visible
    assert (40 * error).item() == 85


def test_masked_error_is_that_of_a_loop_over_the_hidden_entries():
    predicted = torch.randn(3, 4, 5, generator=generator())
    target = torch.randn(3, 4, 5, generator=generator(1))
    hidden = torch.rand(3, 4, 5, generator=generator(2)) < 0.4
    total, count = 0.0, 0
    for guess, truth, counts in zip(
        predicted.flatten().tolist(), target.flatten().tolist(), hidden.flatten().tolist(), strict=True
    ):
        if counts:
            total, count = total + (guess - truth) ** 2, count + 1
    assert_close(masked_error(predicted, target, hidden).item(), total / count, atol=1e-6, rtol=0)


def test_masked_error_of_nothing_hidden_is_zero():
    assert masked_error(torch.ones(3), torch.zeros(3), torch.zeros(3, dtype=torch.bool)).item() == 0


def test_an_error_at_a_visible_entry_has_no_gradient():
    predicted = torch.tensor([1.0, 2.0], requires_grad=True)
    masked_error(predicted, torch.zeros(2), torch.tensor([True, False])).backward()
    assert predicted.grad is not None
    assert predicted.grad.tolist() == [2.0, 0.0]


def test_masked_error_is_computed_in_float32():
    """In bfloat16 a sum of ones stops growing at 256."""
    ones, zeros = torch.ones(1000, dtype=torch.bfloat16), torch.zeros(1000, dtype=torch.bfloat16)
    ones[0] = 1.0078125
    error = masked_error(ones, zeros, torch.ones(1000, dtype=torch.bool))
    assert error.dtype == torch.float32
    assert_close(error.item(), (999 + 1.0078125**2) / 1000, atol=1e-7, rtol=0)
