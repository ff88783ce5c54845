import pytest
import torch
from torch.testing import assert_close

from kinemask.methods.queue import KeyQueue


def numbered(first: int, count: int) -> torch.Tensor:
    return torch.arange(float(first), float(first + count))[:, None]


def test_queue_keeps_the_latest_keys_and_wraps():
    queue = KeyQueue(length=3, width=1)
    for value in (1.0, 2.0):
        queue.push(torch.tensor([[value], [value + 0.5]]))
    assert queue.keys.flatten().tolist() == [2.5, 1.5, 2.0]
    assert queue.next_slot == 1
    queue.push(torch.arange(10.0, 15.0)[:, None])  # more keys than slots: the last three stay
    assert sorted(queue.keys.flatten().tolist()) == [12.0, 13.0, 14.0]


@pytest.mark.parametrize(("length", "batch"), [(7, 3), (8, 4), (5, 5), (4, 6), (3, 1)])
def test_queue_holds_the_latest_keys_whatever_its_length(length, batch):
    """Trap E9: the ancestors need a length that is a multiple of the batch."""
    queue = KeyQueue(length=length, width=1)
    for step in range(10):
        queue.push(numbered(step * batch, batch))
    total = 10 * batch
    assert sorted(queue.keys.flatten().tolist()) == list(range(total - length, total))


def test_queue_takes_batches_of_unequal_size():
    queue, latest = KeyQueue(length=7, width=1), []
    for count in (3, 3, 1, 5, 2, 9, 4):
        latest.extend(range(len(latest), len(latest) + count))
        queue.push(numbered(latest[-count], count))
        expected = latest[-7:]
        assert set(expected) <= set(queue.keys.flatten().tolist())


def test_every_push_moves_the_next_slot():
    """Trap E9: where the pointer has a call of its own, a forgotten call overwrites one slot for ever."""
    queue = KeyQueue(length=5, width=1)
    slots = []
    for step in range(4):
        slots.append(queue.next_slot.item())
        queue.push(numbered(step * 2, 2))
    assert slots == [0, 2, 4, 1]


def test_a_loaded_queue_goes_on_where_the_saved_one_was():
    queue, loaded = KeyQueue(length=5, width=1), KeyQueue(length=5, width=1)
    queue.push(numbered(0, 3))
    loaded.load_state_dict(queue.state_dict())
    for each in (queue, loaded):
        each.push(numbered(3, 4))
    assert torch.equal(loaded.keys, queue.keys)
    assert loaded.next_slot == queue.next_slot == 2


def test_fresh_queue_holds_directions_of_length_one():
    assert_close(KeyQueue(length=50, width=7).keys.norm(dim=1), torch.ones(50))


def test_queue_stores_no_gradient_and_keys_of_any_precision():
    """Under autocast a key may be bfloat16."""
    queue = KeyQueue(length=3, width=2)
    queue.push(torch.ones(2, 2, dtype=torch.bfloat16, requires_grad=True))
    assert not queue.keys.requires_grad
    assert queue.keys.dtype == torch.float32
    assert queue.keys[:2].tolist() == [[1.0, 1.0], [1.0, 1.0]]


def test_queue_has_no_parameters():
    assert not list(KeyQueue(length=3, width=2).parameters())
