import pytest
import torch
from torch.testing import assert_close

from kinemask.augment.spatial import mirror_matrices
from kinemask.augment.temporal import centre_crop
from kinemask.augment.views import ViewConfig, change_shape, change_time, damage_joints, make_view
from kinemask.skeleton.batch import Batch, RaggedClips
from kinemask.skeleton.geometry import transform
from kinemask.skeleton.layout import KINECT25
from tests.conftest import generator, make_batch, make_ragged

WHOLE = {"share_low": 1.0, "share_high": 1.0, "min_unit": "share", "min_length": 1.0}
NAMED = {
    "shift": {"pad_ratio": 0.1667},
    "warp": {"knots": 4, "std": 0.1, "low": 0.7, "high": 1.3, "probability": 1.0},
    "reverse": {"probability": 1.0},
    "shear": {"amplitude": 1.0, "probability": 1.0},
    "mirror": {"true_mirror": True, "probability": 1.0},
    "rotate": {"degrees": (15.0, 90.0, 15.0), "probability": 1.0},
    "tilt": {"main_degrees": 30.0, "other_degrees": 1.0, "signed": True, "probability": 1.0},
    "scale": {"amount": 0.3, "probability": 1.0},
    "corrupt": {"share": 0.6, "probability": 1.0},
    "noise": {"std": 0.01, "probability": 1.0},
    "blur": {"taps": 15, "std_low": 0.1, "std_high": 2.0, "probability": 1.0},
    "axis_mask": {"probability": 1.0},
}
BOTH = frozenset({"mirror", "reversal"})
NOBODY_SHEARED = torch.zeros(4, dtype=torch.bool)


def view_config(*names: str, probability: float | None = None, **changes: dict) -> ViewConfig:
    """The named changes, each on every clip or with `probability`."""
    changes = {name: NAMED[name] for name in names} | changes
    if probability is not None:
        changes = {name: keys | ({"probability": probability} if "probability" in keys else {})
                   for name, keys in changes.items()}  # fmt: skip
    return ViewConfig.model_validate({"crop": WHOLE} | changes)


def view(clips: RaggedClips, config: ViewConfig, *, seed: int = 0, symmetries=BOTH, num_frames=16) -> Batch:
    return make_view(
        clips,
        config=config,
        layout=KINECT25,
        symmetries=symmetries,
        num_frames=num_frames,
        generator=generator(seed),
    )


def many_of_one(count: int) -> RaggedClips:
    return make_ragged(lengths=(16,), num_persons=1).select(torch.zeros(count, dtype=torch.long))


def changed_clips(result: Batch, crop: Batch) -> torch.Tensor:
    return (result.joints != crop.joints).any(dim=(1, 2, 3, 4))


def test_a_view_that_names_no_change_is_the_crop_alone(ragged):
    result = view(ragged, view_config())
    crop = centre_crop(ragged, share=1.0, num_frames=16)
    assert torch.equal(result.joints, crop.joints)
    assert torch.equal(result.present, crop.present)


def test_null_is_a_change_that_is_not_named():
    assert view_config(**dict.fromkeys(NAMED)) == view_config()


def test_an_unknown_change_is_refused():
    with pytest.raises(ValueError, match="Extra inputs"):
        view_config(spatial={})


@pytest.mark.parametrize("name", NAMED)
def test_every_named_change_is_done(name, ragged):
    crop = centre_crop(ragged, share=1.0, num_frames=16)
    assert changed_clips(view(ragged, view_config(name)), crop).any()


@pytest.mark.parametrize("name", [name for name, keys in NAMED.items() if "probability" in keys])
def test_a_change_is_done_with_its_probability_to_each_clip_by_itself(name):
    clips = many_of_one(1500)
    crop = centre_crop(clips, share=1.0, num_frames=16)
    assert not changed_clips(view(clips, view_config(name, probability=0.0)), crop).any()
    share = changed_clips(view(clips, view_config(name, probability=0.3)), crop).float().mean()
    assert abs(share - 0.3) < 0.04


@pytest.mark.parametrize("name", ["warp", "shear", "rotate", "tilt", "scale", "corrupt", "noise", "blur"])
def test_clips_of_a_batch_differ_in_their_draws(name):
    result = view(many_of_one(20), view_config(name))  # one draw for the batch would be trap E4
    assert (
        len({tuple(row) for row in result.joints.flatten(1).tolist()}) >= 18
    )  # a blur of 0.1 frames is none


def test_the_same_generator_state_gives_the_same_view_and_another_seed_another(ragged):
    config = view_config(*NAMED, probability=0.5)
    first = view(ragged, config, seed=3)
    again, other = view(ragged, config, seed=3), view(ragged, config, seed=4)
    assert torch.equal(first.joints, again.joints)
    assert torch.equal(first.present, again.present)
    assert not torch.equal(first.joints, other.joints)


@pytest.mark.parametrize("symmetries", [frozenset(), BOTH])
def test_the_absent_stay_absent_and_exactly_zero(symmetries):
    clips = make_ragged(lengths=(9, 30, 21, 40))
    present = clips.present.clone()
    present[:4] = False  # the first clip begins empty
    present[15:24, 0] = False  # a gap of one person
    clips = RaggedClips(clips.joints * present[..., None, None], present, clips.offsets, clips.lengths)
    for seed in range(10):
        result = view(clips, view_config(*NAMED, probability=0.7), seed=seed, symmetries=symmetries)
        assert (result.joints[~result.present] == 0).all()
        assert not result.present[0, :, 1].any()
        assert result.joints.isfinite().all()
        assert (~result.present[0, :, 0]).any()


