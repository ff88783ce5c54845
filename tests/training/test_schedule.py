import pytest
from pydantic import TypeAdapter, ValidationError

from kinemask.training.schedule import (
    CosineConfig,
    DropsConfig,
    ScheduleConfig,
    drops,
    rate_share,
    warmup_cosine,
)


def test_warm_up_rises_in_equal_parts_and_ends_at_the_peak():
    shares = [warmup_cosine(step, num_steps=12, warmup_steps=4, minimum=0.2) for step in range(5)]
    assert shares == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0])


def test_cosine_is_half_way_down_in_the_middle_and_would_reach_the_minimum_at_the_end():
    # 4 + 8 / 2 = 8: half way from 1 to 0.2 is 0.6; a quarter of the way cos 45 degrees: 0.2 + 0.8 * 0.853553.
    assert warmup_cosine(8, num_steps=12, warmup_steps=4, minimum=0.2) == pytest.approx(0.6)
    assert warmup_cosine(6, num_steps=12, warmup_steps=4, minimum=0.2) == pytest.approx(0.882843, abs=1e-6)
    assert warmup_cosine(12, num_steps=12, warmup_steps=4, minimum=0.2) == pytest.approx(0.2)


def test_without_warm_up_the_first_step_has_the_full_rate():
    schedule = CosineConfig(name="cosine", warmup_ratio=0.0, minimum_ratio=0.0)
    assert rate_share(schedule, step=0, num_steps=5) == 1.0


@pytest.mark.parametrize("num_steps", [1, 2, 3, 10])
def test_every_share_is_above_zero_however_short_the_run(num_steps):
    schedule = CosineConfig(name="cosine", warmup_ratio=0.99, minimum_ratio=0.0)
    shares = [rate_share(schedule, step=step, num_steps=num_steps) for step in range(num_steps)]
    assert all(0 < share <= 1 for share in shares)


def test_rate_drops_at_each_ratio_and_stays_down():
    shares = [drops(step, num_steps=8, factor=0.1, at_ratios=(0.5, 0.75)) for step in range(8)]
    assert shares == pytest.approx([1, 1, 1, 1, 0.1, 0.1, 0.01, 0.01])


def test_section_chooses_the_schedule_by_name():
    read = TypeAdapter(ScheduleConfig).validate_json
    schedule = read('{"name": "drops", "factor": 0.1, "at_ratios": [0.5]}')
    assert schedule == DropsConfig(name="drops", factor=0.1, at_ratios=(0.5,))
    assert rate_share(schedule, step=5, num_steps=10) == pytest.approx(0.1)
    with pytest.raises(ValidationError, match="in order"):
        read('{"name": "drops", "factor": 0.1, "at_ratios": [0.5, 0.2]}')
    with pytest.raises(ValidationError, match="less than 1"):
        read('{"name": "drops", "factor": 0.1, "at_ratios": [351]}')
