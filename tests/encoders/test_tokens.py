"""What METHOD_JMM_TGT section 1 says of tokens and persons."""

import pytest
import torch

from kinemask.encoders.tokens import from_tokens, person_rows, to_tokens
from kinemask.skeleton.batch import Batch
from tests.conftest import generator, make_batch


def test_a_token_is_frame_after_frame_of_one_joint():
    joints = torch.arange(2 * 8 * 3 * 3).float().reshape(2, 8, 3, 3)
    tokens = to_tokens(joints, frames=4)
    assert tokens.shape == (2, 2, 3, 12)
    expected = [joints[1, frame, 2, axis].item() for frame in (4, 5, 6, 7) for axis in range(3)]
    assert tokens[1, 1, 2].tolist() == expected
    assert torch.equal(from_tokens(tokens, frames=4), joints)


def test_rows_are_the_persons_who_are_present_and_know_where_they_belong():
    batch = make_batch(num_clips=3)  # of its first clip the second person is absent
    rows = person_rows(batch, frames=2)
    assert rows.index.tolist() == [0, 2, 3, 4, 5]
    assert (rows.num_clips, rows.num_persons) == (3, 2)
    assert torch.equal(rows.joints[2], batch.joints[1, :, 1])
    assert rows.present.shape == (5, 4)
    assert rows.present[:3].all()
    assert rows.present[3:].tolist() == [[True, True, True, False]] * 2  # the last two frames are empty


def test_a_time_is_present_if_any_of_its_frames_is():
    present = torch.tensor([[[False], [True], [False], [False]]])
    rows = person_rows(Batch(torch.zeros(1, 4, 1, 25, 3), present), frames=2)
    assert rows.present.tolist() == [[True, False]]
    assert rows.complete.tolist() == [[False, False]]


def test_elsewhere_than_on_the_cpu_nobody_is_looked_for():
    batch = make_batch()
    there = Batch(batch.joints.to("meta"), batch.present.to("meta"))
    rows = person_rows(there, frames=2)
    assert rows.joints.shape == (8, 8, 25, 3)
    assert rows.present.shape == (8, 4)


def test_what_is_spread_lies_by_clip_and_person_and_is_zero_for_who_has_no_row():
    rows = person_rows(make_batch(num_clips=3), frames=2)
    values = torch.randn(5, 4, generator=generator())
    spread = rows.spread(values)
    assert spread.shape == (3, 2, 4)
    assert torch.equal(spread[1, 1], values[2])
    assert not spread[0, 1].any()
    assert rows.spread(rows.present.any(dim=1)).tolist() == [[True, False], [True, True], [True, True]]


def test_a_batch_without_anyone_has_no_rows():
    rows = person_rows(Batch(torch.zeros(2, 4, 1, 25, 3), torch.zeros(2, 4, 1, dtype=torch.bool)), frames=2)
    assert rows.joints.shape == (0, 4, 25, 3)
    assert not rows.spread(rows.present).any()


def test_clips_that_do_not_divide_into_tokens_are_refused():
    with pytest.raises(ValueError, match="clips of 8 frames do not divide into tokens of 3"):
        person_rows(make_batch(), frames=3)
