import pytest
import torch
from torch.nn import functional
from torch.testing import assert_close

from kinemask.augment.temporal import CropConfig, centre_crop, crop_resize, random_crop
from kinemask.skeleton.batch import RaggedClips
from tests.conftest import generator, make_ragged


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