def test_a_clip_without_anyone_stays_empty():
    clips = make_ragged(lengths=(16, 16), num_persons=1)
    empty = RaggedClips(
        torch.zeros_like(clips.joints), torch.zeros_like(clips.present), clips.offsets, clips.lengths
    )
    result = view(empty, view_config(*NAMED))
    assert not result.present.any()
    assert (result.joints == 0).all()


def test_a_view_never_mirrors_unless_that_keeps_the_label(ragged):
    config = view_config("mirror")
    crop = centre_crop(ragged, share=1.0, num_frames=16)
    for symmetries in (frozenset(), frozenset({"reversal"})):
        for seed in range(20):
            assert torch.equal(view(ragged, config, seed=seed, symmetries=symmetries).joints, crop.joints)
    result = view(ragged, config, symmetries=frozenset({"mirror"}))
    image = crop.joints[..., list(KINECT25.mirrored), :] * torch.tensor([-1.0, 1.0, 1.0])
    assert torch.equal(result.joints, image)


def test_without_a_true_mirror_only_the_joints_swap(ragged):
    config = view_config(mirror={"true_mirror": False, "probability": 1.0})
    crop = centre_crop(ragged, share=1.0, num_frames=16)
    assert torch.equal(view(ragged, config).joints, crop.joints[..., list(KINECT25.mirrored), :])


def test_a_view_never_runs_backwards_unless_that_keeps_the_label(ragged):
    config = view_config("reverse")
    crop = centre_crop(ragged, share=1.0, num_frames=16)
    for symmetries in (frozenset(), frozenset({"mirror"})):
        for seed in range(20):
            assert torch.equal(view(ragged, config, seed=seed, symmetries=symmetries).joints, crop.joints)
    result = view(ragged, config, symmetries=frozenset({"reversal"}))
    assert torch.equal(result.joints, crop.joints.flip(1))
    assert torch.equal(result.present, crop.present.flip(1))


def test_shear_and_corruption_exclude_each_other():
    # All joints in one place: a shear leaves them together, damage takes a fifth of them away from the rest.
    config = view_config(
        shear={"amplitude": 1.0, "probability": 0.5}, corrupt={"share": 0.2, "probability": 1.0}
    )
    place = torch.tensor([1.0, 2.0, 3.0])
    clips = make_ragged(lengths=(8,) * 64, num_persons=1)
    clips = RaggedClips(place.expand(512, 1, 25, 3).clone(), clips.present, clips.offsets, clips.lengths)
    joints = view(clips, config, num_frames=8).joints[:, 0, 0]  # (N, V, C)
    together = (joints == joints[:, :1]).all(dim=(1, 2))
    unmoved = (joints == place).all(dim=2).sum(dim=1)
    assert set(unmoved[together].tolist()) == {0}
    assert set(unmoved[~together].tolist()) == {20}


def test_the_shear_comes_before_the_mirror_and_that_before_the_turn(batch):
    # The changes do not commute: done one after the other with the same draws they give the same clip.
    config = view_config("shear", "mirror", "rotate")
    everyone = torch.ones(4, dtype=torch.bool)
    names = {"sheared": everyone, "layout": KINECT25, "symmetries": BOTH}
    whole = change_shape(batch, config=config, generator=generator(2), **names)
    rng = generator(2)
    sheared = change_shape(batch, config=view_config("shear"), generator=rng, **names)
    mirrored = change_shape(sheared, config=view_config("mirror"), generator=rng, **names)
    turned = change_shape(mirrored, config=view_config("rotate"), generator=rng, **names)
    assert_close(whole.joints, turned.joints, atol=1e-5, rtol=0)
    swapped = sheared.joints[..., list(KINECT25.mirrored), :]
    assert_close(mirrored.joints, transform(swapped, mirror_matrices(everyone)))


def test_time_is_shifted_then_warped_then_reversed():
    batch = make_batch(num_clips=4, num_frames=16)
    names = {"symmetries": BOTH}
    config = view_config("warp", "shift", "reverse")
    whole = change_time(batch, config=config, generator=generator(2), **names)
    rng = generator(2)
    warped_only = view_config("warp")
    rng_warp = generator(2)
    change_time(batch, config=warped_only, generator=rng, **names)  # the warp draws first
    shifted = change_time(batch, config=view_config("shift"), generator=rng, **names)
    warped = change_time(shifted, config=warped_only, generator=rng_warp, **names)
    backwards = change_time(warped, config=view_config("reverse"), generator=generator(), **names)
    assert_close(whole.joints, backwards.joints, atol=1e-5, rtol=0)
    assert torch.equal(whole.present, backwards.present)


def test_no_axis_that_was_masked_has_noise(batch):
    config = view_config("noise", "axis_mask", "blur", "corrupt")
    result = damage_joints(batch, sheared=NOBODY_SHEARED, config=config, generator=generator())
    assert ((result.joints == 0).all(dim=(1, 2, 3)).sum(dim=1) == 1).all()


def test_a_view_is_as_exact_under_autocast(ragged):
    config = view_config(*NAMED, probability=0.5)
    plain = view(ragged, config)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = view(ragged, config)
    assert inside.joints.dtype == torch.float32
    assert torch.equal(inside.joints, plain.joints)


@pytest.mark.gpu
def test_a_view_stays_on_its_accelerator(ragged):
    if not torch.cuda.is_available():
        pytest.skip("needs an accelerator")
    fields = (ragged.joints, ragged.present, ragged.offsets, ragged.lengths)
    clips = RaggedClips(*(field.cuda() for field in fields))
    result = make_view(
        clips,
        config=view_config(*NAMED, probability=0.5),
        layout=KINECT25,
        symmetries=BOTH,
        num_frames=16,
        generator=torch.Generator("cuda").manual_seed(0),
    )
    assert result.joints.is_cuda
    assert result.joints.isfinite().all()
