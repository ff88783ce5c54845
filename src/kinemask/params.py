"""The whole of params.yaml: every section, and the rules between them."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from kinemask.datasets import DATASETS, DatasetConfig
from kinemask.datasets.archives.mirrors import DownloadConfig
from kinemask.datasets.raw_kinesim import SimulatedSection
from kinemask.datasets.reader import DatasetError
from kinemask.errors import first_of
from kinemask.evaluation.ensemble import EnsembleConfig
from kinemask.evaluation.features import EmbedConfig
from kinemask.evaluation.few import FewConfig, LabelsConfig
from kinemask.evaluation.finetune_config import FinetuneConfig, SemiConfig
from kinemask.evaluation.knn import KnnConfig
from kinemask.evaluation.linear_probe import LinearConfig
from kinemask.evaluation.occlusion import OcclusionConfig
from kinemask.evaluation.statistics import StatisticsConfig
from kinemask.evaluation.transfer import TransferConfig
from kinemask.hardware import HardwareConfig
from kinemask.presets import SIZES, derived, resolve, trace
from kinemask.run import BETWEEN, EVALUATIONS, RunConfig
from kinemask.section import (
    PARAMS_FILE,
    Problem,
    Section,
    describe,
    problem_lines,
    read_yaml,
    validate,
)
from kinemask.skeleton.benchmark import BenchmarkConfig
from kinemask.skeleton.layout import LAYOUTS, Layout
from kinemask.training.recipe import Preset, RecipeError

OWN = "raw_folder"  # users' own recordings, under keys of their choice

# Names become folders, words of a command and places in DVC's params.
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]

Tell = Callable[[str], object]


def _keep_quiet(line: str) -> None:
    """For who reads the file only to use it: `kinemask check` and the params stage tell."""


class EvaluationConfig(Section):
    """One section an evaluation."""

    embed: EmbedConfig
    linear: LinearConfig
    knn: KnnConfig
    labels: LabelsConfig
    few: FewConfig
    finetune: FinetuneConfig
    semi: SemiConfig
    transfer: TransferConfig
    occlusion: OcclusionConfig
    statistics: StatisticsConfig


class Params(Section):
    """params.yaml."""

    run: RunConfig
    grids: dict[Name, RunConfig]  # other values of `run`, see `kinemask grid`
    hardware: HardwareConfig
    download: DownloadConfig
    datasets: dict[Name, DatasetConfig] = Field(min_length=1)
    benchmarks: dict[Name, BenchmarkConfig] = Field(min_length=1)
    methods: dict[Name, Preset] = Field(min_length=1)
    ensembles: dict[Name, EnsembleConfig]  # of `methods`; in the tables where all of them run
    evaluation: EvaluationConfig

    @model_validator(mode="after")
    def _names_exist(self, info: Any) -> "Params":
        methods = {*self.methods, *(info.context or {}).get("unfit", ())}
        runs = {"run": self.run, **{f"grids.{name}": grid for name, grid in self.grids.items()}}
        problems = [
            problem
            for place, run in runs.items()
            for problem in (
                *_unknown(f"{place}.benchmarks", run.benchmarks, self.benchmarks),
                *_unknown(f"{place}.methods", run.methods, methods),
                *self._unpaired(place, run),
            )
        ]
        for name, ensemble in self.ensembles.items():
            problems += _unknown(f"ensembles.{name}.methods", ensemble.methods, methods)
            if name in methods:
                problems.append(f"ensembles.{name} is the name of a method: call it otherwise")
        for name, benchmark in self.benchmarks.items():
            place = f"benchmarks.{name}"
            if BETWEEN in name:
                problems.append(f"{place}: {BETWEEN!r} stands in the names of pairs alone: call it otherwise")
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
        problems += self._unsimulated() if not problems else []
        problems += self._untunable() if not problems else []
        problems += [*self._misfits(), *self._unlike()] if not problems else self._typos()
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _unsimulated(self) -> list[str]:
        """What chosen methods want simulated that nobody can simulate."""
        possible = {key for key, one in self.datasets.items() if isinstance(one, SimulatedSection)}
        asked = {
            f"methods.{name}.{size}.training.simulated.dataset": recipe.simulated.dataset
            for name in self.run.methods
            for size in SIZES
            if (recipe := self.methods[name].recipe(size)).simulated is not None
        }
        return [problem for place, name in asked.items() for problem in _unknown(place, [name], possible)]

    def _untunable(self) -> list[str]:
        """What chosen methods have that cannot be fine-tuned, and recipes that fit no encoder of theirs."""
        problems: dict[str, None] = {}
        for stage in (one.name for one in EVALUATIONS if one.tunes):
            for name in self.run.methods_of(stage):
                for size in dict.fromkeys(self.benchmarks[one].size for one in self.run.benchmarks):
                    try:
                        self.evaluation.finetune.recipe(self.methods[name].recipe(size).encoder, size)
                    except RecipeError as error:
                        problems[f"run.{stage} names {name!r}: {error}"] = None
        return list(problems)

    def _unpaired(self, place: str, run: RunConfig) -> list[str]:
        """Targets that do not exist, or for which the source has no recipe."""
        problems = []
        for stage in (one.name for one in EVALUATIONS if one.pairs):
            for pair in run.pairs_of(stage):
                unknown = _unknown(f"{place}.{stage}", [pair.target], self.benchmarks)
                problems += unknown
                if unknown or pair.source not in self.benchmarks:
                    continue  # that is said of run.benchmarks
                sizes = [self.benchmarks[one].size for one in (pair.source, pair.target)]
                if sizes[0] != sizes[1]:
                    problems.append(
                        f"{place}.{stage}: {pair.source} is {sizes[0]} and {pair.target} is {sizes[1]}, "
                        "and an encoder is of one size: take another target"
                    )
        return problems

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
            if self.run.occlusion and (problem := self.evaluation.occlusion.misfit_body(layout)):
                problems.append(f"{name}: {problem}")
            for method in self.run.methods:
                problem = self.methods[method].recipe(benchmark.size).misfit_body(layout)
                if problem:
                    problems.append(f"{name} with methods.{method}.{benchmark.size}: {problem}")
        return problems

    def _unlike(self) -> list[str]:
        """Pairs of benchmarks between which encoders of chosen methods cannot go, for their bodies."""
        problems = []
        for stage in (one.name for one in EVALUATIONS if one.pairs):
            for pair in self.run.pairs_of(stage):
                place = f"run.{stage}: {pair.source} to {pair.target}"
                ends = [self.benchmarks[name] for name in (pair.source, pair.target)]
                of, to = (self.datasets[end.dataset] for end in ends)
                try:
                    bodies = [_layout(section) for section in (of, to)]
                except DatasetError:
                    continue  # that is said where it is used, or by the stage
                if bodies[0] != bodies[1]:
                    problems.append(
                        f"{place}: bodies of {bodies[0].name} and of {bodies[1].name}, and an encoder "
                        "fits one body: take another target"
                    )
                built, given = (DATASETS[section.name].persons(section) for section in (of, to))
                for method in self.run.methods:
                    most = self.methods[method].recipe(ends[0].size).encoder.most_persons(built)
                    if most is not None and given > most:
                        problems.append(
                            f"{place}: the encoder of {method} is built for {built} person(s) and takes no "
                            f"more, and clips of {pair.target} have up to {given}: take another target"
                        )
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
        where: dict[str, list[str]] = {}
        for name, preset in self.methods.items():
            for size, recipe in (("small", preset.small), ("paper", preset.paper)):
                if recipe.inputs.origin_joint not in known:
                    where.setdefault(recipe.inputs.origin_joint, []).append(f"methods.{name}.{size}")
        listed = ", ".join(sorted(known))
        return [
            f"{places[0]}.inputs.origin_joint is {joint!r}: no body has it; there are {listed}"
            + (f"; so it is in {first_of(places[1:], 3)}" if places[1:] else "")
            for joint, places in where.items()
        ]


def check(path: Path = PARAMS_FILE, tell: Tell = _keep_quiet) -> Params:
    """The whole file, validated; `tell` gets a line for what is wrong with presets that do not run.

    Raises ParamsError that lists every problem.
    """
    return check_values(read_yaml(path), path, tell)


def check_values(values: dict[str, Any], path: Path, tell: Tell = _keep_quiet) -> Params:
    """The values of the whole file, validated, see `check`."""
    written = values.get("methods")
    if written is None:
        return validate(Params, values, path)
    methods = resolve(written, path)
    unfit = _unfit(methods, derived(written), values.get("run"))
    if unfit:
        methods = {name: preset for name, preset in methods.items() if name not in unfit}
    params = validate(Params, {**values, "methods": methods}, path, partial(trace, written), unfit=unfit)
    problems = trace(written, [problem for found in unfit.values() for problem in found])
    for line in problem_lines(problems):
        tell(f"does not run: {line}")
    places = {keys[1] for keys, _ in problems}
    if heirs := [name for name in unfit if name not in places]:
        tell(f"does not run, as it inherits this: {', '.join(heirs)}")
    return params


def _unfit(methods: dict[str, Any], inheriting: list[str], run: Any) -> dict[str, list[Problem]]:
    """Presets that break a rule between their keys, and that do not run, with what is wrong with them.

    `-S methods.mtmc.small.inputs.num_frames=40` changes all that inherit from mtmc: one that cannot have that
    number of frames must not stop those that run. Wrong keys and values are not forgiven.
    """
    chosen = run.get("methods") if isinstance(run, dict) else None
    running = chosen if isinstance(chosen, list) else []
    found = {}
    for name in inheriting:
        if name in running:
            continue
        preset = methods[name]
        try:
            Preset.model_validate_json(json.dumps(preset, default=str))
        except ValidationError as error:
            errors = error.errors(include_url=False)
            if all(one["type"] == "value_error" for one in errors):
                problems = [describe(one, preset) for one in errors]
                found[name] = [(("methods", name, *keys), text) for keys, text in problems]
    return found


def _layout(section: DatasetConfig) -> Layout:
    return DATASETS[section.name].layout(section)


def _unknown(place: str, names: list[str] | tuple[str, ...], known: object) -> list[str]:
    listed = sorted(known)  # type: ignore[call-overload]
    return [f"{place} names {name!r}; there are {', '.join(listed)}" for name in names if name not in listed]
