import pytest
import torch
from torch.testing import assert_close

from kinemask.simulation.performance import Draws, draw_bodies, draw_phase, eased, perform, pose_shares
from kinemask.simulation.programme import draw_programmes
from kinemask.skeleton.layout import KINECT25
from tests.conftest import generator
from tests.simulation.people_section import ANATOMY, EXACT, only, people

BONES = [joint for joint in range(25) if joint != KINECT25.index("spine_base")]
PARENTS = list(ANATOMY.tree.parents)


def act(count, *changes, twice=False, num_frames=16, seed=0, may_mirror=False):
    config = people(*changes)
    programmes = draw_programmes(count, config=config.programme, anatomy=ANATOMY, generator=generator(seed))
    return perform(
        programmes.repeat(2) if twice else programmes,
        config=config,
        anatomy=ANATOMY,
        num_frames=num_frames,
        may_mirror=may_mirror,
        generator=generator(seed + 1),
    )


def lengths(joints):
    return torch.linalg.vector_norm(joints - joints[..., PARENTS, :], dim=-1)[..., BONES]


def test_poses_between_stations_by_hand():
    # Poses 0 -> 2 -> 1 with ways of 0.25 and 0.75. At 0 it is pose 0, at 0.125 half-way, at 0.25 pose 2; at
    # 0.625 half of the second way is gone, and at 1 it is pose 1.
    stations = torch.tensor([[[0, 2, 1]]])
    phase = torch.tensor([[0.0, 0.125, 0.25, 0.625, 1.0]])
    found = pose_shares(stations, torch.tensor([[0.25, 0.75]]), phase, num_keys=3)[0, 0]
    expected = torch.tensor([[1, 0, 0], [0.5, 0, 0.5], [0, 0, 1], [0, 0.5, 0.5], [0, 1, 0]])
    assert_close(found, expected.float())


def test_ways_of_no_length_are_jumped_over():
    found = pose_shares(
        torch.tensor([[[0, 1, 1, 1]]]),
        torch.tensor([[1.0, 0.0, 0.0]]),
        torch.tensor([[0.5, 1.0]]),
        num_keys=2,
    )
    assert_close(found[0, 0], torch.tensor([[0.5, 0.5], [0.0, 1.0]]))


def test_the_smooth_way_starts_and_ends_at_rest():
    share = torch.linspace(0, 1, 5, dtype=torch.float64, requires_grad=True)
    (speed,) = torch.autograd.grad(eased(share).sum(), share)
    assert_close(eased(share)[[0, 2, 4]], torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64))
    assert_close(speed[[0, 4]], torch.zeros(2, dtype=torch.float64))


@pytest.mark.parametrize("changes", [(), (EXACT,)], ids=["varied", "exact"])
def test_the_phase_never_runs_backwards_and_stays_in_bounds(changes):
    phase = draw_phase(50, config=people(*changes).manner, draws=Draws(200, generator()))
    assert (phase.diff(dim=1) >= -1e-6).all()
    assert phase.min() >= 0
    assert phase.max() <= 1
    assert (phase[:, 0] == 0).all()


def test_who_breaks_off_stays_there():
    manner = people(EXACT, {"manner": {"broken_share": 1.0, "broken_from": 0.5}}).manner
    phase = draw_phase(101, config=manner, draws=Draws(100, generator()))
    assert (phase[:, -1] < 1).all()
    assert (phase[:, -1] >= 0.5).all()
    # It is 0.5 after half of the clip for everybody, and from where one stops on nothing changes.
    assert_close(phase[:, 50], torch.full((100,), 0.5))
    last = (phase == phase[:, -1:]).float().argmax(dim=1)
    assert ((phase[:, -1] * 100).ceil() == last).float().mean() > 0.95


def test_the_same_programme_done_exactly_twice_is_the_same_clip():
    joints = act(6, EXACT, twice=True)
    assert_close(joints[0::2], joints[1::2], atol=1e-5, rtol=0)


