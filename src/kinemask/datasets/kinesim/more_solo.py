"""What people of a second set of recordings do alone, see `solo`."""

from kinemask.datasets.kinesim.keys import MOUTH, hold
from kinemask.datasets.kinesim.motion import REST, Action, Role, Swing

MORE_ALONE: tuple[Action, ...] = (
    Action("point", 1.8, (Role({"hand": hold((0.05, 0.02, 0.97), 0.34, 0.66)}),), on_chair=True),
    Action(
        "salute", 1.8, (Role({"hand": hold((0.10, 0.42, 0.34), 0.26, 0.70)}, touches=True),), on_chair=True
    ),
    Action(
        "check_watch",
        1.9,
        (Role({"other_hand": hold((-0.22, -0.20, 0.50), 0.32, 0.70), "nod": hold((18.0,), 0.38, 0.7)}),),
        on_chair=True,
    ),
    Action(
        "put_on_glasses",
        2.0,
        (
            Role(
                {
                    "hand": (
                        (0.0, REST),
                        (0.3, (-0.15, 0.20, 0.60)),
                        (0.55, (-0.12, 0.32, 0.34)),
                        (0.7, (-0.12, 0.32, 0.34)),
                        (1.0, REST),
                    ),
                    "other_hand": (
                        (0.0, REST),
                        (0.3, (-0.15, 0.20, 0.60)),
                        (0.55, (-0.12, 0.32, 0.34)),
                        (0.7, (-0.12, 0.32, 0.34)),
                        (1.0, REST),
                    ),
                },
                touches=True,
            ),
        ),
        on_chair=True,
    ),
    Action("bow", 1.8, (Role({"lean": hold((42.0,), 0.42, 0.58), "nod": hold((12.0,), 0.4, 0.6)}),)),
    Action(
        "box",
        1.8,
        (
            Role(
                {
                    "hand": hold((-0.10, 0.08, 0.55), 0.22, 0.82),
                    "other_hand": hold((-0.10, 0.08, 0.55), 0.22, 0.82),
                },
                (
                    Swing("hand", (-0.05, 0.0, 0.34), 1.7, 0.2, 0.85),
                    Swing("other_hand", (-0.05, 0.0, 0.34), 1.7, 0.2, 0.85, lag=0.5),
                    Swing("twist", (12.0,), 1.7, 0.2, 0.85),
                ),
            ),
        ),
        on_chair=True,
    ),
    Action(
        "beckon",
        1.8,
        (
            Role(
                {"hand": hold((0.04, -0.02, 0.80), 0.3, 0.72)},
                (Swing("hand", (-0.03, 0.10, -0.17), 1.5, 0.28, 0.76),),
            ),
        ),
        on_chair=True,
    ),
    Action(
        "cough",
        1.8,
        (
            Role(
                {"hand": hold(MOUTH, 0.28, 0.72), "lean": hold((7.0,), 0.34, 0.68)},
                (Swing("lean", (7.0,), 1.6, 0.3, 0.74), Swing("nod", (9.0,), 1.6, 0.3, 0.74)),
                touches=True,
            ),
        ),
        on_chair=True,
    ),
    Action(
        "fold_arms",
        1.9,
        (
            Role(
                {
                    "hand": hold((-0.42, -0.42, 0.40), 0.34, 0.74),
                    "other_hand": hold((-0.42, -0.34, 0.34), 0.34, 0.74),
                },
                touches=True,
            ),
        ),
        on_chair=True,
    ),
)
