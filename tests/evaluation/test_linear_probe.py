import dataclasses

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.special import log_softmax
from sklearn.decomposition import PCA

from kinemask.evaluation.frozen import ABSENT_SCORE
from kinemask.evaluation.linear_probe import LinearConfig, LinearProbe, fit_linear, subject_folds
from kinemask.evaluation.regression import principal_axes

CONFIG = LinearConfig(components=None, c_grid=(0.01, 0.1, 1.0), folds=3, max_iterations=500, tolerance=1e-4)


def with_changes(**changes) -> LinearConfig:
    return LinearConfig.model_validate({**CONFIG.model_dump(), **changes})


def make_clips(num_clips=240, width=12, num_classes=4, separation=6.0, num_subjects=6, seed=0):
    """Gaussian clouds, one a class, on shared axes of unequal scale and offset."""
    centres = np.random.default_rng(99).normal(size=(num_classes, width)) * separation
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, num_classes, num_clips)
    features = centres[labels] + generator.normal(size=(num_clips, width))
    features = features * np.geomspace(0.01, 100, width) + 5
    return features.astype(np.float32), labels, np.arange(num_clips) % num_subjects


def fit(features, labels, subjects, num_classes=4, config=CONFIG) -> LinearProbe:
    return fit_linear(
        features=features, labels=labels, subjects=subjects, num_classes=num_classes, config=config
    )


def accuracy(probe, features, labels) -> float:
    return float((probe.scores(features).argmax(1) == labels).mean())


def test_separable_classes_are_all_told_apart():
    probe = fit(*make_clips())
    held_features, held_labels, _ = make_clips(seed=1)
    assert accuracy(probe, held_features, held_labels) == 1.0
    assert probe.validation_top1 == 1.0
    assert probe.converged


def test_shuffled_training_labels_leave_chance_on_held_out_clips():
    features, labels, subjects = make_clips()
    held_features, held_labels, _ = make_clips(seed=1)
    generator = np.random.default_rng(5)
    config = with_changes(c_grid=(0.1,))
    probes = [fit(features, generator.permutation(labels), subjects, config=config) for _ in range(30)]
    # Separable classes are answered as a whole, so one shuffle scatters by a quarter: their mean is chance.
    reached = [accuracy(probe, held_features, held_labels) for probe in probes]
    assert np.mean(reached) == pytest.approx(0.25, abs=0.12)
    assert np.mean([probe.validation_top1 for probe in probes]) == pytest.approx(0.25, abs=0.03)


def test_the_gradient_of_the_penalised_mean_loss_vanishes():
    features, labels, subjects = make_clips(separation=0.5)
    probe = fit(features, labels, subjects, config=with_changes(c_grid=(0.1,), tolerance=1e-6))
    standard = (features - features.astype(np.float64).mean(0)) / features.astype(np.float64).std(0)
    weights, bias = probe.regression.weights, probe.regression.bias
    error = np.exp(log_softmax(standard @ weights + bias, axis=1)) - np.eye(4)[labels]
    gradient = standard.T @ error / len(labels) + weights / (0.1 * len(labels))
    assert np.abs(gradient).max() < 1e-5
    assert np.abs(error.mean(0)).max() < 1e-5


def test_scores_are_log_probabilities():
    features, labels, subjects = make_clips(separation=0.5)
    scores = fit(features, labels, subjects).scores(features)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(np.exp(scores).sum(1), 1, atol=1e-5)


def test_two_classes_get_the_probabilities_of_a_logistic_regression():
    features, labels, subjects = make_clips(num_classes=2, separation=0.5)
    probe = fit(features, labels, subjects, num_classes=2)
    assert accuracy(probe, features, labels) > 0.7
    np.testing.assert_allclose(np.exp(probe.scores(features)).sum(1), 1, atol=1e-5)
    assert np.exp(probe.scores(features))[:, 1].mean() == pytest.approx(labels.mean(), abs=1e-3)


