import numpy as np
import pytest

from kinemask.evaluation.metrics import count_answers, macro_f1
from kinemask.evaluation.statistics import (
    Comparison,
    Estimate,
    StatisticsConfig,
    compare,
    estimate,
    estimate_f1,
    holm,
)

CONFIG = StatisticsConfig(resamples=1000, confidence=0.95, permutations=4096, seed=0)


def bits(*rows: str) -> np.ndarray:
    """Rows such as "110": clip by clip, 1 is right."""
    return np.array([[letter == "1" for letter in row] for row in rows])


def of(
    correct: np.ndarray, subjects: list[float], classes: list[int] | None = None, **changes: float
) -> Estimate:
    config = CONFIG.model_copy(update=changes)
    return estimate(
        correct,
        subjects=np.array(subjects),
        classes=None if classes is None else np.array(classes),
        config=config,
    )


def between(first: np.ndarray, second: np.ndarray, subjects: list[int], **changes: int) -> Comparison:
    config = CONFIG.model_copy(update=changes)
    return compare(first, second, subjects=np.array(subjects), classes=None, config=config)


def test_mean_and_std_of_four_clips_and_two_seeds_by_hand() -> None:
    # Seed 0: 3 of 4 = 0.75; seed 1: 1 of 4 = 0.25. Mean 0.5; sample std sqrt(2 * 0.25^2 / 1) = 0.35355.
    found = of(bits("1110", "1000"), [1, 1, 2, 2])
    assert found.mean == 0.5
    assert found.std == pytest.approx(0.35355, abs=1e-5)
    assert found.num_seeds == 2


def test_mean_recall_weighs_classes_alike_by_hand() -> None:
    # Class 0: 2 of 3 right, class 1: 0 of 1. (2/3 + 0) / 2 = 1/3, where the share of clips is 2/4.
    assert of(bits("1100"), [1, 2, 3, 4], [0, 0, 0, 1]).mean == pytest.approx(1 / 3)
    assert of(bits("1100"), [1, 2, 3, 4]).mean == 0.5


def test_classes_need_not_be_counted_from_zero_nor_all_be_present() -> None:
    assert of(bits("1100"), [1, 2, 3, 4], [7, 7, 7, 40]).mean == pytest.approx(1 / 3)


def test_interval_of_two_subjects_by_hand() -> None:
    # Subject 1 all right, 2 all wrong, as many clips: a resample gives 0 (1/4), 0.5 (1/2) or 1 (1/4).
    found = of(bits("1100"), [1, 1, 2, 2])
    assert (found.low, found.high) == (0.0, 1.0)
    # A 40 % interval cuts 30 % off each side, more than the quarter at each end.
    narrow = of(bits("1100"), [1, 1, 2, 2], confidence=0.4)
    assert (narrow.low, narrow.high) == (0.5, 0.5)


def test_resampling_draws_subjects_with_all_their_clips() -> None:
    rng = np.random.default_rng(0)
    subjects = np.repeat(np.arange(8), 50)
    right = rng.random((1, 400)) < np.repeat(rng.random(8), 50)  # people differ, clips of one are alike
    by_person = of(right, subjects.tolist())
    by_clip = of(right, [-1] * 400)
    assert by_person.high - by_person.low > 2 * (by_clip.high - by_clip.low)


def test_interval_agrees_with_a_slow_loop_over_subjects_and_seeds() -> None:
    rng = np.random.default_rng(1)
    subjects, classes = rng.integers(0, 6, 60), rng.integers(0, 3, 60)
    right = rng.random((3, 60)) < 0.6
    values = []
    for _ in range(3000):
        people = rng.choice(np.unique(subjects), len(np.unique(subjects)))
        clips = np.concatenate([np.flatnonzero(subjects == person) for person in people])
        scores = [
            np.mean([right[s, clips][classes[clips] == k].mean() for k in np.unique(classes[clips])])
            for s in rng.integers(0, 3, 3)
        ]
        values.append(np.mean(scores))
    found = of(right, subjects.tolist(), classes.tolist(), resamples=3000)
    low, high = np.quantile(values, [0.025, 0.975])
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.012)


