import torch
from torch.testing import assert_close

from kinemask.simulation.anatomy import anatomy_of, kind_of
from kinemask.simulation.people import simulate
from kinemask.skeleton.layout import KINECT25, Layout
from kinemask.skeleton.rest_pose import rest_pose
from tests.conftest import generator
from tests.simulation.people_section import ANATOMY, EXACT, people


def make(num_programmes, num_performances, *changes, num_persons=2, seed=0, anatomy=ANATOMY):
    return simulate(
        num_programmes,
        num_performances,
        config=people(*changes),
        anatomy=anatomy,
        num_persons=num_persons,
        num_frames=12,
        may_mirror=True,
        generator=generator(seed),
    )


def test_absent_persons_are_zero_and_never_enter():
    batch = make(60, 2, num_persons=3)
    assert batch.joints.shape == (120, 12, 3, 25, 3)
    assert batch.present[:, :, 0].all()
    assert not batch.present[:, :, 2].any()
    assert (batch.joints[~batch.present] == 0).all()
    share = batch.present[:, 0, 1].float().mean()
    assert 0.3 < share < 0.7


def test_both_twins_have_the_same_number_of_people():
    present = make(40, 2).present[:, 0, 1]
    assert_close(present[0::2], present[1::2])


def test_two_people_stand_apart_and_look_at_each_other():
    batch = make(40, 1, EXACT, {"pairs": {"share": 1.0, "apart_metres": [1.0, 1.0]}})
    pelvis, nose = KINECT25.index("spine_base"), KINECT25.index("left_foot")
    first, second = batch.joints[:, :, 0], batch.joints[:, :, 1]
    between = second[:, :, pelvis] - first[:, :, pelvis]
    assert_close(between.norm(dim=-1)[:, 0], torch.ones(40), atol=0.25, rtol=0)
    # The feet point from the pelvis to the other person.
    ahead = (first[:, 0, nose] - first[:, 0, pelvis]) * between[:, 0]
    back = (second[:, 0, nose] - second[:, 0, pelvis]) * between[:, 0]
    legs_rest = batch.joints[:, :, :, [nose]].std(dim=1).sum(dim=(1, 2, 3)) < 1e-4
    assert legs_rest.any()
    assert (ahead.sum(dim=-1)[legs_rest] > 0).all()
    assert (back.sum(dim=-1)[legs_rest] < 0).all()


def test_clips_depend_on_the_generator_alone():
    assert torch.equal(make(5, 2, seed=3).joints, make(5, 2, seed=3).joints)
    assert not torch.equal(make(5, 2, seed=3).joints, make(5, 2, seed=4).joints)


def test_a_body_of_which_only_the_bones_are_known_is_simulated_too():
    stick = Layout(
        name="stick",
        joints=("top", "hip", "left_toe", "right_toe"),
        parents=(0, 0, 1, 1),
        parts={"trunk": (0, 1), "left_leg": (2,), "right_leg": (3,)},
        mirrored=(0, 1, 3, 2),
    )
    bones = ((0.0, 0.0, 0.0), (0.0, -0.5, 0.0), (0.1, -0.8, 0.0), (-0.1, -0.8, 0.0))
    anatomy = anatomy_of(rest_pose(stick, bones), torch.device("cpu"))
    batch = make(20, 2, {"sensor": {"trunk_metres": 0.0, "tip_metres": 0.0}}, num_persons=1, anatomy=anatomy)
    trunk = (batch.joints[..., 1, :] - batch.joints[..., 0, :]).norm(dim=-1)
    assert batch.joints.isfinite().all()
    assert (trunk.mean() - 0.5).abs() < 0.05
    assert batch.joints.std(dim=1).amax() > 0.05


def test_parts_are_told_by_their_names():
    assert [kind_of(name) for name in ("left_arm", "Right_Leg", "spine", "army")] == [
        "arm",
        "leg",
        "trunk",
        "trunk",
    ]
