import math

import pytest
import torch
from torch.testing import assert_close

from kinemask.skeleton.batch import RaggedClips
from kinemask.skeleton.geometry import move_origin, rotation_about, transform
from kinemask.skeleton.inputs import InputConfig, as_input
from kinemask.skeleton.layout import KINECT25
from kinemask.skeleton.streams import bones, motion
from tests.conftest import make_batch, make_ragged


def test_quarter_turn_about_y_sends_z_to_x():
    turned = rotation_about("y", torch.tensor([math.pi / 2]))[0] @ torch.tensor([0.0, 0.0, 1.0])
    assert_close(turned, torch.tensor([1.0, 0.0, 0.0]), atol=1e-6, rtol=0)


def test_quarter_turn_about_x_sends_y_to_z_and_about_z_sends_x_to_y():
    about_x = rotation_about("x", torch.tensor([math.pi / 2]))[0] @ torch.tensor([0.0, 1.0, 0.0])
    about_z = rotation_about("z", torch.tensor([math.pi / 2]))[0] @ torch.tensor([1.0, 0.0, 0.0])
    assert_close(about_x, torch.tensor([0.0, 0.0, 1.0]), atol=1e-6, rtol=0)
    assert_close(about_z, torch.tensor([0.0, 1.0, 0.0]), atol=1e-6, rtol=0)


def test_transform_applies_each_clips_own_matrix():
    batch = make_batch(num_clips=2)
    doubled = transform(batch.joints, torch.stack([torch.eye(3), 2 * torch.eye(3)]))
    assert_close(doubled[0], batch.joints[0])
    assert_close(doubled[1], 2 * batch.joints[1])


def test_rotation_keeps_bone_lengths(batch):
    angle = torch.tensor([0.3, -1.0, 2.0, 0.1])
    turned = transform(batch.joints, rotation_about("y", angle))
    assert_close(
        bones(turned, KINECT25.parents).norm(dim=-1), bones(batch.joints, KINECT25.parents).norm(dim=-1)
    )


def test_bones_ignore_translation_and_are_zero_at_the_root(batch):
    result = bones(batch.joints, KINECT25.parents)
    assert_close(bones(batch.joints + 7.0, KINECT25.parents), result, atol=1e-5, rtol=0)
    assert (result[..., KINECT25.root, :] == 0).all()


def test_motion_by_hand_and_zero_where_a_person_comes_or_goes():
    batch = make_batch(num_clips=2, num_frames=3, num_persons=1)
    result = motion(batch)
    assert_close(result[0, 0], batch.joints[0, 1] - batch.joints[0, 0])
    assert (result[:, -1] == 0).all()  # nothing follows the last frame
    assert (result[1] == 0).all()  # present in frame 0 only: no pair of present frames


def test_first_frame_origin_moves_all_persons_and_frames_alike(ragged):
    moved = move_origin(ragged, joint=1, origin="first_frame")
    for clip in range(len(ragged)):
        part = slice(int(ragged.offsets[clip]), int(ragged.offsets[clip] + ragged.lengths[clip]))
        centre = ragged.joints[part][0, 0, 1]
        shown = ragged.present[part]
        assert_close(moved.joints[part][shown], (ragged.joints[part] - centre)[shown])
        assert (moved.joints[part][~shown] == 0).all()


def test_origin_skips_frames_in_which_nobody_is_seen():
    clips = make_ragged(lengths=(6,), num_persons=2)
    present = clips.present.clone()
    present[0] = False
    present[1, 0] = False
    present[1, 1] = True
    clips = RaggedClips(clips.joints, present, clips.offsets, clips.lengths)
    moved = move_origin(clips, joint=1, origin="first_frame")
    assert_close(moved.joints[1, 1, 1], torch.zeros(3))  # person 1 is the only one in the first seen frame


def test_every_frame_origin_puts_the_joint_at_zero_in_each_frame(ragged):
    moved = move_origin(ragged, joint=1, origin="every_frame")
    assert_close(moved.joints[:, 0, 1], torch.zeros(len(moved.joints), 3))


def test_origin_of_a_selection_is_refused(ragged):
    with pytest.raises(ValueError, match="all clips of the storage"):
        move_origin(ragged.select(torch.tensor([1, 0])), joint=1, origin="first_frame")


@pytest.mark.parametrize("stream", ["joint", "bone", "motion"])
def test_streams_keep_absent_persons_at_zero(batch, stream):
    inputs = InputConfig(stream=stream, num_frames=8, origin="first_frame", origin_joint="spine_mid")
    result = as_input(batch, config=inputs, layout=KINECT25)
    assert (result.joints[~batch.present] == 0).all()
    assert result.joints.abs().sum() > 0
