import pytest
import torch
from torch.testing import assert_close

from kinemask.augment.mix import MixConfig, Mixed, draw_partners, draw_parts, draw_stretch, mix
from kinemask.skeleton.batch import Batch
from kinemask.skeleton.layout import KINECT25
from tests.conftest import generator

SIZES = {"num_groups": 16, "groups_low": 7, "groups_high": 11, "parts_low": 2, "parts_high": 3}
CONFIG = MixConfig(**SIZES)


def telling(num_clips: int, *, num_frames: int = 64, everybody: bool = False) -> Batch:
    """Clips whose joints say where they are from: x is the clip's number, y the frame's, both from 1; z is 1.

    Unless `everybody` is there, every third clip has one person and every fifth ends in six empty frames.
    """
    joints = torch.ones(num_clips, num_frames, 2, 25, 3)
    joints[..., 0] = torch.arange(1, num_clips + 1).reshape(-1, 1, 1, 1)
    joints[..., 1] = torch.arange(1, num_frames + 1).reshape(1, -1, 1, 1)
    present = torch.ones(num_clips, num_frames, 2, dtype=torch.bool)
    if not everybody:
        present[::3, :, 1] = False
        present[2::5, -6:] = False
    return Batch(joints * present[..., None, None], present)


def mixed(batch: Batch, *, seed: int = 0, config: MixConfig = CONFIG) -> Mixed:
    return mix(batch, config=config, layout=KINECT25, generator=generator(seed))


def weights(result: Mixed) -> torch.Tensor:
    """The partner's weight in every joint (N, T, M, V), read from x; 0 where the clip's person is absent."""
    own = torch.arange(1, len(result.partner) + 1).reshape(-1, 1, 1, 1)
    other = (result.partner + 1).reshape(-1, 1, 1, 1)
    weight = (result.batch.joints[..., 0] - own) / (other - own)
    return torch.where(result.batch.present[..., None], weight, 0.0)


def kinds(result: Mixed) -> list[str]:
    """What became of each clip. Frame numbers with a half in them come from a block at double speed."""
    halves = (result.batch.joints[..., 1] % 1 == 0.5).any(dim=(1, 2, 3))
    weight = weights(result)
    between = ((weight - weight.round()).abs() > 1e-5).any(dim=(1, 2, 3))
    # A blend leaves the frame numbers alone, as both clips have the same.
    return [
        "sped up" if half else "blended" if part else "pasted"
        for half, part in zip(halves.tolist(), between.tolist(), strict=True)
    ]


def test_a_partner_is_never_the_clip_itself_and_any_other_equally_often():
    partners = torch.stack([draw_partners(5, generator(seed)) for seed in range(2000)])
    assert (partners != torch.arange(5)).all()
    for clip in range(5):
        share = torch.bincount(partners[:, clip], minlength=5) / 2000
        assert_close(share[torch.arange(5) != clip], torch.full((4,), 0.25), atol=0.05, rtol=0)


def test_partners_blocks_and_weights_are_drawn_for_each_clip():
    # Trap E5: PCM3 draws one shift, one block and one weight for the whole batch.
    result = mixed(telling(60, everybody=True))
    offsets = (result.partner - torch.arange(60)) % 60
    assert len(set(offsets.tolist())) > 20
    assert len({tuple(row) for row in (weights(result) > 0.5).flatten(1).tolist()}) > 20
    assert len(set(result.share.tolist())) > 20


def test_two_clips_can_be_mixed_and_one_cannot():
    # Trap E5: PCM3 draws its shift from 1 to N - 2, which fails for two clips.
    result = mixed(telling(2))
    assert result.partner.tolist() == [1, 0]
    with pytest.raises(ValueError, match="1 clip cannot be mixed"):
        mixed(telling(1))


