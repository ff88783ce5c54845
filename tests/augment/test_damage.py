import pytest
import torch
from torch.testing import assert_close

from kinemask.augment.damage import (
    BlurConfig,
    blur,
    corrupt_joints,
    gaussian_kernels,
    jitter,
    mask_axis,
)
from kinemask.skeleton.batch import Batch
from tests.conftest import generator, make_batch


def every(count: int) -> torch.Tensor:
    return torch.ones(count, dtype=torch.bool)


def even(count: int) -> torch.Tensor:
    return torch.arange(count) % 2 == 0


OPERATIONS = {
    "corrupt": lambda batch, clips, rng: corrupt_joints(batch, clips=clips, share=0.6, generator=rng),
    "noise": lambda batch, clips, rng: jitter(batch, clips=clips, std=0.05, generator=rng),
    "blur": lambda batch, clips, rng: blur(
        batch, clips=clips, taps=5, std_low=0.5, std_high=2.0, generator=rng
    ),
    "axis_mask": lambda batch, clips, rng: mask_axis(batch, clips=clips, generator=rng),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_only_the_named_clips_are_damaged_and_the_absent_stay_zero(name):
    batch = make_batch(num_clips=10)
    result = OPERATIONS[name](batch, even(10), generator())
    changed = (result.joints != batch.joints).any(dim=(1, 2, 3, 4))
    assert changed.tolist() == even(10).tolist()
    assert (result.joints[~batch.present] == 0).all()
    assert torch.equal(result.present, batch.present)


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_clip_has_its_own_draw_and_the_same_seed_the_same(name):
    one = make_batch(num_clips=2, num_persons=1).joints[:1]
    batch = Batch(one.expand(12, 8, 1, 25, 3).clone(), torch.ones(12, 8, 1, dtype=torch.bool))
    result = OPERATIONS[name](batch, every(12), generator(5)).joints
    kinds = {tuple(row) for row in result.flatten(1).tolist()}
    assert len(kinds) == (3 if name == "axis_mask" else 12)
    assert torch.equal(result, OPERATIONS[name](batch, every(12), generator(5)).joints)


def test_corruption_hits_exactly_the_asked_number_of_joints_of_the_chosen_clips():
    batch = make_batch(num_clips=40)
    clips = even(40)
    result = corrupt_joints(batch, share=0.6, clips=clips, generator=generator())
    changed = (result.joints != batch.joints).any(dim=(1, 2, 4)).sum(dim=1)  # joints changed in each clip
    assert changed.tolist() == [15 if even else 0 for even in clips.tolist()]


def test_corruption_draws_other_joints_for_other_clips():
    batch = make_batch(num_clips=6)
    result = corrupt_joints(batch, share=0.4, clips=every(6), generator=generator())
    hit = (result.joints != batch.joints).any(dim=(1, 2, 4))
    assert len({tuple(row) for row in hit.tolist()}) > 1


def test_corrupted_joints_are_half_the_time_zero_and_else_one_linear_map():
    batch = make_batch(num_clips=3000, num_frames=2, num_persons=1)
    result = corrupt_joints(batch, share=0.6, clips=every(3000), generator=generator())
    first, damaged = batch.joints[:-1, 0, 0], result.joints[:-1, 0, 0]  # (N, V, C); the last clip is empty
    zeroed = (damaged == 0).all(dim=2)
    counts = zeroed.sum(dim=1)
    assert set(counts.tolist()) == {0, 15}
    assert abs((counts == 15).float().mean() - 0.5) < 0.03
    # Where they are not zero, one 3 x 3 matrix with entries in (-1, 1) explains all fifteen joints.
    clip = int((counts == 0).nonzero()[0])
    hit = (damaged[clip] != first[clip]).any(dim=1)
    matrix = torch.linalg.lstsq(first[clip, hit], damaged[clip, hit]).solution.T
    assert_close(first[clip, hit] @ matrix.T, damaged[clip, hit], atol=1e-5, rtol=0)
    assert matrix.abs().max() <= 1


def test_noise_has_the_asked_spread_and_spares_the_absent():
    batch = make_batch(num_clips=64)
    result = jitter(batch, clips=every(64), std=0.05, generator=generator())
    difference = result.joints - batch.joints
    assert (difference[~batch.present] == 0).all()
    assert abs(difference[batch.present].std() - 0.05) < 0.001
    assert abs(difference[batch.present].mean()) < 0.001


@pytest.mark.parametrize("std", [0.1, 0.5, 1.0, 2.0])
def test_a_kernel_sums_to_one_whatever_its_width(std):
    # Trap E6: AimCLR's sums to 1.00, 1.27, 2.51 and 5.01, and the skeleton grows by that.
    kernel = gaussian_kernels(torch.tensor([std]), taps=15)[0]
    assert_close(kernel.sum(), torch.tensor(1.0), atol=1e-6, rtol=0)
    assert_close(kernel, kernel.flip(0))
    assert kernel.argmax() == 7


def test_a_kernel_by_hand():
    # exp(-1/2) = 0.606531 beside 1: 0.274069, 0.451863, 0.274069.
    kernel = gaussian_kernels(torch.tensor([1.0]), taps=3)[0]
    assert_close(kernel, torch.tensor([0.274069, 0.451863, 0.274069]), atol=1e-6, rtol=0)


def smooth(batch: Batch, *, std: float, taps: int) -> Batch:
    return blur(
        batch,
        clips=every(len(batch.joints)),
        taps=taps,
        std_low=std,
        std_high=std,
        generator=generator(),
    )


@pytest.mark.parametrize("std", [0.1, 0.5, 1.0, 2.0])
def test_a_blurred_constant_is_the_constant_with_gaps_and_ends_too(std):
    present = torch.ones(2, 20, 2, dtype=torch.bool)
    present[0, 5:9, 0] = present[0, :3, 1] = present[1, :, 1] = False
    body = torch.randn(2, 1, 2, 25, 3, generator=generator())
    batch = Batch(body.expand(2, 20, 2, 25, 3) * present[..., None, None], present)
    assert_close(smooth(batch, std=std, taps=15).joints, batch.joints, atol=1e-5, rtol=0)


def test_a_blur_by_hand():
    # Frames 1, 4, absent, 0, 8 with weights 0.274069, 0.451863, 0.274069. First: it repeats before itself,
    # 1 (0.725931) + 4 (0.274069) = 1.822207. Second: (1 (0.274069) + 4 (0.451863)) / 0.725931 = 2.867387, as
    # the absent one has no say. Fourth is zero but present, so it has one (E21): 8 (0.274069) / 0.725931 =
    # 3.020325. Fifth: 8 (0.725931) + 0 = 5.807451.
    joints = torch.tensor([1.0, 4.0, 0.0, 0.0, 8.0]).reshape(1, 5, 1, 1, 1).expand(1, 5, 1, 25, 3).clone()
    present = torch.tensor([True, True, False, True, True]).reshape(1, 5, 1)
    result = smooth(Batch(joints, present), std=1.0, taps=3).joints[0, :, 0, 0, 0]
    assert_close(result, torch.tensor([1.822207, 2.867387, 0.0, 3.020325, 5.807451]), atol=1e-5, rtol=0)


def test_blur_equals_a_slow_loop_from_its_definition():
    batch = make_batch(num_clips=3, num_frames=12)
    present = batch.present.clone()
    present[1, 4:6, 0] = False
    batch = Batch(batch.joints * present[..., None, None], present)
    result = smooth(batch, std=1.3, taps=7)
    kernel = gaussian_kernels(torch.tensor([1.3]), taps=7)[0]
    for n, t, m in batch.present.nonzero().tolist():
        total, mean = 0.0, torch.zeros(25, 3)
        for tap in range(7):
            source = min(max(t + tap - 3, 0), 11)
            if present[n, source, m]:
                total += kernel[tap].item()
                mean += kernel[tap] * batch.joints[n, source, m]
        assert_close(result.joints[n, t, m], mean / total, atol=1e-5, rtol=0)


def test_taps_are_odd_and_widths_in_order():
    with pytest.raises(ValueError, match="taps must be odd"):
        BlurConfig(probability=0.5, taps=14, std_low=0.1, std_high=2.0)
    with pytest.raises(ValueError, match="must not exceed std_high"):
        BlurConfig(probability=0.5, taps=15, std_low=3.0, std_high=2.0)


def test_an_axis_mask_takes_exactly_one_axis_of_the_chosen_clips():
    batch = make_batch(num_clips=900, num_frames=3, num_persons=1)
    clips = even(900)
    result = mask_axis(batch, clips=clips, generator=generator())
    gone = (result.joints == 0).all(dim=(1, 2, 3))  # (N, C)
    assert gone[:-1].sum(dim=1).tolist() == [1 if even else 0 for even in clips[:-1].tolist()]
    assert torch.equal(result.joints[~clips], batch.joints[~clips])
    share = gone[clips].float().mean(dim=0)
    assert_close(share, torch.full((3,), 1 / 3), atol=0.05, rtol=0)
    kept = result.joints[clips] != 0
    assert torch.equal(result.joints[clips][kept], batch.joints[clips][kept])
