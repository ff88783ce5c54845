"""A copy of the project with a tiny params.yaml, in which the whole graph runs in well under a minute."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from kinemask.run import EVALUATIONS
from kinemask.section import plan_file, read_yaml
from kinemask.storage import write_text

ROOT = Path(__file__).parents[1]
_COPIED = ("src", "stages", "dvc.yaml", "params.yaml", ".dvc/config", ".dvcignore", ".gitignore")

# `run` without the evaluations that are only for what it names.
NOTHING_NAMED: dict[str, tuple[()]] = {one.name: () for one in EVALUATIONS if one.listed or one.pairs}

Edit = Callable[[dict[str, Any]], None]


def make_tiny(params: dict[str, Any]) -> None:
    """Few simulated people, few steps; the schema and the graph stay those of the project."""
    params["run"] = {
        "benchmarks": ["kinesim-xsub"], "methods": ["mtmc", "random"], **NOTHING_NAMED, "seeds": [0, 1]
    }  # fmt: skip
    params["datasets"]["kinesim"] |= {"actions": 4, "subjects": 4, "replications": 1}
    params["datasets"]["kinesim2"] |= {"actions": ["point", "bow", "high_five"], "subjects": 4}
    params["datasets"]["irds"]["one_clip_in"] = 12
    params["datasets"]["wmft"]["one_clip_in"] = 12
    small = params["methods"]["mtmc"]["small"]
    small["training"] |= {"batch_size": 16, "log_every_steps": 5, "checkpoint_every_steps": 5}
    small["training"]["budget"] = {"steps": 30}
    small["method"]["queue_length"] = 32
    small["encoder"] |= {"hidden": 12, "depth": 1}  # those of `random` and of all that inherit from mtmc too
    finetune = params["evaluation"]["finetune"]["gru"]["small"]
    finetune |= {"batch_size": 16, "budget": {"steps": 30}, "log_every_steps": 5, "checkpoint_every_steps": 5}
    params["evaluation"]["semi"] |= {"small": {"budget": {"steps": 20}, "batch_size": None}}
    params["evaluation"]["statistics"] |= {"resamples": 100, "permutations": 100}


def write_sections(values: dict[str, Any], root: Path = Path()) -> None:
    """What the params stage writes of these sections of params.yaml, which nobody checks here."""
    places = {name: values[name] for name in ("run", "ensembles") if name in values}
    for kind in ("datasets", "benchmarks", "evaluation"):
        places |= {f"{kind}.{name}": section for name, section in values.get(kind, {}).items()}
    for place, section in places.items():
        write_text(root / plan_file(place), json.dumps(section))


class Project:
    """A project folder of its own, on this environment's programs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = os.environ | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(folder / "src"),
            "OMP_NUM_THREADS": "1",
        }
        # Users' Python leaves __pycache__ beside the sources: no stage may take that for a change.
        for variable in ("MLFLOW_TRACKING_URI", "PYTHONDONTWRITEBYTECODE"):
            self.environment.pop(variable, None)

    @classmethod
    def copy(cls, folder: Path, edit: Edit = make_tiny) -> "Project":
        """A copy of the working tree with edited params, committed in a git repository of its own."""
        for name in _COPIED:
            source, target = ROOT / name, folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
            else:
                shutil.copy(source, target)
        project = cls(folder)
        project.edit(edit)
        for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "start"]):
            who = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
            subprocess.run(["git", *who, *words], cwd=folder, check=True)
        return project

    def edit(self, edit: Edit) -> None:
        """Change params.yaml."""
        path = self.folder / "params.yaml"
        params = read_yaml(path)
        edit(params)
        path.write_text(yaml.safe_dump(params, sort_keys=False))

    def run(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command in the folder; with `check` a failure shows what the command said."""
        done = subprocess.run(words, cwd=self.folder, env=self.environment, capture_output=True, text=True)
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(words)}: status {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def repro(self, *words: str, check: bool = True) -> str:
        """`dvc repro`, and all it said."""
        done = self.run("dvc", "repro", *words, check=check)
        return done.stdout + done.stderr

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """Start a command in a process group of its own, its output thrown away."""
        return subprocess.Popen(
            words,
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )


def stages_run(output: str) -> list[str]:
    """The stage instances that a `dvc repro` really ran."""
    return [line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage ")]
