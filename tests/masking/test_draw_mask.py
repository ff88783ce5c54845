"""Properties of the whole mask; `test_mask_reference.py` compares it with a slow loop."""

import pytest
import torch
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode

from kinemask.masking.motion_topology import (
    draw_mask,
    hiding_weights,
    mean_over_clips,
    motion_intensity,
    unit_joints,
)
from kinemask.skeleton.batch import Batch
from kinemask.skeleton.layout import KINECT25
from tests.conftest import generator, make_batch
from tests.masking.bodies import CHAIN, TWO_PARTS, mask_config

MODES = [(topology, motion) for topology in ("parts", "tree", "joints") for motion in ("guided", "inverse")]


def mask_of(batch, *, layout=KINECT25, seed=0, **changes):
    return draw_mask(batch, config=mask_config(**changes), layout=layout, generator=generator(seed))


def part_shares(batch, **changes):
    """In which share of all segments of person 0 each part is hidden."""
    hidden = mask_of(batch, **changes)[:, :, 0]
    return torch.stack([hidden[..., list(part)].float().mean() for part in KINECT25.parts.values()])


def waving(num_clips: int) -> Batch:
    """Nothing moves but the left arm of person 0."""
    batch = make_batch(num_clips=num_clips, num_frames=8, num_persons=2)
    joints = batch.joints[:, :1].repeat(1, 8, 1, 1, 1)
    joints[:, 1::2, 0, list(KINECT25.part("left_arm"))] += 0.3
    return Batch(joints, torch.ones_like(batch.present))


@pytest.mark.parametrize("topology", ["parts", "tree"])
def test_every_segment_hides_three_whole_parts_of_five(topology):
    batch = make_batch(num_clips=64, num_frames=8, num_persons=1)
    hidden = mask_of(batch, topology=topology)[:-1, :, 0]  # the last clip has empty frames
    assert torch.equal(hidden[:, ::2], hidden[:, 1::2])  # segments have two frames
    parts = [hidden[..., list(part)] for part in KINECT25.parts.values()]
    whole = torch.stack([part.all(dim=-1) for part in parts], dim=-1)
    assert torch.equal(whole, torch.stack([part.any(dim=-1) for part in parts], dim=-1))
    assert (whole.sum(dim=-1) == 3).all()
    if topology == "tree":
        assert whole[..., 0].all()  # from limb to limb the way is through the trunk
    else:
        assert not whole[..., 0].all()


def test_every_segment_hides_fifteen_different_joints_of_twenty_five():
    # Trap E18: a list with repeats hides fewer.
    hidden = mask_of(make_batch(num_clips=64, num_persons=1), topology="joints")[:-1]
    assert (hidden.sum(dim=-1) == 15).all()
    assert torch.equal(hidden[:, ::2], hidden[:, 1::2])


def test_the_share_of_hidden_joints_is_that_worked_out_by_hand():
    # D8: three of parts of 5, 6, 6, 4 and 4 joints are 13 to 17 joints, 15 in the mean if drawn alike.
    batch = make_batch(num_clips=1000, num_persons=1)
    batch = Batch(batch.joints, torch.ones_like(batch.present))
    for changes in ({}, {"motion": "uniform", "topology_weight": "uniform"}, {"topology": "tree"}):
        shares = mask_of(batch, **changes).float().mean(dim=-1)
        assert shares.min() >= 0.52
        assert shares.max() <= 0.68
        assert 0.52 < shares.mean() < 0.68
    even = mask_of(batch, motion="uniform", topology_weight="uniform").float()
    assert_close(even.mean().item(), 0.60, atol=0.005, rtol=0)


def test_masks_differ_inside_a_batch_unless_they_are_shared():
    # Trap E4: one mask for the whole batch.
    batch = make_batch(num_clips=8)
    batch = Batch(batch.joints, torch.ones_like(batch.present))
    hidden = mask_of(batch)
    assert len({tuple(row.flatten().tolist()) for row in hidden}) == 8
    assert not torch.equal(hidden[:, :, 0], hidden[:, :, 1])  # each person has a draw of its own
    shared = mask_of(batch, shared=True)
    assert torch.equal(shared, shared[:1].expand_as(shared))
    assert not torch.equal(shared, mask_of(batch, shared=True, seed=1))


