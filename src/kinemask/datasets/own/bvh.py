"""Motion capture in .bvh files: a tree of joints, their turns frame by frame, and where that puts them."""

import re
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

from kinemask.datasets.reader import DamagedError
from kinemask.skeleton.layout import Layout

END = "_end"  # the End Site of a joint is called <joint>_end

_CHANNEL = re.compile(r"([XYZ])(position|rotation)", re.IGNORECASE)
_AXES = "XYZ"


@dataclass(frozen=True)
class BvhJoint:
    """A joint or End Site of the tree. The root is its own parent."""

    name: str
    parent: int
    offset: tuple[float, float, float]  # from its parent, in the parent's frame
    channels: tuple[tuple[str, int], ...]  # "position" or "rotation", and which axis
    is_end: bool


@dataclass(frozen=True)
class Bvh:
    """What a file holds; parents stand before their children."""

    tree: tuple[BvhJoint, ...]
    motion: Float64[np.ndarray, "T K"]  # the channels of all joints, in the order of the tree

    @property
    def names(self) -> tuple[str, ...]:
        """Of joints and End Sites."""
        return tuple(joint.name for joint in self.tree)

    def positions(self) -> Float64[np.ndarray, "T V C"]:
        """Where joints and End Sites are, in the units of the file, by forward kinematics.

        Rotations are applied in the order in which the channels are listed. A position channel says where the
        joint is seen from its parent: it stands for that part of the offset, it is not added to it.
        """
        num_frames = len(self.motion)
        places = np.zeros((num_frames, len(self.tree), 3))
        turns = np.tile(np.eye(3), (len(self.tree), num_frames, 1, 1))
        column = 0
        for number, joint in enumerate(self.tree):
            local = np.tile(np.array(joint.offset), (num_frames, 1))
            turn = np.tile(np.eye(3), (num_frames, 1, 1))
            for kind, axis in joint.channels:
                values = self.motion[:, column]
                column += 1
                if kind == "position":
                    local[:, axis] = values
                else:
                    turn = turn @ _rotation(axis, np.radians(values))
            if joint.parent == number:
                places[:, number], turns[number] = local, turn
            else:
                above = turns[joint.parent]
                places[:, number] = places[:, joint.parent] + (above @ local[..., None])[..., 0]
                turns[number] = above @ turn
        return places


