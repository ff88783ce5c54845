import torch
from torch.testing import assert_close

from kinemask.augment.spatial import (
    chosen_or_identity,
    corrupt_joints,
    jitter,
    rotation_matrices,
    scale_matrices,
    shear_matrices,
)
from kinemask.augment.views import SpatialConfig, change_shape
from tests.conftest import generator, make_batch

STILL = {
    "rotate_degrees": (0.0, 0.0, 0.0), "rotate_probability": 0.0,
    "scale_amount": 0.0, "scale_probability": 0.0,
    "shear_amplitude": 0.0, "shear_probability": 0.0, "corrupt_share": 0.0, "corrupt_probability": 0.0,
    "noise_std": 0.0, "noise_probability": 0.0,
}  # fmt: skip


def test_rotations_are_rotations_within_their_limits():
    matrices = rotation_matrices(500, degrees=(0.0, 40.0, 0.0), generator=generator())
    assert_close(matrices @ matrices.transpose(1, 2), torch.eye(3).expand(500, 3, 3), atol=1e-6, rtol=0)
    degrees = torch.rad2deg(torch.atan2(matrices[:, 0, 2], matrices[:, 0, 0]))
    assert degrees.abs().max() <= 40.0001
    assert degrees.max() > 38
    assert degrees.min() < -38


def test_shear_has_a_unit_diagonal_and_bounded_rest():
    matrices = shear_matrices(400, amplitude=0.5, generator=generator())
    assert_close(torch.diagonal(matrices, dim1=1, dim2=2), torch.ones(400, 3))
    rest = (matrices - torch.eye(3)).abs()
    assert rest.max() <= 0.5
    assert rest.max() > 0.49


def test_scale_is_the_same_on_every_axis():
    matrices = scale_matrices(300, amount=0.2, generator=generator())
    factors = torch.diagonal(matrices, dim1=1, dim2=2)
    assert_close(factors, factors[:, :1].expand(300, 3))
    assert factors.min() >= 0.8
    assert factors.max() <= 1.2


def test_chance_of_a_change_is_its_probability():
    doubled = 2 * torch.eye(3).expand(4000, 3, 3)
    kept = chosen_or_identity(doubled, probability=0.25, generator=generator())[:, 0, 0] == 2
    assert 0.22 < kept.float().mean() < 0.28


def test_corruption_hits_exactly_the_asked_number_of_joints_of_the_chosen_clips():
    batch = make_batch(num_clips=40)
    clips = torch.arange(40) % 2 == 0
    result = corrupt_joints(batch, share=0.6, clips=clips, generator=generator())
    changed = (result.joints != batch.joints).any(dim=(1, 2, 4)).sum(dim=1)  # joints changed in each clip
    assert changed.tolist() == [15 if even else 0 for even in clips.tolist()]


def test_corruption_draws_other_joints_for_other_clips():
    batch = make_batch(num_clips=6)
    result = corrupt_joints(batch, share=0.4, clips=torch.ones(6, dtype=torch.bool), generator=generator())
    hit = (result.joints != batch.joints).any(dim=(1, 2, 4))
    assert len({tuple(row) for row in hit.tolist()}) > 1


def test_noise_has_the_asked_spread_and_spares_the_absent():
    batch = make_batch(num_clips=64)
    result = jitter(batch, std=0.05, probability=1.0, generator=generator())
    difference = result.joints - batch.joints
    assert (difference[~batch.present] == 0).all()
    assert abs(difference[batch.present].std() - 0.05) < 0.001


def test_with_no_chances_a_view_is_the_clip_itself(batch):
    result = change_shape(batch, config=SpatialConfig(**STILL), generator=generator())
    assert torch.equal(result.joints, batch.joints)


def test_the_same_generator_state_gives_the_same_view_and_another_seed_another(batch):
    config = SpatialConfig(**(STILL | {"rotate_degrees": (10.0, 90.0, 10.0), "rotate_probability": 1.0}))
    first = change_shape(batch, config=config, generator=generator(3))
    assert torch.equal(first.joints, change_shape(batch, config=config, generator=generator(3)).joints)
    assert not torch.equal(first.joints, change_shape(batch, config=config, generator=generator(4)).joints)


def test_shear_and_corruption_exclude_each_other():
    batch = make_batch(num_clips=64)
    config = SpatialConfig(
        **(
            STILL
            | {
                "shear_amplitude": 1.0,
                "shear_probability": 0.5,
                "corrupt_share": 0.2,
                "corrupt_probability": 1.0,
            }
        )
    )
    result = change_shape(batch, config=config, generator=generator())
    changed = (result.joints != batch.joints).any(dim=(1, 2, 4)).sum(dim=1)
    assert set(changed.tolist()) == {5, 25}  # a fifth of the joints damaged, or all of them sheared
