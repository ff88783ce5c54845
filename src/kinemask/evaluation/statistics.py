"""Intervals and paired tests: clips of one person are alike, and a seed is one draw of many."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Num
from pydantic import Field

from kinemask.section import Section
from kinemask.seeding import numpy_generator

_CHUNK = 100  # resamples drawn at a time: bounds memory where every clip is a cluster of its own
_TIE = 1e-9  # sums of equal size but another order of adding are equal


class StatisticsConfig(Section):
    """How intervals and p-values are made."""

    resamples: int = Field(ge=1)
    confidence: float = Field(gt=0, lt=1)
    permutations: int = Field(ge=1)
    seed: int = Field(ge=0)


@dataclass(frozen=True)
class Estimate:
    """Mean over seeds, sample standard deviation over seeds (NaN for one seed) and interval of the mean."""

    mean: float
    std: float
    low: float
    high: float
    num_seeds: int


@dataclass(frozen=True)
class Comparison:
    """First minus second method, the interval of that difference, and the p-value of "they are the same"."""

    difference: float
    low: float
    high: float
    p: float
    num_seeds: int


def estimate(
    correct: Bool[np.ndarray, "S N"] | Float[np.ndarray, "S N"],
    *,
    subjects: Num[np.ndarray, " N"],
    classes: Int[np.ndarray, " N"] | None,
    config: StatisticsConfig,
) -> Estimate:
    """Accuracy of S seeds on the same N test clips; percentile bootstrap interval of the mean over seeds.

    `correct` are shares where a clip was answered several times, in as many forms.

    Subjects and seeds are both resampled with replacement (crossed: all seeds see the same people). A NaN or
    negative subject is unknown: that clip is its own cluster; if all clips are of one subject, clips are
    resampled, and the interval speaks of that person alone. `classes` given: the mean of the per-class
    recalls, over the classes present; None: the share of clips. All right or all wrong gives an interval of
    no width.
    Raises ValueError if there is no clip or no seed.
    """
    return _estimated(_Table.of(correct.astype(np.float64), subjects, classes), config)


def estimate_f1(
    answers: Int[np.ndarray, "S N"],
    *,
    labels: Int[np.ndarray, " N"],
    subjects: Num[np.ndarray, " N"],
    config: StatisticsConfig,
) -> Estimate:
    """Macro-F1 of the answers of S seeds, with the interval of `estimate`.

    As `metrics.macro_f1` it is the mean over the classes that occur as truth or as answer, in each resample.
    Raises ValueError if there is no clip or no seed.
    """
    return _estimated(_Table.of_f1(answers, labels, subjects), config)


def compare(
    first: Bool[np.ndarray, "S N"],
    second: Bool[np.ndarray, "S N"],
    *,
    subjects: Num[np.ndarray, " N"],
    classes: Int[np.ndarray, " N"] | None,
    config: StatisticsConfig,
) -> Comparison:
    """Two methods on the same clips and seeds; row s of both is seed s.

    The interval is that of `estimate`, for the difference. The test flips the sign of each subject's summed
    difference (mean over seeds): every one of the 2^G patterns of G subjects if there are at most
    `permutations` of them, else that many drawn at random. It is two-sided; it asks about these trained
    seeds on new people, so a spread between seeds shows in the interval only.
    Raises ValueError if there is no clip or no seed.
    """
    table = _Table.of(first.astype(np.float64) - second, subjects, classes)
    low, high = _interval(table, config)
    p = _sign_flip_p(table.shares().mean(axis=0), config)
    return Comparison(float(table.values().mean()), low, high, p, len(first))


def holm(p_values: Float[np.ndarray, " P"]) -> Float[np.ndarray, " P"]:
    """Holm's step-down adjustment: compare with the level as if each were the only test."""
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(np.maximum.accumulate(p_values[order] * factors), 1.0)
    return adjusted


@dataclass(frozen=True)
class _Table:
    """What is left of the clips: sums per seed S, cluster G and class K (K = 1 where classes are pooled).

    The metric of a seed is the mean over classes of scores over counts. R is 1 where all seeds share the
    counts, else S.
    """

    scores: Float[np.ndarray, "S G K"]
    counts: Float[np.ndarray, "R G K"]

    @classmethod
    def of(
        cls,
        values: Float[np.ndarray, "S N"],
        subjects: Num[np.ndarray, " N"],
        classes: Int[np.ndarray, " N"] | None,
    ) -> "_Table":
        _refuse_nothing(values)
        column = (
            np.zeros(values.shape[1], int) if classes is None else np.unique(classes, return_inverse=True)[1]
        )
        cells = _Cells(_clusters(subjects), int(column.max()) + 1)
        ones = np.ones(values.shape[1])
        return cls(np.stack([cells.sum(column, row) for row in values]), cells.sum(column, ones)[None])

    @classmethod
    def of_f1(
        cls,
        answers: Int[np.ndarray, "S N"],
        labels: Int[np.ndarray, " N"],
        subjects: Num[np.ndarray, " N"],
    ) -> "_Table":
        """F1 of a class = 2 hits / (clips of it + answers that name it)."""
        _refuse_nothing(answers)
        cells = _Cells(_clusters(subjects), int(max(labels.max(), answers.max())) + 1)
        ones = np.ones(len(labels))
        hits = [cells.sum(labels, 2.0 * (row == labels)) for row in answers]
        occurrences = [cells.sum(labels, ones) + cells.sum(row, ones) for row in answers]
        return cls(np.stack(hits), np.stack(occurrences))

    def values(self) -> Float[np.ndarray, " S"]:
        """The metric of each seed on the clips as they are."""
        return _mean_ratio(self.scores.sum(axis=1), self.counts.sum(axis=1))

    def shares(self) -> Float[np.ndarray, "S G"]:
        """What each cluster adds to the metric of each seed; sums to `values` over clusters."""
        per_cluster: np.ndarray = (self.scores / self.counts.sum(axis=1, keepdims=True)).mean(axis=2)
        return per_cluster


