"""What is kept of an accuracy, by hand."""

import pytest

from kinemask.evaluation.kept import UNDAMAGED, kept_metrics, kept_of, setting_of, words_of

CLEAN = setting_of("mean", "clean", UNDAMAGED)


def settings(*rows: tuple[str, str, float]) -> dict[str, float]:
    return {setting_of("mean", probe, words.split()): value for probe, words, value in rows}


def test_a_setting_says_its_words_and_they_are_read_again():
    setting = setting_of("max", "adapted", ("kind=frames", "level=0.3", "fill=hold"))
    assert setting == "pooling=max probe=adapted kind=frames level=0.3 fill=hold"
    assert words_of(setting) == {
        "pooling": "max", "probe": "adapted", "kind": "frames", "level": "0.3", "fill": "hold"
    }  # fmt: skip
    assert CLEAN == "pooling=mean probe=clean kind=none level=0"


def test_of_a_kind_the_mean_over_levels_is_kept_and_of_all_the_mean_over_kinds():
    found = kept_of(
        {CLEAN: 0.8}
        | settings(
            ("clean", "kind=joints level=0.1 fill=zero", 0.4),
            ("clean", "kind=joints level=0.5 fill=zero", 0.2),
            ("clean", "kind=frames level=0.5 fill=zero", 0.2),
            ("clean", "kind=frames level=0.5 fill=hold", 0.6),
            ("clean", "kind=noise level=0.1", 0.8),
        )
    )
    start = "pooling=mean probe=clean"
    assert found == pytest.approx(
        {
            f"{start} kind=joints fill=zero": (0.5 + 0.25) / 2,
            f"{start} kind=frames fill=zero": 0.25,
            f"{start} kind=frames fill=hold": 0.75,
            f"{start} kind=noise": 1.0,
            # Each kind counts once, however many levels it has; of joints hold is zero.
            f"{start} kind=all fill=zero": (0.375 + 0.25 + 1.0) / 3,
            f"{start} kind=all fill=hold": (0.375 + 0.75 + 1.0) / 3,
        }
    )


def test_an_adapted_probe_is_compared_with_the_clean_one_on_undamaged_clips():
    found = kept_of({CLEAN: 0.8} | settings(("adapted", "kind=flicker level=0.5 fill=hold", 0.6)))
    assert found == pytest.approx(
        {f"pooling=mean probe=adapted kind={kind} fill=hold": 0.75 for kind in ("flicker", "all")}
    )


def test_draws_of_a_level_count_as_one_level():
    found = kept_of(
        {CLEAN: 1.0}
        | settings(
            ("clean", "kind=noise level=0.1", 0.2),
            ("clean", "kind=noise level=0.1 draw=1", 0.4),
            ("clean", "kind=noise level=0.2", 0.0),
        )
    )
    assert found == pytest.approx(
        {f"pooling=mean probe=clean kind={kind}": 0.15 for kind in ("noise", "all")}
    )


def test_poolings_are_kept_apart_and_nothing_is_kept_of_nothing():
    damage = ("kind=noise", "level=0.1")
    found = kept_of(
        {
            CLEAN: 0.0,
            setting_of("mean", "clean", damage): 0.1,
            setting_of("max", "clean", UNDAMAGED): 0.5,
            setting_of("max", "clean", damage): 0.4,
        }
    )
    assert found == pytest.approx({f"pooling=max probe=clean kind={kind}": 0.8 for kind in ("noise", "all")})


def test_all_says_nothing_under_a_fill_that_a_kind_was_not_measured_with():
    found = kept_of(
        {CLEAN: 1.0}
        | settings(
            ("clean", "kind=part level=trunk fill=zero", 0.5),
            ("clean", "kind=flicker level=0.1 fill=hold", 0.7),
        )
    )
    assert "pooling=mean probe=clean kind=all fill=zero" not in found
    assert found["pooling=mean probe=clean kind=all fill=hold"] == pytest.approx(0.6)


def test_the_metrics_of_a_record_get_what_is_kept_of_top1():
    noise = setting_of("mean", "clean", ("kind=noise", "level=0.1"))
    metrics = {CLEAN: {"top1": 0.5, "top5": 1.0}, noise: {"top1": 0.25, "top5": 1.0}}
    assert kept_metrics(metrics) == {
        f"pooling=mean probe=clean kind={kind}": {"kept": 0.5} for kind in ("noise", "all")
    }
