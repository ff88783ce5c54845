"""Damage of clips by hand: what is lost, what stands for it, and that nothing else changes."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from kinemask.evaluation.kept import KINDS
from kinemask.evaluation.occlusion import (
    Damage,
    Draws,
    OcclusionConfig,
    all_damage,
    damage_clips,
    last_seen,
    missing_joints,
)
from kinemask.section import ParamsError, read_yaml, validate
from kinemask.seeding import numpy_generator
from kinemask.skeleton.batch import RaggedClips
from kinemask.skeleton.layout import KINECT25, Layout
from tests.conftest import make_ragged
from tests.project import ROOT

BODY = Layout("four", tuple("abcd"), (0, 0, 1, 2), {"low": (0, 1), "high": (2, 3)}, (0, 1, 2, 3))
SECTION = read_yaml(ROOT / "params.yaml")["evaluation"]["occlusion"]
NOTHING = {"part": False} | {kind: [] for kind in KINDS[1:]}


def section(**changes) -> OcclusionConfig:
    return validate(OcclusionConfig, {**SECTION, **changes}, Path("params.yaml"))


def clips_of(*lengths: int, persons: int = 1, joints: int = 4) -> RaggedClips:
    """Everyone is there in every frame; each coordinate is the number of its frame in its clip, from 1."""
    frames = torch.cat([torch.arange(1.0, length + 1) for length in lengths])
    values = frames[:, None, None, None].expand(-1, persons, joints, 3).clone()
    length = torch.tensor(lengths)
    return RaggedClips(
        values, torch.ones(len(frames), persons, dtype=torch.bool), length.cumsum(0) - length, length
    )


def drawn(clips: RaggedClips, *, seed=0, draw=0, names=None) -> Draws:
    names = names or [f"clip{number}" for number in range(len(clips))]
    return Draws(clips, names, seed=seed, draw=draw)


def damaged(clips: RaggedClips, kind: str, level: object, fill: str | None = "zero", **words) -> torch.Tensor:
    draws, groups = drawn(clips, **words), section().groups_of(BODY)
    return damage_clips(Damage(kind, level, fill), draws, groups).clips.joints


def missing(clips: RaggedClips, kind: str, level: object, **words) -> torch.Tensor:
    return missing_joints(Damage(kind, level, "zero"), drawn(clips, **words), section().groups_of(BODY))


def own_numbers(kind: str, name: str, seed: int = 0, draw: int = 0) -> np.random.Generator:
    return numpy_generator(seed, "occlusion", kind, draw, name)


def test_a_part_is_lost_in_the_whole_clip_and_the_other_joints_keep_every_bit():
    clips = make_ragged()
    groups = section().groups_of(KINECT25)
    found = damage_clips(Damage("part", "right_arm", "zero"), drawn(clips), groups)
    arm = [8, 9, 10, 11, 23, 24]
    others = [joint for joint in range(25) if joint not in arm]
    assert not found.clips.joints[:, :, arm].any()
    assert torch.equal(found.clips.joints[:, :, others], clips.joints[:, :, others])
    assert found.num_missing == 6 * int(clips.present.sum())
    assert torch.equal(found.clips.present, clips.present)  # who is there stays there


def test_the_groups_of_the_kinect_body_are_those_of_ra_gcn():
    assert {name: set(joints) for name, joints in section().groups_of(KINECT25).items()} == {
        "left_arm": {4, 5, 6, 7, 21, 22},
        "right_arm": {8, 9, 10, 11, 23, 24},
        "two_hands": {21, 22, 23, 24},
        "two_legs": set(range(12, 20)),
        "trunk": {0, 1, 2, 3, 20},
    }


def test_another_body_has_its_parts_as_groups_or_those_it_is_given():
    assert section().groups_of(BODY) == {"low": (0, 1), "high": (2, 3)}
    own = section(groups={"four": {"ends": ["d", "a"]}})
    assert own.groups_of(BODY) == {"ends": (3, 0)}
    assert own.misfit_body(BODY) is None
    wrong = section(groups={"four": {"ends": ["d", "tail"]}}).misfit_body(BODY)
    assert wrong == "evaluation.occlusion.groups.four names tail, four has a, b, c, d"
    words = Layout("words", ("a", "b"), (0, 0), {"left arm": (0,), "rest": (1,)}, (0, 1))
    assert list(section().groups_of(words)) == ["left_arm", "rest"]  # names of settings are divided by spaces


@pytest.mark.parametrize(
    ("level", "count"), [(0.1, 0), (0.25, 1), (0.375, 2), (0.5, 2), (0.625, 2), (1.0, 4)]
)
def test_a_share_of_the_joints_is_rounded_with_a_half_to_even(level, count):
    lost = missing(clips_of(3, 5, persons=2), "joints", level)
    assert (lost.sum(dim=2) == count).all()


def test_lost_joints_are_those_of_the_clip_and_person_in_all_frames():
    lost = missing(clips_of(3, 5, persons=2), "joints", 0.5)
    for clip, name in enumerate(("clip0", "clip1")):
        frames = lost[0:3] if clip == 0 else lost[3:8]
        ranks = own_numbers("joints", name).random((2, 4)).argsort(axis=1)
        assert torch.equal(frames, torch.from_numpy(ranks < 2).expand(len(frames), -1, -1))
    many = missing(clips_of(*[1] * 400), "joints", 0.25).sum(dim=(0, 1)) / 400
    assert (abs(many - 0.25) < 0.08).all()  # no joint is spared


def test_a_block_of_frames_is_one_of_its_length_at_each_place_as_often():
    lengths = [10] * 300
    lost = missing(clips_of(*lengths), "frames", 0.3).reshape(300, 10, 4)
    assert (lost.sum(dim=1) == 3).all()
    assert torch.equal(lost.any(dim=2), lost.all(dim=2))  # all joints together
    firsts = lost[:, :, 0].int().argmax(dim=1)
    assert all(lost[clip, first : first + 3].all() for clip, first in enumerate(firsts.tolist()))
    assert (abs(torch.bincount(firsts, minlength=8) / 300 - 1 / 8) < 0.07).all()
    assert firsts[7] == int(own_numbers("frames", "clip7").random(1)[0] * 8)


def test_a_block_takes_both_persons_and_is_zero_or_what_was_seen_before_it():
    clips = clips_of(10, persons=2)
    assert int(own_numbers("frames", "wave").random(1)[0] * 8) == 4
    zero = damaged(clips, "frames", 0.3, names=["wave"])
    assert zero[:, 0, 0, 0].tolist() == [1, 2, 3, 4, 0, 0, 0, 8, 9, 10]
    assert torch.equal(zero[:, 0], zero[:, 1])
    held = damaged(clips, "frames", 0.3, "hold", names=["wave"])
    assert held[:, 1, 3, 2].tolist() == [1, 2, 3, 4, 4, 4, 4, 8, 9, 10]


@pytest.mark.parametrize(("length", "zeros"), [(45, 0), (48, 3), (50, 5), (54, 9), (55, 10), (90, 10)])
def test_ra_gcns_frames_are_counted_from_the_first_and_short_clips_are_spared(length, zeros):
    found = damaged(clips_of(3, length), "frames_absolute", 10.0)
    assert found[:3, 0, 0, 0].tolist() == [1, 2, 3]
    lost = (found[3:, 0, 0, 0] == 0).nonzero().flatten().tolist()
    assert lost == list(range(45, 45 + zeros))  # frames 45 to 54, from 0 on


def test_a_level_beyond_the_clip_loses_all_of_it_and_no_more():
    lost = missing(clips_of(3, 60, 4), "frames_absolute", 200.0)
    assert lost[:, 0, 0].tolist() == [True] * 67
    assert not damaged(clips_of(3, 1), "frames", 1.0).any()
    assert not damaged(clips_of(3, 1), "frames", 1.0, "hold").any()  # nothing was ever seen


@pytest.mark.parametrize("kind", ["frames", "frames_absolute"])
def test_a_clip_of_one_frame_is_spared_by_blocks_of_frames(kind):
    level = 0.5 if kind == "frames" else 50.0  # a half of one frame is no frame
    assert damaged(clips_of(1), kind, level)[:, 0, 0, 0].tolist() == [1]


def test_each_joint_flickers_in_each_frame_with_its_probability():
    clips = clips_of(400, 300, persons=2)
    lost = missing(clips, "flicker", 0.2)
    assert abs(lost.float().mean() - 0.2) < 0.02
    chances = own_numbers("flicker", "clip1").random((300, 2, 4), np.float32)
    assert torch.equal(lost[400:], torch.from_numpy(chances < 0.2))
    joint = lost[:, 0, 0].float()
    assert abs((joint[1:] * joint[:-1]).mean() - 0.04) < 0.03  # and not for whole stretches


def test_noise_has_its_spread_on_every_coordinate_and_none_where_nobody_is():
    clips = make_ragged((900, 700), num_persons=2)
    found = damage_clips(Damage("noise", 0.05, None), drawn(clips), {})
    change = (found.clips.joints - clips.joints)[clips.present]
    assert abs(change.std() - 0.05) < 0.001
    assert abs(change.mean()) < 0.001
    assert not found.clips.joints[~clips.present].any()
    assert found.num_missing == 0
    own = own_numbers("noise", "clip1").standard_normal((700, 2, 25, 3), np.float32)
    assert torch.equal(found.clips.joints[900:], clips.joints[900:] + 0.05 * torch.from_numpy(own))


def test_held_is_where_a_joint_was_seen_last_and_zero_before_it_was_seen():
    clips = clips_of(4, 3)
    lost = torch.zeros(7, 1, 4, dtype=torch.bool)
    lost[1:3, 0, 0] = True
    lost[:2, 0, 1] = True
    lost[4:6, 0, 1] = True  # from the first frame of the second clip on: the first clip is none of its past
    found = last_seen(clips, lost)
    assert found[:, 0, 0, 0].tolist() == [1, 1, 1, 4, 1, 2, 3]
    assert found[:, 0, 1, 0].tolist() == [0, 0, 3, 4, 0, 0, 3]
    assert found[:, 0, 2, 0].tolist() == [1, 2, 3, 4, 1, 2, 3]


def test_held_is_from_before_a_person_was_away_and_absent_persons_stay_away():
    clips = clips_of(6)
    clips.present[2:4] = False
    clips.joints[2:4] = 0
    lost = torch.zeros(6, 1, 4, dtype=torch.bool)
    lost[4, 0, 0] = True
    held = last_seen(clips, lost)
    assert held[4, 0, 0, 0] == 2
    for kind, level in (("flicker", 0.999), ("frames", 1.0), ("part", "low"), ("joints", 1.0)):
        for fill in ("zero", "hold"):
            assert not damaged(clips, kind, level, fill)[2:4].any()
        assert not missing(clips, kind, level)[2:4].any()


@pytest.mark.parametrize(("kind", "level"), [("part", "low"), ("joints", 0.5)])
def test_what_was_never_seen_is_zero_under_hold_too_so_it_is_no_case_of_its_own(kind, level):
    clips = clips_of(5, 3)
    assert torch.equal(damaged(clips, kind, level, "hold"), damaged(clips, kind, level, "zero"))
    config = section()
    cases = [one for one in all_damage(config.levels, config, config.groups_of(KINECT25)) if one.kind == kind]
    assert len(cases) == 5
    assert {one.fill for one in cases} == {"zero"}


def test_damage_is_of_seed_and_name_alone_whatever_the_order_and_the_company():
    clips = make_ragged((9, 14, 30))
    for kind, level in (("joints", 0.4), ("frames", 0.5), ("flicker", 0.3), ("noise", 0.1)):
        fill = None if kind == "noise" else "hold"
        whole = damaged_kinect(clips, ["a", "b", "c"], kind, level, fill)
        turned = RaggedClips(
            torch.cat([clips.joints[23:], clips.joints[:9]]),
            torch.cat([clips.present[23:], clips.present[:9]]),
            torch.tensor([0, 30]),
            torch.tensor([30, 9]),
        )
        again = damaged_kinect(turned, ["c", "a"], kind, level, fill)
        assert torch.equal(again, torch.cat([whole[23:], whole[:9]]))
        others = [damaged_kinect(clips, ["a", "b", "d"], kind, level, fill)[23:]]
        others += [damaged_kinect(clips, ["a", "b", "c"], kind, level, fill, seed=1)[23:]]
        others += [damaged_kinect(clips, ["a", "b", "c"], kind, level, fill, draw=1)[23:]]
        assert not any(torch.equal(one, whole[23:]) for one in others), kind


def damaged_kinect(clips, names, kind, level, fill, **words) -> torch.Tensor:
    draws = drawn(clips, names=names, **words)
    return damage_clips(Damage(kind, level, fill), draws, {}).clips.joints


@pytest.mark.parametrize("kind", ["joints", "flicker"])
def test_a_higher_level_loses_what_a_lower_one_does_and_more(kind):
    clips = clips_of(30, 20, persons=2, joints=20)
    lower, higher = (missing(clips, kind, level) for level in (0.2, 0.5))
    assert (higher | ~lower).all()
    assert higher.sum() > 1.5 * lower.sum()


def test_settings_say_what_was_done():
    assert Damage("frames", 0.3, "hold").words == ("kind=frames", "level=0.3", "fill=hold")
    assert Damage("frames_absolute", 10.0, "zero").words[1] == "level=10"
    assert Damage("part", "trunk", "zero").words == ("kind=part", "level=trunk", "fill=zero")
    assert Damage("noise", 0.01, None, draw=2).words == ("kind=noise", "level=0.01", "draw=2")


def test_every_level_is_met_under_every_fill_as_often_as_it_is_drawn():
    config = section(draws=3)
    cases = all_damage(config.levels, config, config.groups_of(KINECT25))
    assert len(set(cases)) == len(cases)
    counts = {kind: sum(one.kind == kind for one in cases) for kind in KINDS}
    # Nothing is drawn of a part and of RA-GCN's frames; noise replaces nothing, a lost joint cannot be held.
    assert counts == {
        "part": 5, "joints": 5 * 3, "frames": 5 * 2 * 3, "frames_absolute": 5 * 2, "flicker": 5 * 2 * 3,
        "noise": 4 * 3,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"levels": NOTHING, "adapted": NOTHING}, "levels names nothing: give at least one level of a kind"),
        (
            {"adapted": {**NOTHING, "frames": [0.1, 0.15]}},
            "adapted.frames has 0.15, which levels.frames lacks",
        ),
        (
            {"levels": {**NOTHING, "noise": [0.1]}, "adapted": {**NOTHING, "part": True}},
            "adapted.part is true and levels.part false",
        ),
        ({"fills": ["zero", "zero"]}, "fills names zero twice"),
    ],
)
def test_a_section_that_contradicts_itself_is_one_line(changes, said):
    with pytest.raises(ParamsError) as raised:
        section(**changes)
    assert str(raised.value) == f"params.yaml has 1 problem(s):\n  the file: {said}"


@pytest.mark.parametrize(
    "levels", [{"joints": [1.5]}, {"frames": [0.2, 0.1]}, {"frames_absolute": [11]}, {"noise": [0.0]}]
)
def test_levels_out_of_range_are_refused(levels):
    with pytest.raises(ParamsError):
        section(levels={**json.loads(json.dumps(SECTION["levels"])), **levels})
