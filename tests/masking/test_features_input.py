import math

import pytest
import torch
from torch.testing import assert_close

from kinemask.masking.features import drop_joints, frame_speed, replace_frame_joints
from kinemask.skeleton.batch import Batch
from tests.conftest import generator, make_batch

# Speed of a frame


def test_speed_is_the_mean_over_joints_of_the_first_person():
    """Joint 0 goes 3, 4 a frame: 5 m; joint 1 rests: mean 2.5, and the last frame repeats the one before."""
    joints = torch.zeros(1, 4, 2, 2, 3)
    for frame in range(4):
        joints[0, frame, 0, 0] = torch.tensor([3.0 * frame, 4.0 * frame, 0.0])
        joints[0, frame, 1] = 100.0 * frame
    joints[0, 3, 0, 0] = torch.tensor([6.0, 8.0, 6.0])  # then 6 m: mean 3
    present = torch.ones(1, 4, 2, dtype=torch.bool)
    assert_close(frame_speed(Batch(joints, present), stride=1), torch.tensor([[2.5, 2.5, 3.0, 3.0]]))


def test_speed_of_a_stretch_is_the_mean_over_its_frames_with_someone():
    """One joint goes 1 and 3 m and is gone then: 1, 3 and 3 m a frame, then nobody; in pairs."""
    joints = torch.zeros(1, 6, 1, 1, 3)
    joints[0, :4, 0, 0, 0] = torch.tensor([0.0, 1.0, 4.0, 12.0])
    present = torch.tensor([[[True], [True], [True], [False], [False], [False]]])
    joints[~present] = 0.0
    # Frame 2 is the last one with the person: as fast as frame 1, 3 m. Its pair's other frame is empty.
    assert frame_speed(Batch(joints, present), stride=2).tolist() == [[2.0, 3.0, 0.0]]  # (1 + 3) / 2


def test_speed_is_that_of_a_loop():
    batch = make_batch(num_clips=5, num_frames=8, num_persons=2)
    present = torch.rand(5, 8, 2, generator=generator()) < 0.7
    speed = frame_speed(Batch(batch.joints * present[..., None, None], present), stride=1)
    for clip in range(5):
        for frame in range(8):
            shown = [person for person in range(2) if present[clip, frame, person]]
            expected = 0.0
            if shown:
                track, there = batch.joints[clip, :, shown[0]], present[clip, :, shown[0]]
                pairs = [(frame, frame + 1), (frame - 1, frame)]  # onward, else as before
                pairs = [(a, b) for a, b in pairs if a >= 0 and b < 8 and there[a] and there[b]]
                if pairs:
                    a, b = pairs[0]
                    lengths = [math.dist(track[a, joint], track[b, joint]) for joint in range(25)]
                    expected = sum(lengths) / 25
            assert_close(speed[clip, frame].item(), expected, atol=1e-5, rtol=0)


def test_a_person_who_comes_and_goes_has_no_speed_from_or_to_zero():
    """Trap E21: an absent person's joints are zero, and so may be a present one's."""
    joints = torch.full((1, 6, 1, 25, 3), 2.0)
    present = torch.tensor([[[True], [True], [False], [False], [True], [True]]])
    joints[~present] = 0.0
    assert not frame_speed(Batch(joints, present), stride=1).any()
    alone = torch.tensor([[[True]]])
    assert frame_speed(Batch(joints[:, :1], alone), stride=1).tolist() == [[0.0]]


def test_speed_follows_the_second_person_when_the_first_is_absent():
    batch = make_batch()
    present = batch.present.clone()
    present[:, :, 0] = False
    second = Batch(batch.joints[:, :, 1:], batch.present[:, :, 1:])
    first, other = (frame_speed(one, stride=1) for one in (Batch(batch.joints, present), second))
    assert torch.equal(first, other)


def test_speed_carries_no_gradient():
    joints = make_batch().joints.requires_grad_()
    assert not frame_speed(Batch(joints, make_batch().present), stride=1).requires_grad


# Joints of the input


def test_the_joints_with_the_largest_scores_are_zero_in_all_persons_and_frames(batch):
    scores = torch.randn(4, 25, generator=generator())
    dropped = drop_joints(batch, scores, ratio=0.2)
    for clip in range(4):
        largest = sorted(range(25), key=lambda joint: -scores[clip, joint].item())[:5]
        others = [joint for joint in range(25) if joint not in largest]
        assert not dropped.joints[clip][:, :, largest].any()
        assert torch.equal(dropped.joints[clip][:, :, others], batch.joints[clip][:, :, others])
    assert torch.equal(dropped.present, batch.present)  # dropped is not absent (trap E21)
    assert torch.equal(batch.joints, make_batch().joints)


def test_of_joints_that_score_alike_the_first_are_dropped(batch):
    dropped = drop_joints(batch, torch.zeros(4, 25), ratio=0.1)
    assert not dropped.joints[:, :, :, :3].any()
    assert torch.equal(dropped.joints[:, :, :, 3:], batch.joints[:, :, :, 3:])


def test_scores_of_joints_get_no_gradient(batch):
    scores = torch.randn(4, 25, generator=generator()).requires_grad_()
    assert not drop_joints(batch, scores, ratio=0.2).joints.requires_grad


@pytest.mark.parametrize(("ratio", "num_replaced"), [(0.08, 2), (0.1, 3), (0.9, 23)])
def test_every_frame_loses_exactly_the_asked_number_of_joints(ratio, num_replaced):
    """Trap E18: drawn with repeats, fewer different joints would be. Trap E4: clips and frames differ."""
    batch = make_batch(num_clips=6)
    fill = torch.tensor([7.0, 8.0, 9.0])
    replaced = replace_frame_joints(batch, ratio=ratio, fill=fill, generator=generator())
    hit = (replaced.joints == fill).all(dim=-1)  # (N, T, M, V)
    assert (hit.sum(dim=-1) == num_replaced * batch.present).all()
    assert torch.equal(replaced.joints[~hit], batch.joints[~hit])
    assert torch.equal(replaced.present, batch.present)
    assert torch.equal(hit[1, :, 0], hit[1, :, 1])  # the persons of a frame lose the same joints
    rows = {tuple(row.tolist()) for row in hit[1:5, :, 0].flatten(0, 1)}
    assert len(rows) > 20  # of 32


def test_every_joint_is_replaced_equally_often():
    batch = make_batch(num_clips=100, num_frames=20, num_persons=1)
    fill = torch.full((3,), 7.0)
    replaced = replace_frame_joints(batch, ratio=0.2, fill=fill, generator=generator())
    often = (replaced.joints[:-1] == 7).all(dim=-1).float().mean(dim=(0, 1, 2))
    # 1980 draws of p = 0.2: five standard deviations are 0.045
    assert_close(often, torch.full((25,), 0.2), atol=0.045, rtol=0)


def test_the_fill_learns_from_the_joints_it_stands_for():
    batch = make_batch(num_persons=1)
    fill = torch.zeros(3, requires_grad=True)
    replaced = replace_frame_joints(batch, ratio=0.2, fill=fill, generator=generator())
    replaced.joints.sum().backward()
    assert fill.grad.tolist() == [5.0 * batch.present.sum().item()] * 3


def test_dropping_all_joints_is_refused(batch):
    with pytest.raises(ValueError, match=r"0\.99 drops 25 of 25 joints"):
        drop_joints(batch, torch.zeros(4, 25), ratio=0.99)
    with pytest.raises(ValueError, match=r"0\.99 drops 25 of 25 joints"):
        replace_frame_joints(batch, ratio=0.99, fill=torch.zeros(3), generator=generator())
