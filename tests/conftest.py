import pytest
import torch

from kinemask.skeleton.batch import Batch, RaggedClips


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def pytest_collection_modifyitems(items):
    """Files with slow tests first: the last of them would leave the other cores without work."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def make_ragged(lengths=(9, 14, 30, 5, 21), num_persons=2, seed=0) -> RaggedClips:
    """Clips of smooth random motion; the second person is absent in every other clip."""
    generator = torch.Generator().manual_seed(seed)
    total = sum(lengths)
    joints = torch.randn(total, num_persons, 25, 3, generator=generator).cumsum(0) * 0.02
    joints += torch.randn(1, num_persons, 25, 3, generator=generator) * 0.3
    present = torch.ones(total, num_persons, dtype=torch.bool)
    length = torch.tensor(lengths)
    offsets = length.cumsum(0) - length
    if num_persons > 1:
        for clip in range(0, len(lengths), 2):
            present[offsets[clip] : offsets[clip] + length[clip], 1] = False
    return RaggedClips(joints * present[..., None, None], present, offsets, length)


def make_batch(num_clips=4, num_frames=8, num_persons=2, seed=0) -> Batch:
    """A batch whose first clip has one person only, and whose last clip has two empty frames at its end."""
    generator = torch.Generator().manual_seed(seed)
    joints = torch.randn(num_clips, num_frames, num_persons, 25, 3, generator=generator)
    present = torch.ones(num_clips, num_frames, num_persons, dtype=torch.bool)
    if num_persons > 1:
        present[0, :, 1] = False
    present[-1, -2:] = False
    return Batch(joints * present[..., None, None], present)


@pytest.fixture
def ragged():
    return make_ragged()


@pytest.fixture
def batch():
    return make_batch()


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