def test_seeds_that_differ_widen_the_interval() -> None:
    people = list(range(40))
    same = of(bits("10" * 20, "10" * 20), people)
    apart = of(bits("1" * 40, "0" * 40), people)  # the same mean
    assert same.mean == apart.mean == 0.5
    assert (apart.low, apart.high) == (0.0, 1.0)
    assert same.high - same.low < 0.4


def test_same_config_gives_the_same_digits_and_another_seed_does_not() -> None:
    rng = np.random.default_rng(2)
    right, subjects = rng.random((2, 90)) < 0.5, rng.integers(0, 30, 90).tolist()
    assert of(right, subjects) == of(right, subjects)
    assert of(right, subjects).low != of(right, subjects, seed=1).low


def test_one_seed_has_no_spread_but_an_interval() -> None:
    found = of(bits("1100"), [1, 1, 2, 2])
    assert np.isnan(found.std)
    assert found.num_seeds == 1


def test_one_subject_is_resampled_by_clip() -> None:
    found = of(bits("1" * 15 + "0" * 15), [5] * 30)
    assert 0.25 < found.low < 0.45
    assert 0.55 < found.high < 0.75


def test_clip_of_unknown_subject_is_its_own_cluster() -> None:
    # Subject 3 is right, two unknown clips are wrong: three clusters, so 1 comes with chance 1/27 = 3.7 %,
    # inside a 95 % interval (2.5 % a side) and outside a 90 % one. As two clusters its chance would be 1/4.
    subjects = [3, 3, float("nan"), -1]
    assert of(bits("1100"), subjects).high == 1.0
    assert of(bits("1100"), subjects, confidence=0.9).high < 1.0


@pytest.mark.parametrize(("letter", "value"), [("1", 1.0), ("0", 0.0)])
def test_all_right_and_all_wrong_are_points(letter: str, value: float) -> None:
    for classes in (None, [0, 1, 0]):
        found = of(bits(letter * 3, letter * 3), [1, 2, 3], classes)
        assert (found.mean, found.std, found.low, found.high) == (value, 0.0, value, value)


def test_one_clip_of_one_seed_works() -> None:
    found = of(bits("1"), [1])
    assert (found.mean, found.low, found.high) == (1.0, 1.0, 1.0)
    assert between(bits("1"), bits("0"), [1]).p == 1.0


@pytest.mark.parametrize("shape", [(0, 4), (3, 0)])
def test_nothing_to_score_is_said(shape: tuple[int, int]) -> None:
    nothing = np.zeros(shape, bool)
    with pytest.raises(ValueError, match=f"{shape[1]} clips and {shape[0]} seeds"):
        of(nothing, [1] * shape[1])
    with pytest.raises(ValueError, match="at least one of each"):
        between(nothing, nothing, [1] * shape[1])


def test_permutation_test_of_three_subjects_by_hand() -> None:
    # Differences by subject: +1, +1, +2 clips. Of 8 sign patterns only +++ and --- reach |4|: p = 2/8.
    found = between(bits("1111"), bits("0000"), [1, 2, 3, 3])
    assert found.p == 0.25
    assert found.difference == 1.0
    # +1, +1, -1: sums are 3 (once), 1 (three times) and their negatives; seen 1, so all 8 reach it.
    assert between(bits("110"), bits("001"), [1, 2, 3]).p == 1.0


def test_difference_is_paired_by_seed_and_clip() -> None:
    # Each seed of the first is right on one clip more than that seed of the second: seeds' spread cancels.
    found = between(bits("11111", "11000"), bits("01111", "01000"), [1, 2, 3, 4, 5])
    assert found.difference == pytest.approx(0.2)
    assert found.num_seeds == 2
    assert found.low == 0.0  # subject 1 not drawn
    assert found.high == pytest.approx(0.6)


def test_equal_methods_have_no_difference_and_p_one() -> None:
    right = bits("1100110", "1010101")
    found = between(right, right, [1, 1, 2, 3, 4, 5, 6])
    assert (found.difference, found.low, found.high, found.p) == (0.0, 0.0, 0.0, 1.0)