@dataclass(frozen=True)
class _Cells:
    """Adds what clips have up to a table of clusters G and classes K."""

    clusters: Int[np.ndarray, " N"]
    num_classes: int

    def sum(
        self, column: Int[np.ndarray, " N"], weights: Float[np.ndarray, " N"]
    ) -> Float[np.ndarray, "G K"]:
        shape = (int(self.clusters.max()) + 1, self.num_classes)
        cell = np.ravel_multi_index((self.clusters, column), shape)
        return np.bincount(cell, weights, minlength=shape[0] * shape[1]).reshape(shape)


def _refuse_nothing(values: Num[np.ndarray, "S N"]) -> None:
    num_seeds, num_clips = values.shape
    if num_seeds == 0 or num_clips == 0:
        raise ValueError(f"{num_clips} clips and {num_seeds} seeds to score: need at least one of each")


def _mean_ratio(
    scores: Float[np.ndarray, "A K"], counts: Float[np.ndarray, "B K"]
) -> Float[np.ndarray, " A"]:
    """Mean of scores over counts, over the classes that count; a lone row of counts is that of all scores."""
    seen = np.broadcast_to(counts > 0, scores.shape)
    ratios = np.divide(scores, counts, out=np.zeros_like(scores), where=seen)
    mean: np.ndarray = ratios.sum(axis=1) / seen.sum(axis=1)
    return mean


def _clusters(subjects: Num[np.ndarray, " N"]) -> Int[np.ndarray, " N"]:
    """Cluster of each clip: its subject, or the clip itself where the subject is unknown or the only one."""
    known = ~np.isnan(subjects) & (np.nan_to_num(subjects) >= 0)
    num_clips = len(subjects)
    if known.all() and len(np.unique(subjects)) > 1:
        return np.unique(subjects, return_inverse=True)[1]
    if not known.any() or known.all():
        return np.arange(num_clips)
    cluster = np.empty(num_clips, int)
    people, cluster[known] = np.unique(subjects[known], return_inverse=True)
    cluster[~known] = len(people) + np.arange((~known).sum())
    return cluster


def _estimated(table: _Table, config: StatisticsConfig) -> Estimate:
    per_seed = table.values()
    low, high = _interval(table, config)
    std = float(per_seed.std(ddof=1)) if len(per_seed) > 1 else float("nan")
    return Estimate(float(per_seed.mean()), std, low, high, len(per_seed))


def _interval(table: _Table, config: StatisticsConfig) -> tuple[float, float]:
    tail = (1 - config.confidence) / 2
    low, high = np.quantile(np.concatenate(list(_resampled(table, config))), [tail, 1 - tail])
    return float(low), float(high)


def _resampled(table: _Table, config: StatisticsConfig) -> Iterator[Float[np.ndarray, " B"]]:
    """The metric, mean over the drawn seeds, of each resample.

    The draws depend on the numbers of clusters and seeds only, so methods are compared on the same resamples.
    """
    num_seeds, num_clusters, _ = table.scores.shape
    people = numpy_generator(config.seed, "bootstrap", "subjects")
    runs = numpy_generator(config.seed, "bootstrap", "seeds")

    def equal(count: int) -> Float[np.ndarray, " count"]:
        return np.full(count, 1 / count)

    for start in range(0, config.resamples, _CHUNK):
        size = min(_CHUNK, config.resamples - start)
        drawn = people.multinomial(num_clusters, equal(num_clusters), size).astype(np.float64)
        seed_weights = runs.multinomial(num_seeds, equal(num_seeds), size) / num_seeds
        totals = [drawn @ counts for counts in table.counts]  # (B, K) each
        metric = np.zeros(size)
        for seed, scores in enumerate(table.scores):
            metric += seed_weights[:, seed] * _mean_ratio(drawn @ scores, totals[seed % len(totals)])
        yield metric


def _sign_flip_p(shares: Float[np.ndarray, " G"], config: StatisticsConfig) -> float:
    """Share of sign patterns whose sum is at least as far from zero as the one seen; never zero."""
    seen = abs(shares.sum())
    num_clusters = len(shares)
    if 2**num_clusters <= config.permutations:
        patterns = np.arange(2**num_clusters)[:, None] >> np.arange(num_clusters) & 1
        return float((np.abs((1 - 2 * patterns) @ shares) >= seen - _TIE).mean())
    rng = numpy_generator(config.seed, "permutation")
    as_far = 1  # the pattern seen is one of them
    for start in range(0, config.permutations, _CHUNK):
        size = min(_CHUNK, config.permutations - start)
        signs = 1 - 2 * rng.integers(0, 2, (size, num_clusters), dtype=np.int8)
        as_far += int((np.abs(signs @ shares) >= seen - _TIE).sum())
    return as_far / (config.permutations + 1)
