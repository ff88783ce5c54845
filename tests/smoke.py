"""A tiny `dvc repro` from a clean clone, on kinesim and, where there is a mirror, on a slice of irds."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.project import ROOT, Project, make_tiny, stages_run


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="kinemask-smoke-"))
    try:
        subprocess.run(["git", "clone", "-q", str(ROOT), str(folder / "clone")], check=True)
        project = Project(folder / "clone")
        project.edit(make_tiny)
        benchmarks = ["kinesim-xsub"]
        mirror = Path(os.environ.get("KINEMASK_MIRROR", ROOT.parent / "shared/data"))
        if (mirror / "irds").is_dir():
            project.environment["KINEMASK_MIRROR"] = str(mirror)
            benchmarks.append("irds-xgroup")
        project.edit(lambda params: params["run"].update(benchmarks=benchmarks))
        started = time.time()
        subprocess.run(["dvc", "repro"], cwd=project.folder, env=project.environment, check=True)
        results = pd.read_csv(project.folder / "reports/results.csv")
        assert set(results["benchmark"]) == set(benchmarks), results
        assert set(results["method"]) == {"mtmc", "random"}, results
        assert (results["num_seeds"] == 2).all(), results
        again = stages_run(project.repro())
        assert again == [], f"an up-to-date graph ran {again}"
        print(f"smoke: {', '.join(benchmarks)} in {time.time() - started:.0f} s, then up to date")  # noqa: T201
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
