import pytest
import torch
from torch.testing import assert_close

from kinemask.simulation.config import KindWeights
from kinemask.simulation.programme import (
    KINDS,
    NUM_KEYS,
    draw_programmes,
    mirrored_turns,
    shares,
    within_reach,
)
from kinemask.skeleton.layout import KINECT25
from tests.conftest import generator
from tests.simulation.people_section import ANATOMY, EXACT, only, people


def draw(count, *changes, seed=0):
    config = people(*changes).programme
    return draw_programmes(count, config=config, anatomy=ANATOMY, generator=generator(seed))


def moving(programmes):
    return (programmes.turns != 0).any(dim=(1, 3))  # (N, V)


def test_the_weights_of_kinds_come_in_the_order_in_which_they_are_drawn():
    assert tuple(KindWeights.model_fields) == KINDS


def test_parts_take_part_as_often_as_they_should_and_never_none():
    # 0.5, 0.5, 0.25, 0.25, 0.35; nobody does nothing, which has probability 0.5^2 x 0.75^2 x 0.65 = 0.0914,
    # and then goes to one of them, so each is a little more frequent than configured.
    active = moving(draw(4000))
    left_arm = active[:, list(KINECT25.part("left_arm"))].any(dim=1).float().mean()
    left_leg = active[:, list(KINECT25.part("left_leg"))].any(dim=1).float().mean()
    assert active.any(dim=1).all()
    assert 0.5 < left_arm < 0.56
    assert 0.25 < left_leg < 0.29


def test_a_part_that_never_takes_part_is_not_chosen_for_want_of_another():
    active = {"programme": {"active": {"arm": 0.0, "leg": 0.0, "trunk": 0.01}}}
    who = moving(draw(200, active)).any(dim=0)
    assert {KINECT25.joints[joint] for joint in torch.nonzero(who)[:, 0].tolist()} == {
        "spine_mid", "spine_shoulder", "neck", "head",
    }  # fmt: skip


def test_no_key_pose_is_out_of_reach():
    turns = draw(
        500, {"programme": {"near_std": 2.0, "far_std": 2.0, "trunk_std": 1.0, "fine_share": 0.0}}
    ).turns
    assert (turns >= ANATOMY.lowest).all()
    assert (turns <= ANATOMY.highest).all()


def test_beyond_a_limit_a_turn_comes_back_by_as_much():
    # A left elbow bends from -2.5 to 0 about x: 0.3 becomes -0.3, -2.6 becomes -2.4; 3 becomes -3, then -2,
    # and 6 becomes -6, then 1, which is cut off at 0.
    elbow = KINECT25.index("left_wrist")
    turns = torch.zeros(4, 25, 3)
    turns[:, elbow, 0] = torch.tensor([0.3, -2.6, 3.0, 6.0])
    assert_close(within_reach(turns, ANATOMY)[:, elbow, 0], torch.tensor([-0.3, -2.4, -2.0, 0.0]))


def test_there_and_back_begins_and_ends_at_rest_and_free_does_not():
    back, free = draw(50, EXACT, only("back")), draw(50, EXACT, only("free"))
    assert (back.stations[:, :, [0, -1]] == 0).all()
    assert (free.stations[:, :, -1] == NUM_KEYS).all()
    assert_close(back.ways[0], torch.tensor([0.25, 0.25, 0.25, 0.25, 0.0, 0.0]))


def test_who_alternates_does_the_same_with_the_other_side_while_the_first_rests():
    programmes = draw(50, EXACT, only("alternate"))
    assert (programmes.stations[:, 0] * programmes.stations[:, 1] == 0).all()
    assert programmes.stations.any(dim=2).all()
    hands = [KINECT25.index(name) for name in ("left_elbow", "right_elbow")]
    both = (programmes.turns[:, :, hands] != 0).any(dim=(1, 3)).all(dim=1)
    assert both.any()
    left, right = programmes.turns[both][:, :, hands].unbind(dim=2)
    assert_close(right, left * torch.tensor([1.0, -1.0, -1.0]))


def test_fine_movements_are_small_and_about_a_raised_pose():
    fine = {"programme": {"fine_share": 1.0, "fine_amount": 0.25}}
    coarse, small = draw(300, EXACT), draw(300, EXACT, fine)
    arm = [KINECT25.index("left_elbow"), KINECT25.index("right_elbow")]
    leg = [KINECT25.index("left_knee")]
    assert_close(small.turns[:, :, leg], coarse.turns[:, :, leg])
    assert_close(small.turns[:, 0, arm], coarse.turns[:, 1, arm] * 0.75)  # where rest was
    spread = (small.turns[:, 1:, arm] - small.turns[:, :1, arm]).abs().mean()
    assert spread < 0.4 * coarse.turns[:, 1:, arm].abs().mean()


def test_a_mirrored_programme_mirrored_again_is_itself():
    turns = draw(5).turns
    assert_close(mirrored_turns(mirrored_turns(turns, ANATOMY), ANATOMY), turns)


def test_the_ways_of_a_programme_sum_to_one():
    assert_close(draw(20).ways.sum(dim=1), torch.ones(20))
    assert_close(shares(torch.tensor([[1.0, 3.0]])), torch.tensor([[0.25, 0.75]]))


def test_all_programmes_come_from_the_generator():
    assert_close(draw(3, seed=5).turns, draw(3, seed=5).turns, atol=0, rtol=0)
    assert not torch.equal(draw(3, seed=5).turns, draw(3, seed=6).turns)


def test_kinds_without_any_weight_are_refused():
    with pytest.raises(ValueError, match="no programme could be drawn"):
        people({"programme": {"kinds": dict.fromkeys(KINDS, 0.0)}})
