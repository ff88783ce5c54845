"""What holds for every method of METHODS."""

import pytest
import torch

from kinemask.methods import LEARN_FROM_LABELS, METHODS, MethodConfig
from kinemask.skeleton.inputs import InputConfig
from kinemask.skeleton.layout import KINECT25
from tests.conftest import generator
from tests.methods.jmm_section import ON_GRU
from tests.methods.mtmc_section import GRU, MTMC, NORMAL, build, config_of
from tests.methods.twins_section import ALL_TWINS

HEAD = {"pooling": "mean", "hidden": None, "dropout": 0.0, "batch_norm": False}
SECTIONS = {
    "mtmc": MTMC,
    "jmm_tgt": ON_GRU,
    "twins": ALL_TWINS,
    "supervised": {"name": "supervised", "head": HEAD, "normal_view": NORMAL, "label_smoothing": 0.1},
    "untrained": {"name": "untrained"},
}
INPUTS = InputConfig(stream="joint", num_frames=8, origin="first_frame", origin_joint="spine_mid")


def test_every_method_has_a_section_of_its_name():
    members = {str(choice.model_fields["name"].annotation) for choice in MethodConfig.__args__[0].__args__}
    assert members == {f"typing.Literal['{name}']" for name in METHODS}
    assert SECTIONS.keys() == METHODS.keys()


@pytest.mark.parametrize("name", SECTIONS)
def test_every_section_says_what_it_fits(name):
    config = config_of(SECTIONS[name])
    assert config.misfit(INPUTS, GRU) is None
    assert config.misfit_body(KINECT25) is None


def test_only_the_ceiling_learns_from_labels():
    assert set(LEARN_FROM_LABELS) == {"supervised"}


def test_untrained_control_refuses_to_train(ragged):
    with pytest.raises(RuntimeError, match="takes no training steps"):
        build(SECTIONS["untrained"]).training_step(ragged, generator(), 0.0)


@pytest.mark.parametrize("name", sorted(METHODS.keys() - LEARN_FROM_LABELS - {"untrained"}))
def test_saved_and_loaded_a_method_goes_on_with_the_same_loss(name, ragged):
    # What a method carries from step to step is a parameter or a buffer.
    first, second = build(SECTIONS[name]), build(SECTIONS[name])
    with torch.no_grad():
        for parameter in first.parameters():
            parameter.add_(0.01)
    first.training_step(ragged, generator(), 0.5)
    first.after_optimizer_step(0)
    second.load_state_dict(first.state_dict(), strict=True)
    losses = [method.training_step(ragged, generator(1), 0.5).loss for method in (first, second)]
    assert losses[0] == losses[1]
