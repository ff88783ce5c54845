"""The README tells the truth: its tables are those of the files they name, its graph is that of dvc.yaml."""

import subprocess
import sys
from pathlib import Path

from kinemask.reporting.readme import update_readme

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"


def test_the_tables_are_up_to_date():
    assert update_readme(README, ROOT, check=True) == []


def test_the_graph_is_that_of_the_stages():
    drawn = README.read_text().split("```mermaid\n")[1].split("```")[0]
    dvc = Path(sys.executable).with_name("dvc")
    command = [str(dvc), "dag", "--mermaid", "tables"]
    real = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert drawn.split() == real.split()


def test_every_command_of_make_that_is_named_exists():
    targets = {line.split(":")[0] for line in (ROOT / "Makefile").read_text().splitlines() if ": " in line}
    named = {
        word
        for line in README.read_text().splitlines()
        if line.startswith("make ")
        for word in line.split("#")[0].split()[1:]
    }
    assert named
    assert named <= targets


def test_every_folder_and_file_of_the_code_map_exists():
    text = README.read_text().split("## Code map")[1].split("\n## ")[0]
    made_by_the_graph = {"records/", "results/", "data/"}
    last = ""
    for cell in [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]:
        for name in cell.replace("`", "").split(","):
            place = name.strip()
            if place in made_by_the_graph:
                continue
            if not (ROOT / place).exists():  # a sibling of the one named before it
                place = f"{Path(last).parent}/{place}"
            assert (ROOT / place).exists(), place
            last = place.rstrip("/")
