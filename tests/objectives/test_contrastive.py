import math
from functools import partial

import pytest
import torch
from torch.nn import functional
from torch.testing import assert_close

from kinemask.objectives.contrastive import (
    distribution_error,
    info_nce,
    mixed_key,
    nearest_in_queue,
    similarity_error,
)
from tests.conftest import generator

QUERY, KEY, EXTREME = torch.tensor([[0.6, 0.8]]), torch.tensor([[0.0, 1.0]]), torch.tensor([[0.8, 0.6]])
QUEUE = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])

LOSSES = {
    "info_nce": lambda query, key, queue: info_nce(query, key, queue, temperature=0.07),
    "mined": lambda query, key, queue: info_nce(
        query, key, queue, temperature=0.07, positives=nearest_in_queue(query, queue, top=2)
    ),
    "distribution": lambda query, key, queue: distribution_error(
        query, query.flip(0), key, queue, temperature=0.07
    ),
    "similarity": lambda query, key, queue: similarity_error(
        query, key, queue, student_temperature=0.1, teacher_temperature=0.05, top=None
    ),
    "similarity of the top": lambda query, key, queue: similarity_error(
        query, key, queue, student_temperature=0.1, teacher_temperature=0.05, top=3
    ),
}
every_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES.keys())


def directions(count: int, width: int, seed: int) -> torch.Tensor:
    return functional.normalize(torch.randn(count, width, generator=generator(seed)), dim=1)


def shares(vector, keys, temperature):
    """Softmax of one vector's similarities, by hand and in float64."""
    similarities = [sum(a * b for a, b in zip(vector, key, strict=True)) for key in keys]
    powers = [math.exp(similarity / temperature) for similarity in similarities]
    return [power / sum(powers) for power in powers]


# InfoNCE


@pytest.mark.parametrize(("temperature", "expected"), [(0.07, 0.721459), (0.5, 1.004715)])
def test_info_nce_of_the_worked_example_d4(temperature, expected):
    assert_close(info_nce(QUERY, KEY, QUEUE, temperature=temperature).item(), expected, atol=1e-6, rtol=0)


def test_a_mined_positive_equal_to_the_key_changes_nothing_d4():
    """Both log-probabilities are equal, and so is their mean."""
    equal = torch.tensor([[False, True, False]])
    mined = info_nce(QUERY, KEY, QUEUE, temperature=0.5, positives=equal)
    assert_close(mined.item(), 1.004715, atol=1e-6, rtol=0)
    other = info_nce(QUERY, KEY, QUEUE, temperature=0.5, positives=torch.tensor([[True, False, False]]))
    assert_close(other.item(), 1.004715 + (1.6 - 1.2) / 2, atol=1e-6, rtol=0)


def test_info_nce_is_that_of_a_loop():
    query, key, queue = directions(5, 8, 0), directions(5, 8, 1), directions(11, 8, 2)
    positives = torch.rand(5, 11, generator=generator(3)) < 0.3
    positives[0] = False
    plain, mined = 0.0, 0.0
    for clip in range(5):
        keys = [key[clip].tolist(), *queue.tolist()]
        share = shares(query[clip].tolist(), keys, 0.2)
        own = [0, *(1 + slot for slot in range(11) if positives[clip, slot])]
        plain -= math.log(share[0]) / 5
        mined -= sum(math.log(share[number]) for number in own) / len(own) / 5
    assert_close(info_nce(query, key, queue, temperature=0.2).item(), plain, atol=1e-6, rtol=0)
    found = info_nce(query, key, queue, temperature=0.2, positives=positives)
    assert_close(found.item(), mined, atol=1e-6, rtol=0)


def test_no_mined_positive_is_plain_info_nce():
    nobody = torch.zeros(1, 3, dtype=torch.bool)
    plain = info_nce(QUERY, KEY, QUEUE, temperature=0.07)
    assert_close(info_nce(QUERY, KEY, QUEUE, temperature=0.07, positives=nobody), plain)


@pytest.mark.parametrize("top", [1, 3])
def test_mining_marks_exactly_the_nearest_keys_of_every_row(top):
    query, queue = directions(20, 4, 0), directions(9, 4, 1)
    nearest = nearest_in_queue(query, queue, top=top)
    assert nearest.sum(dim=1).tolist() == [top] * 20
    for clip in range(20):
        similarity = (queue @ query[clip]).tolist()
        expected = sorted(range(9), key=lambda slot: -similarity[slot])[:top]
        assert nearest[clip].nonzero().flatten().tolist() == sorted(expected)


def test_mining_marks_one_of_several_equal_keys():
    """A clip that was enqueued twice is not two neighbours."""
    assert nearest_in_queue(QUERY, QUEUE[[1, 1, 1, 0]], top=1).sum() == 1


# Distribution of the normal view


@pytest.mark.parametrize(
    ("temperature", "expected", "entropy"), [(0.5, 1.231858, 1.165234), (0.07, 2.886120, 0.801215)]
)
def test_distribution_error_of_the_worked_example_d6(temperature, expected, entropy):
    error = partial(distribution_error, key=KEY, queue=QUEUE, temperature=temperature)
    assert_close(error(EXTREME, QUERY).item(), expected, atol=1e-6, rtol=0)
    assert_close(error(QUERY, QUERY).item(), entropy, atol=1e-6, rtol=0)


