"""What simulated people do alone. Channels, sides and units: CHANNELS of kinesim_pose."""

from kinemask.datasets.kinesim.keys import EAR, MOUTH, arrive, hold
from kinemask.datasets.kinesim.motion import REST, SEAT, Action, Role, Swing

ALONE: tuple[Action, ...] = (
    Action(
        "drink",
        2.1,
        (Role({"hand": hold(MOUTH, 0.32, 0.68), "nod": hold((-22.0,), 0.48, 0.6, 0.75)}, touches=True),),
        on_chair=True,
    ),
    Action(
        "brush_teeth",
        2.1,
        (
            Role(
                {"hand": hold(MOUTH, 0.25, 0.78)},
                (Swing("hand", (0.17, 0.02, 0.07), 2.6, 0.25, 0.8),),
                touches=True,
            ),
        ),
        on_chair=True,
    ),
    Action(
        "phone_call",
        2.1,
        (Role({"hand": hold(EAR, 0.3, 0.85), "tilt": hold((-4.0,), 0.4, 0.8)}, touches=True),),
        on_chair=True,
    ),
    Action(
        "comb_hair",
        2.1,
        (
            Role(
                {"hand": hold((-0.05, 0.50, 0.12), 0.28, 0.8)},
                (Swing("hand", (0.03, -0.14, -0.16), 1.4, 0.28, 0.82),),
                touches=True,
            ),
        ),
        on_chair=True,
    ),
    Action(
        "wave",
        1.9,
        (
            Role(
                {"hand": hold((0.38, 0.45, 0.30), 0.28, 0.78)},
                (Swing("hand", (0.32, 0.04, 0.0), 1.8, 0.25, 0.8),),
            ),
        ),
        on_chair=True,
    ),
    Action(
        "throw",
        1.6,
        (
            Role(
                {
                    "hand": (
                        (0.0, REST),
                        (0.42, (0.35, 0.42, -0.15)),
                        (0.58, (0.0, 0.25, 0.90)),
                        (0.72, (-0.25, -0.4, 0.6)),
                        (1.0, REST),
                    ),
                    "twist": ((0.1, REST), (0.42, (-20.0,)), (0.65, (22.0,)), (1.0, REST)),
                    "lean": ((0.35, REST), (0.65, (12.0,)), (1.0, REST)),
                }
            ),
        ),
        on_chair=True,
    ),
    Action("raise_arm", 1.8, (Role({"hand": hold((0.18, 0.85, 0.25), 0.36, 0.64)}),), on_chair=True),
    Action(
        "clap",
        1.7,
        (
            Role(
                {
                    "hand": hold((-0.06, -0.22, 0.62), 0.25, 0.8),
                    "other_hand": hold((-0.06, -0.22, 0.62), 0.25, 0.8),
                },
                (
                    Swing("hand", (0.32, 0.02, 0.0), 2.0, 0.22, 0.83),
                    Swing("other_hand", (0.32, 0.02, 0.0), 2.0, 0.22, 0.83),
                ),
            ),
        ),
        on_chair=True,
    ),
    Action(
        "rub_hands",
        1.8,
        (
            Role(
                {
                    "hand": hold((-0.33, -0.28, 0.60), 0.25, 0.8),
                    "other_hand": hold((-0.33, -0.28, 0.60), 0.25, 0.8),
                },
                (
                    Swing("hand", (0.0, 0.08, 0.11), 2.4, 0.22, 0.83),
                    Swing("other_hand", (0.0, 0.08, 0.11), 2.4, 0.22, 0.83, lag=0.5),
                ),
            ),
        ),
        on_chair=True,
    ),
    Action(
        "sit_down",
        1.6,
        (Role({"pelvis": arrive(SEAT, 0.75), "lean": ((0.0, REST), (0.42, (34.0,)), (0.85, (4.0,)))}),),
    ),
    Action(
        "stand_up",
        1.6,
        (
            Role(
                {
                    "pelvis": ((0.0, SEAT), (0.25, SEAT), (0.95, REST)),
                    "lean": ((0.0, (4.0,)), (0.48, (34.0,)), (0.95, REST)),
                }
            ),
        ),
    ),
    Action(
        "squat",
        1.9,
        (
            Role(
                {
                    "pelvis": hold((0.0, -0.45, -0.22), 0.45, 0.52),
                    "lean": hold((26.0,), 0.45, 0.52),
                    "hand": hold((-0.10, -0.2, 0.85), 0.42, 0.55),
                    "other_hand": hold((-0.10, -0.2, 0.85), 0.42, 0.55),
                }
            ),
        ),
    ),
    Action(
        "pick_up",
        1.9,
        (
            Role(
                {
                    "pelvis": hold((0.0, -0.30, -0.25), 0.45, 0.52),
                    "lean": hold((58.0,), 0.45, 0.52),
                    "hand": hold((-0.12, -0.30, 0.90), 0.42, 0.55),
                    "other_hand": hold((0.05, -0.50, 0.80), 0.42, 0.55),  # hangs from the bent trunk
                }
            ),
        ),
    ),
    Action(
        "jump",
        1.5,
        (
            Role(
                {
                    "pelvis": (
                        (0.0, REST),
                        (0.32, (0.0, -0.28, -0.06)),
                        (0.52, (0.0, 0.26, 0.0)),
                        (0.7, (0.0, -0.2, 0.0)),
                        (1.0, REST),
                    ),
                    "foot": ((0.40, REST), (0.52, (0.0, 0.26, 0.0)), (0.62, REST)),
                    "other_foot": ((0.40, REST), (0.52, (0.0, 0.26, 0.0)), (0.62, REST)),
                    "lean": ((0.0, REST), (0.32, (24.0,)), (0.52, REST), (0.7, (14.0,)), (1.0, REST)),
                    "hand": ((0.0, REST), (0.32, (0.2, -0.8, -0.4)), (0.5, (0.2, 0.0, 0.7)), (1.0, REST)),
                    "other_hand": (
                        (0.0, REST),
                        (0.32, (0.2, -0.8, -0.4)),
                        (0.5, (0.2, 0.0, 0.7)),
                        (1.0, REST),
                    ),
                }
            ),
        ),
    ),
    Action(
        "kick",
        1.5,
        (
            Role(
                {
                    "foot": (
                        (0.0, REST),
                        (0.32, (0.0, 0.14, -0.42)),
                        (0.54, (0.0, 0.34, 0.85)),
                        (0.68, (0.0, 0.1, 0.15)),
                        (0.85, REST),
                    ),
                    "lean": ((0.2, REST), (0.54, (-10.0,)), (0.9, REST)),
                    "pelvis": ((0.0, REST), (0.3, (-0.06, 0.0, 0.0)), (0.7, (-0.06, 0.0, 0.0)), (0.95, REST)),
                }
            ),
        ),
    ),
    Action(
        "stamp",
        1.5,
        (
            Role(
                {
                    "foot": (
                        (0.05, REST),
                        (0.28, (0.0, 0.34, 0.18)),
                        (0.42, (0.0, 0.0, 0.1)),
                        (0.64, (0.0, 0.34, 0.18)),
                        (0.8, REST),
                    ),
                    "pelvis": (
                        (0.0, REST),
                        (0.25, (-0.06, 0.0, 0.0)),
                        (0.7, (-0.06, 0.0, 0.0)),
                        (0.95, REST),
                    ),
                }
            ),
        ),
    ),
)
