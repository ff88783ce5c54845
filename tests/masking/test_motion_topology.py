import json
from dataclasses import replace

import pytest
import torch
from pydantic import ValidationError
from torch import tensor
from torch.testing import assert_close

from kinemask.masking.draws import gumbel_scores, highest
from kinemask.masking.motion_topology import (
    MaskConfig,
    blend,
    draw_mask,
    guidance,
    hide,
    hiding_weights,
    motion_intensity,
    topology_weights,
    unit_joints,
)
from kinemask.skeleton.batch import Batch
from kinemask.skeleton.layout import KINECT25
from tests.conftest import generator, make_batch
from tests.masking.bodies import CHAIN, MASK, TWO_PARTS, mask_config

PARTS = unit_joints(KINECT25, "parts")
DIGITS = {"atol": 6e-7, "rtol": 0}  # the examples have six


def example_of_d1() -> Batch:
    joints = torch.zeros(1, 4, 1, 4, 2)
    joints[0, :, 0, 0] = tensor([[0.0, 0], [3, 4], [6, 8], [9, 12]])
    joints[0, :, 0, 2] = tensor([[0.0, 0], [0, 1], [0, 2], [0, 2]])
    joints[0, :, 0, 3] = tensor([[0.0, 0], [1, 0], [2, 0], [3, 0]])
    return Batch(joints, torch.ones(1, 4, 1, dtype=torch.bool))


def test_intensity_is_that_worked_out_by_hand():
    # D1. With no velocity in the last frame the second row would be 1.25, 0.25.
    units = unit_joints(TWO_PARTS, "parts")
    found = motion_intensity(example_of_d1(), num_segments=2, units=units)
    assert_close(found, tensor([[[[2.5, 1.0], [2.5, 0.5]]]]), **DIGITS)


def test_weights_are_those_worked_out_by_hand():
    # D2, first lines: the clip of D1.
    intensity = tensor([[[[2.5, 1.0], [2.5, 0.5]]]])
    motion = guidance(intensity, motion="guided", temperature=0.75)
    assert_close(motion, tensor([[[[0.689974, 0.310026], [0.743962, 0.256038]]]]), **DIGITS)
    even = topology_weights(unit_joints(TWO_PARTS, "parts"), layout=TWO_PARTS, kind="uniform")
    weights = blend(motion, even, motion_share=0.5)
    assert_close(weights, tensor([[[[0.594987, 0.405013], [0.621981, 0.378019]]]]), **DIGITS)


def test_weights_and_draw_of_five_parts_are_those_worked_out_by_hand():
    # D2, the lines with five parts.
    intensity = tensor([[[[0.02, 0.30, 0.10, 0.01, 0.01]]]])
    motion = guidance(intensity, motion="guided", temperature=0.75)
    assert_close(motion, tensor([[[[0.128024, 0.444372, 0.182687, 0.122459, 0.122459]]]]), **DIGITS)
    even = topology_weights(PARTS, layout=KINECT25, kind="uniform")
    weights = blend(motion, even, motion_share=0.7)
    assert_close(weights, tensor([[[[0.149617, 0.371060, 0.187881, 0.145721, 0.145721]]]]), **DIGITS)
    scores = gumbel_scores(weights, tensor([[[[0.9, 0.2, 0.5, 0.7, 0.1]]]], dtype=torch.float64))
    expected = tensor([[[[0.350689, -1.467275, -1.305435, -0.895131, -2.760094]]]], dtype=torch.float64)
    assert_close(scores, expected, **DIGITS)
    assert highest(scores, 3).flatten().nonzero().flatten().tolist() == [0, 2, 3]
    degree = topology_weights(PARTS, layout=KINECT25, kind="degree")
    weights = blend(motion, degree, motion_share=0.7)
    assert_close(weights, tensor([[[[0.164878, 0.368552, 0.185372, 0.140599, 0.140599]]]]), **DIGITS)
    sharp = guidance(intensity, motion="guided", temperature=0.2)
    assert_close(sharp, tensor([[[[0.0089, 0.9425, 0.0336, 0.0075, 0.0075]]]]), atol=6e-5, rtol=0)


