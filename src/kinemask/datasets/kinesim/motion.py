"""Actions as key poses and swings, and how people turn them into curves: a little differently each time."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float
from pydantic import Field

from kinemask.datasets.kinesim.pose import CHANNELS
from kinemask.section import Range, Section

Vector = tuple[float, ...]
REST: Vector = ()  # a key's value where the person does what it does when idle

# Where hands are when they do nothing, (outwards, up, forwards) in arm lengths: mostly hanging.
IDLE_HANDS: dict[str, Vector] = {
    "hanging": (0.10, -0.97, 0.06),
    "on hip": (0.15, -0.62, -0.02),
    "on belly": (-0.30, -0.60, 0.40),
    "behind": (-0.15, -0.75, -0.28),
}
SEAT: Vector = (0.0, -0.42, -0.40)  # where the pelvis is on a chair, leg lengths
MIN_FRAMES = 12  # the recorder runs at least so long
RAMP = 0.12  # share of a swing in which it grows, and in which it fades


@dataclass(frozen=True)
class Swing:
    """An oscillation on top of a channel between two phases of the action; `lag` is a share of its period."""

    channel: str
    extent: Vector
    hertz: float
    start: float
    stop: float
    lag: float = 0.0


@dataclass(frozen=True)
class Role:
    """What one person does: keys (phase in [0, 1], value) for some channels, and swings. Others stay idle."""

    keys: Mapping[str, tuple[tuple[float, Vector], ...]]
    swings: tuple[Swing, ...] = ()
    touches: bool = False  # the hands go to a place on a body, so a lively person's do not go farther


@dataclass(frozen=True)
class Action:
    """One class: nominal seconds, a role per person, and for two how many metres they are apart at first."""

    name: str
    seconds: float
    roles: tuple[Role, ...]
    apart: float = 0.0
    on_chair: bool = False  # also done sitting


class HabitSpreads(Section):
    """How people differ in manner: standard deviations over people."""

    tempo: float = Field(ge=0, le=0.5)  # of the logarithm of the speed
    amplitude: float = Field(ge=0, le=0.5)  # of the logarithm of the size of movements
    posture_degrees: float = Field(ge=0, le=20)  # lean, tilt, twist and head
    manner: float = Field(ge=0, le=0.3)  # where the hands go in an action, arm lengths
    elbow_flare: float = Field(ge=0, le=1)
    stance: float = Field(ge=0, le=0.5)


class RepetitionSpreads(Section):
    """How repetitions by one person differ: standard deviations, where nothing else is said."""

    tempo: float = Field(ge=0, le=0.5)
    amplitude: float = Field(ge=0, le=0.5)
    key_phase: float = Field(ge=0, le=0.1)  # when a key pose comes, share of the action
    key_point: float = Field(ge=0, le=0.3)  # where it is, arm or leg lengths
    key_degrees: float = Field(ge=0, le=20)
    warp: float = Field(ge=0, lt=1)  # largest share by which the action runs faster or slower inside
    sway: float = Field(ge=0, le=0.1)  # idle sway, arm or leg lengths
    sway_degrees: float = Field(ge=0, le=10)
    # Shortest and longest pause before, and after; below zero the recording misses that part of the action.
    pause_seconds: Range
    seated_share: float = Field(ge=0, le=1)  # how often an action that can be done on a chair is
    busy_hand_share: float = Field(ge=0, le=1)  # how often an idle hand rests elsewhere than hanging
    other_side_share: float = Field(ge=0, le=1)  # how often the weak hand does it


@dataclass(frozen=True)
class Habits:
    """One person's manner."""

    tempo: float
    amplitude: float
    left_handed: bool
    elbow_flare: float
    stance: float
    rest: dict[str, Float[np.ndarray, " _"]] = field(default_factory=dict)


def draw_habits(spreads: HabitSpreads, left_handed: bool, rng: np.random.Generator) -> Habits:
    """A person's manner at random."""
    rest = {channel: np.zeros(width) for channel, width in CHANNELS.items()}
    for channel in ("lean", "tilt", "twist", "nod", "look"):
        rest[channel] = spreads.posture_degrees * rng.standard_normal(1)
    return Habits(
        tempo=float(np.exp(spreads.tempo * rng.standard_normal())),
        amplitude=float(np.exp(spreads.amplitude * rng.standard_normal())),
        left_handed=left_handed,
        elbow_flare=float(0.5 + spreads.elbow_flare * rng.standard_normal()),
        stance=float(np.exp(spreads.stance * rng.standard_normal())),
        rest=rest,
    )


@dataclass(frozen=True)
class Timeline:
    """When the frames of a performance are taken: seconds, and the phase of the action in [0, 1]."""

    seconds: Float[np.ndarray, " T"]
    phase: Float[np.ndarray, " T"]
    action_seconds: float


def draw_timeline(
    action_seconds: float, frames_per_second: float, spreads: RepetitionSpreads, rng: np.random.Generator
) -> Timeline:
    """Frames of an action that lasts so long: still in the pauses before and after, uneven in between."""
    before, after = rng.uniform(*spreads.pause_seconds, size=2)
    num_frames = max(MIN_FRAMES, round((before + action_seconds + after) * frames_per_second))
    seconds = np.arange(num_frames) / frames_per_second
    even = np.clip((seconds - before) / action_seconds, 0.0, 1.0)
    warp = rng.uniform(-spreads.warp, spreads.warp)
    phase = even + warp * np.sin(np.pi * even) ** 2 / np.pi  # monotone while |warp| < 1
    return Timeline(seconds, phase, action_seconds)


