import math

import pytest
import torch
from torch.testing import assert_close

from kinemask.augment.spatial import (
    mirror_matrices,
    rotation_matrices,
    scale_matrices,
    shear_matrices,
    swap_sides,
    tilt_matrices,
    turns,
)
from kinemask.skeleton.batch import Batch
from kinemask.skeleton.geometry import transform
from kinemask.skeleton.layout import KINECT25
from tests.conftest import generator, make_batch

EYE = torch.eye(3)


def every(count: int) -> torch.Tensor:
    return torch.ones(count, dtype=torch.bool)


def even(count: int) -> torch.Tensor:
    return torch.arange(count) % 2 == 0


OPERATIONS = {
    "shear": lambda clips, rng: shear_matrices(clips, amplitude=1.0, generator=rng),
    "rotate": lambda clips, rng: rotation_matrices(clips, degrees=(15.0, 90.0, 15.0), generator=rng),
    "tilt": lambda clips, rng: tilt_matrices(
        clips, main_degrees=30.0, other_degrees=1.0, signed=True, generator=rng
    ),
    "scale": lambda clips, rng: scale_matrices(clips, amount=0.3, generator=rng),
    "mirror": lambda clips, rng: mirror_matrices(clips),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_only_the_named_clips_are_changed(name):
    matrices = OPERATIONS[name](even(20), generator())
    changed = (matrices != EYE).any(dim=(1, 2))
    assert changed.tolist() == even(20).tolist()
    assert torch.equal(matrices[1], EYE)


@pytest.mark.parametrize("name", ["shear", "rotate", "tilt", "scale"])
def test_every_clip_has_its_own_draw_and_the_same_seed_the_same(name):
    matrices = OPERATIONS[name](every(20), generator(3))
    assert len({tuple(row) for row in matrices.flatten(1).tolist()}) == 20
    assert torch.equal(matrices, OPERATIONS[name](every(20), generator(3)))


@pytest.mark.parametrize("amplitude", [0.5, 1.0])
def test_shear_has_a_unit_diagonal_and_bounded_rest_of_both_signs(amplitude):
    matrices = shear_matrices(every(400), amplitude=amplitude, generator=generator())
    assert_close(torch.diagonal(matrices, dim1=1, dim2=2), torch.ones(400, 3))
    rest = (matrices - EYE)[:, ~EYE.bool()]
    assert rest.abs().max() <= amplitude
    assert rest.max() > 0.99 * amplitude
    assert rest.min() < -0.99 * amplitude
    assert rest.mean().abs() < 0.03 * amplitude


@pytest.mark.parametrize("name", ["rotate", "tilt"])
def test_turns_keep_lengths_and_sides(name):
    matrices = OPERATIONS[name](every(500), generator())
    assert_close(matrices @ matrices.transpose(1, 2), EYE.expand(500, 3, 3), atol=1e-6, rtol=0)
    assert_close(torch.linalg.det(matrices), torch.ones(500), atol=1e-6, rtol=0)  # no mirror among them


def test_angles_are_about_x_then_y_then_z():
    quarter = turns(torch.tensor([[90.0, 0.0, 0.0], [0.0, 90.0, 0.0], [0.0, 0.0, 90.0], [90.0, 90.0, 0.0]]))
    point = torch.tensor([0.0, 1.0, 0.0])
    # y goes to z about x; stays about y; goes to -x about z; about x and then y it goes to z, then to x.
    expected = torch.tensor([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    assert_close(quarter @ point, expected, atol=1e-6, rtol=0)


def test_rotations_stay_within_their_limits_on_both_sides():
    matrices = rotation_matrices(every(500), degrees=(0.0, 40.0, 0.0), generator=generator())
    degrees = torch.rad2deg(torch.atan2(matrices[:, 0, 2], matrices[:, 0, 0]))
    assert degrees.abs().max() <= 40.0001
    assert degrees.max() > 38
    assert degrees.min() < -38


def angles_about_xyz(matrices: torch.Tensor) -> torch.Tensor:
    """Degrees of Rz Ry Rx."""
    x = torch.atan2(matrices[:, 2, 1], matrices[:, 2, 2])
    y = torch.asin(-matrices[:, 2, 0])
    z = torch.atan2(matrices[:, 1, 0], matrices[:, 0, 0])
    return torch.stack((x, y, z), dim=1) * (180 / math.pi)


@pytest.mark.parametrize("signed", [True, False])
def test_a_tilt_is_large_about_one_axis_and_small_about_the_others(signed):
    matrices = tilt_matrices(
        every(6000), main_degrees=30.0, other_degrees=1.0, signed=signed, generator=generator()
    )
    degrees = angles_about_xyz(matrices)
    ordered = degrees.abs().sort(dim=1).values
    assert ordered[:, 2].max() <= 30.001
    assert ordered[:, 2].max() > 29.9
    assert ordered[:, :2].max() <= 1.001  # a main angle under 1 degree makes no other one larger
    main = degrees[ordered[:, 2] > 1.001].abs().argmax(dim=1)  # 29 of 30 main angles
    share = torch.bincount(main, minlength=3) / len(main)
    assert_close(share, torch.full((3,), 1 / 3), atol=0.03, rtol=0)
    if signed:
        assert abs((degrees > 0).float().mean() - 0.5) < 0.02
        assert abs(degrees.mean()) < 0.3
    else:
        assert degrees.min() >= -1e-4
        assert abs(degrees.sum(dim=1).mean() - 16.0) < 0.3  # 15 of the main axis, 0.5 of each other one


def test_scale_is_the_same_on_every_axis():
    matrices = scale_matrices(every(300), amount=0.2, generator=generator())
    factors = torch.diagonal(matrices, dim1=1, dim2=2)
    assert_close(factors, factors[:, :1].expand(300, 3))
    assert_close(matrices, factors[:, :1, None] * EYE)
    assert 0.8 <= factors.min() < 0.805
    assert 1.195 < factors.max() <= 1.2


def mirror(batch: Batch, clips: torch.Tensor, *, true_mirror: bool) -> Batch:
    swapped = swap_sides(batch, clips=clips, layout=KINECT25)
    if not true_mirror:
        return swapped
    return Batch(transform(swapped.joints, mirror_matrices(clips)), swapped.present)


@pytest.mark.parametrize("true_mirror", [True, False])
def test_mirrored_twice_is_the_clip_itself(batch, true_mirror):
    clips = even(4)
    once = mirror(batch, clips, true_mirror=true_mirror)
    twice = mirror(once, clips, true_mirror=true_mirror)
    assert torch.equal(twice.joints, batch.joints)
    assert (once.joints != batch.joints).any(dim=(1, 2, 3, 4)).tolist() == clips.tolist()
    assert (once.joints[~batch.present] == 0).all()


def test_a_mirror_by_hand():
    joints = torch.zeros(1, 1, 1, 25, 3)
    joints[..., KINECT25.index("left_wrist"), :] = torch.tensor([0.5, 1.0, 0.25])
    batch = Batch(joints, torch.ones(1, 1, 1, dtype=torch.bool))
    mirrored = mirror(batch, every(1), true_mirror=True).joints[0, 0, 0]
    assert mirrored[KINECT25.index("right_wrist")].tolist() == [-0.5, 1.0, 0.25]
    assert (mirrored[KINECT25.index("left_wrist")] == 0).all()


def test_a_symmetric_body_is_its_own_mirror_image():
    # Trap E7: with the joints alone swapped, the left hand of this body would be on its right side.
    joints = make_batch(num_clips=3, num_persons=1).joints
    image = joints[..., list(KINECT25.mirrored), :] * torch.tensor([-1.0, 1.0, 1.0])
    symmetric = Batch((joints + image) / 2, torch.ones(3, 8, 1, dtype=torch.bool))
    assert_close(mirror(symmetric, every(3), true_mirror=True).joints, symmetric.joints)
    assert not torch.allclose(mirror(symmetric, every(3), true_mirror=False).joints, symmetric.joints)


def test_a_true_mirror_keeps_every_bone_and_turns_the_body_inside_out():
    batch = make_batch(num_clips=1, num_persons=1, num_frames=4)
    mirrored = mirror(batch, every(1), true_mirror=True)
    sides = list(KINECT25.mirrored)

    def lengths(body: Batch) -> torch.Tensor:
        return (body.joints - body.joints[..., list(KINECT25.parents), :]).norm(dim=-1)

    assert_close(lengths(mirrored), lengths(batch)[..., sides])
    base, hip, knee = (KINECT25.index(name) for name in ("spine_base", "left_hip", "left_knee"))
    before = batch.joints[0, 0, 0, [base, hip, knee]]
    after = mirrored.joints[0, 0, 0, [base, sides[hip], sides[knee]]]
    assert_close(torch.linalg.det(after), -torch.linalg.det(before))
