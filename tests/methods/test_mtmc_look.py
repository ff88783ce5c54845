"""What mtmc says that it does with a clip is what it does, and asking changes nothing."""

from dataclasses import dataclass

import pytest
import torch

from kinemask.masking.features import channel_scores, keep_channels
from kinemask.methods.mtmc_look import look_at_mask
from kinemask.methods.mtmc_views import ViewMaker
from kinemask.skeleton.batch import Batch
from kinemask.skeleton.layout import KINECT25
from tests.conftest import generator, make_ragged
from tests.methods.mtmc_section import EVERYTHING, MASK, MTMC, NORMED, NOTHING, WEIGHTS, build, train

NAMES = ("a", "b", "c", "d", "e")


def look(section=MTMC):
    return build(section).look(make_ragged(), NAMES, generator(3))


def test_the_hidden_joints_are_those_of_the_masked_view():
    method, clips = build(), make_ragged()
    _, hidden = method.views.draw_masked(clips, generator(3))
    for number, one in enumerate(method.look(clips, NAMES, generator(3))):
        assert one.clip == NAMES[number]
        assert one.mask is not None
        rows = [[letter == "#" for letter in row] for row in one.mask.hidden]
        assert torch.equal(torch.tensor(rows), hidden[number, :, 0].mT)
    assert hidden.any()


def test_the_dropped_channels_are_the_ones_with_the_largest_scores():
    for one in look():
        assert one.drop is not None
        assert one.drop.score is not None
        assert sum(one.drop.dropped) == 6  # round(0.2 x 32)
        gone = [score for score, is_gone in zip(one.drop.score, one.drop.dropped, strict=True) if is_gone]
        kept = [score for score, is_gone in zip(one.drop.score, one.drop.dropped, strict=True) if not is_gone]
        assert min(gone) >= max(kept)


def test_the_scores_are_those_of_the_trained_encoder_in_evaluation():
    section = MTMC | {"weights": NOTHING | {"contrast": 1.0, "dropped": 0.5}}
    method, clips = build(section, encoder=NORMED), make_ragged()
    train(method, clips, 2)
    method.eval()
    view = method.views.draw_extreme(clips, generator(3), drops=False, fill=None)
    encoded = method.encoder(view.shown)
    seen = (encoded.sequence, encoded.seen, view.speed)
    scores = channel_scores(*seen, kind="trajectory", generator=generator())
    dropped = keep_channels(*seen, config=method.config.drop, generator=generator()) == 0
    method.train()
    found = [one.drop for one in method.look(clips, NAMES, generator(3))]
    torch.testing.assert_close(torch.tensor([one.score for one in found]), scores, atol=5e-5, rtol=0)
    assert torch.equal(torch.tensor([one.dropped for one in found]), dropped)
    assert method.encoder.training


def test_the_largest_intensity_of_a_clip_is_one_and_weights_sum_to_one():
    for one in look():
        assert one.mask is not None
        assert len(one.mask.intensity) == len(one.mask.weight) == MASK["num_segments"]
        assert max(value for row in one.mask.intensity for value in row) == 1.0
        for row in one.mask.weight:
            assert len(row) == len(KINECT25.parts)
            assert sum(row) == pytest.approx(1.0, abs=1e-3)


@dataclass(frozen=True)
class FixedView(ViewMaker):
    """The view is given, and nothing is hidden."""

    view: Batch

    @classmethod
    def of(cls, view: Batch, **mask) -> "FixedView":
        whole = build(MTMC | {"mask": MASK | mask}).views
        return cls(whole.config, whole.inputs, whole.domain, whole.stride, view)

    def draw_masked(self, clips, generator):
        return self.view, torch.zeros(self.view.joints.shape[:-1], dtype=torch.bool)


def one_arm_moves() -> Batch:
    """Four frames; all joints of the left arm move by 2 cm, then by 1 cm a frame, the rest stands still."""
    joints = torch.zeros(1, 4, 2, 25, 3)
    places = torch.tensor([0.0, 0.02, 0.04, 0.05])
    joints[0, :, 0, list(KINECT25.part("left_arm")), 0] = places[:, None]
    present = torch.ones(1, 4, 2, dtype=torch.bool)
    present[:, :, 1] = False
    return Batch(joints, present)


def test_intensity_by_hand():
    # Steps 2, 2, 1 cm, the last repeated: means of the segments are 2 and 1 cm a frame, relative 1 and 0.5.
    views = FixedView.of(one_arm_moves(), num_segments=2, topology_weight="uniform", motion_share=1.0)
    (found,) = look_at_mask(views, make_ragged((9,)), generator())
    assert found.intensity == ((0.0, 1.0, 0.0, 0.0, 0.0), (0.0, 0.5, 0.0, 0.0, 0.0))
    # e^(1/0.75) = 3.79367 among four ones: 0.48676; e^(0.5/0.75) = 1.94773: 0.32747.
    assert [row[1] for row in found.weight] == [0.4868, 0.3275]


def test_weights_of_joints_are_added_up_by_part():
    mask = {"num_segments": 2, "topology": "joints", "topology_weight": "uniform", "motion_share": 0.0}
    (found,) = look_at_mask(FixedView.of(one_arm_moves(), **mask), make_ragged((9,)), generator())
    assert found.weight[0] == (0.2, 0.24, 0.24, 0.16, 0.16)  # 5, 6, 6, 4, 4 of 25 joints


def test_who_stands_still_has_no_intensity_and_who_is_away_is_marked():
    view = one_arm_moves()
    present = view.present.clone()
    present[0, 3] = False
    still = FixedView.of(Batch(torch.zeros_like(view.joints), present))
    (found,) = look_at_mask(still, make_ragged((9,)), generator())
    assert all(value == 0.0 for row in found.intensity for value in row)
    assert set(found.hidden) == {"...-"}


def test_what_a_recipe_does_not_have_is_absent():
    moco = MTMC | {"weights": NOTHING | {"contrast": 1.0}}
    assert look(moco) == ()
    no_mask = MTMC | {"weights": NOTHING | {"contrast": 1.0, "extreme": 0.5, "dropped": 0.5}}
    assert all(one.mask is None and one.drop is not None for one in look(no_mask))
    no_drop = MTMC | {"weights": WEIGHTS | {"dropped": 0.0}}
    assert all(one.mask is not None and one.drop is None for one in look(no_drop))
    for kind in ("threshold", "input", "frame_joints"):
        drop = MTMC["drop"] | {"kind": kind}
        assert all(one.drop is None for one in look(MTMC | {"drop": drop}))
    by_chance = look(MTMC | {"drop": MTMC["drop"] | {"kind": "random"}})
    assert all(one.drop is not None and one.drop.score is None for one in by_chance)


@pytest.mark.parametrize("section", [MTMC, EVERYTHING], ids=["mtmc", "everything"])
def test_a_look_changes_nothing(section):
    asked, left_alone = build(section, encoder=NORMED), build(section, encoder=NORMED)
    train(asked, make_ragged(), 2)
    train(left_alone, make_ragged(), 2)
    before = torch.get_rng_state()
    first = asked.look(make_ragged(), NAMES, generator(3))
    assert torch.equal(before, torch.get_rng_state())
    assert asked.look(make_ragged(), NAMES, generator(3)) == first
    train(asked, make_ragged(), 2)
    train(left_alone, make_ragged(), 2)
    ours, theirs = asked.state_dict(), left_alone.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
