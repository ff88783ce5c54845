"""Bodies and sections for the tests of masks."""

from typing import Any

from kinemask.masking.motion_topology import MaskConfig
from kinemask.skeleton.layout import Layout

# Four joints in two parts, a chain: degrees 1, 2, 2, 1.
TWO_PARTS = Layout("two_parts", ("a", "b", "c", "d"), (0, 0, 1, 2), {"A": (0, 1), "B": (2, 3)}, (0, 1, 2, 3))

# Three parts of which no bone joins the last to the first.
CHAIN = Layout(
    "chain",
    ("a", "b", "c", "d", "e"),
    (0, 0, 1, 2, 3),
    {"P": (0,), "Q": (1, 3), "R": (2, 4)},
    (0, 1, 2, 3, 4),
)

MASK: dict[str, Any] = {
    "num_segments": 4,
    "hidden_ratio": 0.6,
    "topology": "parts",
    "topology_weight": "degree",
    "motion": "guided",
    "motion_share": 0.7,
    "motion_temperature": 0.75,
    "persons": "all",
    "shared": False,
    "fill": "zero",
}


def mask_config(**changes: Any) -> MaskConfig:
    return MaskConfig(**(MASK | changes))
