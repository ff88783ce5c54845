import numpy as np
import pytest
from sklearn.metrics import f1_score

from kinemask.evaluation.metrics import (
    calibration_error,
    calibration_gap,
    confidences,
    confusion_matrix,
    macro_f1,
    per_class_accuracy,
    score_metrics,
    top_accuracy,
)

# Answers 0, 1, 1, 2; truth 0, 1, 0, 2.
SCORES = np.array([[3, 1, 0, 2], [0, 5, 4, 1], [2, 3, 1, 0], [0, 1, 9, 2]], dtype=np.float32)
LABELS = np.array([0, 1, 0, 2])


def test_top_accuracies_by_hand():
    assert top_accuracy(SCORES, LABELS, 1) == 0.75
    assert top_accuracy(SCORES, LABELS, 2) == 1.0
    assert top_accuracy(SCORES, np.array([2, 3, 3, 0]), 3) == 0.25  # ranks 3, 2, 3, 3


def test_top5_of_fewer_than_five_classes_is_one():
    assert score_metrics(SCORES, np.array([2, 3, 3, 0]))["top5"] == 1.0


def test_of_equal_scores_the_smaller_class_is_the_answer():
    tied = np.zeros((3, 6), dtype=np.float32)
    assert top_accuracy(tied, np.array([0, 1, 5]), 1) == pytest.approx(1 / 3)
    assert top_accuracy(tied, np.array([0, 1, 5]), 5) == pytest.approx(2 / 3)


def test_top1_is_what_argmax_says():
    generator = np.random.default_rng(0)
    scores = generator.integers(0, 3, (200, 7)).astype(np.float32)  # many ties
    labels = generator.integers(0, 7, 200)
    assert top_accuracy(scores, labels, 1) == (scores.argmax(1) == labels).mean()


def test_confusion_matrix_has_truth_in_rows_and_answers_in_columns():
    counts = confusion_matrix(SCORES, LABELS)
    assert counts.tolist() == [[1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]


def test_recall_of_an_absent_class_is_nan_and_stays_out_of_the_mean():
    recalls = per_class_accuracy(confusion_matrix(SCORES, LABELS))
    np.testing.assert_array_equal(recalls, [0.5, 1.0, 1.0, np.nan])
    assert score_metrics(SCORES, LABELS)["mean_recall"] == pytest.approx(2.5 / 3)


def test_macro_f1_by_hand():
    # F1 = 2 hits / (2 hits + misses + false alarms): 2/3, 2/3, 1; class 3 neither occurs nor is answered.
    assert macro_f1(confusion_matrix(SCORES, LABELS)) == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)


def test_macro_f1_is_that_of_scikit_learn_with_classes_absent_or_never_answered():
    generator = np.random.default_rng(1)
    scores = generator.normal(size=(60, 8)).astype(np.float32)
    scores[:, 2] = -9
    labels = generator.choice([0, 2, 3, 5, 6, 7], 60)
    expected = f1_score(labels, scores.argmax(1), average="macro", zero_division=0)
    assert macro_f1(confusion_matrix(scores, labels)) == pytest.approx(expected)


def test_calibration_error_by_hand():
    # Two clips of confidence 0.8 (one right), one of 0.6 (right): (2 * |0.5 - 0.8| + |1 - 0.6|) / 3.
    scores = np.log(np.array([[0.8, 0.2], [0.2, 0.8], [0.6, 0.4]], dtype=np.float32))
    assert calibration_error(scores, np.array([0, 0, 0])) == pytest.approx(1 / 3, abs=1e-6)


def test_calibration_error_does_not_change_when_a_clip_s_scores_are_shifted():
    shift = np.array([[100.0], [-7.0], [0.0], [3.0]], dtype=np.float32)
    assert calibration_error(SCORES + shift, LABELS) == pytest.approx(
        calibration_error(SCORES, LABELS), abs=1e-5
    )


def test_confidence_is_the_largest_share_of_a_softmax_by_hand():
    scores = np.log(np.array([[0.8, 0.2], [0.2, 0.8]], dtype=np.float32)) + np.float32(50)
    assert confidences(scores) == pytest.approx([0.8, 0.8], abs=1e-5)
    assert confidences(np.full((1, 3), np.finfo(np.float32).min)) == pytest.approx([1 / 3])
    assert calibration_gap(np.array([0.8, 1.0]), np.array([False, True])) == pytest.approx(0.4)


def test_a_score_that_is_not_a_number_is_named():
    scores = SCORES.copy()
    scores[2, 3] = np.nan
    with pytest.raises(ValueError, match="clip 2, class 3 is not a number"):
        score_metrics(scores, LABELS)


@pytest.mark.parametrize("label", [-1, 4])
def test_a_label_that_is_no_class_is_refused(label):
    with pytest.raises(ValueError, match="but there are 4 classes"):
        score_metrics(SCORES, np.array([0, 1, 0, label]))


def test_no_clips_are_refused():
    with pytest.raises(ValueError, match="no clips"):
        score_metrics(SCORES[:0], LABELS[:0])
