"""The probe stages, as they are run: in a process of their own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kinemask.record import read_records

STAGES = Path(__file__).parents[2] / "stages"
SETTINGS = {
    "linear": ["pooling=last", "pooling=mean"],
    "few": ["pooling=mean labels=1%", "pooling=mean labels=100%"],
    "knn": ["pooling=last k=1", "pooling=last k=20", "pooling=mean k=1", "pooling=mean k=20"],
}


def run_stage(stage: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, STAGES / f"{stage}.py", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def scores_of(stage: str, seed: int) -> dict[str, np.ndarray]:
    with np.load(f"results/{stage}/tiny-xsub/mtmc/seed-{seed}.npz") as kept:
        return dict(kept)


@pytest.mark.usefixtures("tiny_project")
@pytest.mark.parametrize("stage", list(SETTINGS))
def test_a_probe_stage_leaves_scores_and_a_record_for_each_seed(stage):
    done = run_stage(stage, "tiny-xsub", "mtmc")
    assert done.returncode == 0, done.stderr
    assert f"{stage} tiny-xsub mtmc: 100%" in done.stderr
    records = read_records()
    assert [(record.stage, record.seed) for record in records] == [(stage, 0), (stage, 3)]
    for record in records:
        assert sorted(record.metrics) == SETTINGS[stage]
        for setting, found in record.metrics.items():
            assert all(0 <= value <= 1 for name, value in found.items() if name != "num_labelled")
            bar = 0.6 if "labels=1%" in setting else 0.95  # of three labels
            for name in {"top1", "validation_top1"} & set(found):
                assert (found[name] > bar) == setting.startswith("pooling=mean")
        # One more seed changes no record of the others.
        assert set(record.params) == ({stage, "labels"} if stage == "few" else {stage})
        kept = scores_of(stage, record.seed)
        assert sorted(kept) == SETTINGS[stage]
        assert all(one.shape == (40, 3) and one.dtype == np.float32 for one in kept.values())


@pytest.mark.usefixtures("tiny_project")
def test_scores_do_not_depend_on_the_number_of_processes():
    found = []
    for processes in ("processes: 1", "processes: 3"):
        text = Path("params.yaml").read_text()
        Path("params.yaml").write_text(
            text.replace("processes: 2", processes).replace("processes: 1", processes)
        )
        assert run_stage("linear", "tiny-xsub", "mtmc").returncode == 0
        found.append(Path("results/linear/tiny-xsub/mtmc/seed-3.npz").read_bytes())
    assert found[0] == found[1]
    assert [record.hardware["processes"] for record in read_records()] == [3, 3]


@pytest.mark.usefixtures("tiny_project")
@pytest.mark.parametrize("stage", list(SETTINGS))
def test_a_method_without_features_stops_the_stage_in_one_line(stage):
    done = run_stage(stage, "tiny-xsub", "mtcm")
    assert done.returncode == 1
    assert done.stderr.strip() == (
        "ERROR: results/embed/tiny-xsub/mtcm/seed-0 holds no features: run `dvc repro embed`"
    )


@pytest.mark.parametrize("stage", list(SETTINGS))
def test_a_probe_stage_imports_neither_torch_nor_mlflow(stage):
    program = f"import runpy, sys; runpy.run_path({str(STAGES / f'{stage}.py')!r}); print(*sys.modules)"
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment
    )
    assert {"torch", "mlflow", "sklearn", "matplotlib"}.isdisjoint(done.stdout.split())


@pytest.mark.usefixtures("tiny_project")
def test_every_method_is_given_the_labels_of_the_same_clips():
    shutil.copytree("results/embed/tiny-xsub/mtmc", "results/embed/tiny-xsub/mtcm")
    for path in Path("results/embed/tiny-xsub/mtcm").glob("*/*.npy"):
        np.save(path, -np.load(path))
        path.rename(path.with_name(path.name.replace("mean", "flat")))  # as raw coordinates
    digests = {}
    for method in ("mtmc", "mtcm"):
        assert run_stage("few", "tiny-xsub", method).returncode == 0
        digests[method] = {
            (record.seed, Path(name).name): digest
            for record in read_records()
            for name, digest in record.inputs.items()
            if record.method == method and "subset" in name
        }
    assert set(digests["mtmc"]) == {(s, f"seed-{s}.subset-{share}.csv") for s in (0, 3) for share in (1, 100)}
    assert digests["mtmc"] == digests["mtcm"]
    few = [(seed, f"seed-{seed}.subset-1.csv") for seed in (0, 3)]
    assert len({digests["mtmc"][of_seed] for of_seed in few}) == 2
