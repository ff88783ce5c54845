"""What simulated people do with each other. Both walk up at first, so that the hands make the difference."""

from kinemask.datasets.kinesim.keys import FACING, hold
from kinemask.datasets.kinesim.motion import REST, Action, Role, Swing

TOGETHER: tuple[Action, ...] = (
    Action(
        "handshake",
        2.1,
        (
            Role(
                {"walk": FACING, "hand": hold((-0.28, -0.38, 0.72), 0.45, 0.8)},
                (Swing("hand", (0.0, 0.20, 0.0), 2.2, 0.42, 0.84),),
                touches=True,
            ),
        )
        * 2,
        apart=1.45,
    ),
    Action(
        "give",
        2.0,
        (
            Role({"walk": FACING, "hand": hold((-0.26, -0.36, 0.74), 0.45, 0.62)}, touches=True),
            Role(
                {
                    "walk": FACING,
                    "hand": (
                        (0.1, REST),
                        (0.48, (-0.26, -0.36, 0.70)),
                        (0.6, (-0.26, -0.36, 0.70)),
                        (0.85, (-0.3, -0.4, 0.35)),
                    ),
                    "nod": hold((14.0,), 0.6, 0.9),
                },
                touches=True,
            ),
        ),
        apart=1.45,
    ),
    Action(
        "push",
        1.8,
        (
            Role(
                {
                    "walk": FACING,
                    "hand": (
                        (0.15, REST),
                        (0.42, (-0.05, -0.15, 0.40)),
                        (0.56, (-0.08, -0.05, 0.92)),
                        (0.68, (-0.05, -0.15, 0.6)),
                        (1.0, REST),
                    ),
                    "other_hand": (
                        (0.15, REST),
                        (0.42, (-0.05, -0.15, 0.40)),
                        (0.56, (-0.08, -0.05, 0.92)),
                        (0.68, (-0.05, -0.15, 0.6)),
                        (1.0, REST),
                    ),
                    "lean": ((0.4, REST), (0.58, (16.0,)), (0.9, REST)),
                }
            ),
            Role(
                {
                    "walk": FACING,
                    "pelvis": ((0.5, REST), (0.68, (0.0, -0.06, -0.34)), (1.0, (0.0, 0.0, -0.2))),
                    "foot": ((0.52, REST), (0.62, (0.0, 0.08, -0.2)), (0.72, (0.0, 0.0, -0.4))),
                    "lean": ((0.5, REST), (0.62, (-14.0,)), (0.95, REST)),
                }
            ),
        ),
        apart=1.45,
    ),
    Action(
        "hug",
        2.1,
        (
            Role(
                {
                    "walk": ((0.0, (0.0,)), (0.45, (0.5,))),
                    "hand": (
                        (0.1, REST),
                        (0.38, (0.35, -0.05, 0.65)),
                        (0.52, (-0.42, -0.02, 0.62)),
                        (0.78, (-0.42, -0.02, 0.62)),
                        (1.0, REST),
                    ),
                    "other_hand": (
                        (0.1, REST),
                        (0.38, (0.35, -0.15, 0.65)),
                        (0.52, (-0.42, -0.2, 0.62)),
                        (0.78, (-0.42, -0.2, 0.62)),
                        (1.0, REST),
                    ),
                    "lean": hold((9.0,), 0.52, 0.78),
                },
                touches=True,
            ),
        )
        * 2,
        apart=1.45,
    ),
)

# For a second set of recordings.
MORE_TOGETHER: tuple[Action, ...] = (
    Action(
        "high_five",
        1.7,
        (
            Role(
                {
                    "walk": FACING,
                    "hand": (
                        (0.15, REST),
                        (0.45, (0.15, 0.5, 0.3)),
                        (0.56, (-0.2, 0.5, 0.72)),
                        (0.64, (-0.2, 0.4, 0.65)),
                        (1.0, REST),
                    ),
                },
                touches=True,
            ),
        )
        * 2,
        apart=1.45,
    ),
    Action("walk_towards", 1.8, (Role({"walk": ((0.0, (0.0,)), (1.0, (0.75,)))}),) * 2, apart=2.3),
    Action("walk_past", 2.0, (Role({"walk": ((0.0, (0.0,)), (1.0, (1.5,)))}),) * 2, apart=1.9),
)
