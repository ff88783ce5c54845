"""What the params stage writes of params.yaml: a file for each section that a stage depends on and reads."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kinemask.code import code_of
from kinemask.params import Params
from kinemask.presets import SIZES
from kinemask.record import RECORDS
from kinemask.run import EVALUATIONS
from kinemask.section import PLAN, plan_file
from kinemask.storage import whole_folder, write_text

# What `run` names for evaluations that are not for everything, a line each: the tables depend on the folders
# of their records, which so are there even if nothing is named.
NAMED = {
    one: RECORDS / one.name / ("pairs.txt" if one.pairs else "methods.txt")
    for one in EVALUATIONS
    if one.listed or one.pairs
}


def write_plan(params: Params, root: Path = Path(), scripts: Iterable[Path] = ()) -> None:
    """What stages depend on and read, a file each, see `plan_file`; and the files of NAMED.

    For each method of the run that is its recipes in full and its seeds, for each of the scripts the hashes
    of the code it runs. The same bytes for the same values: who depends on them is made stale by a change of
    theirs alone.
    """
    run = params.run
    for stage, path in NAMED.items():
        names = run.subjects_of(stage.name) if stage.pairs else run.methods_of(stage.name)
        # With a first line, as DVC warns of files in which there is nothing.
        write_text(root / path, "".join(f"{line}\n" for line in (f"run.{stage.name} names:", *names)))
    values = {
        "run": run.model_dump(mode="json"),
        "ensembles": {name: one.model_dump(mode="json") for name, one in params.ensembles.items()},
        **{
            f"{kind}.{name}": section.model_dump(mode="json")
            for kind in ("datasets", "benchmarks", "evaluation")
            for name, section in dict(getattr(params, kind)).items()
        },
    }
    files = {plan_file(place): value for place, value in values.items()}
    for method in run.methods:
        files[plan_file("plan", method)] = {
            "seeds": run.seeds_of(method),
            "method": params.methods[method].model_dump(mode="json"),
            "simulated": _simulated(params, method),
        }
    files |= {plan_file(f"code.{script.stem}"): code_of(script) for script in scripts}
    with whole_folder(root / PLAN) as folder:
        for path, value in files.items():
            text = json.dumps(value, indent=1, sort_keys=True) + "\n"
            write_text(folder / path.relative_to(PLAN), text)


def _simulated(params: Params, method: str) -> dict[str, Any]:
    """For each size, the section of the simulated dataset that is trained on, or None."""
    preset = params.methods[method]
    found: dict[str, Any] = {}
    for size in SIZES:
        asked = preset.recipe(size).simulated
        found[size] = None
        if asked is not None:
            section = params.datasets[asked.dataset].model_dump(mode="json")
            found[size] = section | {"seed": asked.seed, "subjects": asked.subjects}
    return found
