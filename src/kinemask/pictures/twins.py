"""A recording above two performances of a simulated programme."""

from kinemask.looks import Looks, Pose, TwinsLook
from kinemask.pictures.marks import BOLD, INK, WIDTH, Picture, group, label, trimmed

_TALL = 84.0  # of a row of bodies
_NAME = 12.0  # and of its name above


def twins_picture(looks: Looks, clip: str, twins: TwinsLook) -> Picture:
    """Three rows of poses, all bodies to one scale, time from left to right."""
    assert looks.bones is not None, "Looks refuses twins without bones"
    rows = twins.rows
    poses = [pose for row in rows.values() for pose in row]
    wide = WIDTH / len(twins.recorded)
    tall = max(_extent(pose, 1) for pose in poses)
    scale = min(_TALL / max(tall, 1e-6), wide / max(max(_extent(pose, 0) for pose in poses), 1e-6))
    marks: list[str] = []
    y = 0.0
    for name, row in rows.items():
        marks.append(group([label(0.0, y + 8, name)], BOLD))
        y += _NAME
        bodies = [_body(pose, looks.bones, wide * (place + 0.5), y, scale) for place, pose in enumerate(row)]
        marks.append(f'<path d="{"".join(bodies)}" style="fill:none;stroke:{INK}" stroke-width=".8"/>')
        y += max(_extent(pose, 1) for pose in row) * scale + 6
    return Picture(
        "".join(marks),
        y,
        f"{len(twins.recorded)} poses of {clip}, and as many of two performances of a simulated programme. "
        + " ".join(f"{name}: the {_widest(looks, row)}." for name, row in rows.items()),
        "Twins: below a recording two people who do the same simulated programme, each in their own way. "
        "Time runs to the right. That those two belong together is what is learned.",
    )


def _extent(pose: Pose, axis: int) -> float:
    return max(place[axis] for place in pose) - min(place[axis] for place in pose)


def _body(pose: Pose, bones: tuple[tuple[int, int], ...], middle: float, top: float, scale: float) -> str:
    centre = (max(x for x, _ in pose) + min(x for x, _ in pose)) / 2
    highest = max(y for _, y in pose)
    places = [(trimmed(middle + scale * (x - centre)), trimmed(top + scale * (highest - y))) for x, y in pose]
    return "".join(
        f"M{places[one][0]} {places[one][1]}L{places[other][0]} {places[other][1]}" for one, other in bones
    )


def _widest(looks: Looks, row: tuple[Pose, ...]) -> str:
    """Which joint goes farthest, and how far."""

    def reach(joint: int) -> float:
        return max(
            _extent(tuple(pose[joint] for pose in row), 0), _extent(tuple(pose[joint] for pose in row), 1)
        )

    farthest = max(range(len(looks.joints)), key=reach)
    return f"{looks.joints[farthest]} goes farthest, {reach(farthest):.2f} m"
