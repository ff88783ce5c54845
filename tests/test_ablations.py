"""Every preset of params.yaml takes a step, and the README's lines make of its root what the preset is."""

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
# Another method, or another encoder than others inherit: no line of -S can make them.
REPLACING = {"random", "random-transformer", "supervised", "jmm-gru", "twins", "twins-only-real"}
UNTRAINED = {"random", "random-transformer", "raw"}
LEAST_WEIGHTS = {"gru": 40_000_000, "transformer": 10_000_000}
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


def root(name: str) -> str:
    """The entry from which a preset inherits in the end: written in full, or a method of its own."""
    return name if BASES[name] is None or name in REPLACING else root(BASES[name])


def overridden(tmp_path: Path, name: str, values: list[str], size: str) -> Recipe:
    """The recipe of that method after DVC has written the values into params.yaml."""
    path = tmp_path / "params.yaml"
    shutil.copy(ROOT / "params.yaml", path)
    ((file, overrides),) = to_path_overrides(values).items()
    assert file == path.name
    apply_overrides(path, overrides)
    return check(path).methods[name].recipe(size)


def built(recipe: Recipe):
    encoder = new_encoder(recipe, layout=KINECT25, num_persons=2)
    return METHODS[recipe.method.name](recipe.method, encoder, recipe.inputs, DOMAIN)


def of_one_size(name: str) -> bool:
    """Whether the preset, or one that it inherits from, changes the sizes differently."""
    return BASES[name] is not None and (
        bool({"small", "paper"} & set(WRITTEN[name])) or of_one_size(BASES[name])
    )  # fmt: skip


@pytest.mark.parametrize("name", [name for name, base in BASES.items() if base and name not in REPLACING])
def test_the_line_of_the_readme_makes_of_its_root_what_the_preset_is(name, tmp_path):
    values, whole = readme_lines()[name], root(name)
    assert overridden(tmp_path, whole, values, "small") == params().methods[name].small
    if not of_one_size(name):
        values = [value.replace(f"{whole}.small", f"{whole}.paper") for value in values]
        assert overridden(tmp_path, whole, values, "paper") == params().methods[name].paper


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


@pytest.mark.parametrize("name", sorted(WRITTEN.keys() - UNTRAINED))
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


@pytest.mark.parametrize("name", sorted(WRITTEN.keys() - UNTRAINED))
def test_every_preset_can_be_built_at_the_paper_size(name):
    recipe = params().methods[name].paper
    with torch.device("meta"):
        method = built(recipe)
    assert sum(weight.numel() for weight in method.parameters()) > LEAST_WEIGHTS[recipe.encoder.name]


def test_the_presets_of_a_grid_are_trained_as_long_and_those_of_one_root_alike():
    for grid in params().grids.values():
        recipes = [params().methods[name].small for name in grid.methods]
        trained = {
            # Who is seen is no matter of how long; how many at once is one of the encoder.
            ((root(name), one.encoder.name), one.training.model_copy(update={"simulated": None}))
            for name, one in zip(grid.methods, recipes, strict=True)
            if one.training is not None
        }
        assert len(trained) == len({kind for kind, _ in trained})
        assert len({training.budget for _, training in trained}) == 1
        batches = {(one.encoder.name, one.training.batch_size) for one in recipes if one.training is not None}
        assert len(batches) == len({encoder for encoder, _ in batches})


@pytest.mark.parametrize("size", ["small", "paper"])
@pytest.mark.parametrize(("control", "method"), [("random", "mtmc"), ("random-transformer", "jmm_tgt")])
def test_the_control_is_the_encoder_of_the_method_it_controls(control, method, size):
    untrained, trained = (params().methods[name].recipe(size) for name in (control, method))
    assert (untrained.inputs, untrained.encoder) == (trained.inputs, trained.encoder)
    assert (untrained.method.name, untrained.training) == ("untrained", None)


@pytest.mark.parametrize("size", ["small", "paper"])
def test_mamp_is_jmm_tgt_without_similarity_and_topology(size):
    mamp, whole = (params().methods[name].recipe(size).model_dump() for name in ("mamp", "jmm_tgt"))
    assert (mamp["encoder"].pop("topology"), mamp["method"]["mask"].pop("similarity")) == ("off", "none")
    assert (whole["encoder"].pop("topology"), whole["method"]["mask"].pop("similarity")) == (
        "hops", "correlation",
    )  # fmt: skip
    assert mamp == whole


@pytest.mark.parametrize("size", ["small", "paper"])
def test_mtmc_is_tried_on_the_encoder_of_jmm_tgt(size):
    on_transformer, jmm = (params().methods[name].recipe(size) for name in ("mtmc-transformer", "jmm_tgt"))
    assert on_transformer.encoder == jmm.encoder
    assert on_transformer.inputs.num_frames == jmm.inputs.num_frames