def test_half_are_pasted_a_quarter_sped_up_and_a_quarter_blended():
    found = kinds(mixed(telling(2000, everybody=True)))
    assert abs(found.count("pasted") / 2000 - 0.5) < 0.03
    assert abs(found.count("sped up") / 2000 - 0.25) < 0.03
    assert abs(found.count("blended") / 2000 - 0.25) < 0.03


def blocks(kind: str) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Of every clip of that kind: what is the partner's (T, V), and the joints (T, V, C), of person 0."""
    result = mixed(telling(200, everybody=True))
    weight = weights(result)
    assert torch.equal(weight[:, :, 0], weight[:, :, 1])  # both persons alike
    chosen = [n for n, found in enumerate(kinds(result)) if found == kind]
    assert len(chosen) > 20
    return [(weight[n, :, 0] > 0.5, result.batch.joints[n, :, 0]) for n in chosen]


@pytest.mark.parametrize(("kind", "lengths"), [("pasted", {28, 32, 36, 40, 44}), ("sped up", {28, 32})])
def test_a_block_is_two_or_three_whole_parts_in_one_stretch_of_whole_groups(kind, lengths):
    found = set()
    for theirs, _ in blocks(kind):
        frames = theirs.any(dim=1).nonzero()[:, 0].tolist()
        parts = [joints for joints in KINECT25.parts.values() if theirs[frames[0], list(joints)].any()]
        assert len(parts) in {2, 3}
        assert theirs.sum() == len(frames) * sum(len(part) for part in parts)
        assert frames == list(range(frames[0], frames[0] + len(frames)))
        assert frames[0] % 4 == 0
        found.add(len(frames))
    assert found == lengths


def test_a_pasted_block_and_all_that_is_not_pasted_keep_their_frames():
    for _, joints in blocks("pasted"):
        assert torch.equal(joints[..., 1], torch.arange(1.0, 65.0)[:, None].expand(64, 25))
    for theirs, joints in blocks("sped up"):
        assert torch.equal(joints[..., 1][~theirs], torch.arange(1.0, 65.0)[:, None].expand(64, 25)[~theirs])


def test_a_block_at_double_speed_is_exactly_twice_as_fast_and_as_long_as_asked():
    # Trap E5: PCM3 asks for up to 88 of 64 frames, gets 64, and the speed is then less than twice.
    for theirs, joints in blocks("sped up"):
        joint = int(theirs.any(dim=0).nonzero()[0, 0])
        frames = joints[theirs[:, joint], joint, 1]
        # The mean of the partner's frames 1 and 2, of 3 and 4, ...
        assert torch.equal(frames, 2 * torch.arange(len(frames)) + 1.5)


def test_lengths_and_places_of_a_stretch_fill_their_ranges():
    for fast, expected in ((False, {28, 32, 36, 40, 44}), (True, {28, 32})):
        stretch = draw_stretch(torch.full((4000,), fast), config=CONFIG, num_frames=64, generator=generator())
        assert set(stretch.length.tolist()) == expected
        assert set((stretch.start % 4).tolist()) == {0}
        assert stretch.start.min() == 0
        assert (stretch.start + stretch.length).max() == 64
        assert torch.equal(stretch.frames(64).sum(dim=1), stretch.length)
        counts = torch.bincount(stretch.length)[sorted(expected)] / 4000
        assert_close(counts, torch.full((len(expected),), 1 / len(expected)), atol=0.03, rtol=0)


def test_two_or_three_whole_parts_are_drawn_each_equally_often():
    joints = draw_parts(4000, config=CONFIG, layout=KINECT25, generator=generator())
    drawn = torch.stack(
        [joints[:, list(part)].float().mean(dim=1) for part in KINECT25.parts.values()], dim=1
    )
    assert set(drawn.flatten().tolist()) == {0.0, 1.0}
    assert set(drawn.sum(dim=1).tolist()) == {2.0, 3.0}
    assert abs(drawn.sum(dim=1).mean() - 2.5) < 0.03
    assert_close(drawn.mean(dim=0), torch.full((5,), 0.5), atol=0.03, rtol=0)


