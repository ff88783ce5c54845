"""The dict of datasets and the union of their sections name the same things."""

from typing import get_args

from kinemask.datasets import DATASETS, DatasetConfig


def test_keys_are_the_names_of_the_config_union() -> None:
    union, _ = get_args(DatasetConfig)
    names = {
        name: config
        for config in get_args(union)
        for name in get_args(config.model_fields["name"].annotation)
    }
    assert names == {name: reader.config for name, reader in DATASETS.items()}
