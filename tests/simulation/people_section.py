"""A section of simulated people for tests: all that varies is off, or everything is on."""

import json
from typing import Any

import torch

from kinemask.presets import merge
from kinemask.simulation.anatomy import anatomy_of
from kinemask.simulation.config import PeopleConfig
from kinemask.skeleton.rest_pose import RESTS

PEOPLE: dict[str, Any] = {
    "programme": {
        "active": {"arm": 0.5, "leg": 0.25, "trunk": 0.35},
        "near_std": 1.3, "far_std": 0.3, "trunk_std": 0.3,
        "kinds": {"free": 1.0, "back": 1.0, "hold": 1.0, "period": 1.0, "alternate": 1.0},
        "fine_share": 0.2, "fine_amount": 0.35, "walk_share": 0.1, "walk_metres": 0.4, "uneven": 0.5,
    },
    "body": {"size": 0.12, "part": 0.06, "bone": 0.12},
    "posture": {
        "seated_share": 0.35, "seated_leg_amount": 0.2, "trunk_std": 0.08, "limb_std": 0.12,
        "outward": [0.0, 0.35], "sway_std": 0.03, "sway_periods": [0.3, 1.5],
    },
    "manner": {
        "amplitude": [0.5, 1.3], "key_std": 0.12, "timing_std": 0.3, "warp": 0.6, "pause": [0.0, 0.15],
        "broken_share": 0.1, "broken_from": 0.5,
        "mirror_share": 0.5, "compensation_std": 0.1,
    },
    "camera": {"yaw": 0.5, "pitch": 0.15, "metres": [1.5, 4.0]},
    "sensor": {
        "trunk_metres": 0.008, "tip_metres": 0.02, "memory": 0.5, "lost_share": 0.06, "dropped_share": 0.05,
    },
    "pairs": {"share": 0.5, "apart_metres": [0.6, 1.4]},
}  # fmt: skip
EXACT: dict[str, Any] = {
    "programme": {"fine_share": 0.0, "walk_share": 0.0, "uneven": 0.0},
    "body": {"size": 0.0, "part": 0.0, "bone": 0.0},
    "posture": {
        "seated_share": 0.0, "trunk_std": 0.0, "limb_std": 0.0, "outward": [0.0, 0.0], "sway_std": 0.0,
    },
    "manner": {
        "amplitude": [1.0, 1.0], "key_std": 0.0, "timing_std": 0.0, "warp": 0.0, "pause": [0.0, 0.0],
        "broken_share": 0.0, "compensation_std": 0.0,
    },
    "camera": {"yaw": 0.0, "pitch": 0.0, "metres": [3.0, 3.0]},
    "sensor": {
        "trunk_metres": 0.0, "tip_metres": 0.0, "memory": 0.0, "lost_share": 0.0, "dropped_share": 0.0,
    },
}  # fmt: skip
ANATOMY = anatomy_of(RESTS["kinect25"], torch.device("cpu"))


def people(*changes: dict[str, Any]) -> PeopleConfig:
    """PEOPLE with the changes, in turn."""
    section: Any = PEOPLE
    for change in changes:
        section = merge(section, change)
    return PeopleConfig.model_validate_json(json.dumps(section))


def only(kind: str) -> dict[str, Any]:
    """A change: programmes of that kind alone."""
    return {"programme": {"kinds": {one: float(one == kind) for one in PEOPLE["programme"]["kinds"]}}}
