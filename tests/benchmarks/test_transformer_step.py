"""The ways of the benchmark compute the same, on a network that takes no time."""

import pytest
import torch
from torch.testing import assert_close

from kinemask.params import check
from tests.benchmarks.measure import OURS
from tests.benchmarks.plain_transformer import PlainAttention
from tests.benchmarks.transformer_step import (
    FEATURES,
    FINE_TUNING,
    FUSED,
    PARTS,
    PLAIN,
    PRETRAINING,
    ROOT,
    RUNS,
    TOLERANCE,
    WAYS,
    build,
    difference,
    make_clips,
    tell,
)


def small(name, what):
    return build(check(ROOT / "params.yaml").methods[name].recipe("small"), what)


def clips():
    return make_clips(5, 70, seed=0)


@pytest.mark.parametrize(("part", "name"), PARTS)
def test_all_ways_find_the_same_and_ours_leaves_absent_persons_out(part, name):
    told = {what: tell(part, small(name, what), clips()) for what in WAYS}
    assert [told[what].persons for what in WAYS] == [10, 10, 6]
    for what in (FUSED, OURS):
        assert difference(told[what], told[PLAIN]) < 1e-5
    if part != FEATURES:  # a loss in which absent persons count is another
        assert abs(told[PLAIN].result / told[PLAIN].of_present - 1) > 1e-3


@pytest.mark.parametrize("name", ["mamp", "jmm_tgt"])
def test_a_plain_step_has_the_gradients_of_a_fused_one(name):
    methods = {what: small(name, what) for what in (PLAIN, FUSED)}
    for method in methods.values():
        RUNS[PRETRAINING](method, clips())
    gradients = [{key: value.grad for key, value in one.named_parameters()} for one in methods.values()]
    assert_close(gradients[1], gradients[0], atol=1e-5, rtol=1e-3)


def test_only_the_plain_way_writes_attention_out():
    kinds = {what: {type(part) for part in small("mamp", what).modules()} for what in WAYS}
    assert [PlainAttention in kinds[what] for what in WAYS] == [True, False, False]


def test_a_way_that_is_off_is_found():
    plain, changed = small("jmm_tgt", PLAIN), small("jmm_tgt", FUSED)
    with torch.no_grad():
        changed.encoder.blocks[0].hop_bias.table.zero_()
    for part in (PRETRAINING, FINE_TUNING):
        assert difference(tell(part, changed, clips()), tell(part, plain, clips())) > TOLERANCE
