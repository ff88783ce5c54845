import pytest
import torch
from torch.nn import functional
from torch.testing import assert_close

from kinemask.augment.temporal import (
    CropConfig,
    WarpConfig,
    centre_crop,
    crop_resize,
    every_frame,
    random_crop,
    resample,
    reverse_positions,
    shift_positions,
    warp_positions,
)
from kinemask.skeleton.batch import RaggedClips
from tests.conftest import generator, make_batch, make_ragged

CPU = torch.device("cpu")


def whole(clips: RaggedClips, num_frames: int):
    return crop_resize(clips, torch.zeros(len(clips)), clips.lengths.float(), num_frames)


@pytest.mark.parametrize("num_frames", [4, 16, 33])
def test_resize_equals_the_librarys_half_pixel_interpolation(num_frames):
    clips = make_ragged(lengths=(7, 21, 50), num_persons=1)
    result = whole(clips, num_frames)
    for n in range(len(clips)):
        frames = clips.joints[clips.offsets[n] : clips.offsets[n] + clips.lengths[n]].flatten(1).T[None]
        expected = functional.interpolate(frames, size=num_frames, mode="linear", align_corners=False)[0].T
        assert_close(result.joints[n].flatten(1), expected, atol=1e-5, rtol=0)


def test_resizing_to_the_same_length_changes_nothing():
    clips = make_ragged(lengths=(12,), num_persons=2)
    result = whole(clips, 12)
    assert_close(result.joints[0], clips.joints)
    assert torch.equal(result.present[0], clips.present)


def test_between_present_and_absent_the_present_frame_counts():
    joints = torch.tensor([2.0, 0.0, 0.0]).reshape(3, 1, 1, 1).expand(3, 1, 25, 3).clone()
    present = torch.tensor([[True], [False], [False]])
    clips = RaggedClips(joints, present, torch.tensor([0]), torch.tensor([3]))
    result = whole(clips, 6)  # positions 0, 0.25, 0.75, 1.25, 1.75, 2 (the first and last are clamped)
    assert result.present[0, :, 0].tolist() == [True, True, True, False, False, False]
    assert_close(result.joints[0, :, 0, 0, 0], torch.tensor([2.0, 2.0, 2.0, 0.0, 0.0, 0.0]))


def test_a_crop_never_reaches_into_the_neighbouring_clip():
    clips = make_ragged(lengths=(20, 20, 20), num_persons=1)
    joints = torch.arange(3).repeat_interleave(20).float().reshape(60, 1, 1, 1).expand(60, 1, 25, 3)
    clips = RaggedClips(joints.clone(), clips.present, clips.offsets, clips.lengths)
    config = CropConfig(share_low=0.1, share_high=1.0, min_unit="frames", min_length=3)
    for seed in range(20):
        result = random_crop(clips, config=config, num_frames=16, generator=generator(seed))
        assert_close(result.joints[:, :, 0, 0, 0], torch.arange(3.0)[:, None].expand(3, 16))


def test_minimum_in_frames_means_short_clips_are_only_stretched():
    clips = make_ragged(lengths=(10, 40), num_persons=1)
    config = CropConfig(share_low=0.1, share_high=0.1, min_unit="frames", min_length=20)
    first = random_crop(clips, config=config, num_frames=10, generator=generator(1))
    second = random_crop(clips, config=config, num_frames=10, generator=generator(2))
    assert torch.equal(first.joints[0], second.joints[0])
    assert not torch.equal(first.joints[1], second.joints[1])


def test_minimum_as_a_share_crops_short_clips_too():
    clips = make_ragged(lengths=(10,), num_persons=1)
    config = CropConfig(share_low=0.1, share_high=0.1, min_unit="share", min_length=0.5)
    starts = {
        random_crop(clips, config=config, num_frames=5, generator=generator(seed))
        .joints[0, 0, 0, 0, 0]
        .item()
        for seed in range(30)
    }
    assert len(starts) == 6  # five of ten frames: starts 0 to 5


