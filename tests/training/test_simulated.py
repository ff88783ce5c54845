import pytest
import torch

from kinemask.skeleton.batch import RaggedClips
from kinemask.training.simulated import add_clips
from tests.conftest import make_ragged

REAL = make_ragged(lengths=(5, 3), num_persons=1)
PAIRS = make_ragged(lengths=(4, 6), num_persons=2)


def frames(clips: RaggedClips, number: int) -> torch.Tensor:
    start, length = int(clips.offsets[number]), int(clips.lengths[number])
    return clips.joints[start : start + length]


def test_simulated_clips_stand_behind_the_real_ones():
    both = add_clips(REAL, PAIRS, persons=1)
    assert both.lengths.tolist() == [5, 3, 4, 6]
    assert both.offsets.tolist() == [0, 5, 8, 12]
    assert torch.equal(frames(both, 1), frames(REAL, 1))
    assert torch.equal(frames(both, 3), frames(PAIRS, 1)[:, :1])
    assert torch.equal(both.present[12:], PAIRS.present[4:, :1])


def test_without_real_clips_the_simulated_ones_are_all():
    alone = add_clips(None, PAIRS, persons=1)
    assert alone.lengths.tolist() == [4, 6]
    assert torch.equal(alone.joints, PAIRS.joints[:, :1])


@pytest.mark.parametrize("clips", [None, PAIRS])
def test_persons_that_simulated_clips_lack_are_absent(clips):
    single = make_ragged(lengths=(7,), num_persons=1, seed=3)
    filled = add_clips(clips, single, persons=2)
    assert filled.joints.shape[1] == 2
    assert torch.equal(frames(filled, len(filled) - 1)[:, :1], single.joints)
    assert not filled.joints[-7:, 1].any()
    assert not filled.present[-7:, 1].any()
