"""What METHOD_JMM_TGT section 3 says of the skeleton in attention."""

import pytest
import torch

from kinemask.encoders.topology import HopBias, between_tokens, neighbours, shown_joints, split_between_tokens
from kinemask.skeleton.layout import KINECT25
from tests.conftest import generator

CHAIN = ((0, 1, 2, 3), (1, 0, 1, 2), (2, 1, 0, 1), (3, 2, 1, 0))


def test_the_bias_is_by_hops_and_the_farthest_share_one_number():
    bias = HopBias(hops=CHAIN, heads=2, max_hops=2)
    assert not bias().any()
    with torch.no_grad():
        bias.table.copy_(torch.tensor([[5.0, 6.0, 7.0], [1.0, 2.0, 3.0]]))
    assert bias()[0].tolist() == [[5, 6, 7, 7], [6, 5, 6, 7], [7, 6, 5, 6], [7, 7, 6, 5]]
    assert bias()[1, 0].tolist() == [1, 2, 3, 3]


def test_adjacency_is_a_plus_its_transpose_plus_one():
    num_joints = KINECT25.num_joints
    edges = torch.zeros(num_joints, num_joints)
    for parent, joint in KINECT25.edges:
        edges[joint, parent] = 1
    assert torch.equal(neighbours(KINECT25.hops)[0], edges + edges.T + torch.eye(num_joints))


@pytest.mark.parametrize("num_heads", [1, 3])
def test_tokens_get_what_their_joints_have(num_heads):
    values = torch.randn(num_heads, 4, 4, generator=generator())
    places = torch.tensor([[0, 3, 6, 11], [2, 5, 9, 10]])  # of 3 times x 4 joints
    found = between_tokens(values, shown_joints(places, num_joints=4), num_times=3)
    whole = between_tokens(values, None, num_times=3)
    assert found.shape == (2, num_heads, 4, 4)
    assert whole.shape == (1, num_heads, 12, 12)
    for row in range(2):
        for query in range(4):
            for key in range(4):
                ends = places[row, query] % 4, places[row, key] % 4
                assert torch.equal(found[row, :, query, key], values[:, ends[0], ends[1]])
        assert torch.equal(found[row], whole[0][:, places[row]][:, :, places[row]])


def test_the_split_bias_of_whole_sequences_is_the_bias_between_their_tokens():
    values = torch.randn(3, 4, 4, generator=generator())
    split = split_between_tokens(values, num_times=2)
    assert torch.equal(split.queries @ split.keys.mT, between_tokens(values, None, num_times=2))
