"""The sample: spread evenly, damaged ones by name, and a time that counts cores and not the first call."""

import time

import numpy as np
import pytest

from kinemask import workers
from kinemask.datasets import spot_check as module
from kinemask.datasets.spot_check import SpotCheck, duration, spot_check, spread
from kinemask.skeleton.clip import Clip
from kinemask.skeleton.packed import Dropped

CLIP = Clip("clip", 0, 1, np.zeros((1, 1, 25, 3), np.float32), np.ones((1, 1), np.bool_))


def test_sample_is_spread_from_the_first_to_the_last() -> None:
    assert spread(range(101), 5) == [0, 25, 50, 75, 100]
    assert spread([1, 2], 5) == [1, 2]
    assert spread([], 5) == []


def test_damaged_ones_are_named_and_those_left_out_by_rule_are_not() -> None:
    def read(number: int) -> list[Clip | Dropped]:
        return [CLIP, Dropped(f"clip{number}", "reason", damaged=number % 2 == 0)]

    found = spot_check(range(14), read)
    assert found.num_read == 14
    assert found.problems() == (
        *(f"clip{n} is damaged: reason" for n in (0, 2, 4, 6, 8)),
        "and 2 more",
    )


def test_what_happens_once_is_no_part_of_the_time() -> None:
    calls: list[int] = []

    def read(number: int) -> list[Clip | Dropped]:
        time.sleep(0.0 if calls else 0.3)
        calls.append(number)
        return [CLIP]

    assert spot_check([1, 2, 3], read).seconds_each < 0.1
    assert calls == [1, 1, 2, 3]


def test_time_of_all_is_shared_by_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "usable_cores", lambda: 4)
    monkeypatch.setattr(module, "_PACK_SECONDS", 0.0)
    assert (
        SpotCheck(60, (), 0.004).facts(60_000)[1]
        == "preprocess will take about 60 s on 4 core(s) for all 60,000"
    )
    assert SpotCheck(0, (), 0.0).facts(10) == ()


def test_what_is_read_in_seconds_is_read_on_one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "usable_cores", lambda: 4)
    monkeypatch.setattr(module, "_PACK_SECONDS", 0.0)
    assert SpotCheck(60, (), 0.01).facts(500)[1] == "preprocess will take about 5 s on 1 core(s) for all 500"


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "1 s"), (119.0, "119 s"), (600.0, "10 min"), (9000.0, "2.5 h")]
)
def test_times_are_said_as_people_say_them(seconds: float, words: str) -> None:
    assert duration(seconds) == words
