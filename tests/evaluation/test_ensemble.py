import numpy as np
import pytest
from pydantic import ValidationError

from kinemask.evaluation.ensemble import EnsembleConfig, add_scores
from kinemask.evaluation.frozen import ABSENT_SCORE


def logs(*rows: list[float]) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.maximum(np.log(np.array(rows)), ABSENT_SCORE).astype(np.float32)


def test_probabilities_are_added_with_their_weights_by_hand() -> None:
    # (1 * [0.6, 0.3, 0.1] + 3 * [0.2, 0.7, 0.1]) / 4 = [0.3, 0.6, 0.1]
    found = add_scores([logs([0.6, 0.3, 0.1]), logs([0.2, 0.7, 0.1])], [1.0, 3.0])
    np.testing.assert_allclose(np.exp(found), [[0.3, 0.6, 0.1]], rtol=1e-6)


def test_scores_that_differ_by_a_constant_for_each_clip_count_alike() -> None:
    first, second = logs([0.6, 0.4], [0.1, 0.9]), logs([0.5, 0.5], [0.8, 0.2])
    shifted = first + np.array([[40.0], [-3.0]], np.float32)
    np.testing.assert_allclose(
        add_scores([shifted, second], [1.0, 1.0]), add_scores([first, second], [1.0, 1.0]), rtol=1e-5
    )


def test_a_class_that_one_member_rules_out_is_not_ruled_out_for_all() -> None:
    # Two are sure of class 0, one excludes it: (0.95 + 0.95 + 0) / 3 > (0.05 + 0.05 + 1) / 3.
    found = add_scores([logs([0.95, 0.05]), logs([0.95, 0.05]), logs([0.0, 1.0])], [1.0, 1.0, 1.0])
    np.testing.assert_allclose(np.exp(found), [[1.9 / 3, 1.1 / 3]], rtol=1e-6)


def test_what_no_member_thinks_possible_stays_finite() -> None:
    found = add_scores([logs([1.0, 0.0, 0.0]), logs([0.0, 1.0, 0.0])], [1.0, 2.0])
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    assert found[0, 2] == ABSENT_SCORE
    assert found.argmax(axis=1).tolist() == [1]  # votes count by their weights


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"weights": (1.0,)}, "1 weights for 2 methods"),
        ({"weights": (1.0, 0.0)}, "greater than 0"),
        ({"methods": ("a",), "weights": (1.0,)}, "at least 2 items"),
        ({"methods": ("a", "a")}, "named only once, found a, a"),
    ],
)
def test_an_ensemble_that_cannot_be_is_refused(changes: dict[str, object], problem: str) -> None:
    values = {"methods": ("a", "b"), "weights": (1.0, 1.0)}
    EnsembleConfig(**values)
    with pytest.raises(ValidationError, match=problem):
        EnsembleConfig(**(values | changes))
