"""Every preset of params.yaml takes a step, and the README's lines make of mtmc what the presets are."""

import csv
import re
import shlex
import shutil
from functools import cache
from pathlib import Path

import pytest
import torch
from dvc.utils.cli_parse import to_path_overrides
from dvc.utils.hydra import apply_overrides

from kinemask.methods import METHODS
from kinemask.methods.base import Domain
from kinemask.methods.supervised import LabelledClips
from kinemask.params import Params, check
from kinemask.reporting.report import GLOSSARY
from kinemask.section import read_yaml
from kinemask.skeleton.layout import KINECT25
from kinemask.training.pretrain import new_encoder
from kinemask.training.recipe import Recipe
from tests.conftest import generator, make_ragged
from tests.project import ROOT

WRITTEN = read_yaml(ROOT / "params.yaml")["methods"]
BASES = {name: entry.get("base") for name, entry in WRITTEN.items()}
REPLACING = {"random", "supervised"}  # another method in the place of mtmc: no line of -S can make them
DOMAIN = Domain(layout=KINECT25, num_persons=2, symmetries=frozenset({"mirror"}), num_classes=3)


@cache
def params() -> Params:
    return check(ROOT / "params.yaml")


def readme_lines() -> dict[str, list[str]]:
    """Preset -> the values of -S of its line in the README."""
    section = (ROOT / "README.md").read_text().split("## Ablations\n")[1].split("\n## ")[0]
    found = {}
    for line in section.splitlines():
        row = re.fullmatch(r"\|[^|]*\| `(?P<preset>[\w-]+)` \| `(?P<command>dvc exp run [^`]*)` \|", line)
        if row is not None:
            words = shlex.split(row["command"])[3:]
            assert words[::2] == ["-S"] * (len(words) // 2)
            found[row["preset"]] = words[1::2]
    return found


def overridden(tmp_path: Path, values: list[str], size: str) -> Recipe:
    """The recipe of mtmc after DVC has written the values into params.yaml."""
    path = tmp_path / "params.yaml"
    shutil.copy(ROOT / "params.yaml", path)
    ((file, overrides),) = to_path_overrides(values).items()
    assert file == path.name
    apply_overrides(path, overrides)
    return check(path).methods["mtmc"].recipe(size)


def built(recipe: Recipe):
    encoder = new_encoder(recipe, layout=KINECT25, num_persons=2)
    return METHODS[recipe.method.name](recipe.method, encoder, recipe.inputs, DOMAIN)


def of_one_size(name: str | None) -> bool:
    """Whether the preset, or one that it inherits from, changes one size only."""
    return name is not None and name != "mtmc" and (
        bool({"small", "paper"} & set(WRITTEN[name])) or of_one_size(BASES[name])
    )  # fmt: skip


@pytest.mark.parametrize("name", [name for name, base in BASES.items() if base and name not in REPLACING])
def test_the_line_of_the_readme_makes_of_mtmc_what_the_preset_is(name, tmp_path):
    values = readme_lines()[name]
    assert overridden(tmp_path, values, "small") == params().methods[name].small
    if not of_one_size(name):
        values = [value.replace("mtmc.small", "mtmc.paper") for value in values]
        assert overridden(tmp_path, values, "paper") == params().methods[name].paper


def test_the_report_explains_every_method():
    with GLOSSARY.open(newline="") as file:
        explained = {row["name"] for row in csv.DictReader(file) if row["kind"] == "method"}
    assert set(WRITTEN) <= explained


def test_the_readme_names_every_preset_and_no_other():
    assert set(readme_lines()) == {name for name, base in BASES.items() if base} - REPLACING


@pytest.mark.parametrize("name", [name for name, base in BASES.items() if base])
def test_a_preset_is_another_recipe_than_its_base_in_the_sizes_it_changes(name):
    preset, base = params().methods[name], params().methods[BASES[name]]
    changes = WRITTEN[name].keys()
    assert (preset.small != base.small) == bool({"changes", "small"} & changes)
    assert (preset.paper != base.paper) == bool({"changes", "paper"} & changes)


@pytest.mark.parametrize("name", [name for name in WRITTEN if name not in ("random", "raw")])
def test_every_preset_takes_a_step_at_the_small_size(name):
    torch.manual_seed(0)
    method = built(params().methods[name].small)
    clips = make_ragged(lengths=(9, 14, 30, 5, 21, 40, 33, 12))
    if name == "supervised":
        clips = LabelledClips.of(clips, torch.arange(8) % 3)
    out = method.training_step(clips, generator(), 0.9)  # late, when every schedule has brought in all views
    out.loss.backward()
    method.after_optimizer_step(1)
    assert torch.isfinite(out.loss)
    gradients = [weight.grad for weight in method.encoder.parameters() if weight.requires_grad]
    assert all(gradient is not None and gradient.abs().sum() > 0 for gradient in gradients)


@pytest.mark.parametrize("name", [name for name in WRITTEN if name not in ("random", "raw")])
def test_every_preset_can_be_built_at_the_paper_size(name):
    with torch.device("meta"):
        method = built(params().methods[name].paper)
    assert sum(weight.numel() for weight in method.parameters()) > 40_000_000


def test_the_presets_of_the_grid_train_for_the_same_number_of_steps():
    for grid in params().grids.values():
        trainings = [params().methods[name].small.training for name in grid.methods]
        # Some see other clips as well; nothing else may differ.
        found = {one.model_copy(update={"simulated": None}) for one in trainings if one is not None}
        assert len(found) == 1


def test_the_control_is_the_encoder_of_the_method_it_controls():
    for size in ("small", "paper"):
        control, method = (params().methods[name].recipe(size) for name in ("random", "mtmc"))
        assert (control.inputs, control.encoder) == (method.inputs, method.encoder)
        assert (control.method.name, control.training) == ("untrained", None)
