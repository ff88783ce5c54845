import numpy as np
import pytest
from pydantic import ValidationError

from kinemask.evaluation import knn
from kinemask.evaluation.frozen import ABSENT_SCORE
from kinemask.evaluation.knn import KnnConfig, knn_scores, knn_validation

CONFIG = KnnConfig(ks=(1, 5), temperature=0.07, standardise=False)


def with_changes(**changes) -> KnnConfig:
    return KnnConfig.model_validate({**CONFIG.model_dump(), **changes})


def make_clips(num_clips=60, width=8, num_classes=5, seed=0, separation=1.0):
    centres = np.random.default_rng(99).normal(size=(num_classes, width)) * separation
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, num_classes, num_clips)
    features = centres[labels] + generator.normal(size=(num_clips, width))
    return features.astype(np.float32), labels, generator.integers(0, 6, num_clips)


def scores_of(train, labels, test, num_classes=5, config=CONFIG):
    return knn_scores(
        train_features=train, train_labels=labels, test_features=test, num_classes=num_classes, config=config
    )


def validation_of(features, labels, subjects, num_classes=5, config=CONFIG):
    return knn_validation(
        features=features, labels=labels, subjects=subjects, num_classes=num_classes, config=config
    )


def cosine(first, second) -> float:
    lengths = np.sqrt((first**2).sum() * (second**2).sum())
    return float(first @ second / lengths) if lengths > 0 else 0.0


def reference_scores(train, labels, query, num_classes, k, temperature):
    """Wu et al. 2018, written as loops. With k = 1 the best of each class."""
    found = sorted(
        ((cosine(clip, query), label) for clip, label in zip(train, labels, strict=True)), reverse=True
    )
    scores = [float(ABSENT_SCORE)] * num_classes
    if k == 1:
        for similarity, label in reversed(found):
            scores[label] = similarity / temperature
        return scores
    votes = [0.0] * num_classes
    for similarity, label in found[:k]:
        votes[label] += np.exp((similarity - found[0][0]) / temperature)
    return [float(np.log(vote)) if vote > 0 else float(ABSENT_SCORE) for vote in votes]


@pytest.mark.parametrize("k", [1, 2, 5, 60, 1000])
def test_scores_are_those_of_a_slow_loop(k):
    train, labels, _ = make_clips()
    test, _, _ = make_clips(num_clips=25, seed=1)
    scores = scores_of(train, labels, test, num_classes=7, config=with_changes(ks=(k,)))[k]
    expected = [reference_scores(train, labels, query, 7, k, 0.07) for query in test.astype(np.float64)]
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=2e-4)


def test_votes_by_hand():
    # Cosines 1, 0.6 and 0.8 to classes 0, 1, 1: with temperature 0.5 votes of 1, e^-0.8 and e^-0.4.
    train = np.array([[2, 0], [0.6, 0.8], [4, 3]], dtype=np.float32)
    config = KnnConfig(ks=(1, 2, 3), temperature=0.5, standardise=False)
    scores = scores_of(train, np.array([0, 1, 1]), np.array([[3, 0]], dtype=np.float32), 3, config)
    np.testing.assert_allclose(scores[1], [[2.0, 1.6, ABSENT_SCORE]], rtol=1e-5)
    np.testing.assert_allclose(scores[2], [[0.0, -0.4, ABSENT_SCORE]], atol=1e-6)
    np.testing.assert_allclose(
        scores[3], [[0.0, np.log(np.exp(-0.8) + np.exp(-0.4)), ABSENT_SCORE]], atol=1e-6
    )


def test_one_neighbour_answers_with_its_own_class():
    train, labels, _ = make_clips(num_clips=200)
    test, _, _ = make_clips(num_clips=50, seed=1)
    nearest = [max(range(200), key=lambda clip: cosine(train[clip], query)) for query in test]
    assert (scores_of(train, labels, test)[1].argmax(1) == labels[nearest]).all()


def test_scores_do_not_depend_on_the_size_of_the_chunks(monkeypatch):
    train, labels, subjects = make_clips()
    whole, validation = scores_of(train, labels, train), validation_of(train, labels, subjects)
    monkeypatch.setattr(knn, "_CHUNK", 7)
    for k, scores in scores_of(train, labels, train).items():
        np.testing.assert_allclose(scores, whole[k], atol=1e-5)
    assert validation_of(train, labels, subjects) == validation