def test_the_share_is_the_true_share_of_the_partners_joints_among_the_present():
    batch = telling(300)
    result = mixed(batch)
    weight = weights(result)
    for n in range(300):
        assert_close(result.share[n], weight[n][batch.present[n]].mean(), atol=1e-5, rtol=0)
    # A blend has one weight wherever both clips have the person, and none elsewhere.
    both = batch.present & batch.present[result.partner]
    for n in [n for n, kind in enumerate(kinds(result)) if kind == "blended"]:
        amount = weight[n][both[n]]
        assert_close(amount, amount.mean().expand(amount.shape), atol=1e-4, rtol=0)
        assert (weight[n][batch.present[n] & ~both[n]] == 0).all()


def test_a_share_by_hand():
    # One group of two, one part, everybody present. Of the 2 x 25 joints of a person a block takes those of
    # its part in one of two frames: 5, 6 or 4 of 50.
    config = MixConfig(num_groups=2, groups_low=1, groups_high=1, parts_low=1, parts_high=1)
    shares = set()
    for seed in range(40):
        result = mixed(telling(2, num_frames=2, everybody=True), seed=seed, config=config)
        shares |= {
            round(share, 4)
            for share, kind in zip(result.share.tolist(), kinds(result), strict=True)
            if kind == "pasted"
        }
    assert shares == {0.1, 0.12, 0.08}


def test_weights_of_blends_fill_their_range_and_are_the_share():
    result = mixed(telling(1500, everybody=True))
    blended = [n for n, kind in enumerate(kinds(result)) if kind == "blended"]
    shares = result.share[blended]
    assert shares.min() < 0.02
    assert shares.max() > 0.98
    assert abs(shares.mean() - 0.5) < 0.04
    assert_close(weights(result)[blended][:, 0, 0, 0], shares, atol=1e-4, rtol=0)


def test_the_absent_stay_absent_and_give_nothing():
    batch = telling(200)
    result = mixed(batch)
    assert torch.equal(result.batch.present, batch.present)
    assert (result.batch.joints[~batch.present] == 0).all()
    # z is 1 wherever anybody is: had an absent joint been mixed in, it would be less.
    assert_close(result.batch.joints[..., 2][batch.present], torch.ones(int(batch.present.sum()), 25))


def test_a_clip_without_anyone_is_left_alone():
    batch = telling(6)
    present = batch.present.clone()
    present[0] = False
    batch = Batch(batch.joints * present[..., None, None], present)
    for seed in range(10):
        result = mixed(batch, seed=seed)
        assert result.share[0] == 0
        assert (result.batch.joints[0] == 0).all()
        assert result.batch.joints.isfinite().all()


def test_the_same_generator_state_gives_the_same_mix():
    batch = telling(20)
    first, again, other = mixed(batch, seed=1), mixed(batch, seed=1), mixed(batch, seed=2)
    assert torch.equal(first.batch.joints, again.batch.joints)
    assert torch.equal(first.share, again.share)
    assert not torch.equal(first.batch.joints, other.batch.joints)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"groups_high": 17}, "must not fall"),
        ({"groups_low": 11, "groups_high": 8}, "must not fall"),
        ({"groups_low": 9}, "at most 8"),
        ({"parts_low": 4}, "must not exceed parts_high"),
    ],
)
def test_bounds_of_a_mix_are_checked(changes, message):
    with pytest.raises(ValueError, match=message):
        MixConfig(**(SIZES | changes))


def test_frames_and_bodies_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="60 is no multiple"):
        mixed(telling(3, num_frames=60))
    assert "parts_high 6 is more parts" in MixConfig(**(SIZES | {"parts_high": 6})).misfit_body(KINECT25)
    assert CONFIG.misfit(64) is None
    assert CONFIG.misfit_body(KINECT25) is None
