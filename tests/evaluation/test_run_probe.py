from pathlib import Path

import pytest

from kinemask.evaluation.frozen import FeaturesError, ProbeTask
from kinemask.evaluation.run_probe import first_offered


def tasks_of(**offered: list[str]) -> list[ProbeTask]:
    folder = Path("results/embed/tiny-xsub")
    return [
        ProbeTask(Path("data/benchmarks/tiny-xsub"), folder / method / f"{pooling}.npy", 0)
        for method, poolings in offered.items()
        for pooling in poolings
    ]


def test_of_the_poolings_the_first_that_each_folder_offers_is_probed():
    tasks = tasks_of(mtmc=["last", "max", "mean"], raw=["flat"])
    chosen = [first_offered(tasks, order, "here") for order in (["mean", "flat"], ["flat", "max", "mean"])]
    assert [[task.features.parent.name + " " + task.pooling for task in of_order] for of_order in chosen] == [
        ["mtmc mean", "raw flat"],
        ["mtmc max", "raw flat"],
    ]


def test_features_under_none_of_the_poolings_are_named():
    with pytest.raises(
        FeaturesError,
        match=r"^evaluation.few.poolings: results/embed/tiny-xsub/mtmc offers last, max, none of mean, flat",
    ):
        first_offered(tasks_of(mtmc=["last", "max"]), ["mean", "flat"], "evaluation.few.poolings")
