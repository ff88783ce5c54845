"""Forward kinematics on any tree of bones: from turns to joints, for many clips at once."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from einops import pack, rearrange, repeat
from jaxtyping import Float


@dataclass(frozen=True)
class MotionTree:
    """The bones along which a body moves. `parents[j]` is the joint before j; the root's is the root.

    It may hang elsewhere than the tree of the Layout, which is for features. Raises ValueError that says what
    is wrong if it is no tree.
    """

    parents: tuple[int, ...]

    def __post_init__(self) -> None:
        if any(not 0 <= parent < len(self.parents) for parent in self.parents):
            raise ValueError(f"joints are 0 to {len(self.parents) - 1}, found parents {self.parents}")
        if len(self.roots) != 1:
            raise ValueError(f"a tree has one root, found {len(self.roots)} in {self.parents}")
        if sum(len(level) for level in self.levels) != len(self.parents) - 1:
            raise ValueError(f"some joints are not reached from the root {self.root}: {self.parents}")

    @cached_property
    def roots(self) -> tuple[int, ...]:
        """The joints that are their own parents."""
        return tuple(joint for joint, parent in enumerate(self.parents) if joint == parent)

    @property
    def root(self) -> int:
        """The joint from which all others hang."""
        return self.roots[0]

    @cached_property
    def levels(self) -> tuple[tuple[int, ...], ...]:
        """The joints one bone from the root, then those two bones from it, and so on."""
        found: list[tuple[int, ...]] = []
        last: tuple[int, ...] = self.roots
        while last:
            last = tuple(
                joint for joint, parent in enumerate(self.parents) if parent in last and parent != joint
            )
            if last:
                found.append(last)
        return tuple(found)


def rooted(edges: Iterable[tuple[int, int]], *, root: int, num_joints: int) -> MotionTree:
    """The tree of those bones that hangs from `root`, whichever way the bones were told."""
    beside: dict[int, list[int]] = {joint: [] for joint in range(num_joints)}
    for one, other in edges:
        beside[one].append(other)
        beside[other].append(one)
    parents, waiting = {root: root}, [root]
    while waiting:
        parent = waiting.pop()
        for joint in beside[parent]:
            if joint not in parents:
                parents[joint] = parent
                waiting.append(joint)
    return MotionTree(tuple(parents.get(joint, joint) for joint in range(num_joints)))


def forward_kinematics(
    tree: MotionTree,
    *,
    offsets: Float[Any, "N V 3"],
    turns: Float[Any, "N T V 3 3"],
    root: Float[Any, "N T 3"],
) -> Float[Any, "N T V 3"]:
    """Positions of all joints, of NumPy's arrays or torch's tensors.

    `offsets[:, j]` leads from j's parent to j when nothing is turned. `turns[:, :, j]` turns that bone
    against the one before it; that of the root turns the whole body about it.
    """
    # Level by level, and each level is one stretch of this order: nothing is looked up twice.
    order = [tree.root, *(joint for level in tree.levels for joint in level)]
    bones = repeat(offsets[:, order], "N V C -> N T V C 1", T=root.shape[1])
    turns = turns[:, :, order]
    above, whole = tree.roots, turns[:, :, :1]
    positions = [rearrange(root, "N T C -> N T 1 C")]
    first = 1
    for level in tree.levels:
        own = slice(first, first + len(level))
        parents = [above.index(tree.parents[joint]) for joint in level]
        whole = whole[:, :, parents] @ turns[:, :, own]
        positions.append(positions[-1][:, :, parents] + (whole @ bones[:, :, own])[..., 0])
        above, first = level, own.stop
    joints, _ = pack(positions, "N T * C")
    return joints[:, :, [order.index(joint) for joint in range(len(order))]]