def test_the_length_of_a_feature_does_not_matter():
    train, labels, _ = make_clips()
    lengths = np.random.default_rng(4).uniform(0.1, 10, (60, 1)).astype(np.float32)
    expected = scores_of(train, labels, train)[5]
    np.testing.assert_allclose(scores_of(train * lengths, labels, train)[5], expected, atol=1e-4)


def test_features_of_only_zeros_have_cosine_zero():
    train = np.array([[0, 0], [-1, 0]], dtype=np.float32)
    test = np.array([[1, 0], [0, 0]], dtype=np.float32)
    scores = scores_of(train, np.array([0, 1]), test, 2, with_changes(ks=(1,), temperature=1.0))[1]
    assert scores.tolist() == [[0, -1], [0, 0]]


def test_standardising_takes_away_a_shared_mean():
    train, labels, subjects = make_clips(num_clips=200, separation=3)
    offset = 10_000.0
    plain = validation_of(train + offset, labels, subjects, config=with_changes(standardise=False))
    standard = validation_of(train + offset, labels, subjects, config=with_changes(standardise=True))
    assert standard[1] > 0.95 > plain[1]


def test_standardising_measures_the_training_clips_alone():
    train, labels, _ = make_clips()
    config = with_changes(standardise=True)
    one = scores_of(train, labels, train[:1], config=config)[5]
    among_others = scores_of(train, labels, np.vstack([train[:1], 50 + train]), config=config)[5]
    np.testing.assert_allclose(among_others[:1], one, atol=1e-5)


def test_validation_excludes_the_clips_of_the_same_subject():
    features, labels, subjects = make_clips()
    for k, found in validation_of(features, labels, subjects).items():
        right = 0
        for clip in range(60):
            others = subjects != subjects[clip]
            scores = reference_scores(features[others], labels[others], features[clip], 5, k, 0.07)
            right += int(np.argmax(scores) == labels[clip])
        assert found == pytest.approx(right / 60)


def test_people_who_are_recognised_by_themselves_alone_are_worth_nothing():
    subjects = np.repeat(np.arange(20), 5)
    labels = subjects % 4
    signatures = np.eye(20, dtype=np.float32)[subjects]  # nobody is like anybody else
    features = signatures + np.random.default_rng(0).normal(size=signatures.shape).astype(np.float32) * 0.01
    assert validation_of(features, labels, subjects)[1] < 0.5
    assert (scores_of(features, labels, features)[1].argmax(1) == labels).all()


def test_a_single_subject_is_validated_without_the_clip_itself():
    features = np.array([[1, 0], [1, 0.1], [0, 1], [0.1, 1]], dtype=np.float32)
    config = with_changes(ks=(1,))
    assert validation_of(features, np.array([0, 0, 1, 1]), np.full(4, 3), config=config) == {1: 1.0}
    assert validation_of(features, np.array([0, 1, 0, 1]), np.full(4, 3), config=config) == {1: 0.0}


def test_a_single_clip_has_no_neighbours_to_validate_with():
    with pytest.raises(ValueError, match="at least 2 training clips, found 1"):
        validation_of(np.ones((1, 2), dtype=np.float32), np.array([0]), np.array([0]))


def test_separable_classes_are_all_told_apart_and_shuffled_labels_leave_chance():
    train, labels, subjects = make_clips(num_clips=400, separation=20)
    test, test_labels, _ = make_clips(num_clips=400, seed=1, separation=20)
    for k, scores in scores_of(train, labels, test).items():
        assert (scores.argmax(1) == test_labels).all()
        shuffled = np.random.default_rng(7).permutation(labels)
        reached = scores_of(train, shuffled, test)[k].argmax(1) == test_labels
        assert reached.mean() == pytest.approx(0.2, abs=0.08)
        assert validation_of(train, labels, subjects)[k] == 1.0


@pytest.mark.parametrize("changes", [{"ks": ()}, {"ks": (0, 1)}, {"ks": (5, 1)}, {"temperature": 0.0}])
def test_numbers_out_of_range_are_refused(changes):
    with pytest.raises(ValidationError):
        with_changes(**changes)
