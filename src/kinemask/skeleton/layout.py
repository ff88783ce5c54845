"""Bodies: which joints there are, how they hang together, which part each is in. The only joint numbers."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Layout:
    """A skeleton tree. `parents[j]` is the parent of joint j (the root is its own); `parts` partition it.

    Raises ValueError that names the joints if it is no tree, or if parts or sides do not fit the joints.
    """

    name: str
    joints: tuple[str, ...]
    parents: tuple[int, ...]
    parts: dict[str, tuple[int, ...]]
    mirrored: tuple[int, ...]  # for each joint, the one on the other side of the body

    def __post_init__(self) -> None:
        numbers = range(len(self.joints))
        self._refuse("lists twice", repeated(self.joints))
        if not self.joints or not len(self.joints) == len(self.parents) == len(self.mirrored):
            found = f"{len(self.joints)}, {len(self.parents)} and {len(self.mirrored)}"
            raise ValueError(f"{self.name}: {found} joints, parents and mirrored, expected equally many")
        used = (*self.parents, *self.mirrored, *(joint for part in self.parts.values() for joint in part))
        if not set(used) <= set(numbers):
            raise ValueError(f"{self.name} has joints 0 to {len(self.joints) - 1}, found {sorted(set(used))}")
        roots = [self.joints[joint] for joint in numbers if self.parents[joint] == joint]
        if len(roots) != 1:
            raise ValueError(f"{self.name} has {len(roots)} roots ({', '.join(roots)}), expected one")
        self._refuse("has a circle of parents at", [self.joints[joint] for joint in self._lost()])
        self._refuse("has no joint in", [name for name, joints in self.parts.items() if not joints])
        parted = Counter(joint for part in self.parts.values() for joint in part)
        self._refuse("puts into no part", [self.joints[joint] for joint in numbers if not parted[joint]])
        self._refuse("puts twice into parts", [self.joints[joint] for joint in numbers if parted[joint] > 1])
        odd = [self.joints[joint] for joint in numbers if self.mirrored[self.mirrored[joint]] != joint]
        self._refuse("mirrors to another joint than back", odd)

    def _refuse(self, what: str, joints: Iterable[str]) -> None:
        listed = ", ".join(joints)
        if listed:
            raise ValueError(f"{self.name} {what} {listed}")

    def _lost(self) -> list[int]:
        """The joints from which the root is not reached."""
        lost = []
        for joint in range(len(self.joints)):
            reached = joint
            for _ in self.joints:
                reached = self.parents[reached]
            if reached != self.root:
                lost.append(joint)
        return lost

    def _above(self, joint: int) -> list[int]:
        """The joint and those between it and the root, which is left out: one for each bone of the way."""
        way = []
        while joint != self.root:
            way.append(joint)
            joint = self.parents[joint]
        return way

    @property
    def num_joints(self) -> int:
        """V."""
        return len(self.joints)

    @cached_property
    def root(self) -> int:
        """The joint that is its own parent."""
        return next(joint for joint, parent in enumerate(self.parents) if joint == parent)

    @property
    def has_bones(self) -> bool:
        """Whether a joint hangs on another: else its bones, each joint minus its parent, are all zero."""
        return bool(self.edges)

    @cached_property
    def edges(self) -> tuple[tuple[int, int], ...]:
        """The bones as (parent, joint); the root has none above it."""
        return tuple((parent, joint) for joint, parent in enumerate(self.parents) if joint != parent)

    @cached_property
    def degrees(self) -> tuple[int, ...]:
        """For each joint, how many bones meet there."""
        ends = Counter(joint for edge in self.edges for joint in edge)
        return tuple(ends[joint] for joint in range(self.num_joints))

    @cached_property
    def hops(self) -> tuple[tuple[int, ...], ...]:
        """For each two joints, how many bones the way from one to the other has."""
        above = [self._above(joint) for joint in range(self.num_joints)]
        # What two joints have above them both is the way from where theirs meet up to the root.
        return tuple(
            tuple(len(set(above[joint]) ^ set(above[other])) for other in range(self.num_joints))
            for joint in range(self.num_joints)
        )

    @cached_property
    def part_neighbours(self) -> tuple[tuple[int, ...], ...]:
        """For each part, the numbers of the parts that a bone joins to it."""
        of_joint = {joint: part for part, joints in enumerate(self.parts.values()) for joint in joints}
        joined = {
            (of_joint[end], of_joint[other]) for edge in self.edges for end, other in (edge, edge[::-1])
        }
        return tuple(
            tuple(other for other in range(len(self.parts)) if (part, other) in joined and other != part)
            for part in range(len(self.parts))
        )

    def index(self, joint: str) -> int:
        """The number of a joint. Raises KeyError that lists the joints."""
        if joint not in self.joints:
            raise KeyError(f"{self.name} has no joint {joint!r}; it has {', '.join(self.joints)}")
        return self.joints.index(joint)

    def part(self, name: str) -> tuple[int, ...]:
        """The joints of a part. Raises KeyError that lists the parts."""
        if name not in self.parts:
            raise KeyError(f"{self.name} has no part {name!r}; it has {', '.join(self.parts)}")
        return self.parts[name]


def repeated(names: Iterable[str]) -> list[str]:
    """The names that stand there more than once."""
    return [name for name, times in Counter(names).items() if times > 1]


_KINECT_JOINTS = (
    "spine_base", "spine_mid", "neck", "head",
    "left_shoulder", "left_elbow", "left_wrist", "left_hand",
    "right_shoulder", "right_elbow", "right_wrist", "right_hand",
    "left_hip", "left_knee", "left_ankle", "left_foot",
    "right_hip", "right_knee", "right_ankle", "right_foot",
    "spine_shoulder", "left_hand_tip", "left_thumb", "right_hand_tip", "right_thumb",
)  # fmt: skip

KINECT25 = Layout(
    name="kinect25",
    joints=_KINECT_JOINTS,
    # The tree of METHOD B1; hand tips hang on the hands' thumbs as in the field's bone list (trap E22).
    parents=(1, 20, 20, 2, 20, 4, 5, 6, 20, 8, 9, 10, 0, 12, 13, 14, 0, 16, 17, 18, 20, 22, 7, 24, 11),
    parts={
        "trunk": (0, 1, 2, 3, 20),
        "left_arm": (4, 5, 6, 7, 21, 22),
        "right_arm": (8, 9, 10, 11, 23, 24),
        "left_leg": (12, 13, 14, 15),
        "right_leg": (16, 17, 18, 19),
    },
    mirrored=(0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7, 16, 17, 18, 19, 12, 13, 14, 15, 20, 23, 24, 21, 22),
)

LAYOUTS = {layout.name: layout for layout in (KINECT25,)}