def test_a_shared_mask_is_guided_by_the_mean_of_those_who_are_seen():
    # One clip waves, seven are empty: they must not draw its guidance towards the middle.
    batch = waving(8)
    present = batch.present.clone()
    present[1:] = False
    config = {"shared": True, "motion_share": 1.0, "motion_temperature": 0.05, "hidden_ratio": 0.2}
    for seed in range(20):
        hidden = mask_of(Batch(batch.joints, present), seed=seed, **config)
        assert hidden[0, :, 0].nonzero()[:, 1].unique().tolist() == list(KINECT25.part("left_arm"))
        assert not hidden[1:].any()


def test_a_shared_mask_of_nobody_hides_nothing():
    batch = make_batch()
    nobody = Batch(batch.joints, torch.zeros_like(batch.present))
    assert not mask_of(nobody, shared=True).any()
    assert not mean_over_clips(torch.full((4, 2, 4, 5), 0.2), nobody.present).any()


def test_moving_parts_are_hidden_more_often_than_calm_ones_but_not_always():
    batch = waving(2000)
    guided = part_shares(batch, topology_weight="uniform")
    # pi = exp(1 / 0.75) / (exp(1 / 0.75) + 4) = 0.4868 and q = 0.7 pi + 0.06 = 0.4008 for the arm, 0.1498 for
    # the others: it stays visible with chance 4 * 0.1498 * (3 * 0.1498) / 0.8502 * (2 * 0.1498) / 0.7004.
    assert_close(guided[1].item(), 1 - 0.5992 * 0.4494 / 0.8502 * 0.2996 / 0.7004, atol=0.02, rtol=0)
    assert (guided[[0, 2, 3, 4]] < 0.6).all()
    even = part_shares(batch, motion="uniform", topology_weight="uniform")
    assert_close(even, torch.full((5,), 0.6), atol=0.03, rtol=0)
    assert part_shares(batch, motion="inverse", topology_weight="uniform")[1] < 0.45


def test_joints_are_guided_by_their_own_motion():
    batch = waving(500)
    hidden = mask_of(batch, topology="joints", topology_weight="uniform", motion_temperature=0.05)[:, :, 0]
    shares = hidden.float().mean(dim=(0, 1))
    arm = list(KINECT25.part("left_arm"))
    others = [joint for joint in range(25) if joint not in arm]
    assert shares[arm].min() > 0.9
    assert shares[others].max() < 0.65


def test_the_second_person_stays_visible_unless_all_are_masked(batch):
    first = mask_of(batch, persons="first")
    assert first[:, :, 0].any()
    assert not first[:, :, 1:].any()
    assert mask_of(batch)[1, :, 1].any()
    one = Batch(batch.joints[:, :, :1], batch.present[:, :, :1])
    assert torch.equal(
        mask_of(one, persons="first"), first[:, :, :1]
    )  # trap E4: index [1] fails for one person


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("persons", ["first", "all"])
@pytest.mark.parametrize(("topology", "motion"), MODES)
def test_absent_persons_and_frames_are_never_hidden_and_never_counted(topology, motion, persons, shared):
    batch = make_batch(num_clips=6, num_persons=3)
    present = batch.present.clone()
    present[1, 3] = False  # a gap
    present[2, 1:, 0] = False  # one frame alone
    present[3, :, 0] = False  # only others are there
    present[4] = False  # nobody
    config = {"topology": topology, "motion": motion, "persons": persons, "shared": shared}
    hidden = mask_of(Batch(batch.joints, present), **config)
    assert hidden.any()
    assert not hidden[~present].any()
    for garbage in (1e6, torch.inf, torch.nan):
        dirty = torch.where(present[..., None, None], batch.joints, garbage)
        assert torch.equal(mask_of(Batch(dirty, present), **config), hidden)


def test_a_person_at_the_origin_is_there():
    # Trap E21: the ancestors take coordinates of zero for nobody.
    batch = make_batch()
    hidden = mask_of(Batch(torch.zeros_like(batch.joints), torch.ones_like(batch.present)))
    assert hidden.any(dim=-1).all()