def test_distribution_error_is_that_of_a_loop():
    student, teacher, key = (directions(5, 8, seed) for seed in range(3))
    queue, expected = directions(11, 8, 3), 0.0
    for clip in range(5):
        keys = [key[clip].tolist(), *queue.tolist()]
        taught = shares(teacher[clip].tolist(), keys, 0.2)
        learned = shares(student[clip].tolist(), keys, 0.2)
        expected -= sum(p * math.log(q) for p, q in zip(taught, learned, strict=True)) / 5
    found = distribution_error(student, teacher, key, queue, temperature=0.2)
    assert_close(found.item(), expected, atol=1e-6, rtol=0)


def test_the_view_that_teaches_gets_no_gradient():
    student, teacher = EXTREME.clone().requires_grad_(), QUERY.clone().requires_grad_()
    distribution_error(student, teacher, KEY, QUEUE, temperature=0.5).backward()
    assert teacher.grad is None
    assert student.grad is not None
    assert student.grad.abs().sum() > 0


def test_a_student_that_agrees_has_no_gradient_left():
    """The entropy of what is taught is no part of what is learned."""
    student = QUERY.clone().requires_grad_()
    distribution_error(student, QUERY, KEY, QUEUE, temperature=0.07).backward()
    assert_close(student.grad, torch.zeros(1, 2), atol=1e-6, rtol=0)


# Similarities to the queue


@pytest.mark.parametrize(
    ("teacher_temperature", "student_temperature", "expected"), [(0.05, 0.1, 0.126929), (0.5, 1.0, 0.230127)]
)
def test_similarity_error_of_the_worked_example_d5(teacher_temperature, student_temperature, expected):
    error = similarity_error(
        QUERY,
        KEY,
        QUEUE,
        student_temperature=student_temperature,
        teacher_temperature=teacher_temperature,
        top=None,
    )
    assert_close(error.item(), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("top", [None, 1, 4, 11])
def test_similarity_error_is_that_of_a_loop(top):
    query, key, queue = directions(5, 8, 0), directions(5, 8, 1), directions(11, 8, 2)
    expected = 0.0
    for clip in range(5):
        similar = sorted(queue.tolist(), key=lambda slot: -sum((key[clip] * torch.tensor(slot)).tolist()))
        kept = similar[:top]
        taught, learned = shares(key[clip].tolist(), kept, 0.1), shares(query[clip].tolist(), kept, 0.2)
        expected += sum(p * math.log(p / q) for p, q in zip(taught, learned, strict=True)) / 5
    error = similarity_error(query, key, queue, student_temperature=0.2, teacher_temperature=0.1, top=top)
    assert_close(error.item(), expected, atol=2e-6, rtol=0)


@pytest.mark.parametrize("top", [None, 4])
def test_similarity_error_of_a_query_equal_to_its_key_is_zero_at_equal_temperatures(top):
    query, queue = directions(6, 8, 0), directions(11, 8, 1)
    equal = similarity_error(query, query, queue, student_temperature=0.1, teacher_temperature=0.1, top=top)
    assert_close(equal.item(), 0.0, atol=1e-7, rtol=0)
    other = similarity_error(query, query, queue, student_temperature=0.1, teacher_temperature=0.05, top=top)
    assert other > 0.01


# The key of two clips in one


def test_mixed_key_lies_between_the_two_and_has_length_one():
    key, partner = torch.tensor([[1.0, 0.0]] * 3), torch.tensor([[0.0, 1.0]] * 3)
    mixed = mixed_key(key, partner, torch.tensor([0.0, 0.25, 1.0]))
    # (0.75, 0.25) / sqrt(0.625)
    assert_close(mixed, torch.tensor([[1.0, 0.0], [0.948683, 0.316228], [0.0, 1.0]]), atol=1e-6, rtol=0)


# All of them


@every_loss
def test_a_loss_is_the_mean_over_the_clips(loss):
    query, key, queue = directions(2, 8, 0), directions(2, 8, 1), directions(11, 8, 2)
    query[1] = query[0]  # the distribution of one is taught by the other
    one, other = (loss(query[clip : clip + 1], key[clip : clip + 1], queue) for clip in range(2))
    assert_close(loss(query, key, queue), (one + other) / 2)


@every_loss
def test_a_loss_of_extreme_similarities_is_finite_and_has_a_finite_gradient(loss):
    """Trap E9: log(softmax(x)) is -inf where float32 has no such share, as e^-2000 here."""
    query = (torch.tensor([[1.0, 0.0], [-1.0, 0.0]]) * 70).requires_grad_()
    queue = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    error = loss(query, -query.detach(), queue)
    error.backward()
    assert torch.isfinite(error)
    assert torch.isfinite(query.grad).all()


@every_loss
def test_neither_keys_nor_queue_get_a_gradient(loss):
    """The queue holds keys of earlier steps, and the teacher moves by averaging only."""
    query, key, queue = (directions(count, 8, count).requires_grad_() for count in (4, 4, 11))
    loss(query, key, queue).backward()
    assert key.grad is None
    assert queue.grad is None
    assert query.grad.abs().sum() > 0


@every_loss
def test_a_loss_is_computed_in_float32_from_bfloat16_and_under_autocast(loss):
    query, key, queue = (directions(count, 64, count).bfloat16() for count in (5, 5, 50))
    expected = loss(query.float(), key.float(), queue.float())
    assert loss(query, key, queue.float()).dtype == torch.float32
    assert_close(loss(query, key, queue), expected, atol=1e-6, rtol=1e-6)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert_close(loss(query.float(), key.float(), queue.float()), expected, atol=1e-6, rtol=1e-6)
