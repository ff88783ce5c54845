"""Why a result that a table has a place for is not there."""

from collections.abc import Iterable

from kinemask.reporting.collect import Collected
from kinemask.run import EVALUATIONS, RunConfig

NOT_RUN, NO_DATA, UNFINISHED = "not run", "no data", "unfinished"
WHY = {
    NOT_RUN: "`run` of params.yaml does not name the method for this evaluation",
    NO_DATA: (
        "the benchmark is not there, since archives of a licence-gated data set are absent or its stages "
        "have not run; `kinemask data check <dataset>` says which"
    ),
    UNFINISHED: "the stage failed or has not run yet; `dvc repro` runs it and says what is wrong",
}

Place = tuple[str, str, str]  # benchmark, evaluation, method


def absences(collected: Collected) -> dict[Place, str]:
    """The word of WHY for each method that has no result in an evaluation that others of the run are for."""
    run, found = collected.run, {}
    there = {(cell.benchmark, cell.evaluation, cell.method) for cell in collected.cells}
    for benchmark, evaluation in _asked_for(run):
        for method in collected.methods:
            members = collected.members_of(method)
            if (benchmark, evaluation, method) in there:
                continue
            if not {*members} <= {*run.methods_of(evaluation)}:
                found[benchmark, evaluation, method] = NOT_RUN
            elif benchmark not in collected.tests:
                found[benchmark, evaluation, method] = NO_DATA
            elif any((benchmark, evaluation, member) not in there for member in members):
                found[benchmark, evaluation, method] = UNFINISHED
    return found


def footnotes(words: Iterable[str]) -> list[str]:
    """A sentence for each word that is used."""
    used = set(words)
    return [f"{word}: {why}." for word, why in WHY.items() if word in used]


def _asked_for(run: RunConfig) -> list[tuple[str, str]]:
    """Benchmark and evaluation of every result table of the run, in the order of the reports."""
    return [
        (benchmark, one.name)
        for benchmark in run.scored()
        for one in EVALUATIONS
        if not one.apart
        and run.methods_of(one.name)
        and (
            any(pair.target == benchmark for pair in run.pairs_of(one.name))
            if one.pairs
            else benchmark in run.benchmarks
        )
    ]
