import math

import pytest
import torch
from torch.testing import assert_close

from kinemask.simulation.performance import turns_about
from kinemask.skeleton.kinematics import MotionTree, forward_kinematics, rooted

CHAIN = MotionTree((0, 0, 1))


def test_bones_told_from_either_end_hang_from_the_root_that_is_asked_for():
    # 3 - 1 - 0 - 2, once seen from 0 and once from 3
    edges = [(1, 0), (0, 2), (3, 1)]
    assert rooted(edges, root=0, num_joints=4).parents == (0, 0, 0, 1)
    assert rooted(edges, root=3, num_joints=4).parents == (1, 3, 0, 3)


def test_levels_count_bones_from_the_root():
    assert MotionTree((1, 1, 1, 0, 3)).levels == ((0, 2), (3,), (4,))


@pytest.mark.parametrize(
    ("parents", "said"),
    [((0, 1), "one root, found 2"), ((0, 2, 1), "not reached"), ((0, 5), "joints are 0 to 1")],
)
def test_what_is_no_tree_is_refused(parents, said):
    with pytest.raises(ValueError, match=said):
        MotionTree(parents)


def test_a_quarter_turn_about_z_carries_x_to_y():
    turn = turns_about(torch.tensor([0.0, 0.0, math.pi / 2]))
    assert_close(turn @ torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.0, 1.0, 0.0]), atol=1e-6, rtol=0)


def test_no_turn_is_the_identity_and_all_turns_keep_lengths_and_hands():
    assert_close(turns_about(torch.zeros(3)), torch.eye(3))
    turns = turns_about(torch.randn(50, 3, generator=torch.Generator().manual_seed(0)) * 2)
    assert_close(turns @ turns.mT, torch.eye(3).expand(50, 3, 3), atol=1e-5, rtol=0)
    assert_close(torch.linalg.det(turns), torch.ones(50), atol=1e-5, rtol=0)


def test_a_bent_chain_by_hand():
    # Two bones of 2 and 1 down. The first is raised to the front (x by -90 degrees: down becomes forwards),
    # the second turned on by the same against it: it then points up.
    offsets = torch.tensor([[[0.0, 0.0, 0.0], [0.0, -2.0, 0.0], [0.0, -1.0, 0.0]]])
    quarter = turns_about(torch.tensor([-math.pi / 2, 0.0, 0.0]))
    turns = torch.stack([torch.eye(3), quarter, quarter])[None, None]
    joints = forward_kinematics(CHAIN, offsets=offsets, turns=turns, root=torch.tensor([[[5.0, 0.0, 0.0]]]))
    expected = torch.tensor([[5.0, 0.0, 0.0], [5.0, 0.0, 2.0], [5.0, 1.0, 2.0]])
    assert_close(joints[0, 0], expected, atol=1e-6, rtol=0)


def test_arrays_and_tensors_give_the_same_joints():
    rng = torch.Generator().manual_seed(2)
    offsets, root = torch.randn(2, 3, 3, generator=rng), torch.randn(2, 4, 3, generator=rng)
    turns = turns_about(torch.randn(2, 4, 3, 3, generator=rng))
    joints = forward_kinematics(CHAIN, offsets=offsets, turns=turns, root=root)
    arrays = forward_kinematics(CHAIN, offsets=offsets.numpy(), turns=turns.numpy(), root=root.numpy())
    assert_close(torch.from_numpy(arrays), joints, atol=1e-5, rtol=0)


def test_bones_keep_their_lengths_however_they_are_turned():
    rng = torch.Generator().manual_seed(1)
    tree = MotionTree((1, 1, 1, 0, 3))
    offsets = torch.randn(2, 5, 3, generator=rng)
    turns = turns_about(torch.randn(2, 4, 5, 3, generator=rng))
    joints = forward_kinematics(tree, offsets=offsets, turns=turns, root=torch.zeros(2, 4, 3))
    bones = torch.linalg.vector_norm(joints - joints[:, :, list(tree.parents)], dim=-1)
    hanging = [0, 2, 3, 4]
    lengths = torch.linalg.vector_norm(offsets, dim=-1)
    assert_close(bones[..., hanging], lengths[:, None, hanging].expand(2, 4, 4), atol=1e-5, rtol=0)


def test_a_turned_root_turns_the_whole_body_about_itself():
    offsets = torch.tensor([[[0.0, 0.0, 0.0], [0.0, -2.0, 0.0], [0.0, -1.0, 0.0]]])
    half = turns_about(torch.tensor([math.pi, 0.0, 0.0]))
    turns = torch.stack([half, torch.eye(3), torch.eye(3)])[None, None]
    joints = forward_kinematics(CHAIN, offsets=offsets, turns=turns, root=torch.tensor([[[0.0, 1.0, 0.0]]]))
    assert_close(joints[0, 0, :, 1], torch.tensor([1.0, 3.0, 4.0]), atol=1e-6, rtol=0)
