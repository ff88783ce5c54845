import pytest
from pydantic import ValidationError

from kinemask.run import EVALUATIONS, Pair, RunConfig, scored_on
from tests.project import NOTHING_NAMED


def run(**changes):
    values = {"benchmarks": ("b",), "methods": ("mtmc", "random"), **NOTHING_NAMED, "seeds": (0, 1)}
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
        ({"semi": ("raw",)}, "semi names 'raw'; methods are mtmc, random"),
        ({"occlusion": ("raw",)}, "occlusion names 'raw'; methods are mtmc, random"),
        ({"transfer": (Pair(source="c", target="b"),)}, "transfer names the source 'c'; benchmarks are b"),
        ({"transfer": (Pair(source="b", target="b"),)}, "transfer has 'b' as source and target"),
        ({"transfer": (Pair(source="b", target="c"),) * 2}, "each may be named only once"),
        ({"seeds": (0, 0)}, "each may be named only once"),
    ],
)
def test_what_cannot_be_meant_is_refused(changes, said):
    with pytest.raises(ValidationError, match=said):
        run(**changes)


def test_a_reference_and_more_seeds_may_be_left_out():
    assert run().reference is None
    assert run().seeds_of("mtmc") == (0, 1)


def test_a_pair_runs_from_a_benchmark_of_the_run_to_another():
    config = run(benchmarks=("a", "b"), transfer=(Pair(source="a", target="b"), Pair(source="a", target="c")))
    assert config.subjects_of("transfer") == ("a-to-b", "a-to-c")
    assert [scored_on(name) for name in config.subjects_of("transfer")] == ["b", "c"]
    assert config.subjects_of("linear") == ("a", "b")
    assert scored_on("a") == "a"
    assert config.scored() == ("a", "b", "c")
    assert config.pairs_of("linear") == ()


def test_an_evaluation_is_for_the_methods_that_run_names_for_it_or_for_all():
    config = run(semi=("random",))
    assert config.methods_of("semi") == ("random",)
    assert config.methods_of("finetune") == ()
    assert {config.methods_of(name) for name in ("linear", "transfer", "pretrain")} == {("mtmc", "random")}


def test_run_has_a_key_for_every_evaluation_that_is_not_for_everything():
    assert set(NOTHING_NAMED) == set(RunConfig.model_fields) & {one.name for one in EVALUATIONS}
    assert {one.name for one in EVALUATIONS if one.listed and one.pairs} == set()
