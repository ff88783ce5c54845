import torch
from torch.testing import assert_close

from kinemask.simulation.performance import Draws
from kinemask.simulation.sensor import seen_from, sensed
from kinemask.skeleton.layout import KINECT25
from tests.conftest import generator, make_batch
from tests.simulation.people_section import ANATOMY, EXACT, people

JOINTS = make_batch(num_clips=41, num_frames=20, num_persons=1).joints[:-1]


def sense(joints, *changes, distance=3.0, seed=0):
    config = people(EXACT, *changes).sensor
    draws = Draws(len(joints), generator(seed))
    return sensed(joints, torch.full((len(joints),), distance), config=config, anatomy=ANATOMY, draws=draws)


def test_a_camera_in_front_sees_the_left_hand_at_the_smaller_x():
    # In the room x is to the person's left and z forwards; before the camera both are turned round.
    joints = torch.tensor([1.0, 2.0, 3.0]).expand(1, 1, 1, 25, 3)
    seen, distance = seen_from(joints, config=people(EXACT).camera, draws=Draws(1, generator()))
    assert_close(seen[0, 0, 0, 0], torch.tensor([-1.0, 2.0, -3.0]), atol=1e-6, rtol=0)
    assert_close(distance, torch.tensor([3.0]))


def test_other_cameras_keep_the_distances_between_joints():
    seen, _ = seen_from(JOINTS, config=people().camera, draws=Draws(len(JOINTS), generator()))
    before, after = (torch.cdist(one[:, :, 0], one[:, :, 0]) for one in (JOINTS, seen))
    assert_close(before, after, atol=1e-4, rtol=0)
    assert not torch.allclose(JOINTS, seen, atol=0.1)


def test_a_perfect_sensor_changes_nothing():
    assert_close(sense(JOINTS), JOINTS)


def test_noise_is_as_large_as_configured_larger_at_the_tips_and_far_away():
    noisy = {"sensor": {"trunk_metres": 0.01, "tip_metres": 0.03, "memory": 0.6}}
    errors = sense(JOINTS, noisy) - JOINTS
    std = errors.std(dim=(0, 1, 2, 4))
    assert abs(std[KINECT25.index("spine_mid")] - 0.01) < 0.002
    assert abs(std[KINECT25.index("left_hand_tip")] - 0.03) < 0.004
    assert_close(sense(JOINTS, noisy, distance=6.0) - JOINTS, 2 * errors, atol=1e-5, rtol=0)


def test_errors_fade_over_frames():
    errors = sense(JOINTS, {"sensor": {"trunk_metres": 0.01, "tip_metres": 0.01, "memory": 0.6}}) - JOINTS
    now, following = errors[:, :-1].flatten(), errors[:, 1:].flatten()
    assert abs((now * following).mean() / (now * now).mean() - 0.6) < 0.03
    assert abs(errors[:, 0].std() / errors[:, -1].std() - 1) < 0.1


def test_lost_joints_stay_where_they_were_at_first():
    held = sense(JOINTS, {"sensor": {"lost_share": 0.3}})
    stays = (held == held[:, :1]).all(dim=(1, 4))[:, 0]  # (N, V)
    assert abs(stays.float().mean() - 0.3) < 0.05
    assert_close(held.permute(0, 2, 3, 1, 4)[:, 0][~stays], JOINTS.permute(0, 2, 3, 1, 4)[:, 0][~stays])


def test_a_dropped_frame_shows_the_one_before():
    shown = sense(JOINTS, {"sensor": {"dropped_share": 0.4}})
    is_own = (shown == JOINTS).all(dim=(2, 3, 4))
    is_last = (shown[:, 1:] == shown[:, :-1]).all(dim=(2, 3, 4))
    assert is_own[:, 0].all()
    assert (is_own[:, 1:] ^ is_last).all()
    assert abs(is_last.float().mean() - 0.4) < 0.05