def read_bvh(data: bytes) -> Bvh:
    """The tree and motion of a file. Raises DamagedError with the line and the reason."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")  # names of joints of old tools
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), start=1)]
    lines = [(number, line) for number, line in lines if line]
    starts = [place for place, (_, line) in enumerate(lines) if line.upper() == "MOTION"]
    if not lines or lines[0][1].upper() != "HIERARCHY" or len(starts) != 1:
        raise DamagedError("a .bvh file has one HIERARCHY and one MOTION, this one has not")
    tree = _Tree(lines[1 : starts[0]]).read()
    return Bvh(tree, _read_motion(lines[starts[0] + 1 :], sum(len(joint.channels) for joint in tree)))


def layout_of(tree: tuple[BvhJoint, ...], name: str) -> Layout:
    """A body made of the joints of a file, without End Sites.

    A joint is on a side if its name, with left and right (or L and R) exchanged, is the name of another. What
    hangs on one side is a part of its own; all the rest is the trunk.
    """
    joints = [joint for joint in tree if not joint.is_end]
    names = [joint.name for joint in joints]
    number = {one: place for place, one in enumerate(names)}
    parents = [number[tree[joint.parent].name] for joint in joints]
    mirrored = [number.get(_other_side(one, number), place) for place, one in enumerate(names)]
    part_of: list[str] = []
    for place, one in enumerate(names):
        sided = mirrored[place] != place
        inherited = part_of[parents[place]] if parents[place] != place else "trunk"
        part_of.append(one if sided and inherited == "trunk" else inherited)
    parts = {
        part: tuple(j for j, own in enumerate(part_of) if own == part) for part in dict.fromkeys(part_of)
    }
    return Layout(name, tuple(names), tuple(parents), parts, tuple(mirrored))


def _other_side(name: str, known: dict[str, int]) -> str:
    swaps = (("left", "right"), ("Left", "Right"), ("LEFT", "RIGHT"), ("L", "R"), ("l", "r"))
    for left, right in swaps:
        for one, other in ((left, right), (right, left)):
            for pattern in (rf"^{one}", rf"{one}$", one):
                swapped = re.sub(pattern, other, name, count=1)
                if swapped != name and swapped in known:
                    return swapped
    return name


class _Tree:
    """The lines of a HIERARCHY, taken one after the other."""

    def __init__(self, lines: list[tuple[int, str]]) -> None:
        # Some tools put the brace behind the name.
        spread = [(number, re.sub(r"\s*([{}])\s*", r"\n\1\n", line)) for number, line in lines]
        self._lines = [
            (n, piece.strip()) for n, line in spread for piece in line.split("\n") if piece.strip()
        ]

    def read(self) -> tuple[BvhJoint, ...]:
        tree: list[BvhJoint] = []
        above: list[int] = []  # the joints whose braces are open
        names: dict[str, int] = {}
        for number, line in self._lines:
            word, rest = (*line.split(None, 1), "")[:2]
            if word.upper() in ("ROOT", "JOINT", "END"):
                if bool(tree) == (word.upper() == "ROOT") or (tree and not above):
                    raise DamagedError(f"line {number}: {line!r}: one ROOT is expected, joints below it")
                is_end = word.upper() == "END"
                name = tree[above[-1]].name + END if is_end else rest
                if not name or name in names:
                    raise DamagedError(f"line {number}: a second joint is named {name!r}")
                names[name] = len(tree)
                tree.append(BvhJoint(name, above[-1] if above else 0, (0.0, 0.0, 0.0), (), is_end))
            elif line == "{":
                above.append(len(tree) - 1)
            elif line == "}" and above:
                above.pop()
            elif word.upper() == "OFFSET" and above:
                x, y, z = _numbers(rest.split(), 3, number)
                tree[above[-1]] = replace(tree[above[-1]], offset=(x, y, z))
            elif word.upper() == "CHANNELS" and above:
                tree[above[-1]] = replace(tree[above[-1]], channels=_channels(rest, number))
            else:
                raise DamagedError(f"line {number}: {line[:40]!r} is not expected in a HIERARCHY")
        if not tree or above:
            raise DamagedError("the HIERARCHY is cut: its braces do not close")
        return tuple(tree)


def _channels(text: str, line: int) -> tuple[tuple[str, int], ...]:
    count, *names = text.split() or [""]
    found = [_CHANNEL.fullmatch(name) for name in names]
    if not count.isdigit() or int(count) != len(names) or not all(found):
        raise DamagedError(f"line {line}: CHANNELS {text[:60]!r}: a count and as many channels are expected")
    return tuple((one[2].lower(), _AXES.index(one[1].upper())) for one in found if one is not None)


def _read_motion(lines: list[tuple[int, str]], num_channels: int) -> Float64[np.ndarray, "T K"]:
    heads = [line.partition(":") for _, line in lines[:2]]
    if [head[0].strip().lower() for head in heads] != ["frames", "frame time"]:
        raise DamagedError("after MOTION the lines `Frames:` and `Frame Time:` are expected")
    count = heads[0][2].strip()
    rows = lines[2:]
    if not count.isdigit() or int(count) != len(rows) or not rows:
        raise DamagedError(f"{count} frames are announced, the file has {len(rows)}")
    values = [_numbers(line.split(), num_channels, number) for number, line in rows]
    return np.array(values, dtype=np.float64).reshape(len(rows), num_channels)


def _numbers(words: list[str], expected: int, line: int) -> list[float]:
    try:
        values = [float(word) for word in words]
    except ValueError as error:
        raise DamagedError(f"line {line}: {error}") from None
    if len(values) != expected or not np.isfinite(values).all():
        raise DamagedError(f"line {line}: {len(values)} values, expected {expected} finite ones")
    return values


def _rotation(axis: int, angle: Float64[np.ndarray, " T"]) -> Float64[np.ndarray, "T C C"]:
    """Right-handed turns about an axis: v' = R v."""
    first, second = (axis + 1) % 3, (axis + 2) % 3
    turn = np.zeros((len(angle), 3, 3))
    turn[:, axis, axis] = 1.0
    turn[:, first, first] = turn[:, second, second] = np.cos(angle)
    turn[:, second, first] = np.sin(angle)
    turn[:, first, second] = -np.sin(angle)
    return turn
