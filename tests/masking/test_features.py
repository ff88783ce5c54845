import math

import pytest
import torch
from pydantic import ValidationError
from torch.testing import assert_close

from kinemask.masking.features import (
    LEAST_ENERGY,
    DropConfig,
    channel_scores,
    feature_energy,
    keep_channels,
    keep_entries,
)
from tests.conftest import generator

CHANNEL_KINDS = ("trajectory", "gate", "random", "energy")
every_kind = pytest.mark.parametrize("kind", CHANNEL_KINDS)

# Worked example D3: four frames, five channels.
SEQUENCE = torch.tensor([[[1.0, 0, 2, 0, 1], [1, 1, 2, 0, -1], [1, 0, 2, 4, 1], [2, 1, 2, 0, -1]]])
SPEED = torch.tensor([[1.0, 1.0, 5.0, 1.0]])
SEEN = torch.ones(1, 4, dtype=torch.bool)


def config(kind="trajectory", ratio=0.2, threshold=0.7) -> DropConfig:
    return DropConfig(kind=kind, ratio=ratio, threshold=threshold)


def keep(sequence, seen=None, speed=None, *, kind="trajectory", ratio=0.2, seed=0):
    seen = torch.ones(sequence.shape[:2], dtype=torch.bool) if seen is None else seen
    speed = torch.ones(sequence.shape[:2]) if speed is None else speed
    drop = config(kind, ratio)
    return keep_channels(sequence, seen, speed, config=drop, generator=generator(seed))


def clips(num_clips=6, num_frames=9, width=20, seed=0):
    """Features, seen, speed. Unseen: frame 4 of clip 1, all but the first 3, 2, 1 and 0 of the last clips."""
    sequence = torch.randn(num_clips, num_frames, width, generator=generator(seed))
    speed = torch.rand(num_clips, num_frames, generator=generator(seed + 1))
    seen = torch.ones(num_clips, num_frames, dtype=torch.bool)
    for back, shown in enumerate((0, 1, 2, 3)):
        seen[num_clips - 1 - back, shown:] = False
    seen[1, 4] = False
    return sequence, seen, speed


# The trajectory map, by hand


def test_energy_of_the_worked_example_d3():
    expected = torch.tensor([[0.637025, 0.665398, 0.622459, 0.637030, 0.665407]]).repeat(4, 1)
    expected[2, 3], expected[3, 0] = 0.743165, 0.743125
    assert_close(feature_energy(SEQUENCE, SEEN)[0], expected, atol=1e-6, rtol=0)


def test_channel_scores_of_the_worked_example_d3():
    scores = channel_scores(SEQUENCE, SEEN, SPEED, kind="trajectory", generator=generator())
    expected = torch.tensor([[0.650288, 0.665398, 0.622459, 0.703365, 0.665407]])
    assert_close(scores, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("ratio", "expected"), [(0.2, [2.5, 1.25, 2.5, 0, -1.25]), (0.4, [10 / 3, 5 / 3, 10 / 3, 0, 0])]
)
def test_dropped_feature_of_the_worked_example_d3(ratio, expected):
    last = SEQUENCE[:, -1]
    dropped = last * keep(SEQUENCE, SEEN, SPEED, ratio=ratio)
    assert_close(dropped, torch.tensor([expected]), atol=1e-6, rtol=0)
    assert last.tolist() == [[2, 1, 2, 0, -1]]  # the undropped feature of the same pass is as it was


def test_energy_drops_another_channel_than_the_trajectory_in_d3():
    """Unweighted, channel 4 has a mean of 0.6654, channel 3 of (3 0.637030 + 0.743165) / 4 = 0.6636."""
    assert (keep(SEQUENCE, SEEN, SPEED, kind="energy") == 0).tolist() == [[False, False, False, False, True]]


def test_a_constant_channel_has_the_least_energy():
    constant = torch.full((2, 6, 3), 0.1)
    assert_close(LEAST_ENERGY, 0.622459, atol=1e-6, rtol=0)
    seen = torch.ones(2, 6, dtype=torch.bool)
    assert_close(feature_energy(constant, seen), torch.full((2, 6, 3), LEAST_ENERGY), atol=1e-6, rtol=0)