def test_a_class_without_training_clips_gets_the_lowest_score_and_no_probability():
    features, labels, subjects = make_clips()
    kept = labels != 2
    probe = fit(features[kept], labels[kept], subjects[kept], num_classes=6)
    scores = probe.scores(features)
    assert (scores[:, [2, 4, 5]] == ABSENT_SCORE).all()
    assert np.isfinite(scores).all()
    assert accuracy(probe, features[kept], labels[kept]) == 1.0


def test_a_single_training_class_is_always_the_answer():
    features, labels, subjects = make_clips()
    probe = fit(features, np.full_like(labels, 3), subjects)
    assert (probe.scores(features).argmax(1) == 3).all()
    assert probe.validation_top1 == 1.0
    assert probe.c == CONFIG.c_grid[0]


def test_a_constant_column_changes_nothing():
    features, labels, subjects = make_clips(separation=0.5)
    constant = np.hstack([features, np.full((len(features), 1), 0.1, dtype=np.float32)])
    expected = fit(features, labels, subjects).scores(features)
    np.testing.assert_allclose(fit(constant, labels, subjects).scores(constant), expected, atol=1e-3)


@pytest.mark.parametrize("components", [None, 2])
@pytest.mark.parametrize("width", [5, 500])
def test_collapsed_features_give_the_frequencies_of_the_classes(components, width):
    _, labels, subjects = make_clips()
    features = np.full((len(labels), width), 0.3, dtype=np.float32)
    probe = fit(features, labels, subjects, config=with_changes(components=components))
    frequencies = np.bincount(labels) / len(labels)
    np.testing.assert_allclose(np.exp(probe.scores(features[:1]))[0], frequencies, atol=2e-3)


def test_test_features_move_nothing_but_their_own_scores():
    features, labels, subjects = make_clips()
    probe = fit(features, labels, subjects, config=with_changes(components=3))
    other = np.vstack([features[:1], 1000 * features[1:]])
    np.testing.assert_allclose(probe.scores(other)[0], probe.scores(features)[0], atol=1e-5)


@pytest.mark.parametrize(("num_clips", "width"), [(60, 20), (20, 60)])
def test_principal_axes_are_those_of_a_reference(num_clips, width):
    generator = np.random.default_rng(2)
    centred = generator.normal(size=(num_clips, width)) * np.geomspace(1, 9, width)
    centred = (centred - centred.mean(0)).astype(np.float32)
    axes = principal_axes(centred, 5)
    reference = PCA(n_components=5, svd_solver="full").fit(centred).components_.T
    np.testing.assert_allclose(np.abs((axes * reference).sum(0)), 1, atol=1e-3)
    np.testing.assert_allclose(axes.T @ axes, np.eye(5), atol=1e-4)


def test_features_that_span_less_than_the_components_keep_what_they_span():
    generator = np.random.default_rng(2)
    flat = generator.normal(size=(50, 3)) @ generator.normal(size=(3, 40))
    assert principal_axes((flat - flat.mean(0)).astype(np.float32), 10).shape == (40, 3)


def test_components_beyond_the_width_keep_all_columns():
    probe = fit(*make_clips(width=12), config=with_changes(components=12))
    assert probe.preparation.axes is None


def test_c_is_the_smaller_of_equals():
    assert fit(*make_clips()).c == CONFIG.c_grid[0]


def test_c_is_the_one_with_the_best_fold_mean_and_the_probe_is_fitted_with_it():
    features, labels, subjects = make_clips(num_clips=300, separation=0.35, width=60, num_subjects=10)
    grid = (1e-6, 1e-2, 1e3)
    chosen = fit(features, labels, subjects, config=with_changes(c_grid=grid))
    alone = {c: fit(features, labels, subjects, config=with_changes(c_grid=(c,))) for c in grid}
    assert chosen.c == 1e-2
    assert chosen.validation_top1 == max(probe.validation_top1 for probe in alone.values())
    np.testing.assert_array_equal(chosen.scores(features), alone[1e-2].scores(features))


