"""One recording as read, before it becomes part of a packed dataset."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float32


@dataclass(frozen=True)
class Clip:
    """A recording. `joints` are metres in camera space (y up, z away from it); absent persons are zero."""

    name: str
    label: int
    subject: int
    joints: Float32[np.ndarray, "T M V C"]
    present: Bool[np.ndarray, "T M"]
    source_sha256: str
    camera: int = 1
    setup: int = 1
    replication: int = 1
    traits: dict[str, str] = field(default_factory=dict)  # what a protocol of this dataset needs beyond these
    cleaned: dict[str, int] = field(default_factory=dict)  # what cleaning took out: kind -> how many
