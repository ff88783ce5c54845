import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kinemask.tracking.fields import (
    MAX_NAME,
    MAX_VALUE,
    legal_names,
    metrics_of,
    params_of,
    record_hash,
    record_name,
    series_of,
    shown_name,
    tags_of,
)

from .conftest import make_probe, make_record


@settings(deadline=None)  # the first example imports MLflow
@given(st.lists(st.text(max_size=300), unique=True, max_size=6))
def test_every_name_becomes_one_that_mlflow_accepts_and_no_two_become_one(names):
    from mlflow.utils.validation import _validate_metric_name

    legal = legal_names(names)
    for name in legal.values():
        _validate_metric_name(name)
        assert len(name) <= MAX_NAME
    assert len(set(legal.values())) == len(names)


def test_a_name_that_is_legal_stays_as_it_is():
    assert legal_names(["pretrain/loss v1.0_a-b"]) == {"pretrain/loss v1.0_a-b": "pretrain/loss v1.0_a-b"}


def test_metrics_are_named_by_stage_metric_and_setting():
    points = dict((name, (step, value)) for name, step, value in metrics_of(make_probe()))
    assert points["linear/top1 pooling-mean"] == (0, 0.5)
    assert points["linear/top5 pooling-last"] == (0, 0.5)
    assert points["seconds/work"] == (0, 10.0)
    assert points["memory/peak_mib"] == (0, 512.0)


def test_results_of_a_training_stand_at_its_last_step():
    record = make_record(metrics={"": {"loss": 0.2}})
    assert ("pretrain/loss", 4, 0.2) in metrics_of(record)


def test_the_history_becomes_one_series_a_name():
    rows = [{"step": 0, "loss": 4.0, "rate": 0.1}, {"step": 10, "loss": 3.0}]
    expected = [("pretrain/loss", 0, 4.0), ("pretrain/rate", 0, 0.1), ("pretrain/loss", 10, 3.0)]
    assert series_of("pretrain", rows) == expected


def test_params_are_flat_and_hold_the_hardware():
    record = make_record(
        params={"encoder": {"width": 64, "kind": "gru"}, "views": ["a", 1], "none": None, "no": {}}
    )
    assert params_of(record) == {
        "encoder.width": "64",
        "encoder.kind": "gru",
        "views": '["a", 1]',
        "none": "null",
        "no": "{}",
        "hardware.device": "cpu",
    }


def test_a_long_param_is_cut_to_what_every_server_takes():
    value = params_of(make_record(params={"long": "x" * 1000}))["long"]
    assert len(value) == MAX_VALUE
    assert value.endswith("x...")


def test_tags_say_who_the_record_is():
    tags = tags_of(make_probe(seed=3), dataset="sim")
    who = {name: tags[name] for name in ("stage", "benchmark", "dataset", "method", "seed", "commit")}
    assert who == {
        "stage": "linear",
        "benchmark": "sim-xsub",
        "dataset": "sim",
        "method": "mtmc",
        "seed": "3",
        "commit": "0123456789",
    }
    assert tags["input.data/packed/sim"] == "ab" * 32


def test_a_stage_on_a_dataset_has_no_benchmark_method_or_seed():
    tags = tags_of(make_record(stage="preprocess", subject="sim", method=None, seed=None), dataset=None)
    assert tags["dataset"] == "sim"
    assert not {"benchmark", "method", "seed"} & set(tags)


@pytest.mark.parametrize(
    ("changes", "name", "shown"),
    [
        ({}, "linear/sim-xsub/mtmc/seed-0", "linear mtmc 0 sim-xsub"),
        ({"method": None, "seed": None}, "linear/sim-xsub/record", "linear sim-xsub"),
    ],
)
def test_a_record_is_named_by_its_path(changes, name, shown):
    assert record_name(make_probe(**changes)) == name
    assert shown_name(make_probe(**changes)) == shown


def test_the_hash_depends_on_the_content_alone():
    record = make_probe()
    read_again = type(record).model_validate_json(record.model_dump_json(indent=7))
    assert record_hash(read_again) == record_hash(record)
    assert record_hash(make_probe(peak_memory_mib=512.5)) != record_hash(record)
