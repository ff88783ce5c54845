"""Key poses that several actions share. A hand at the mouth is at (-0.20, 0.24, 0.42), see kinesim_pose."""

from kinemask.datasets.kinesim.motion import REST, Vector

Keys = tuple[tuple[float, Vector], ...]

MOUTH = (-0.20, 0.24, 0.42)
EAR = (0.02, 0.36, 0.14)
FACING = ((0.0, (0.0,)), (0.35, (0.35,)))  # two steps towards each other


def hold(value: Vector, start: float, stop: float, back: float = 1.0) -> Keys:
    """From rest to a pose, held from `start` to `stop`, and back to rest."""
    return ((0.0, REST), (start, value), (stop, value), (back, REST))


def arrive(value: Vector, start: float) -> Keys:
    """From rest to a pose that stays."""
    return ((0.0, REST), (start, value))
