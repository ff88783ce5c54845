"""Pack the clips of a dataset into data/packed: `python stages/preprocess.py <dataset>`."""

from pathlib import Path

from kinemask.datasets import DATASETS, DatasetConfig
from kinemask.datasets.archives.fetch import read_source
from kinemask.datasets.prepare import prepare
from kinemask.record import Clock, make_record
from kinemask.section import Section, load_params
from kinemask.skeleton.packed import PACKED
from kinemask.stage import run_stage

READS = {"dataset": "datasets.{dataset}"}


class Params(Section):
    """What this stage reads of params.yaml."""

    dataset: DatasetConfig


def main(name: str) -> None:
    clock = Clock()
    params = load_params(Params, READS, dataset=name)
    clock.begin_work()
    raw = Path("data/raw", name)
    reader = DATASETS[params.dataset.name]
    info = prepare(reader, params.dataset, name=name, raw=raw, packed=PACKED / name)
    num_damaged = sum(dropped.damaged for dropped in info.dropped)
    leaked = {name for groups in info.leaks.values() for names in groups for name in names}
    counts = {
        "clips": info.num_clips,
        "frames": info.num_frames,
        "dropped": len(info.dropped),
        "missing": len(info.missing),
        "leaked_clips": len(leaked),
    }
    make_record(
        stage="preprocess",
        subject=name,
        params=params,
        metrics={"all": {**counts, "damaged_share": num_damaged / (info.num_clips + num_damaged)}},
        inputs={"content": read_source(raw).content_sha256},
        hardware=Section(),
        clock=clock,
    ).write()


if __name__ == "__main__":
    run_stage(main)
