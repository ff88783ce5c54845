"""The whole of params.yaml: every section, and the rules between them."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from kinemask.datasets import DATASETS, DatasetConfig
from kinemask.datasets.fetch import DownloadConfig
from kinemask.evaluation.features import EmbedConfig
from kinemask.evaluation.knn import KnnConfig
from kinemask.evaluation.linear_probe import LinearConfig
from kinemask.evaluation.statistics import StatisticsConfig
from kinemask.hardware import HardwareConfig
from kinemask.run import RunConfig
from kinemask.section import PARAMS_FILE, Section, load_all
from kinemask.skeleton.benchmark import BenchmarkConfig
from kinemask.training.recipe import Preset

# Names become folders, words of a command and places in DVC's params.
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]


class EvaluationConfig(Section):
    """One section an evaluation."""

    embed: EmbedConfig
    linear: LinearConfig
    knn: KnnConfig
    statistics: StatisticsConfig


class Params(Section):
    """params.yaml."""

    run: RunConfig
    hardware: HardwareConfig
    download: DownloadConfig
    datasets: dict[Name, DatasetConfig] = Field(min_length=1)
    benchmarks: dict[Name, BenchmarkConfig] = Field(min_length=1)
    methods: dict[Name, Preset] = Field(min_length=1)
    evaluation: EvaluationConfig

    @model_validator(mode="after")
    def _names_exist(self) -> "Params":
        problems = [
            *_unknown("run.benchmarks", self.run.benchmarks, self.benchmarks),
            *_unknown("run.methods", self.run.methods, self.methods),
        ]
        for name, benchmark in self.benchmarks.items():
            place = f"benchmarks.{name}"
            unknown = _unknown(f"{place}.dataset", [benchmark.dataset], self.datasets)
            problems += unknown
            if not unknown:
                section = self.datasets[benchmark.dataset]
                protocols = DATASETS[section.name].protocols(section)
                problems += _unknown(f"{place}.protocol", [benchmark.protocol], protocols)
        for key, dataset in self.datasets.items():
            if key != dataset.name:
                problems.append(f"datasets.{key}.name is {dataset.name!r}, it must repeat the key {key!r}")
        if problems:
            raise ValueError("; ".join(problems))
        return self


def check(path: Path = PARAMS_FILE) -> Params:
    """The whole file, validated. Raises ParamsError that lists every problem."""
    return load_all(Params, path)


def _unknown(place: str, names: list[str] | tuple[str, ...], known: object) -> list[str]:
    listed = sorted(known)  # type: ignore[call-overload]
    return [f"{place} names {name!r}; there are {', '.join(listed)}" for name in names if name not in listed]
