import torch
from torch.testing import assert_close

from kinemask.encoders.norm import MaskedBatchNorm

PRESENT = torch.tensor([[[True], [True], [False]]])
FRAMES = torch.tensor([[[1.0], [3.0], [100.0]]])


def test_statistics_are_of_present_entries_only():
    norm = MaskedBatchNorm(width=1)
    result = norm(FRAMES, PRESENT, moves_statistics=True)
    assert_close(result[0, :, 0], torch.tensor([-1.0, 1.0, 0.0]), atol=1e-4, rtol=0)  # mean 2, variance 1
    assert_close(norm.mean, torch.tensor([0.2]))  # 0.9 x 0 + 0.1 x 2
    assert_close(norm.variance, torch.tensor([1.0]))  # 0.9 x 1 + 0.1 x 1


def test_one_answer_for_all_channels_is_as_good_as_one_each():
    frames = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0))
    present = torch.rand(3, 4, 1, generator=torch.Generator().manual_seed(1)) < 0.6
    one = MaskedBatchNorm(width=5)(frames, present, moves_statistics=False)
    each = MaskedBatchNorm(width=5)(frames, present.expand(3, 4, 5), moves_statistics=False)
    assert_close(one, each)


def test_statistics_stay_where_they_are_unless_told_to_move():
    norm = MaskedBatchNorm(width=1)
    norm(FRAMES, PRESENT, moves_statistics=False)
    assert norm.mean.item() == 0
    assert norm.variance.item() == 1


def test_evaluation_uses_the_running_statistics_and_moves_nothing():
    norm = MaskedBatchNorm(width=1).eval()
    norm.mean.fill_(1.0)
    norm.variance.fill_(4.0)
    result = norm(FRAMES, PRESENT, moves_statistics=True)
    assert_close(result[0, :, 0], torch.tensor([0.0, 1.0, 0.0]), atol=1e-5, rtol=0)  # (3 - 1) / 2
    assert norm.mean.item() == 1
    assert norm.variance.item() == 4


def test_nobody_at_all_gives_zeros_and_finite_gradients():
    frames = torch.randn(2, 3, 1, requires_grad=True)
    result = MaskedBatchNorm(width=1)(frames, torch.zeros(2, 3, 1, dtype=torch.bool), moves_statistics=True)
    result.sum().backward()
    assert (result == 0).all()
    assert frames.grad.isfinite().all()


def test_half_precision_frames_are_normed_in_float32():
    # In bfloat16, which counts 199, 200, 201, 202, the mean 200.5 would be one of the two.
    frames = torch.tensor([[[200.0], [201.0]]]).bfloat16()
    result = MaskedBatchNorm(width=1)(frames, torch.ones(1, 2, 1, dtype=torch.bool), moves_statistics=False)
    assert_close(result[0, :, 0], torch.tensor([-1.0, 1.0]), atol=1e-3, rtol=0)


def test_channels_of_which_a_batch_shows_nothing_keep_their_statistics():
    # Else a second person who is rarely there would be scaled by hundreds in evaluation.
    norm = MaskedBatchNorm(width=2)
    present = PRESENT.expand(1, 3, 2) & torch.tensor([True, False])
    norm(FRAMES.expand(1, 3, 2), present, moves_statistics=True)
    assert_close(norm.mean, torch.tensor([0.2, 0.0]))
    assert_close(norm.variance, torch.tensor([1.0, 1.0]))
    norm(FRAMES.expand(1, 3, 2), torch.zeros(1, 3, 1, dtype=torch.bool), moves_statistics=True)
    assert_close(norm.mean, torch.tensor([0.2, 0.0]))
