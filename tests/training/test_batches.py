import pytest
from pydantic import ValidationError

from kinemask.training.batches import BatchOrder, BudgetConfig, num_steps


def epoch(order: BatchOrder, number: int) -> list[int]:
    first = number * order.steps_per_epoch
    return [clip for step in range(first, first + order.steps_per_epoch) for clip in order.at(step).tolist()]


def test_every_clip_comes_once_an_epoch_when_batches_divide_the_clips():
    order = BatchOrder(seed=0, num_clips=12, batch_size=4)
    for number in range(3):
        assert sorted(epoch(order, number)) == list(range(12))


def test_left_over_clips_are_dropped_and_none_comes_twice():
    order = BatchOrder(seed=0, num_clips=14, batch_size=4)
    assert order.steps_per_epoch == 3
    for number in range(3):
        assert len(set(epoch(order, number))) == 12
    assert {clip for number in range(12) for clip in epoch(order, number)} == set(range(14))


def test_order_differs_between_epochs_and_between_seeds():
    order = BatchOrder(seed=0, num_clips=12, batch_size=4)
    assert epoch(order, 0) != epoch(order, 1)
    assert epoch(order, 0) != epoch(BatchOrder(seed=1, num_clips=12, batch_size=4), 0)


def test_batch_of_a_step_does_not_depend_on_the_steps_before():
    order = BatchOrder(seed=5, num_clips=10, batch_size=3)
    in_turn = [order.at(step).tolist() for step in range(9)]
    backwards = [order.at(step).tolist() for step in reversed(range(9))]
    assert in_turn == backwards[::-1]
    assert in_turn[7] == BatchOrder(seed=5, num_clips=10, batch_size=3).at(7).tolist()


def test_fewer_clips_than_a_batch_are_one_batch_of_all():
    order = BatchOrder(seed=0, num_clips=5, batch_size=64)
    assert order.steps_per_epoch == 1
    assert sorted(order.at(0).tolist()) == [0, 1, 2, 3, 4]
    assert sorted(order.at(9).tolist()) == [0, 1, 2, 3, 4]


def test_no_clips_are_an_error():
    with pytest.raises(ValueError, match="found 0"):
        BatchOrder(seed=0, num_clips=0, batch_size=4)


def test_budget_in_steps_and_in_epochs_by_hand():
    assert num_steps(BudgetConfig(steps=800), num_clips=100, batch_size=32) == 800
    assert (
        num_steps(BudgetConfig(epochs=20), num_clips=100, batch_size=32) == 60
    )  # three full batches an epoch
    assert num_steps(BudgetConfig(epochs=20), num_clips=10, batch_size=32) == 20


@pytest.mark.parametrize("text", ["{}", '{"steps": 5, "epochs": 2}', '{"steps": null}'])
def test_a_budget_is_exactly_one_of_both(text):
    with pytest.raises(ValidationError, match="exactly one of steps and epochs"):
        BudgetConfig.model_validate_json(text)


def test_a_budget_of_both_says_what_it_found_and_how_to_choose():
    with pytest.raises(ValidationError, match=r"found steps 800 and epochs 20: set one to null"):
        BudgetConfig(steps=800, epochs=20)
    with pytest.raises(ValidationError, match=r"found steps null and epochs null") as caught:
        BudgetConfig()
    assert "set one" not in str(caught.value)


def test_a_budget_of_nothing_is_refused():
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        BudgetConfig(steps=0)
