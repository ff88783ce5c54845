import pytest
import torch
from torch.testing import assert_close

from kinemask.masking.parts import PartMaskConfig, hide, part_mask, part_of_joint
from kinemask.skeleton.layout import KINECT25
from tests.conftest import generator, make_batch

CONFIG = PartMaskConfig(num_segments=4, num_parts=3, persons="all")


def test_part_of_joint_follows_the_layout():
    parts = part_of_joint(KINECT25)
    assert parts[0] == 0
    assert parts[21] == 1
    assert parts[8] == 2
    assert parts[15] == 3
    assert parts[16] == 4


def test_every_segment_hides_exactly_the_asked_number_of_whole_parts():
    batch = make_batch(num_clips=16, num_frames=8, num_persons=1)
    hidden = part_mask(batch, config=CONFIG, layout=KINECT25, generator=generator())
    for clip in range(15):  # the last clip has empty frames
        for segment in range(4):
            first, second = hidden[clip, 2 * segment, 0], hidden[clip, 2 * segment + 1, 0]
            assert torch.equal(first, second)
            whole = [first[list(joints)].all().item() for joints in KINECT25.parts.values()]
            none = [(~first[list(joints)]).all().item() for joints in KINECT25.parts.values()]
            assert sum(whole) == 3
            assert sum(none) == 2


def test_masks_differ_inside_a_batch():
    hidden = part_mask(make_batch(num_clips=8), config=CONFIG, layout=KINECT25, generator=generator())
    assert len({tuple(row.flatten().tolist()) for row in hidden[:, :, 0]}) > 1


def test_mean_share_of_hidden_joints_is_three_fifths():
    batch = make_batch(num_clips=1000, num_frames=8, num_persons=1)
    hidden = part_mask(batch, config=CONFIG, layout=KINECT25, generator=generator())
    share = hidden[:-1].float().mean(dim=(1, 2, 3))
    assert_close(share.mean().item(), 0.60, atol=0.01, rtol=0)
    assert share.min() >= 0.52
    assert share.max() <= 0.68


def test_absent_persons_are_not_hidden_and_the_second_person_only_on_request(batch):
    both = part_mask(batch, config=CONFIG, layout=KINECT25, generator=generator())
    assert not both[~batch.present].any()
    assert both[1, :, 1].any()
    first = part_mask(
        batch, config=CONFIG.model_copy(update={"persons": "first"}), layout=KINECT25, generator=generator()
    )
    assert not first[:, :, 1].any()


def test_hiding_sets_coordinates_to_zero_and_leaves_the_rest(batch):
    hidden = part_mask(batch, config=CONFIG, layout=KINECT25, generator=generator())
    result = hide(batch, hidden)
    assert (result.joints[hidden] == 0).all()
    assert torch.equal(result.joints[~hidden], batch.joints[~hidden])
    assert torch.equal(result.present, batch.present)


def test_impossible_masks_are_refused(batch):
    with pytest.raises(ValueError, match="8 frames cannot be cut into 3"):
        part_mask(
            batch,
            config=CONFIG.model_copy(update={"num_segments": 3}),
            layout=KINECT25,
            generator=generator(),
        )
    everything = CONFIG.model_copy(update={"num_parts": 5})
    with pytest.raises(ValueError, match="cannot hide 5 of 5 parts"):
        part_mask(batch, config=everything, layout=KINECT25, generator=generator())
