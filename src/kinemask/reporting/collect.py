"""Finds what the tables are made of: records and stored scores of the selected runs, and what is missing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import numpy as np
from jaxtyping import Int

from kinemask.evaluation.ensemble import EnsembleConfig
from kinemask.evaluation.frozen import apart_from_step
from kinemask.looks import Looks, looks_path, read_looks
from kinemask.record import RECORDS, Record, read_records
from kinemask.reporting.scores import RESULTS, Outcome, ReportError, ScoredPart, read_outcomes
from kinemask.run import EVALUATIONS, Pair, RunConfig
from kinemask.skeleton.benchmark import BENCHMARKS, TEST_LABELS, read_benchmark, read_split
from kinemask.skeleton.truth import read_test_labels

_APART = tuple(one.name for one in EVALUATIONS if one.apart)
_BEFORE = ("pretrain", "embed")  # stages that every evaluation rests on


@dataclass(frozen=True)
class Cell:
    """One method on one benchmark in one setting: what the scores of its seeds say.

    Scores on the target of a pair are a cell of the target, whose setting begins with `from=<source>`.
    """

    benchmark: str
    method: str
    evaluation: str
    setting: str
    seeds: tuple[int, ...]
    outcome: Outcome  # of the S seeds
    step: int | None = None  # of the snapshot that was scored; None: the last weights
    pair: Pair | None = None  # None: the encoder was trained on the benchmark itself

    @property
    def subject(self) -> str:
        """What the record of the evaluation is about: the benchmark, or a pair of them."""
        return self.pair.name if self.pair else self.benchmark

    @property
    def trained_on(self) -> str:
        """The benchmark on whose clips the encoder was trained."""
        return self.pair.source if self.pair else self.benchmark

    @property
    def ranks(self) -> Int[np.ndarray, "S N"]:
        """How many classes come before the true one."""
        return self.outcome.ranks


@dataclass(frozen=True)
class Collected:
    """All that is on disk of the runs. `records` leave out the record of the tables themselves.

    `cells` are the results, each of the last weights; `snapshots` those of earlier ones, in order of steps;
    `apart` those of evaluations that have a table of their own.
    """

    run: RunConfig
    tests: Mapping[str, ScoredPart]
    cells: tuple[Cell, ...]
    snapshots: tuple[Cell, ...]
    apart: tuple[Cell, ...]
    records: tuple[Record, ...]
    missing: tuple[str, ...]
    files: tuple[Path, ...]  # what the numbers rest on, below the root
    looks: Mapping[tuple[str, str], Looks]  # of (benchmark, method), where there are any
    ensembles: Mapping[str, EnsembleConfig] = field(default_factory=dict)  # whose members all run

    @property
    def methods(self) -> tuple[str, ...]:
        """All that has cells or should: the methods of the run, then the ensembles."""
        return (*self.run.methods, *self.ensembles)

    def members_of(self, method: str) -> tuple[str, ...]:
        """The methods whose records a result rests on: those of an ensemble, else the method itself."""
        return self.ensembles[method].methods if method in self.ensembles else (method,)

    def of_run(self, stage: str, benchmark: str, method: str) -> tuple[Record, ...]:
        """Records of one stage of one method on one benchmark, a seed each."""
        wanted = (stage, benchmark, method)
        return tuple(one for one in self.records if (one.stage, one.subject, one.method) == wanted)


def collect(root: Path, run: RunConfig) -> Collected:
    """Read everything that `run` of params.yaml names below `root`.

    What is absent is listed in `missing`, with the place where it should be. Raises ReportError if a file is
    damaged, if scores and their record contradict one another, and if there is nothing at all to tabulate.
    """
    shelf = _Shelf(root, run)
    cells: list[Cell] = []
    for benchmark, method in product(shelf.tests, run.methods):
        if benchmark in run.benchmarks:
            shelf.expect_records(benchmark, method)
        for evaluation in (one.name for one in EVALUATIONS if method in run.methods_of(one.name)):
            pairs = [pair for pair in run.pairs_of(evaluation) if pair.target == benchmark]
            if benchmark in run.subjects_of(evaluation):
                cells += shelf.cells(benchmark, method, evaluation)
            for pair in pairs:
                cells += shelf.cells(benchmark, method, evaluation, pair)
    missing = shelf.missing()
    if not cells:
        raise ReportError(f"nothing to tabulate, missing are {'; '.join(missing)}: run `dvc repro`")
    records = shelf.selected_records()
    return Collected(
        run=run,
        tests=shelf.tests,
        cells=tuple(cell for cell in cells if cell.step is None and cell.evaluation not in _APART),
        apart=tuple(cell for cell in cells if cell.evaluation in _APART),
        snapshots=tuple(sorted((cell for cell in cells if cell.step is not None), key=_step)),
        records=records,
        looks=shelf.looks(),
        missing=missing,
        files=tuple(sorted(shelf.files)),
    )


class _Shelf:
    """The records and benchmarks on disk, with a note of every gap met and every file read."""

    def __init__(self, root: Path, run: RunConfig) -> None:
        self.root = root
        self.run = run
        self.records = {record.path: record for record in read_records(root)}
        self.tests: dict[str, ScoredPart] = {}
        self.files: set[Path] = set()
        self.gaps: dict[str, list[int]] = {}  # what is missing and where -> its seeds
        for name in run.scored():
            folder = BENCHMARKS / name
            if (root / folder).is_dir():
                self.tests[name] = _scored_part(root / folder)
                self.files |= {folder / file for file in ("benchmark.json", "test.parquet", TEST_LABELS)}
            else:
                self.gaps[f"{name}: no {folder}"] = []

    def expect_records(self, benchmark: str, method: str) -> None:
        """Note the records of the stages before the evaluations that are not there."""
        for stage, seed in product(_BEFORE, self.run.seeds_of(method)):
            path = Path(RECORDS, stage, benchmark, method, f"seed-{seed}.json")
            if path not in self.records:
                self._note(f"{benchmark} {method} {stage}: no record in {path.parent}", seed)

    def cells(self, benchmark: str, method: str, evaluation: str, pair: Pair | None = None) -> list[Cell]:
        """One cell for each setting and step, of the seeds that are there."""
        subject = pair.name if pair else benchmark
        folder = Path(evaluation, subject, method)
        where = f"{subject} {method} {evaluation}"
        found: dict[int, dict[str, Outcome]] = {}
        for seed in self.run.seeds_of(method):
            record = self.records.get(RECORDS / folder / f"seed-{seed}.json")
            scores = RESULTS / folder / f"seed-{seed}.npz"
            if record is None:
                self._note(f"{where}: no record in {RECORDS / folder}", seed)
            elif not (self.root / scores).is_file():
                self._note(f"{where}: no scores in {RESULTS / folder}", seed)
            else:
                found[seed] = read_outcomes(self.root, scores, self.tests[benchmark], record)
                self.files.add(scores)
        cells = []
        for setting in sorted({setting for of_seed in found.values() for setting in of_seed}):
            seeds = tuple(seed for seed in found if setting in found[seed])
            for seed in found.keys() - set(seeds):
                self._note(f"{where} {setting}: not among the scores in {RESULTS / folder}", seed)
            apart, step = apart_from_step(setting)
            outcome = Outcome.of_seeds([found[seed][setting] for seed in seeds])
            cells.append(Cell(benchmark, method, evaluation, apart, seeds, outcome, step, pair))
        return cells

    def selected_records(self) -> tuple[Record, ...]:
        """Records of the selected runs and of the data they stand on."""
        datasets = {test.info.dataset for test in self.tests.values()}
        kept = []
        for path, record in self.records.items():
            of_data = record.method is None and record.subject in datasets | self.tests.keys()
            subjects, methods = self.run.subjects_of(record.stage), self.run.methods_of(record.stage)
            of_run = record.subject in subjects and record.method in methods
            seeds = self.run.seeds_of(record.method or "")
            if of_data or (of_run and record.seed in (None, *seeds)):
                kept.append(record)
                self.files.add(path)
        return tuple(kept)

    def looks(self) -> dict[tuple[str, str], Looks]:
        """What the methods of the selected runs did with some clips."""
        found = {}
        for benchmark, method in product(self.tests, self.run.methods):
            path = looks_path(benchmark, method)
            if (self.root / path).is_file():
                found[benchmark, method] = read_looks(self.root / path)
                self.files.add(path)
        return found

    def missing(self) -> tuple[str, ...]:
        """One text a gap."""
        return tuple(
            f"{text} (seed {', '.join(map(str, sorted(seeds)))})" if seeds else text
            for text, seeds in self.gaps.items()
        )

    def _note(self, text: str, seed: int) -> None:
        self.gaps.setdefault(text, []).append(seed)


def _step(cell: Cell) -> int:
    assert cell.step is not None, "a snapshot has a step"
    return cell.step


def _scored_part(folder: Path) -> ScoredPart:
    table = read_split(folder, "test", with_labels=False)
    subjects, leaked = (table[name].to_numpy() for name in ("subject", "leaked"))
    return ScoredPart(read_benchmark(folder), read_test_labels(folder), subjects, leaked)