# Slow references, written from the text, over the seen frames only


def loop_energy(values: list[float]) -> list[float]:
    mean = sum(values) / len(values)
    variance = sum((value - mean) ** 2 for value in values) / max(len(values) - 1, 1)
    return [1 / (1 + math.exp(-((v - mean) ** 2 / (4 * (variance + 1e-4)) + 0.5))) for v in values]


def loop_scores(kind: str, frames: list[list[float]], seen: list[bool], speed: list[float]) -> list[float]:
    width, shown = len(frames[0]), [number for number, counts in enumerate(seen) if counts]
    if kind == "gate":
        steps = [(t - 1, t) for t in range(1, len(frames)) if seen[t - 1] and seen[t]]
        change = [[abs(b - a) for a, b in zip(frames[s], frames[t], strict=True)] for s, t in steps]
        size = [math.sqrt(sum(value**2 for value in row)) for row in change]
        power = [math.exp(value / (sum(size) / len(size))) for value in size]
        return [
            sum(p / sum(power) * row[channel] for p, row in zip(power, change, strict=True))
            for channel in range(width)
        ]
    raw = [speed[t] + 1e-6 if kind == "trajectory" else 1.0 for t in shown]
    energy = [loop_energy([frames[t][channel] for t in shown]) for channel in range(width)]
    return [sum(w / sum(raw) * e for w, e in zip(raw, row, strict=True)) for row in energy]


