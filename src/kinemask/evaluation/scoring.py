"""Where test labels come in, after all that learns is done: scores and records of an evaluation."""

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from kinemask.evaluation.frozen import FEATURES, Probed
from kinemask.evaluation.metrics import score_metrics
from kinemask.record import Clock, Metrics, Record, hash_files, make_record
from kinemask.section import Section
from kinemask.skeleton.benchmark import BENCHMARKS, TEST_LABELS
from kinemask.skeleton.truth import read_test_labels
from kinemask.storage import write_text, write_whole, writing

RESULTS = Path("results")


def keep_results(
    probed: Sequence[Probed],
    *,
    stage: str,
    benchmark: str,
    method: str,
    params: Section,
    hardware: Section,
    clock: Clock,
    encoders: Mapping[int, Path] | None = None,
    pair: str | None = None,
    summary: Callable[[Metrics], Metrics] | None = None,
) -> list[Record]:
    """Score against the test labels, which nothing has seen before; write scores and record of each seed.

    A subset of the labels is kept beside the scores, the names of its clips, and counts as an input.
    `encoders` are the weights that each seed began with; None: frozen features were probed. Encoders of
    another benchmark: `pair` names it with this one as its target, and is what the records are about.
    `summary` makes further metrics of those of a seed.
    """
    folder = BENCHMARKS / benchmark
    labels = read_test_labels(folder)
    split = [folder / file for file in ("benchmark.json", "train.parquet", "test.parquet", TEST_LABELS)]
    records = []
    for seed in dict.fromkeys(one.seed for one in probed):
        of_seed = [one for one in probed if one.seed == seed]
        name = f"{pair or benchmark}/{method}/seed-{seed}"
        _write_scores(RESULTS / stage / f"{name}.npz", of_seed)
        subsets = {
            RESULTS / stage / f"{name}.subset-{one.subset.percent}.csv": one.subset.names
            for one in of_seed
            if one.subset is not None
        }
        for path, names in subsets.items():
            write_text(path, pd.DataFrame({"name": names}).to_csv(index=False, lineterminator="\n"))
        learned_from = [encoders[seed]] if encoders else sorted((FEATURES / name).rglob("*.npy"))
        inputs = [*split, *learned_from, *subsets]
        metrics = {one.setting: {**score_metrics(one.scores, labels), **one.values} for one in of_seed}
        record = make_record(
            stage=stage,
            subject=pair or benchmark,
            method=method,
            seed=seed,
            params=params,
            metrics=metrics if summary is None else metrics | summary(metrics),
            history=[row for one in of_seed for row in one.history],
            inputs=hash_files(inputs),
            hardware=hardware,
            clock=clock,
        )
        record.write()
        records.append(record)
    return records


def _write_scores(path: Path, probed: Sequence[Probed]) -> None:
    """One array of class scores a setting, the whole file or none."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **{one.setting: one.scores for one in probed})
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, buffer.getvalue())