def draw_curves(
    role: Role,
    timeline: Timeline,
    habits: Habits,
    seated: bool,
    manner: Mapping[str, Float[np.ndarray, " 3"]],
    spreads: RepetitionSpreads,
    rng: np.random.Generator,
) -> dict[str, Float[np.ndarray, "T _"]]:
    """One person's curves in one performance. `manner` moves the hands' keys for this person and action."""
    amplitude = habits.amplitude * float(np.exp(spreads.amplitude * rng.standard_normal()))
    curves = {}
    for channel, width in CHANNELS.items():
        rest = habits.rest[channel] + _idle_hand(channel, channel in role.keys, spreads, rng)
        if seated and channel == "pelvis":
            rest = rest + SEAT
        scale = 1.0 if (role.touches and channel in manner) or channel == "walk" else amplitude
        keys = role.keys.get(channel, ((0.0, REST),))
        places = _places(keys, rest, scale, manner.get(channel), channel, spreads, rng)
        late = spreads.key_phase * rng.standard_normal(len(keys))
        curve = through_keys([when for when, _ in keys] + late, places, timeline.phase)
        curves[channel] = curve + _sway(timeline.seconds, width, _spread(channel, spreads)[1], rng)
    lively = 0.5 * (1.0 + amplitude) if role.touches else amplitude
    beat, lag = float(np.exp(spreads.tempo * rng.standard_normal())), rng.uniform(0.0, 1.0)
    for swing in role.swings:  # all to the same beat: hands that clap meet
        curves[swing.channel] = curves[swing.channel] + lively * _swing(swing, timeline, beat, lag)
    return curves


def _spread(channel: str, spreads: RepetitionSpreads) -> tuple[float, float]:
    """(of keys, of the idle sway) in the channel's unit. Feet stand and walks go where they are meant to."""
    if channel in ("walk", "foot", "other_foot"):
        return (0.0, 0.0)
    if CHANNELS[channel] == 1:
        return (spreads.key_degrees, spreads.sway_degrees)
    return (
        (0.3 * spreads.key_point, 0.3 * spreads.sway)
        if channel == "pelvis"
        else (spreads.key_point, spreads.sway)
    )


def _idle_hand(
    channel: str, used: bool, spreads: RepetitionSpreads, rng: np.random.Generator
) -> Float[np.ndarray, " _"]:
    """Where a hand is when it does nothing; zero for the other channels."""
    if channel not in ("hand", "other_hand"):
        return np.zeros(CHANNELS[channel])
    places = [name for name in IDLE_HANDS if name != "hanging"]
    busy = not used and rng.random() < spreads.busy_hand_share
    return np.array(IDLE_HANDS[places[rng.integers(len(places))] if busy else "hanging"])


def _places(
    keys: tuple[tuple[float, Vector], ...],
    rest: Float[np.ndarray, " W"],
    scale: float,
    manner: Float[np.ndarray, " W"] | None,
    channel: str,
    spreads: RepetitionSpreads,
    rng: np.random.Generator,
) -> Float[np.ndarray, "K W"]:
    """Where the keys are this time: near their place. A pose that is held stays where it is."""
    moved: dict[Vector, Float[np.ndarray, " W"]] = {}
    for _, value in keys:
        jitter = _spread(channel, spreads)[0] * rng.standard_normal(len(rest))
        if value in moved:
            continue
        if value == REST:
            moved[value] = rest + 0.5 * jitter
        elif channel in ("hand", "other_hand"):
            moved[value] = (
                rest + scale * (np.array(value) - rest) + jitter + (0.0 if manner is None else manner)
            )
        else:
            moved[value] = rest + scale * np.array(value) + jitter
    return np.stack([moved[value] for _, value in keys])


def through_keys(
    at: Float[np.ndarray, " K"], places: Float[np.ndarray, "K W"], phase: Float[np.ndarray, " T"]
) -> Float[np.ndarray, "T W"]:
    """The curve of least jerk that is at each key's place at its phase and at rest there; still outside."""
    at = np.maximum.accumulate(at)
    segment = np.clip(np.searchsorted(at, phase, side="right") - 1, 0, max(len(at) - 2, 0))
    following = np.minimum(segment + 1, len(at) - 1)
    share = np.clip((phase - at[segment]) / np.maximum(at[following] - at[segment], 1e-6), 0.0, 1.0)
    eased = share**3 * (10.0 - 15.0 * share + 6.0 * share**2)
    return np.asarray(places[segment] + eased[:, None] * (places[following] - places[segment]))


def _swing(swing: Swing, timeline: Timeline, beat: float, lag: float) -> Float[np.ndarray, "T _"]:
    """The oscillation at each frame: `beat` times as fast, `lag` of a period late."""
    inside = np.clip((timeline.phase - swing.start) / (swing.stop - swing.start), 0.0, 1.0)
    grown = np.clip(np.minimum(inside, 1.0 - inside) / RAMP, 0.0, 1.0)
    turns = beat * swing.hertz * timeline.action_seconds * (timeline.phase - swing.start) + swing.lag + lag
    return np.asarray((grown * np.sin(2 * np.pi * turns))[:, None] * np.array(swing.extent))


def _sway(
    seconds: Float[np.ndarray, " T"], width: int, size: float, rng: np.random.Generator
) -> Float[np.ndarray, "T W"]:
    """Slow aimless movement: two sines a coordinate with periods of about 1.3 to 7 seconds."""
    hertz, lag = rng.uniform(0.15, 0.75, (2, width)), rng.uniform(0.0, 2 * np.pi, (2, width))
    waves = np.sin(2 * np.pi * hertz * seconds[:, None, None] + lag)
    return np.asarray(size * waves.sum(axis=1))
