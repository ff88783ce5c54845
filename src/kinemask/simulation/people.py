"""Twins: the same programmes done by other people, before another camera."""

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor

from kinemask.simulation.anatomy import Anatomy
from kinemask.simulation.config import PairConfig, PeopleConfig
from kinemask.simulation.performance import Draws, perform
from kinemask.simulation.programme import draw_programmes
from kinemask.simulation.sensor import seen_from, sensed
from kinemask.skeleton.batch import Batch


@torch.no_grad()
def simulate(
    num_programmes: int,
    num_performances: int,
    *,
    config: PeopleConfig,
    anatomy: Anatomy,
    num_persons: int,
    num_frames: int,
    may_mirror: bool,
    generator: torch.Generator,
) -> Batch:
    """Clips in metres before a camera, so many performances in a row of each programme.

    Of `num_persons` the first is always there, a second in some programmes, who does another thing beside
    them, further ones never. With `may_mirror` some do everything with the other hand. All chance comes from
    the generator, on whose device the clips are.
    """
    count = num_programmes * num_performances
    draws = Draws(count, generator)
    acting = min(num_persons, 2)
    people = [
        perform(
            draw_programmes(
                num_programmes, config=config.programme, anatomy=anatomy, generator=generator
            ).repeat(num_performances),
            config=config,
            anatomy=anatomy,
            num_frames=num_frames,
            may_mirror=may_mirror,
            generator=generator,
        )
        for _ in range(acting)
    ]
    present = torch.zeros(count, num_persons, dtype=torch.bool, device=generator.device)
    present[:, 0] = True
    if acting > 1:
        paired = Draws(num_programmes, generator).chosen(config.pairs.share)
        present[:, 1] = paired.repeat_interleave(num_performances)
        people = _face_to_face(people, present[:, 1], config=config.pairs, draws=draws)
    joints, distance = seen_from(torch.stack(people, dim=2), config=config.camera, draws=draws)
    joints = sensed(joints, distance, config=config.sensor, anatomy=anatomy, draws=draws)
    joints = torch.nn.functional.pad(joints, (0, 0, 0, 0, 0, num_persons - acting))
    shown = rearrange(present, "N M -> N 1 M 1 1")
    return Batch(
        torch.where(shown, joints, 0.0), rearrange(present, "N M -> N 1 M").expand(count, num_frames, -1)
    )


def _face_to_face(
    people: list[Float[Tensor, "N T V 3"]], paired: Bool[Tensor, " N"], *, config: PairConfig, draws: Draws
) -> list[Float[Tensor, "N T V 3"]]:
    """The pairs across the view of a camera in front, turned to each other; who is alone stays."""
    first, second = people
    apart = rearrange(draws.uniform(*config.apart_metres), "N -> N 1 1")
    aside = first.new_tensor([1.0, 0.0, 0.0])
    turned = [
        torch.stack([side * joints[..., 2], joints[..., 1], -side * joints[..., 0]], dim=-1)
        for side, joints in ((1.0, first), (-1.0, second))
    ]  # a quarter turn: z, where they look, becomes x for the first, -x for the second
    moved = [
        joints - side * apart[..., None] / 2 * aside for side, joints in ((1.0, turned[0]), (-1.0, turned[1]))
    ]
    who = rearrange(paired, "N -> N 1 1 1")
    return [torch.where(who, moved[0], first), moved[1]]