def test_sampled_test_is_close_to_the_exact_one_and_never_zero() -> None:
    rng = np.random.default_rng(3)
    subjects = rng.integers(0, 12, 200).tolist()
    first, second = rng.random((2, 200)) < 0.58, rng.random((2, 200)) < 0.5
    exact = between(first, second, subjects, permutations=4096).p  # 2^12 patterns
    sampled = between(first, second, subjects, permutations=4095).p
    assert exact != sampled
    assert sampled == pytest.approx(exact, abs=0.03)
    many = list(range(60))
    assert between(bits("1" * 60), bits("0" * 60), many, permutations=99).p == pytest.approx(1 / 100)


def test_p_of_methods_that_are_the_same_is_rarely_small() -> None:
    rng = np.random.default_rng(4)
    subjects = np.repeat(np.arange(10), 12).tolist()
    p = [between(rng.random((1, 120)) < 0.5, rng.random((1, 120)) < 0.5, subjects).p for _ in range(200)]
    assert 0.01 < np.mean(np.array(p) <= 0.05) < 0.1


def test_holm_of_four_p_values_by_hand() -> None:
    # Sorted 0.01 0.02 0.03 0.5 times 4 3 2 1: 0.04 0.06 0.06 0.5; never falling: 0.04 0.06 0.06 0.5.
    assert holm(np.array([0.03, 0.01, 0.5, 0.02])).tolist() == pytest.approx([0.06, 0.04, 0.5, 0.06])
    # 0.6 * 2 is cut at 1; the second may not fall below the first.
    assert holm(np.array([0.6, 0.9])).tolist() == [1.0, 1.0]
    assert holm(np.array([])).tolist() == []


def f1_of(answers: list[list[int]], labels: list[int], subjects: list[int], **changes: float) -> Estimate:
    arrays = {"labels": np.array(labels), "subjects": np.array(subjects)}
    return estimate_f1(np.array(answers), **arrays, config=CONFIG.model_copy(update=changes))


def test_macro_f1_of_two_seeds_by_hand() -> None:
    # Class 0: 2 hits of 3 clips and 2 answers, 4/5; class 1: 1 hit of 1 clip and 2 answers, 2/3.
    # Seed 1 answers class 2 once, which no clip is: 2 * 2/5, 2 * 1/2 and 0 over three classes.
    found = f1_of([[0, 0, 1, 1], [0, 0, 2, 1]], [0, 0, 0, 1], [1, 2, 3, 4])
    first, second = (4 / 5 + 2 / 3) / 2, (4 / 5 + 1 + 0) / 3
    assert found.mean == pytest.approx((first + second) / 2)
    assert found.std == pytest.approx(abs(first - second) / 2**0.5)


def test_interval_of_macro_f1_agrees_with_a_slow_loop_over_subjects_and_seeds() -> None:
    rng = np.random.default_rng(5)
    subjects, labels = rng.integers(0, 6, 60), rng.integers(0, 4, 60)
    answers = np.where(rng.random((3, 60)) < 0.5, labels, rng.integers(0, 5, (3, 60)))
    values = []
    for _ in range(800):
        people = rng.choice(np.unique(subjects), len(np.unique(subjects)))
        clips = np.concatenate([np.flatnonzero(subjects == person) for person in people])
        drawn = [
            macro_f1(count_answers(answers[seed, clips], labels[clips], 5)) for seed in rng.integers(0, 3, 3)
        ]
        values.append(np.mean(drawn))
    found = f1_of(answers.tolist(), labels.tolist(), subjects.tolist())
    assert (found.low, found.high) == pytest.approx(np.quantile(values, [0.025, 0.975]), abs=0.02)


def test_macro_f1_of_nothing_is_said() -> None:
    with pytest.raises(ValueError, match="0 clips and 3 seeds"):
        estimate_f1(np.zeros((3, 0), int), labels=np.zeros(0, int), subjects=np.zeros(0), config=CONFIG)
