"""What a simulation has to know of a body: which bones move how far, and which part of it they belong to."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from kinemask.simulation.config import ProgrammeConfig
from kinemask.skeleton.kinematics import MotionTree
from kinemask.skeleton.rest_pose import RestPose


@dataclass(frozen=True)
class Anatomy:
    """A body as tensors on the device of the simulation. A bone is named by the joint at its end."""

    rest: RestPose
    part_of: Int[Tensor, " V"]  # number of the part a joint is in
    depth: Float[Tensor, " V"]  # 0 at the first bone of a part, 1 at its last
    is_arm: Bool[Tensor, " V"]
    is_leg: Bool[Tensor, " V"]
    is_limb: Bool[Tensor, " V"]  # either
    is_right: Bool[
        Tensor, " V"
    ]  # of two joints of limbs that mirror one another, the one of the larger number
    mirrored: Int[Tensor, " V"]
    offsets: Float[Tensor, "V 3"]
    lowest: Float[Tensor, "V 3"]
    highest: Float[Tensor, "V 3"]
    seated: Float[Tensor, "V 3"]
    outward: Float[Tensor, "V 3"]

    @property
    def tree(self) -> MotionTree:
        """The bones."""
        return self.rest.tree

    @property
    def num_parts(self) -> int:
        """P."""
        return len(self.rest.layout.parts)

    @property
    def can_sit(self) -> bool:
        """Whether it is known how that body sits."""
        return self.rest.seated is not None

    def key_std(self, config: ProgrammeConfig) -> Float[Tensor, "V 1"]:
        """How far key poses turn each bone, in radians."""
        limb = config.near_std + self.depth * (config.far_std - config.near_std)
        return torch.where(self.is_limb, limb, config.trunk_std)[:, None]

    def active_chance(self, config: ProgrammeConfig) -> Float[Tensor, " P"]:
        """How often each part takes part."""
        chances = [getattr(config.active, kind_of(name)) for name in self.rest.layout.parts]
        return torch.tensor(chances, device=self.offsets.device)


def kind_of(part: str) -> str:
    """What kind of part its name says it is: arm, leg or trunk."""
    words = part.lower().split("_")
    return next((kind for kind in ("arm", "leg") if kind in words), "trunk")


def anatomy_of(rest: RestPose, device: torch.device) -> Anatomy:
    """The body of a rest pose."""
    layout, tree = rest.layout, rest.tree
    part_of, kinds = [0] * layout.num_joints, [""] * layout.num_joints
    for number, (name, joints) in enumerate(layout.parts.items()):
        for joint in joints:
            part_of[joint], kinds[joint] = number, kind_of(name)
    steps = [0] * layout.num_joints
    for joint in (joint for level in tree.levels for joint in level):
        parent = tree.parents[joint]
        if parent != tree.root and part_of[parent] == part_of[joint]:
            steps[joint] = steps[parent] + 1
    longest = [
        max(steps[other] for other in range(layout.num_joints) if part_of[other] == part)
        for part in range(len(layout.parts))
    ]
    depth = [step / max(longest[part], 1) for step, part in zip(steps, part_of, strict=True)]
    seated = np.zeros_like(rest.offsets) if rest.seated is None else rest.seated

    def put(values: object) -> Tensor:
        return torch.as_tensor(values, device=device)

    return Anatomy(
        rest=rest,
        part_of=put(part_of),
        depth=put(depth),
        is_arm=put([kind == "arm" for kind in kinds]),
        is_leg=put([kind == "leg" for kind in kinds]),
        is_limb=put([kind != "trunk" for kind in kinds]),
        is_right=put([joint > other for joint, other in enumerate(layout.mirrored)]),
        mirrored=put(layout.mirrored),
        offsets=put(rest.offsets),
        lowest=put(rest.lowest),
        highest=put(rest.highest),
        seated=put(seated),
        outward=put(rest.outward),
    )
