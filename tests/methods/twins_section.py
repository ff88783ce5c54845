"""A small section of twins for tests."""

from tests.methods.mtmc_section import MASK, NORMAL
from tests.simulation.people_section import PEOPLE

SIMULATED = {"programmes": 6, "people": PEOPLE, "pool": None, "until": 1.0}
TWINS = {
    "name": "twins", "poolings": ["mean", "max"], "simulated": SIMULATED, "real": None, "view": None,
    "prediction": None, "drop": None, "projector_hidden": 16, "projector_width": 8, "temperature": 0.1,
    "queue_length": 0, "teacher_momentum": 0.9,
}  # fmt: skip
REAL = {"view": NORMAL, "since": 0.0}
PREDICTION = {"weight": 1.0, "mask": MASK, "decoder": {"hidden": 8, "depth": 1, "norm": "none"}}
ALL_TWINS = TWINS | {
    "real": REAL, "prediction": PREDICTION, "queue_length": 20, "view": NORMAL,
    "drop": {"kind": "trajectory", "ratio": 0.2, "threshold": 0.7},
}  # fmt: skip
