import numpy as np

from kinemask.evaluation.standardise import measure_standardiser


def test_training_features_get_zero_mean_and_unit_variance():
    features = np.random.default_rng(0).normal(3, [1e-3, 1, 1e3], (500, 3)).astype(np.float32)
    standard = measure_standardiser(features)(features)
    assert standard.dtype == np.float32
    np.testing.assert_allclose(standard.mean(0), 0, atol=1e-3)
    np.testing.assert_allclose(standard.std(0), 1, atol=1e-3)


def test_other_features_are_measured_with_the_same_rule():
    standardise = measure_standardiser(np.array([[1.0], [3.0]], dtype=np.float32))  # mean 2, deviation 1
    assert standardise(np.array([[2.0], [7.0]], dtype=np.float32)).tolist() == [[0.0], [5.0]]


def test_a_constant_column_becomes_zero_whatever_its_size():
    features = np.tile(np.array([0.0, 0.1, -3e5], dtype=np.float32), (7, 1))
    assert (measure_standardiser(features)(features) == 0).all()


def test_a_column_that_varies_by_rounding_alone_is_constant():
    features = np.tile(np.array([0.1, -3e5], dtype=np.float32), (8, 1))
    features[::2] = np.nextafter(features[::2], np.float32(1))
    np.testing.assert_allclose(measure_standardiser(features)(features), 0, atol=0.1)
