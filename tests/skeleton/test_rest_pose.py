import numpy as np
import pytest
import torch
from torch.testing import assert_close

from kinemask.skeleton.kinematics import forward_kinematics
from kinemask.skeleton.layout import KINECT25, Layout
from kinemask.skeleton.rest_pose import RESTS, median_bones, rest_pose

REST = RESTS["kinect25"]
STICK = Layout(
    name="stick",
    joints=("top", "hip", "toe"),
    parents=(0, 0, 1),
    parts={"all": (0, 1, 2)},
    mirrored=(0, 1, 2),
)


def standing(rest):
    turns = torch.eye(3).expand(1, 1, rest.layout.num_joints, 3, 3)
    offsets, root = torch.from_numpy(rest.offsets)[None], torch.zeros(1, 1, 3)
    return forward_kinematics(rest.tree, offsets=offsets, turns=turns, root=root)[0, 0]


def test_the_kinect_stands_upright_with_hanging_arms_alike_on_both_sides():
    joints = standing(REST)
    height = joints[:, 1].max() - joints[:, 1].min()
    assert joints[:, 1].argmax() == KINECT25.index("head")
    assert 1.4 < height < 1.8
    left_hand, left_shoulder = (joints[KINECT25.index(f"left_{name}")] for name in ("hand", "shoulder"))
    assert_close(left_shoulder[1] - left_hand[1], torch.tensor(0.243 + 0.227 + 0.068))
    assert_close(joints[list(KINECT25.mirrored)] * torch.tensor([-1.0, 1.0, 1.0]), joints)


def test_limits_mirror_one_another_and_elbows_bend_one_way():
    elbow = KINECT25.index("left_wrist")  # the bone behind it
    assert REST.highest[elbow, 0] == 0
    assert REST.lowest[elbow, 0] < -2
    mirrored = list(KINECT25.mirrored)
    np.testing.assert_array_equal(REST.lowest[mirrored, 0], REST.lowest[:, 0])
    np.testing.assert_array_equal(REST.lowest[mirrored][:, 1:], -REST.highest[:, 1:])


def test_the_median_bones_of_another_body_are_found_in_its_recordings():
    # Three frames: the lower bone is 1, 1 and 3 long and always points down, the upper one leans either way.
    upper = torch.tensor([[3.0, -4.0, 0.0], [-3.0, -4.0, 0.0], [0.0, -5.0, 0.0]])
    lower = torch.tensor([[0.0, -1.0, 0.0], [0.0, -1.0, 0.0], [0.0, -3.0, 0.0]])
    joints = torch.stack([torch.zeros(3, 3), upper, upper + lower], dim=1)
    bones = median_bones(STICK, joints.numpy())
    assert_close(torch.tensor(bones), torch.tensor([[0.0, 0, 0], [0.0, -5.0, 0.0], [0.0, -1.0, 0.0]]))
    assert_close(torch.from_numpy(rest_pose(STICK, bones).offsets), torch.tensor(bones))


def test_a_body_of_which_nothing_is_known_is_refused():
    with pytest.raises(ValueError, match="how stick stands"):
        rest_pose(STICK)
    with pytest.raises(ValueError, match="no bone leads to toe"):
        median_bones(STICK, np.array([[[0.0, 0, 0], [0, -1, 0], [0, -1, 0]]]))
