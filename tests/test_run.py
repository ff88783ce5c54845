import pytest
from pydantic import ValidationError

from kinemask.run import RunConfig


def run(**changes):
    values = {"benchmarks": ("b",), "methods": ("mtmc", "random"), "finetune": (), "seeds": (0, 1)}
    return RunConfig(**(values | changes))


def test_some_methods_have_more_seeds():
    config = run(more_seeds={"mtmc": (3, 4)})
    assert config.seeds_of("mtmc") == (0, 1, 3, 4)
    assert config.seeds_of("random") == (0, 1)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"more_seeds": {"mtcm": (3,)}}, "more_seeds names 'mtcm'; methods are mtmc, random"),
        ({"more_seeds": {"mtmc": (1, 2)}}, r"more_seeds.mtmc repeats a seed: \[0, 1, 1, 2\] with seeds"),
        ({"more_seeds": {"mtmc": (2, 2)}}, "more_seeds.mtmc repeats a seed"),
        ({"more_seeds": {"mtmc": (-1,)}}, "greater than or equal to 0"),
        ({"reference": "raw"}, "reference names 'raw'; methods are mtmc, random"),
        ({"finetune": ("raw",)}, "finetune names 'raw'; methods are mtmc, random"),
        ({"finetune": ("mtmc", "mtmc")}, "each may be named only once"),
        ({"seeds": (0, 0)}, "each may be named only once"),
    ],
)
def test_what_cannot_be_meant_is_refused(changes, said):
    with pytest.raises(ValidationError, match=said):
        run(**changes)


def test_a_reference_and_more_seeds_may_be_left_out():
    assert run().reference is None
    assert run().seeds_of("mtmc") == (0, 1)