def test_topology_weights_are_the_mean_degrees_of_the_parts():
    degree = topology_weights(PARTS, layout=KINECT25, kind="degree")
    assert_close(degree, tensor([0.250871, 0.191638, 0.191638, 0.182927, 0.182927]), **DIGITS)  # B3.4
    joints = topology_weights(unit_joints(KINECT25, "joints"), layout=KINECT25, kind="degree")
    assert_close(joints, tensor(KINECT25.degrees) / 48.0)  # 24 bones with two ends each
    assert_close(topology_weights(PARTS, layout=KINECT25, kind="uniform"), torch.full((5,), 0.2))


def test_inverse_guidance_is_the_softmax_of_the_negative():
    intensity = tensor([[[[2.5, 1.0], [2.5, 0.5]]]])
    found = guidance(intensity, motion="inverse", temperature=0.75)
    # 1 / (1 + exp(0.6 / 0.75)) and 1 / (1 + exp(0.8 / 0.75)): with two units the other way round.
    assert_close(found, tensor([[[[0.310026, 0.689974], [0.256038, 0.743962]]]]), **DIGITS)


def test_units_partition_the_joints():
    for layout in (KINECT25, TWO_PARTS, CHAIN):
        for topology in ("parts", "tree", "joints"):
            units = unit_joints(layout, topology)
            assert len(units) == (layout.num_joints if topology == "joints" else len(layout.parts))
            assert (units.sum(dim=0) == 1).all()
    assert PARTS[1].nonzero().flatten().tolist() == [4, 5, 6, 7, 21, 22]  # left arm (trap E17)


@pytest.mark.parametrize("motion", ["guided", "uniform", "inverse"])
def test_guidance_rows_sum_to_one(motion):
    intensity = motion_intensity(make_batch(), num_segments=4, units=PARTS)
    rows = guidance(intensity, motion=motion, temperature=0.75).sum(dim=-1)
    assert_close(rows, torch.ones_like(rows))
    config = mask_config(motion=motion)
    weights = hiding_weights(make_batch(), config=config, layout=KINECT25, units=PARTS).sum(dim=-1)
    assert_close(weights, torch.ones_like(weights))


@pytest.mark.parametrize("motion", ["guided", "inverse"])
def test_a_static_or_empty_clip_has_equal_weights(motion):
    # B3.6: also without the weight of the topology. The third clip moves and so has not.
    still = make_batch(num_clips=3)
    joints = still.joints.clone()
    joints[0] = joints[0, :1] + 1e-8 * torch.randn(8, 2, 25, 3, generator=generator())
    present = torch.ones_like(still.present)
    present[1] = False
    weights = hiding_weights(
        Batch(joints, present), config=mask_config(motion=motion), layout=KINECT25, units=PARTS
    )
    assert_close(weights[:2], torch.full_like(weights[:2], 0.2))
    assert (weights[2] - 0.2).abs().max() > 0.01
    pi = guidance(torch.zeros(1, 1, 4, 5), motion=motion, temperature=0.75)
    assert_close(pi, torch.full((1, 1, 4, 5), 0.2))


def test_one_person_who_stands_still_changes_nothing_for_the_other():
    batch = make_batch(num_clips=2)
    joints = batch.joints.clone()
    joints[:, :, 1] = 0.0
    present = torch.ones_like(batch.present)
    config = mask_config()
    weights = hiding_weights(Batch(joints, present), config=config, layout=KINECT25, units=PARTS)
    alone = Batch(joints[:, :, :1], present[:, :, :1])
    assert_close(weights[:, 1], torch.full((2, 4, 5), 0.2))
    assert_close(weights[:, :1], hiding_weights(alone, config=config, layout=KINECT25, units=PARTS))


def test_without_guidance_only_the_topology_weighs():
    config = mask_config(motion="uniform", motion_share=0.25)
    weights = hiding_weights(make_batch(), config=config, layout=KINECT25, units=PARTS)
    omega = topology_weights(PARTS, layout=KINECT25, kind="degree")
    assert_close(weights, (0.25 * 0.2 + 0.75 * omega).expand_as(weights))