def test_centre_crop_takes_the_same_number_of_frames_off_both_ends():
    clips = make_ragged(lengths=(100,), num_persons=1)
    result = centre_crop(clips, share=0.9, num_frames=90)
    assert_close(result.joints[0], clips.joints[5:95])


def test_share_bounds_are_checked():
    with pytest.raises(ValueError, match="share_low must not exceed"):
        CropConfig(share_low=0.9, share_high=0.5, min_unit="share", min_length=0.1)
    with pytest.raises(ValueError, match="at most 1"):
        CropConfig(share_low=0.5, share_high=1.0, min_unit="share", min_length=64)


@pytest.mark.parametrize("share_low", [0.1, 0.4, 0.5, 0.6])
def test_a_crop_is_random_whatever_its_lower_bound(share_low):
    # Trap E13: CMD takes any lower bound but 0.5 for an evaluation and cuts the centre.
    clips = make_ragged(lengths=(60,), num_persons=1)
    config = CropConfig(share_low=share_low, share_high=0.6, min_unit="share", min_length=0.1)
    crops = [
        random_crop(clips, config=config, num_frames=16, generator=generator(seed)).joints
        for seed in range(12)
    ]
    assert len({tuple(crop.flatten().tolist()) for crop in crops}) > 8


def test_every_clip_of_a_batch_has_its_own_crop():
    clips = make_ragged(lengths=(60,), num_persons=1).select(torch.zeros(20, dtype=torch.long))
    config = CropConfig(share_low=0.3, share_high=0.9, min_unit="share", min_length=0.1)
    crops = random_crop(clips, config=config, num_frames=16, generator=generator()).joints
    assert len({tuple(crop.tolist()) for crop in crops.flatten(1)}) == 20


def test_resampling_at_every_frame_changes_nothing(batch):
    result = resample(batch, every_frame(4, 8, CPU))
    assert torch.equal(result.joints, batch.joints)
    assert torch.equal(result.present, batch.present)


def test_resampling_never_mixes_absent_frames_in():
    # The last clip of the batch has two empty frames at its end: frames 5 and 6.
    batch = make_batch(num_clips=1, num_frames=7, num_persons=1)
    position = torch.tensor([[0.5, 4.0, 4.5, 4.9, 5.0, 5.5, 6.0]])
    result = resample(batch, position)
    assert result.present[0, :, 0].tolist() == [True, True, True, True, False, False, False]
    frames = batch.joints[0, :, 0]
    assert_close(result.joints[0, 0, 0], (frames[0] + frames[1]) / 2)
    for t in (1, 2, 3):
        assert_close(result.joints[0, t, 0], frames[4])
    assert (result.joints[0, 4:] == 0).all()


def test_backwards_twice_is_the_clip_itself_and_presence_runs_along(batch):
    clips = torch.tensor([True, False, True, True])
    position = reverse_positions(every_frame(4, 8, CPU), clips=clips)
    once = resample(batch, position)
    assert torch.equal(once.joints[3], batch.joints[3].flip(0))
    assert torch.equal(once.present[3], batch.present[3].flip(0))
    assert torch.equal(once.joints[1], batch.joints[1])
    twice = resample(once, position)
    assert torch.equal(twice.joints, batch.joints)
    assert torch.equal(twice.present, batch.present)


WARP = {"knots": 4, "std": 0.1, "low": 0.7, "high": 1.3, "probability": 0.5}


def warped(count: int, num_frames: int, *, seed: int = 0, **changes: float) -> torch.Tensor:
    clips = torch.ones(count, dtype=torch.bool)
    return warp_positions(clips, num_frames, config=WarpConfig(**(WARP | changes)), generator=generator(seed))


