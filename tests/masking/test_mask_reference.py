"""The mask once more as slow loops, written from METHOD_MTMC B3 step by step, in double precision."""

import math

import pytest
import torch

from kinemask.masking.draws import uniform_draws
from kinemask.masking.motion_topology import draw_mask, hiding_weights, mean_over_clips, unit_joints
from kinemask.skeleton.batch import Batch
from kinemask.skeleton.layout import KINECT25, Layout
from tests.conftest import generator
from tests.masking.bodies import CHAIN, TWO_PARTS, mask_config


def units_of(layout, topology):
    return [[j] for j in range(layout.num_joints)] if topology == "joints" else list(layout.parts.values())


def speeds(clip, seen):
    """Step 1, for one person: {frame: [speed of each joint]} of the frames that have one."""
    steps = {
        t: [math.dist(clip[t + 1][j], clip[t][j]) for j in range(len(clip[t]))]
        for t in range(len(clip) - 1)
        if seen[t] and seen[t + 1]
    }
    repeated = {t + 1: steps[t] for t in steps if t + 1 not in steps}
    return steps | repeated


def intensities(clip, seen, num_segments, units):
    """Step 2: a list of segments of a list of units."""
    speed, length = speeds(clip, seen), len(clip) // num_segments
    rows = []
    for s in range(num_segments):
        frames = [t for t in range(s * length, (s + 1) * length) if t in speed]
        values = [[speed[t][j] for t in frames for j in unit] for unit in units]
        rows.append([sum(found) / len(found) if found else 0.0 for found in values])
    return rows


def weights_of_person(clip, seen, config, layout):
    """Steps 3, 4 and 6: q of each segment."""
    units = units_of(layout, config.topology)
    rows = intensities(clip, seen, config.num_segments, units)
    degrees = [0] * layout.num_joints
    for joint, parent in enumerate(layout.parents):
        if joint != parent:
            degrees[joint] += 1
            degrees[parent] += 1
    means = [sum(degrees[j] for j in unit) / len(unit) for unit in units]
    omega = [mean / sum(means) for mean in means]
    if config.topology_weight == "uniform":
        omega = [1 / len(units)] * len(units)
    largest = max(max(row) for row in rows)
    if config.motion != "uniform" and largest < 1e-6:
        return [[1 / len(units)] * len(units)] * config.num_segments
    q = []
    for row in rows:
        sign = {"guided": 1, "inverse": -1, "uniform": 0}[config.motion]
        odds = [math.exp(sign * i / (largest + 1e-10) / config.motion_temperature) for i in row]
        pi = [one / sum(odds) for one in odds]
        q.append(
            [config.motion_share * p + (1 - config.motion_share) * o for p, o in zip(pi, omega, strict=True)]
        )
    return q


def reference_weights(batch, config, layout):
    """q as nested lists: clips, persons, segments, units."""
    persons = 1 if config.persons == "first" else batch.present.shape[2]
    q = [
        [
            weights_of_person(batch.joints[n, :, m].tolist(), batch.present[n, :, m].tolist(), config, layout)
            for m in range(persons)
        ]
        for n in range(len(batch.present))
    ]
    if not config.shared:
        return q
    length = batch.present.shape[1] // config.num_segments
    num_units = len(units_of(layout, config.topology))
    mean = []
    for m in range(persons):
        rows = []
        for s in range(config.num_segments):
            seen = [n for n in range(len(q)) if batch.present[n, s * length : (s + 1) * length, m].any()]
            total = [sum(q[n][m][s][u] for n in seen) for u in range(num_units)]
            rows.append([one / len(seen) for one in total] if seen else total)
        mean.append(rows)
    return [mean]


def drawn(row, draws, count, config, layout):
    """Step 5 for one segment. `draws`: one list of uniform numbers, or for `tree` one a turn."""

    def score(unit, turn):
        return math.log(row[unit]) - math.log(-math.log(draws[turn][unit]))

    if config.topology != "tree":
        return sorted(range(len(row)), key=lambda unit: score(unit, 0), reverse=True)[:count]
    parts = list(layout.parts.values())
    chosen: list[int] = []
    for turn in range(count):
        left = [part for part in range(len(parts)) if part not in chosen]
        near = [
            part
            for part in left
            for other in chosen
            if any(
                (layout.parents[a] == b or layout.parents[b] == a) and a != b
                for a in parts[part]
                for b in parts[other]
            )
        ]
        chosen.append(max(near or left, key=lambda unit: score(unit, turn)))
    return chosen


def reference_mask(batch, config, layout, seed):
    q = torch.tensor(reference_weights(batch, config, layout), dtype=torch.float64)
    units = units_of(layout, config.topology)
    count = int(config.hidden_ratio * len(units) + 0.5)
    numbers, turns = generator(seed), count if config.topology == "tree" else 1
    draws = torch.stack([uniform_draws(*q.shape, generator=numbers) for _ in range(turns)])
    hidden = torch.zeros(batch.joints.shape[:-1], dtype=torch.bool)
    length = batch.present.shape[1] // config.num_segments
    for n in range(len(hidden)):
        row_of = 0 if config.shared else n
        for m in range(q.shape[1]):
            for s in range(config.num_segments):
                row = (row_of, m, s)
                of_turns = [draws[(turn, *row)].tolist() for turn in range(turns)]
                for unit in drawn(q[row].tolist(), of_turns, count, config, layout):
                    for t in range(s * length, (s + 1) * length):
                        for j in units[unit]:
                            hidden[n, t, m, j] = bool(batch.present[n, t, m])
    return hidden


def clips_of(layout: Layout, num_persons: int, seed: int) -> Batch:
    """Some move, one stands still, one is nowhere; persons come and go."""
    numbers = generator(seed)
    joints = torch.randn(6, 12, num_persons, layout.num_joints, 3, generator=numbers).cumsum(dim=1) * 0.02
    joints *= torch.rand(6, 1, num_persons, layout.num_joints, 1, generator=numbers)
    joints[1] = joints[1, :1]
    present = torch.rand(6, 12, num_persons, generator=numbers) < 0.8
    present[0] = True
    present[2] = False
    present[3, :, -1] = False
    return Batch(joints * present[..., None, None], present)


CASES = [
    (layout, topology, motion, persons, shared)
    for layout in (KINECT25, TWO_PARTS, CHAIN)
    for topology in ("parts", "tree", "joints")
    for motion in ("guided", "uniform", "inverse")
    for persons, shared in (("all", False), ("first", False), ("all", True))
]


@pytest.mark.parametrize(("layout", "topology", "motion", "persons", "shared"), CASES)
def test_weights_and_mask_are_those_of_slow_loops(layout, topology, motion, persons, shared):
    config = mask_config(
        topology=topology,
        motion=motion,
        persons=persons,
        shared=shared,
        hidden_ratio=0.5,
        topology_weight="uniform" if motion == "inverse" else "degree",
    )
    for num_persons in (1, 3):
        batch = clips_of(layout, num_persons, seed=num_persons)
        if persons == "all":
            found = hiding_weights(batch, config=config, layout=layout, units=unit_joints(layout, topology))
            if shared:
                found = mean_over_clips(found, batch.present)
            expected = torch.tensor(reference_weights(batch, config, layout))
            torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)
        hidden = draw_mask(batch, config=config, layout=layout, generator=generator(5))
        assert hidden.any()
        assert torch.equal(hidden, reference_mask(batch, config, layout, seed=5))