def test_validation_is_what_probes_reach_that_never_met_the_people_held_out():
    features, labels, subjects = make_clips(separation=0.5)
    # Each person has columns of huge values: measuring that person makes them mean little to the others.
    features[np.arange(len(labels)), subjects] *= 1000
    features[np.arange(len(labels)), subjects + 6] *= 1000
    config = with_changes(c_grid=(0.1,), components=8)
    reached = []
    for held_out in subject_folds(labels, subjects, 3):
        probe = fit(features[~held_out], labels[~held_out], subjects[~held_out], config=config)
        reached.append(accuracy(probe, features[held_out], labels[held_out]))
    assert fit(features, labels, subjects, config=config).validation_top1 == pytest.approx(np.mean(reached))


def test_validation_is_on_people_who_were_not_trained_on():
    # Each person's features are their own signature and nothing else: on unseen people they are worth chance.
    generator = np.random.default_rng(3)
    subjects = np.repeat(np.arange(24), 10)
    labels = np.repeat(generator.permutation(np.arange(24) % 4), 10)
    signatures = generator.normal(size=(24, 40)) * 5
    features = (signatures[subjects] + generator.normal(size=(240, 40))).astype(np.float32)
    probe = fit(features, labels, subjects)
    assert accuracy(probe, features, labels) == 1.0
    assert probe.validation_top1 < 0.55


@pytest.mark.parametrize(("num_subjects", "folds", "expected"), [(7, 3, 3), (2, 3, 2), (3, 3, 3)])
def test_folds_hold_out_whole_subjects_and_every_clip_once(num_subjects, folds, expected):
    subjects = np.random.default_rng(0).integers(0, num_subjects, 90)
    held = subject_folds(np.zeros(90, dtype=int), subjects, folds)
    assert len(held) == expected
    assert (np.sum(held, axis=0) == 1).all()
    for subject in range(num_subjects):
        assert sum(fold[subjects == subject].any() for fold in held) == 1


def test_clips_of_a_single_subject_are_dealt_class_by_class():
    labels = np.array([0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1])
    held = subject_folds(labels, np.full(12, 7), 3)
    assert [np.bincount(labels[fold]).tolist() for fold in held] == [[2, 2], [2, 2], [2, 2]]


def test_two_clips_are_enough_and_one_is_not():
    features = np.array([[1.0], [2.0]], dtype=np.float32)
    probe = fit(features, np.array([0, 1]), np.array([1, 1]), num_classes=2)
    assert probe.scores(features).argmax(1).tolist() == [0, 1]
    with pytest.raises(ValueError, match="at least 2 training clips, found 1"):
        fit(features[:1], np.array([0]), np.array([1]), num_classes=2)


def test_a_fold_without_a_class_is_defined():
    features, labels, _ = make_clips()
    probe = fit(features, labels, subjects=labels)  # each subject performs one class only
    assert probe.validation_top1 == 0.0
    assert accuracy(probe, features, labels) == 1.0


def test_too_few_iterations_are_told(recwarn):
    features, labels, subjects = make_clips(separation=0.5)
    probe = fit(features, labels, subjects, config=with_changes(max_iterations=2))
    assert not probe.converged
    assert len(recwarn) == 0


def test_the_same_data_give_the_same_scores_bit_for_bit():
    features, labels, subjects = make_clips(width=80)
    config = with_changes(components=20)
    first, second = (fit(features, labels, subjects, config=config).scores(features) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_a_probe_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        fit(*make_clips()).c = 3.0


@pytest.mark.parametrize("grid", [[], [0.1, 0.1], [1.0, 0.1], [0.0, 1.0], [-1.0, 1.0]])
def test_a_grid_must_be_positive_and_ascending(grid):
    with pytest.raises(ValidationError):
        with_changes(c_grid=tuple(grid))


@pytest.mark.parametrize(
    ("key", "value"), [("folds", 1), ("components", 0), ("max_iterations", 0), ("tolerance", 0.0)]
)
def test_numbers_out_of_range_are_refused(key, value):
    with pytest.raises(ValidationError):
        with_changes(**{key: value})