@pytest.mark.parametrize("num_frames", [2, 16, 64, 300])
def test_a_warp_goes_forward_keeps_its_ends_and_its_speed_within_bounds(num_frames):
    position = warped(200, num_frames, std=0.4)
    speed = position.diff(dim=1)
    assert (position[:, 0] == 0).all()
    assert (position[:, -1] == num_frames - 1).all()
    assert speed.min() >= 0.7 / 1.3 - 1e-4  # the slowest step against the fastest possible mean
    assert speed.max() <= 1.3 / 0.7 + 1e-4
    if num_frames > 2:
        assert len({tuple(row) for row in position.tolist()}) > 190  # held at both bounds, some agree


def test_a_warp_without_spread_changes_nothing():
    assert_close(warped(5, 64, std=0.0), every_frame(5, 64, CPU), atol=1e-4, rtol=0)
    assert warped(2, 1).tolist() == [[0.0], [0.0]]


def test_a_warp_by_hand():
    # Two knots held at 0.5 and 1.5 (a spread so large that the bounds decide). Three steps, read at 1/6, 1/2
    # and 5/6 of the way. From slow to fast: 2/3, 1, 4/3, sum 3: positions 0, 2/3, 5/3, 3. Else from fast to
    # slow: 0, 4/3, 7/3, 3. Or even.
    position = warped(300, 4, knots=2, std=1e6, low=0.5, high=1.5)
    thirds = {tuple(row) for row in (position * 3).round(decimals=3).tolist()}
    assert thirds == {(0, 2, 5, 9), (0, 4, 7, 9), (0, 3, 6, 9)}


def test_a_warp_spares_the_clips_that_are_not_named():
    clips = torch.arange(10) % 2 == 0
    position = warp_positions(clips, 16, config=WarpConfig(**WARP), generator=generator())
    same = (position == every_frame(10, 16, CPU)).all(dim=1)
    assert same.tolist() == (~clips).tolist()


def test_a_shift_is_a_window_of_the_reflected_clip():
    batch = make_batch(num_clips=500, num_frames=12, num_persons=1)
    position = shift_positions(every_frame(500, 12, CPU), pad_ratio=0.1667, generator=generator())  # 2 frames
    shifted = resample(batch, position)
    # (N, V C, T): the library's reflect padding, then windows 0 .. 4 of it.
    padded = functional.pad(batch.joints.flatten(2).transpose(1, 2), (2, 2), mode="reflect")
    windows = padded.unfold(2, 12, 1)  # (N, V C, 5, T)
    hits = (windows == shifted.joints.flatten(2).transpose(1, 2)[:, :, None]).all(dim=(1, 3))[:-1]  # (N, 5)
    assert hits.sum(dim=1).tolist() == [1] * 499  # the last clip has empty frames
    share = hits.float().mean(dim=0)
    assert_close(share, torch.full((5,), 0.2), atol=0.06, rtol=0)


def test_a_shift_of_64_frames_has_21_places():
    position = shift_positions(every_frame(3000, 64, CPU), pad_ratio=0.1667, generator=generator())
    assert position.shape == (3000, 64)
    assert position.min() >= 0
    assert position.max() <= 63
    assert len({tuple(row) for row in position.tolist()}) == 21


def test_a_shift_moves_presence_along():
    batch = make_batch(num_clips=1, num_frames=10, num_persons=1)  # absent: frames 8 and 9
    for seed in range(6):
        position = shift_positions(every_frame(1, 10, CPU), pad_ratio=0.3, generator=generator(seed))
        expected = position[0] < 8
        assert resample(batch, position).present[0, :, 0].tolist() == expected.tolist()


def test_a_warp_of_a_shifted_clip_in_one_pass_is_the_same_in_two():
    batch = make_batch(num_clips=6, num_frames=16)
    warp = warped(6, 16, std=0.3)
    shift = shift_positions(every_frame(6, 16, CPU), pad_ratio=0.25, generator=generator(7))
    two_passes = resample(resample(batch, shift), warp)
    one_pass = resample(batch, shift_positions(warp, pad_ratio=0.25, generator=generator(7)))
    assert_close(one_pass.joints, two_passes.joints, atol=1e-5, rtol=0)
    assert torch.equal(one_pass.present, two_passes.present)