@pytest.mark.parametrize("kind", ["trajectory", "gate", "energy"])
def test_channel_scores_are_those_of_a_loop_over_the_seen_frames(kind):
    sequence, seen, speed = clips()
    scores = channel_scores(sequence, seen, speed, kind=kind, generator=generator())
    for clip in range(4):  # then 1 and 0 seen frames
        expected = loop_scores(kind, sequence[clip].tolist(), seen[clip].tolist(), speed[clip].tolist())
        assert_close(scores[clip], torch.tensor(expected), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("kind", ["trajectory", "gate", "energy"])
def test_the_highest_scores_are_dropped(kind):
    sequence, seen, speed = clips()
    scores = channel_scores(sequence, seen, speed, kind=kind, generator=generator())
    factor = keep(sequence, seen, speed, kind=kind, ratio=0.3)
    for clip in range(4):
        ordered = sorted(range(20), key=lambda channel: -scores[clip, channel].item())
        assert (factor[clip] == 0).nonzero().flatten().tolist() == sorted(ordered[:6])


def test_keep_entries_is_that_of_a_loop():
    sequence, seen, _ = clips()
    factor = keep_entries(sequence, seen, threshold=0.7)
    for clip in range(5):
        shown = seen[clip].nonzero().flatten().tolist()
        energy = [loop_energy(sequence[clip, shown, channel].tolist()) for channel in range(20)]
        kept = [[energy[channel][number] < 0.7 for channel in range(20)] for number in range(len(shown))]
        expected = torch.zeros(9, 20)
        expected[shown] = torch.tensor(kept) * (len(shown) * 20 / sum(map(sum, kept)))
        assert_close(factor[clip], expected, atol=1e-6, rtol=1e-6)


# Properties of every kind


@every_kind
@pytest.mark.parametrize(
    ("width", "ratio", "num_dropped"),
    [(20, 0.2, 4), (2048, 0.2, 410), (25, 0.1, 3), (25, 0.58, 15)],
)
def test_round_of_ratio_times_width_channels_are_dropped_and_the_scale_is_kept(
    kind, width, ratio, num_dropped
):
    """.5 is rounded up: 2.5 is 3 and 14.5 is 15, though 0.58 * 25 is less in binary."""
    factor = keep(torch.randn(3, 6, width, generator=generator()), kind=kind, ratio=ratio)
    assert ((factor == 0).sum(dim=1) == num_dropped).all()
    assert_close(factor.sum(dim=1), torch.full((3,), float(width)), atol=0, rtol=1e-5)
    kept = factor[factor > 0]
    assert_close(kept, torch.full_like(kept, width / (width - num_dropped)))


@every_kind
def test_frames_that_are_not_seen_count_nowhere(kind):
    sequence, seen, speed = clips()
    other, faster = sequence.clone(), speed.clone()
    other[~seen], faster[~seen] = 1e6, 1e6
    assert torch.equal(keep(sequence, seen, speed, kind=kind), keep(other, seen, faster, kind=kind))
    entries = keep_entries(sequence, seen, threshold=0.7)
    assert torch.equal(entries, keep_entries(other, seen, threshold=0.7))


@every_kind
def test_every_clip_has_a_map_of_its_own(kind):
    sequence, seen, speed = clips()
    together = keep(sequence, seen, speed, kind=kind)
    assert len({tuple(row.tolist()) for row in together[:4]}) == 4
    if kind != "random":
        for clip in range(6):
            row = slice(clip, clip + 1)
            assert torch.equal(keep(sequence[row], seen[row], speed[row], kind=kind), together[row])


@every_kind
@pytest.mark.parametrize("num_seen", [0, 1, 2])
def test_a_clip_of_hardly_any_frames_gives_finite_factors(kind, num_seen):
    """A variance of one frame is 0 / 0, a gate has no step between frames. Scores too: nan would be large."""
    sequence, seen, speed = clips(num_clips=4)
    seen[:] = torch.arange(9) < num_seen
    assert torch.isfinite(channel_scores(sequence, seen, speed, kind=kind, generator=generator())).all()
    assert torch.isfinite(feature_energy(sequence, seen)).all()
    factor = keep(sequence, seen, speed, kind=kind)
    assert torch.isfinite(factor).all()
    assert ((factor == 0).sum(dim=1) == 4).all()
    assert torch.isfinite(keep_entries(sequence, seen, threshold=0.7)).all()


@pytest.mark.parametrize("kind", ["trajectory", "gate", "energy"])
def test_of_equal_channels_the_first_are_dropped(kind):
    """torch.topk does not promise it."""
    sequence = torch.randn(2, 6, 1, generator=generator()).repeat(1, 1, 64)
    factor = keep(sequence, kind=kind, ratio=0.25)
    assert (factor[:, :16] == 0).all()
    assert (factor[:, 16:] > 0).all()
    still, seen, speed = torch.zeros(2, 6, 64), torch.ones(2, 6, dtype=torch.bool), torch.zeros(2, 6)
    assert torch.isfinite(channel_scores(still, seen, speed, kind=kind, generator=generator())).all()
    assert torch.equal(keep(still, kind=kind, ratio=0.25), factor)


@every_kind
def test_no_gradient_passes_through_the_map_and_nothing_changes_in_place(kind):
    """Trap E8: the ancestor overwrites its mask inside the graph."""
    sequence, seen, speed = clips()
    before = sequence.clone()
    sequence.requires_grad_()
    factor = keep(sequence, seen, speed.requires_grad_(), kind=kind)
    assert not factor.requires_grad
    (sequence[:, -1] * factor).sum().backward()
    assert torch.equal(sequence.grad[:, -1], factor)
    assert not sequence.grad[:, :-1].any()
    assert speed.grad is None
    assert torch.equal(sequence.detach(), before)
    scores = channel_scores(sequence, seen, speed, kind=kind, generator=generator())
    entries = keep_entries(sequence, seen, threshold=0.7)
    assert not any(each.requires_grad for each in (scores, entries, feature_energy(sequence, seen)))
    assert torch.equal(sequence.detach(), before)


@every_kind
def test_the_map_is_float32_whatever_the_features_are(kind):
    sequence, seen, speed = clips()
    sequence = sequence.bfloat16()
    expected = keep(sequence.float(), seen, speed, kind=kind)
    scores = channel_scores(sequence, seen, speed, kind=kind, generator=generator())
    exact = channel_scores(sequence.float(), seen, speed, kind=kind, generator=generator())
    assert scores.dtype == torch.float32
    assert torch.equal(scores, exact)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = keep(sequence, seen, speed, kind=kind)
        entries = keep_entries(sequence, seen, threshold=0.7)
    assert found.dtype == entries.dtype == torch.float32
    assert torch.equal(found, expected)
    assert torch.equal(entries, keep_entries(sequence.float(), seen, threshold=0.7))


def test_the_trajectory_drops_what_stands_out_where_the_body_moves():
    """Channel 0 has its peak in frame 2, channel 1 in frame 6: the fast frame decides which is dropped."""
    sequence = torch.zeros(2, 9, 3)
    sequence[:, 2, 0], sequence[:, 6, 1] = 1.0, 1.0
    speed = torch.full((2, 9), 0.01)
    speed[0, 2], speed[1, 6] = 0.3, 0.3
    factor = keep(sequence, speed=speed, ratio=0.33)
    assert (factor == 0).tolist() == [[True, False, False], [False, True, False]]


def test_the_trajectory_map_of_a_body_at_rest_is_the_energy_map():
    sequence, seen, speed = clips()
    maps = [
        channel_scores(sequence, seen, torch.zeros_like(speed), kind=kind, generator=generator())
        for kind in ("trajectory", "energy")
    ]
    assert_close(maps[0][:5], maps[1][:5])  # the last clip has no seen frame


def test_random_channels_come_from_the_generator_and_all_are_alike():
    sequence = torch.randn(1, 4, 20, generator=generator()).repeat(3000, 1, 1)
    factor = keep(sequence, kind="random")
    assert torch.equal(factor, keep(sequence, kind="random"))
    assert not torch.equal(factor, keep(sequence, kind="random", seed=1))
    # 20 shares of 3000 draws of p = 0.2: five standard deviations are 0.0365
    assert_close((factor == 0).float().mean(dim=0), torch.full((20,), 0.2), atol=0.0365, rtol=0)


def test_impossible_drops_are_refused():
    with pytest.raises(ValueError, match=r"0\.9 drops 2 of 2 channels: at least one must go and one stay"):
        keep(torch.randn(1, 4, 2), ratio=0.9)
    with pytest.raises(ValueError, match=r"0\.09 drops 0 of 5 channels"):
        keep(torch.randn(1, 4, 5), ratio=0.09)
    with pytest.raises(ValueError, match="'threshold' drops no channels"):
        keep(torch.randn(1, 4, 5), kind="threshold")
    with pytest.raises(ValidationError, match="ratio"):
        config(ratio=1.0)


# The threshold of AimCLR


def test_the_threshold_drops_entries_beyond_1_18_deviations():
    """sigmoid(x / 4 + 0.5) = 0.7 at x = 1.389 = 1.18^2: of normal features 23.8 % are further out."""
    sequence = torch.randn(4, 2000, 20, generator=generator())
    factor = keep_entries(sequence, torch.ones(4, 2000, dtype=torch.bool), threshold=0.7)
    assert_close((factor == 0).float().mean().item(), 0.238, atol=0.005, rtol=0)
    assert (sequence.abs()[factor == 0] > 1.1).all()


def test_every_clip_keeps_its_own_scale():
    """Trap E8: one scale for the batch lets a clip that loses nothing grow."""
    sequence, seen, _ = clips()
    sequence[0] = 0.0  # constant channels: nothing is dropped
    factor = keep_entries(sequence, seen, threshold=0.7)
    assert torch.equal(factor[0], torch.ones(9, 20))
    num_seen = seen.sum(dim=1) * 20.0
    assert_close(factor.sum(dim=(1, 2)), num_seen, atol=1e-3, rtol=1e-5)
    assert not factor[~seen].any()


def test_a_clip_that_would_lose_every_entry_keeps_all_of_them():
    """Trap E8, division by zero: of two frames both are at x = 1 / 2, sigmoid(1 / 8 + 0.5) = 0.651."""
    sequence = torch.tensor([[[1.0, 2.0], [-1.0, -2.0]], [[1.0, 0.0], [-1.0, 0.0]]])
    factor = keep_entries(sequence, torch.ones(2, 2, dtype=torch.bool), threshold=0.65)
    assert factor.tolist() == [[[1, 1], [1, 1]], [[0, 2], [0, 2]]]


@pytest.mark.parametrize("threshold", [0.5, 0.62, 1.0])
def test_a_threshold_that_drops_everything_or_nothing_is_refused(threshold):
    """Trap E8: no energy is below 0.622."""
    with pytest.raises(ValidationError, match="threshold"):
        config(threshold=threshold)
