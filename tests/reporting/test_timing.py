import pytest

from kinemask.record import Record
from kinemask.reporting.timing import instances, time_split


def record(stage: str, startup: float, work: float, seed: int | None = None, memory: float = 100.0) -> Record:
    return Record(
        stage=stage,
        subject="irds-xsub",
        method="mtmc" if seed is not None else None,
        seed=seed,
        params={},
        metrics={},
        inputs={},
        hardware={},
        environment={},
        commit="c",
        seconds={"startup": startup, "work": work},
        peak_memory_mib=memory,
    )


def test_seeds_of_one_process_count_once() -> None:
    # One clock: the second seed's reading holds the first's.
    found = instances([record("linear", 2.0, 5.0, 0), record("linear", 2.0, 9.0, 1, memory=150.0)])
    assert len(found) == 1
    assert (found[0].num_seeds, found[0].startup_seconds, found[0].work_seconds) == (2, 2.0, 9.0)
    assert found[0].peak_memory_mib == 150.0


def test_split_of_a_run_by_hand() -> None:
    records = [record("split", 1.0, 2.0), record("linear", 3.0, 10.0, 0)]
    split = time_split(records, 20.0)
    # 20 s in all, 12 s of work, 4 s of start-up seen by records, 4 s seen by none: 8 of 20 are not work.
    assert (split.work, split.startup, split.overhead) == (12.0, 4.0, 4.0)
    assert split.startup_share == pytest.approx(0.4)


def test_without_a_total_the_records_are_all_there_is() -> None:
    split = time_split([record("split", 1.0, 3.0)], None)
    assert (split.total, split.overhead, split.startup_share) == (4.0, 0.0, 0.25)
    assert time_split([], None).startup_share == 0.0
