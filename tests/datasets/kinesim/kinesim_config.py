"""A small simulated data set, as the tests configure it."""

import copy
import json
from typing import Any

from kinemask.datasets.raw_kinesim import KinesimConfig

VALUES: dict[str, Any] = {
    "name": "kinesim",
    "max_damaged_share": 0.0,
    "seed": 7,
    "actions": 20,
    "subjects": 5,
    "replications": 1,
    "setups": 2,
    "frames_per_second": 12,
    "cameras": {
        "degrees": [0, -45, 45],
        "distance_metres": [2.8, 3.6],
        "height_metres": [0.9, 1.7],
        "aim_height_metres": 0.9,
        "aim_degrees": 5,
    },
    "people": {
        "left_handed_share": 0.5,
        "bodies": {"height": 0.08, "limbs": 0.04, "bone": 0.03},
        "habits": {
            "tempo": 0.2,
            "amplitude": 0.12,
            "posture_degrees": 4,
            "manner": 0.04,
            "elbow_flare": 0.25,
            "stance": 0.2,
        },
        "repetitions": {
            "tempo": 0.1,
            "amplitude": 0.08,
            "key_phase": 0.02,
            "key_point": 0.03,
            "key_degrees": 3,
            "warp": 0.4,
            "sway": 0.012,
            "sway_degrees": 1.2,
            "pause_seconds": [-0.2, 0.4],
            "seated_share": 0.3,
            "busy_hand_share": 0.3,
            "other_side_share": 0.05,
        },
        "places": {"yaw_degrees": 110, "drift_degrees": 10, "metres": 0.3, "apart_metres": 0.08},
    },
    "sensor": {
        "noise": {"metres": 0.008, "memory": 0.6, "distance_power": 1.5},
        "faults": {
            "joint_spans": 0.8,
            "joint_frames": [3, 10],
            "jump_share": 0.2,
            "jump_metres": 0.15,
            "lost_person_share": 0.08,
            "lost_person_frames": [2, 6],
            "empty_share": 0.05,
            "empty_frames": [1, 3],
            "furniture_share": 0.12,
            "ghost_share": 0.05,
            "ghost_frames": [2, 6],
        },
    },
    "cleaning": {
        "empty_frames": "drop",
        "gaps": "keep",
        "min_body_frames": 8,
        "spread": None,
        "motion": "time",
        "motion_limits": None,
        "persons": "most_moving",
        "origin": "camera",
    },
}
NO_FAULTS = {
    "sensor.noise.metres": 0,
    "sensor.faults.joint_spans": 0,
    "sensor.faults.lost_person_share": 0,
    "sensor.faults.empty_share": 0,
    "sensor.faults.furniture_share": 0,
    "sensor.faults.ghost_share": 0,
}


def make_config(changes: dict[str, Any] | None = None) -> KinesimConfig:
    """The configuration with some values changed, each named by its place."""
    values = copy.deepcopy(VALUES)
    for place, value in (changes or {}).items():
        node = values
        *path, last = place.split(".")
        for step in path:
            node = node[step]
        assert last in node
        node[last] = value
    return KinesimConfig.model_validate_json(json.dumps(values))