def test_padding_behind_a_clip_changes_no_intensity():
    # The last seen frame has the speed of the one before, wherever it stands.
    batch = make_batch(num_clips=3, num_frames=8)
    short = Batch(batch.joints[:2], batch.present[:2])
    joints = torch.nn.functional.pad(short.joints, (0, 0, 0, 0, 0, 0, 0, 4))
    padded = Batch(joints, torch.nn.functional.pad(short.present, (0, 0, 0, 4)))
    units = unit_joints(KINECT25, "parts")
    of_short = motion_intensity(short, num_segments=2, units=units)
    of_padded = motion_intensity(padded, num_segments=3, units=units)
    assert torch.equal(of_padded[:, :, :2], of_short)
    assert not of_padded[:, :, 2].any()


def test_the_mean_over_a_segment_leaves_out_frames_without_a_speed():
    # One joint goes 1 m a frame. Frame 2 repeats 1, frame 3 is absent and counts for nothing; 7 is alone.
    joints = torch.arange(8.0).reshape(1, 8, 1, 1, 1).expand(1, 8, 1, 4, 3) * torch.tensor([1.0, 0, 0])
    present = torch.tensor([1, 1, 1, 0, 1, 1, 0, 1], dtype=torch.bool).reshape(1, 8, 1)
    units = unit_joints(TWO_PARTS, "parts")
    found = motion_intensity(Batch(joints, present), num_segments=2, units=units)
    assert_close(found, torch.ones(1, 1, 2, 2))


@pytest.mark.parametrize(("layout", "topology"), [(TWO_PARTS, "parts"), (TWO_PARTS, "tree"), (CHAIN, "tree")])
def test_other_bodies_are_masked_too(layout, topology):
    joints = torch.randn(200, 8, 1, layout.num_joints, 3, generator=generator())
    batch = Batch(joints, torch.ones(200, 8, 1, dtype=torch.bool))
    hidden = mask_of(batch, layout=layout, topology=topology, hidden_ratio=0.5)
    parts = torch.stack([hidden[..., list(part)].all(dim=-1) for part in layout.parts.values()], dim=-1)
    assert (parts.sum(dim=-1) == (2 if layout is CHAIN else 1)).all()
    if layout is CHAIN:
        assert not (parts[..., 0] & parts[..., 2]).any()  # they do not touch
        assert parts[..., 1].all()


def test_the_same_generator_draws_the_same_mask_and_only_its_own_numbers(batch):
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    assert torch.equal(mask_of(batch), mask_of(batch))
    assert not torch.equal(mask_of(batch), mask_of(batch, seed=1))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_autocast_changes_no_mask(batch):
    config, units = mask_config(), unit_joints(KINECT25, "parts")
    expected = hiding_weights(batch, config=config, layout=KINECT25, units=units)
    hidden = mask_of(batch)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(hiding_weights(batch, config=config, layout=KINECT25, units=units), expected)
        assert torch.equal(mask_of(batch), hidden)


class Operations(TorchDispatchMode):
    """Counts what is asked of the device."""

    def __init__(self):
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.append(func.name())
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("topology", ["parts", "tree", "joints"])
def test_a_mask_asks_for_no_value_and_as_often_for_many_clips_as_for_few(topology, shared):
    names = []
    for num_clips, num_frames, num_segments in ((2, 8, 2), (32, 64, 8)):
        batch = make_batch(num_clips=num_clips, num_frames=num_frames)
        with Operations() as operations:
            mask_of(batch, topology=topology, shared=shared, num_segments=num_segments)
        names.append(operations.names)
    assert names[0] == names[1]
    waits = {"aten::_local_scalar_dense", "aten::nonzero", "aten::masked_select", "aten::equal"}
    assert not waits & set(names[0])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("topology", ["parts", "tree", "joints"])
def test_a_mask_is_drawn_without_waiting_for_the_device(topology, shared, batch):
    on_device = Batch(batch.joints.cuda(), batch.present.cuda())
    draws = torch.Generator("cuda").manual_seed(0)
    config = mask_config(topology=topology, shared=shared)
    torch.cuda.set_sync_debug_mode("error")
    try:
        hidden = draw_mask(on_device, config=config, layout=KINECT25, generator=draws)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert not hidden[~on_device.present].any()
    assert hidden.any()