def test_other_people_do_it_otherwise_but_more_like_it_than_another_programme():
    joints = act(64, twice=True)
    first, second = (joints[place::2] - joints[place::2, :, :1] for place in range(2))
    own = (first - second).flatten(1).norm(dim=1)
    other = (first - second.roll(1, dims=0)).flatten(1).norm(dim=1)
    assert (own > 0.1).all()
    assert own.mean() < 0.9 * other.mean()


def test_bones_of_one_person_do_not_change_and_pairs_are_of_one_length():
    joints = act(20)
    of_frames = lengths(joints)
    assert_close(of_frames, of_frames[:, :1].expand_as(of_frames), atol=1e-4, rtol=0)
    bodies = draw_bodies(people().body, anatomy=ANATOMY, draws=Draws(20, generator())).norm(dim=-1)
    assert_close(bodies, bodies[:, list(KINECT25.mirrored)])
    # 12 % of size, 6 % of the part and 12 % of the bone at most: 1.12 x 1.06 x 1.12 = 1.33 and 0.73.
    share = bodies[:, BONES] / ANATOMY.offsets.norm(dim=-1)[BONES]
    assert share.max() < 1.33
    assert share.min() > 0.72
    assert share.std() > 0.05


def test_who_stands_has_a_joint_on_the_floor_in_every_frame():
    joints = act(30, {"posture": {"seated_share": 0.0}})
    assert_close(joints[..., 1].amin(dim=2), torch.zeros(30, 16), atol=1e-5, rtol=0)


def test_who_sits_has_level_thighs_and_hardly_moves_the_legs():
    legs = {"programme": {"active": {"arm": 0.0, "leg": 1.0, "trunk": 0.0}}}
    sitting = {"posture": {"seated_share": 1.0, "seated_leg_amount": 0.0}}
    joints = act(10, EXACT, legs, sitting)
    hip, knee = (joints[:, :, KINECT25.index(f"left_{name}")] for name in ("hip", "knee"))
    thigh = knee - hip
    assert (thigh[..., 2] > 5 * thigh[..., 1].abs()).all()  # forwards, hardly down
    assert_close(joints, joints[:, :1].expand_as(joints), atol=1e-5, rtol=0)


def test_with_the_other_hand_it_is_the_mirror_image():
    once, other = act(8, EXACT), act(8, EXACT, {"manner": {"mirror_share": 1.0}}, may_mirror=True)
    mirrored = once[:, :, list(KINECT25.mirrored)] * torch.tensor([-1.0, 1.0, 1.0])
    assert_close(other, mirrored, atol=1e-5, rtol=0)


def test_the_trunk_follows_the_arms_of_those_who_compensate():
    raise_arm = {"programme": {"active": {"arm": 1.0, "leg": 0.0, "trunk": 0.0}}}
    trunk = list(KINECT25.part("trunk"))
    still = act(10, EXACT, raise_arm)[:, :, trunk]
    along = act(10, EXACT, raise_arm, {"manner": {"compensation_std": 0.3}})[:, :, trunk]
    assert_close(still, still[:, :1].expand_as(still), atol=1e-5, rtol=0)
    assert (along - along[:, :1]).abs().amax(dim=(1, 2, 3)).min() > 0.01


def test_periodic_programmes_come_back_to_the_same_pose():
    joints = act(10, EXACT, only("period"), num_frames=61)
    # Six ways of ten frames: pose 1 is reached at frames 10, 30 and 50.
    assert_close(joints[:, 10], joints[:, 30], atol=1e-4, rtol=0)
    assert_close(joints[:, 20], joints[:, 40], atol=1e-4, rtol=0)
    assert (joints[:, 10] - joints[:, 20]).abs().amax(dim=(1, 2)).min() > 0.02


def test_only_walkers_leave_their_place():
    pelvis = KINECT25.index("spine_base")
    here = act(20, EXACT)[:, :, pelvis, [0, 2]]
    there = act(20, EXACT, {"programme": {"walk_share": 1.0, "walk_metres": 0.5}})[:, :, pelvis, [0, 2]]
    assert_close(here, torch.zeros_like(here))
    assert there.abs().amax(dim=(1, 2)).min() > 0.05