def test_permuting_the_parts_permutes_the_guidance_and_the_weights():
    order = [3, 0, 4, 2, 1]
    names = list(KINECT25.parts)
    permuted = replace(KINECT25, parts={names[part]: KINECT25.parts[names[part]] for part in order})
    units = unit_joints(permuted, "parts")
    assert torch.equal(units, PARTS[order])
    batch, config = make_batch(), mask_config()
    before = hiding_weights(batch, config=config, layout=KINECT25, units=PARTS)
    assert_close(hiding_weights(batch, config=config, layout=permuted, units=units), before[..., order])
    intensities = [motion_intensity(batch, num_segments=4, units=one) for one in (PARTS, units)]
    pi = [guidance(one, motion="guided", temperature=0.75) for one in intensities]
    assert_close(pi[1], pi[0][..., order])


@pytest.mark.parametrize(
    ("ratio", "topology", "hidden"),
    [
        (0.6, "parts", 3),
        (0.6, "joints", 15),
        (0.4, "parts", 2),
        (0.5, "tree", 3),  # 2.5: half upwards, where round() goes to 2
        (0.59, "parts", 3),  # trap E4: int(5 * ratio) is 2 from 0.4 to 0.59
        (0.58, "joints", 15),  # 14.5, in floating point a little less
        (0.1, "joints", 3),
    ],
)
def test_the_hidden_ratio_is_rounded(ratio, topology, hidden):
    assert mask_config(hidden_ratio=ratio, topology=topology).num_hidden(KINECT25) == hidden


def test_a_mask_that_hides_no_unit_or_all_does_not_fit_the_body():
    assert mask_config().misfit_body(KINECT25) is None
    assert mask_config(hidden_ratio=0.5).misfit_body(TWO_PARTS) is None
    everything = mask_config(hidden_ratio=0.9)
    said = "mask.hidden_ratio 0.9 hides 5 of the 5 parts of kinect25"
    rule = "at least one must be hidden and one visible"
    assert everything.misfit_body(KINECT25) == f"{said}: {rule}"
    nothing = mask_config(hidden_ratio=0.1, topology="joints")
    assert "hides 0 of the 4 joints of two_parts" in nothing.misfit_body(TWO_PARTS)
    with pytest.raises(ValueError, match="hides 5 of the 5 parts"):
        draw_mask(make_batch(), config=everything, layout=KINECT25, generator=generator())


def test_frames_that_are_no_multiple_of_the_segments_do_not_fit():
    odd = mask_config(num_segments=3)
    assert odd.misfit(9) is None
    assert odd.misfit(8) == "num_frames 8 is no multiple of mask.num_segments 3"
    with pytest.raises(ValueError, match=r"num_frames 8 is no multiple of mask\.num_segments 3"):
        draw_mask(make_batch(), config=odd, layout=KINECT25, generator=generator())


@pytest.mark.parametrize(
    "change",
    [
        {"num_segments": 0}, {"hidden_ratio": 0.0}, {"hidden_ratio": 1.0}, {"motion_share": 1.1},
        {"motion_temperature": 0.0}, {"topology": "star"}, {"motion": "off"}, {"fill": "mean"},
        {"num_parts": 3},
    ],
)  # fmt: skip
def test_sections_out_of_range_are_refused(change):
    with pytest.raises(ValidationError):
        MaskConfig.model_validate_json(json.dumps(MASK | change))
    assert MaskConfig.model_validate_json(json.dumps(MASK)) == mask_config()


def test_hiding_fills_hidden_joints_and_leaves_the_rest(batch):
    hidden = draw_mask(batch, config=mask_config(), layout=KINECT25, generator=generator())
    assert hidden.any()
    zeroed = hide(batch, hidden, None)
    assert (zeroed.joints[hidden] == 0).all()
    fill = tensor([1.0, 2.0, 3.0], requires_grad=True)
    filled = hide(batch, hidden, fill)
    assert torch.equal(filled.joints[hidden], fill.expand(int(hidden.sum()), 3))
    for result in (zeroed, filled):
        assert torch.equal(result.joints[~hidden], batch.joints[~hidden])
        assert torch.equal(result.present, batch.present)  # trap E21: hidden is not absent
    filled.joints.sum().backward()
    assert_close(fill.grad, torch.full((3,), float(hidden.sum())))
