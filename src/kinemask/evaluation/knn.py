"""Nearest neighbours on frozen features by cosine: nothing is fitted, so only the features can be good."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from jaxtyping import Float32, Int
from pydantic import Field

from kinemask.evaluation.frozen import ABSENT_SCORE, Probed, ProbeTask, read_probe_data
from kinemask.evaluation.standardise import measure_standardiser
from kinemask.section import ASCENDING, Section

MIN_CLIPS = 2  # in validation each has another one for a neighbour
_CHUNK = 2048  # clips compared at a time: bounds memory at NTU's 40,000 training clips


class KnnConfig(Section):
    """Neighbours beyond the first vote with weight exp(cosine / temperature) (Wu et al. 2018)."""

    ks: Annotated[tuple[Annotated[int, Field(ge=1)], ...], ASCENDING] = Field(min_length=1)
    temperature: float = Field(gt=0)
    standardise: bool  # by the training clips; without it a shared mean makes all cosines alike


@dataclass(frozen=True)
class Gallery:
    """The labelled clips among which neighbours are sought, sorted by class, each of length 1 or zero."""

    units: Float32[np.ndarray, "G D"]
    labels: Int[np.ndarray, " G"]
    subjects: Int[np.ndarray, " G"]
    num_classes: int


def knn_scores(
    *,
    train_features: Float32[np.ndarray, "G D"],
    train_labels: Int[np.ndarray, " G"],
    test_features: Float32[np.ndarray, "N D"],
    num_classes: int,
    config: KnnConfig,
) -> dict[int, Float32[np.ndarray, "N {num_classes}"]]:
    """For each k the class scores of the test clips, of which the largest names the class.

    k = 1: the largest cosine of each class over the temperature. k > 1: the logarithm of each class's votes
    among the k nearest (all, if there are fewer). ABSENT_SCORE for a class without a neighbour. A clip whose
    features are all zero has cosine 0 to everything.
    """
    train_features, test_features = _standardised(train_features, test_features, config.standardise)
    gallery = _gallery(train_features, train_labels, np.zeros_like(train_labels), num_classes)
    return _scores(gallery, _units(test_features), None, config)


def knn_validation(
    *,
    features: Float32[np.ndarray, "G D"],
    labels: Int[np.ndarray, " G"],
    subjects: Int[np.ndarray, " G"],
    num_classes: int,
    config: KnnConfig,
) -> dict[int, float]:
    """For each k the accuracy on the training clips, each among the clips of the other subjects.

    With a single subject each clip is sought among all other clips. Raises ValueError for a single clip.
    """
    if len(labels) < 2:
        raise ValueError(f"neighbours need at least 2 training clips, found {len(labels)}")
    one_subject = len(np.unique(subjects)) == 1
    excluded = np.arange(len(labels)) if one_subject else subjects
    features, _ = _standardised(features, features[:0], config.standardise)
    gallery = _gallery(features, labels, excluded, num_classes)
    scores = _scores(gallery, _units(features), excluded, config)
    return {k: float((scores[k].argmax(axis=1) == labels).mean()) for k in config.ks}


def _standardised(
    train: Float32[np.ndarray, "G D"], test: Float32[np.ndarray, "N D"], standardise: bool
) -> tuple[Float32[np.ndarray, "G D"], Float32[np.ndarray, "N D"]]:
    if not standardise:
        return train, test
    standardiser = measure_standardiser(train)
    return standardiser(train), standardiser(test)


def _units(features: Float32[np.ndarray, "N D"]) -> Float32[np.ndarray, "N D"]:
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.where(lengths > 0, lengths, 1)


def _gallery(
    features: Float32[np.ndarray, "G D"],
    labels: Int[np.ndarray, " G"],
    subjects: Int[np.ndarray, " G"],
    num_classes: int,
) -> Gallery:
    order = np.argsort(labels, kind="stable")
    return Gallery(_units(features)[order], labels[order], subjects[order], num_classes)


def _scores(
    gallery: Gallery,
    queries: Float32[np.ndarray, "N D"],
    query_subjects: Int[np.ndarray, " N"] | None,
    config: KnnConfig,
) -> dict[int, Float32[np.ndarray, "N K"]]:
    parts: dict[int, list[Float32[np.ndarray, "n K"]]] = {k: [] for k in config.ks}
    for cosines in _cosines(gallery, queries, query_subjects):
        for k in config.ks:
            nearest = (
                _nearest_of_each_class(gallery, cosines, config.temperature)
                if k == 1
                else _votes(gallery, cosines, k, config.temperature)
            )
            parts[k].append(nearest)
    return {k: np.concatenate(chunks) for k, chunks in parts.items()}


def _cosines(
    gallery: Gallery, queries: Float32[np.ndarray, "N D"], query_subjects: Int[np.ndarray, " N"] | None
) -> Iterator[Float32[np.ndarray, "n G"]]:
    """Cosines of some queries at a time; -inf where query and gallery clip share the subject."""
    for start in range(0, len(queries), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        cosines = queries[chunk] @ gallery.units.T
        if query_subjects is not None:
            cosines[query_subjects[chunk, None] == gallery.subjects] = -np.inf
        yield cosines


def _nearest_of_each_class(
    gallery: Gallery, cosines: Float32[np.ndarray, "n G"], temperature: float
) -> Float32[np.ndarray, "n K"]:
    classes, starts = np.unique(gallery.labels, return_index=True)
    scores = np.full((len(cosines), gallery.num_classes), ABSENT_SCORE, dtype=np.float32)
    nearest = np.maximum.reduceat(cosines, starts, axis=1) / np.float32(temperature)
    scores[:, classes] = np.maximum(nearest, ABSENT_SCORE)
    return scores


def _votes(
    gallery: Gallery, cosines: Float32[np.ndarray, "n G"], k: int, temperature: float
) -> Float32[np.ndarray, "n K"]:
    k = min(k, cosines.shape[1])
    neighbours = np.argpartition(cosines, -k, axis=1)[:, -k:]  # (n, k)
    nearest = np.take_along_axis(cosines, neighbours, axis=1).astype(np.float64)
    closest = nearest.max(axis=1, keepdims=True)
    weights = np.exp((nearest - closest) / temperature)
    votes = np.zeros((len(cosines), gallery.num_classes))
    np.add.at(votes, (np.arange(len(cosines))[:, None], gallery.labels[neighbours]), weights)
    with np.errstate(divide="ignore"):
        scores = np.log(votes)
    return np.maximum(scores, ABSENT_SCORE).astype(np.float32)


def probe_knn(task: ProbeTask, config: KnnConfig) -> list[Probed]:
    """One setting a k, each with its validation_top1."""
    data = read_probe_data(task, min_train=MIN_CLIPS)
    scores = knn_scores(
        train_features=data.train_features,
        train_labels=data.train_labels,
        test_features=data.test_features,
        num_classes=data.num_classes,
        config=config,
    )
    validation = knn_validation(
        features=data.train_features,
        labels=data.train_labels,
        subjects=data.train_subjects,
        num_classes=data.num_classes,
        config=config,
    )
    return [
        Probed(task.seed, task.setting(f"k={k}"), scores[k], {"validation_top1": validation[k]})
        for k in config.ks
    ]
