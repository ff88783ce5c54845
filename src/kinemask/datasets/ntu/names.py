"""The names of NTU RGB+D and NTU RGB+D 120: which recordings there are, and what their names say.

A name is SsssCcccPpppRrrrAaaa: setup, camera, performer, replication, action. In each setup its performers
did every action of its half twice, before three cameras: the pairs of setup and performer give all names.
"""

from functools import cache

from kinemask.datasets.kinect.skeleton_name import SkeletonName

CAMERAS = (1, 2, 3)
REPLICATIONS = (1, 2)
FIRST_HALF = range(1, 18)  # setups of NTU RGB+D, with actions 1 to 60; NTU RGB+D 120 has them too
SECOND_HALF = range(18, 33)  # the other setups of NTU RGB+D 120, with actions 61 to 120

_PERFORMERS = {  # setup -> performers
    1: "1-8",
    2: "3 7-14",
    3: "1 2 7 8 15-19",
    4: "3 7 8 20",
    5: "4 10 13 15-18 21",
    6: "1 7 8 15-17 19 22-24",
    7: "1 7 8 15-19 25-28",
    8: "1 7 8 15 19 25 29-36",
    9: "7 8 15-17 19 25",
    10: "7 8 13 15-19 21 25",
    11: "1 2 7 8 15-19 25 27 28 38",
    12: "7 8 15-19 25 27 28 37",
    13: "7 8 15-19 25 27 28 37",
    14: "7 8 15 17 19 25 27 37 39",
    15: "7 8 15-17 19 25 37",
    16: "7 8 19 21 25 39 40",
    17: "3 7-9 15-17 20",
    18: "8 41-45",
    19: "8 41 42 46-51",
    20: "8 41 43 44 52-54",
    21: "55-60",
    22: "61-67",
    23: "55-68",
    24: "57 60-64 67",
    25: "55 56 58 59 65 66 68",
    26: "8 41 44 49-51 69-72 74-77",
    27: "6 8 11 41 43 44 78-86",
    28: "8 41-43 46 48 70 73 87",
    29: "6 8 41 43 44 48 49 51 67 74 75 80 88-90",
    30: "8 11 41 43 44 48 67 75 76 81 85 88 91-96",
    31: "6 8 41-44 51 67 82 85 96-101",
    32: "8 41 43 44 67 102-106",
}

CLASS_NAMES = (
    "drink water", "eat meal or snack", "brush teeth", "brush hair", "drop", "pick up", "throw", "sit down",
    "stand up", "clap", "read", "write", "tear up paper", "put on jacket", "take off jacket",
    "put on a shoe", "take off a shoe", "put on glasses", "take off glasses", "put on a hat or cap",
    "take off a hat or cap", "cheer up", "wave a hand", "kick something",
    "put into or take out of a pocket", "hop on one foot", "jump up", "make or answer a phone call",
    "play with phone or tablet", "type on a keyboard", "point to something", "take a selfie",
    "check time on a watch", "rub two hands together", "nod head or bow", "shake head", "wipe face",
    "salute", "put palms together", "cross hands in front", "sneeze or cough", "stagger", "fall down",
    "touch head (headache)", "touch chest (stomachache or heart pain)", "touch back (backache)",
    "touch neck (neckache)", "nausea or vomiting", "fan oneself", "punch or slap somebody", "kick somebody",
    "push somebody", "pat somebody on the back", "point at somebody", "hug", "give something to somebody",
    "touch somebody's pocket", "shake hands", "walk towards each other", "walk apart", "put on headphone",
    "take off headphone", "shoot at the basket", "bounce a ball", "swing a tennis bat",
    "juggle table tennis balls", "hush", "flick hair", "thumb up", "thumb down", "make an ok sign",
    "make a victory sign", "staple a book", "count money", "cut nails", "cut paper", "snap fingers",
    "open a bottle", "sniff", "squat down", "toss a coin", "fold paper", "ball up paper",
    "play a magic cube", "apply cream on face", "apply cream on hand", "put on a bag", "take off a bag",
    "put something into a bag", "take something out of a bag", "open a box", "move heavy objects",
    "shake a fist", "throw up a cap or hat", "both hands up", "cross arms", "circle arms", "swing arms",
    "run on the spot", "kick backward", "cross toe touch", "side kick", "yawn", "stretch oneself",
    "blow nose", "hit somebody with something", "wield a knife at somebody", "knock somebody over",
    "grab somebody's stuff", "shoot at somebody with a gun", "step on somebody's foot", "high-five",
    "cheers and drink", "carry something together", "take a photo of somebody", "follow somebody",
    "whisper in somebody's ear", "exchange things", "support somebody", "finger-guessing game",
)  # fmt: skip


def performers(setup: int) -> tuple[int, ...]:
    """Who performed in a setup; nobody in a setup that does not exist."""
    found: list[int] = []
    for part in _PERFORMERS.get(setup, "").split():
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return tuple(found)


def actions(setup: int) -> range:
    """The actions that were done in a setup."""
    return range(1, 61) if setup in FIRST_HALF else range(61, 121)


@cache
def names(setups: range) -> tuple[str, ...]:
    """The name of every recording of these setups, in order."""
    return tuple(
        f"S{setup:03d}C{camera:03d}P{performer:03d}R{replication:03d}A{action:03d}"
        for setup in setups
        for camera in CAMERAS
        for performer in performers(setup)
        for replication in REPLICATIONS
        for action in actions(setup)
    )


def why_outside(name: SkeletonName, setups: range) -> str:
    """Why a name is not one of `names(setups)`: the first number that is outside, and what is known there."""
    known: tuple[tuple[str, int, tuple[int, ...]], ...] = (
        ("setup", name.setup, tuple(setups)),
        ("camera", name.camera, CAMERAS),
        ("replication", name.replication, REPLICATIONS),
        ("action", name.action, tuple(actions(name.setup))),
    )
    for what, number, numbers in known:
        if number not in numbers:
            return f"{what} {number}, expected {numbers[0]} to {numbers[-1]}"
    assert name.performer not in performers(name.setup)
    return f"performer {name.performer} is not in setup {name.setup}"
