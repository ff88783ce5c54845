"""The whole of params.yaml: every section, and the rules between them."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from kinemask.datasets import DATASETS, DatasetConfig
from kinemask.datasets.archives.mirrors import DownloadConfig
from kinemask.datasets.reader import DatasetError
from kinemask.evaluation.features import EmbedConfig
from kinemask.evaluation.knn import KnnConfig
from kinemask.evaluation.linear_probe import LinearConfig
from kinemask.evaluation.statistics import StatisticsConfig
from kinemask.hardware import HardwareConfig
from kinemask.run import RunConfig
from kinemask.section import PARAMS_FILE, Section, load_all
from kinemask.skeleton.benchmark import BenchmarkConfig
from kinemask.skeleton.layout import LAYOUTS, Layout
from kinemask.training.recipe import Preset

OWN = "raw_folder"  # users' own recordings, under keys of their choice

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
            if dataset.name == OWN and key in DATASETS and key != OWN:
                problems.append(
                    f"datasets.{key} is the name of a known dataset: call your recordings otherwise"
                )
            elif key != dataset.name != OWN:
                problems.append(f"datasets.{key}.name is {dataset.name!r}, it must repeat the key {key!r}")
        problems += self._misfits() if not problems else self._typos()
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _misfits(self) -> list[str]:
        """What of the chosen methods cannot run on the bodies of the chosen benchmarks."""
        problems = self._typos()
        for name in self.run.benchmarks:
            benchmark = self.benchmarks[name]
            try:
                layout = _layout(self.datasets[benchmark.dataset])
            except DatasetError as error:
                problems.append(f"datasets.{benchmark.dataset}.{error}")
                continue
            for method in self.run.methods:
                problem = self.methods[method].recipe(benchmark.size).misfit_body(layout)
                if problem:
                    problems.append(f"{name} with methods.{method}.{benchmark.size}: {problem}")
        return problems

    def _typos(self) -> list[str]:
        """Joints that methods name and no body has."""
        known = set[str]()
        for layout in LAYOUTS.values():
            known |= {*layout.joints}
        for dataset in self.datasets.values():
            try:
                known |= {*_layout(dataset).joints}
            except DatasetError:
                return []  # it may have any joint
        return [
            f"methods.{name}.{size}.inputs.origin_joint is {joint!r}: no body has it; there are "
            f"{', '.join(sorted(known))}"
            for name, preset in self.methods.items()
            for size, joint in (
                ("small", preset.small.inputs.origin_joint),
                ("paper", preset.paper.inputs.origin_joint),
            )
            if joint not in known
        ]


def check(path: Path = PARAMS_FILE) -> Params:
    """The whole file, validated. Raises ParamsError that lists every problem."""
    return load_all(Params, path)


def _layout(section: DatasetConfig) -> Layout:
    return DATASETS[section.name].layout(section)


def _unknown(place: str, names: list[str] | tuple[str, ...], known: object) -> list[str]:
    listed = sorted(known)  # type: ignore[call-overload]
    return [f"{place} names {name!r}; there are {', '.join(listed)}" for name in names if name not in listed]
