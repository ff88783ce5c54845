"""Bring the archives of a dataset to data/raw: `python stages/download.py <dataset>`."""

import sys
from pathlib import Path

from kinemask.datasets import DATASETS, DatasetConfig
from kinemask.datasets.archives.fetch import read_source
from kinemask.datasets.archives.mirrors import DownloadConfig, mirrors_in_order, misnamed
from kinemask.record import Clock, make_record
from kinemask.section import Section, load_params
from kinemask.stage import run_stage

READS = {"dataset": "datasets.{dataset}", "download": "download"}


class Params(Section):
    """What this stage reads of params.yaml."""

    dataset: DatasetConfig
    download: DownloadConfig


def main(name: str) -> None:
    clock = Clock()
    params = load_params(Params, READS, dataset=name)
    clock.begin_work()
    folder = Path("data/raw", name)
    mirrors = mirrors_in_order(params.download.mirrors)
    sys.stderr.writelines(f"{line}\n" for line in misnamed(mirrors))
    DATASETS[params.dataset.name].fetch(params.dataset, name, folder, mirrors)
    source = read_source(folder)
    make_record(
        stage="download",
        subject=name,
        params=params,
        metrics={"all": {"mib": sum(file.bytes for file in source.files) / 2**20}},
        inputs={"content": source.content_sha256}
        | {file.name: file.sha256 for file in source.files if file.sha256 is not None},
        hardware=Section(),
        clock=clock,
    ).write()


if __name__ == "__main__":
    run_stage(main)
