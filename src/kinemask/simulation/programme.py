"""Programmes: key poses of parts of a body and the order they come in. What a twin performs again."""

from dataclasses import dataclass

import torch
from einops import rearrange, repeat
from jaxtyping import Bool, Float, Int
from torch import Tensor

from kinemask.simulation.anatomy import Anatomy
from kinemask.simulation.config import ProgrammeConfig

NUM_KEYS = 4  # key poses beside that of rest, which has number 0
KINDS = ("free", "back", "hold", "period", "alternate")  # the order of KindWeights

# The pose at each station of a programme, by kind, and how long the ways between them take, relative to one
# another; a way of length 0 is not gone. Right limbs that do not keep to it have stations of their own.
_STATIONS = {
    "free": (0, 1, 2, 3, 4, 4, 4),
    "back": (0, 1, 2, 1, 0, 0, 0),
    "hold": (0, 1, 1, 0, 0, 0, 0),
    "period": (0, 1, 2, 1, 2, 1, 0),
    "alternate": (0, 1, 0, 0, 1, 0, 0),
}
_OTHER_SIDE = {"alternate": (0, 0, 1, 0, 0, 1, 0)}
_WAYS = {
    "free": (1.0, 1.0, 1.0, 1.0, 0.0, 0.0),
    "back": (1.0, 1.0, 1.0, 1.0, 0.0, 0.0),
    "hold": (1.0, 1.5, 1.0, 0.0, 0.0, 0.0),
    "period": (1.0, 1.0, 1.0, 1.0, 1.0, 1.0),
    "alternate": (1.0, 1.0, 1.0, 1.0, 1.0, 1.0),
}
NUM_STATIONS = len(_STATIONS["free"])


@dataclass(frozen=True)
class Programmes:
    """N programmes for one person. `turns` are rotation vectors of bones at poses 0 (rest), 1, 2, ..."""

    turns: Float[Tensor, "N K V 3"]
    places: Float[Tensor, "N K 3"]  # of the root, in metres from where it begins
    stations: Int[Tensor, "N 2 S"]  # the pose at each station, of the bones, then of those of the right limbs
    ways: Float[Tensor, "N W"]  # how long each takes, as shares of the programme

    def repeat(self, times: int) -> "Programmes":
        """Every programme so many times in a row."""
        return Programmes(
            *(
                repeat(value, "N ... -> (N times) ...", times=times)
                for value in (self.turns, self.places, self.stations, self.ways)
            )
        )


def draw_programmes(
    count: int, *, config: ProgrammeConfig, anatomy: Anatomy, generator: torch.Generator
) -> Programmes:
    """N programmes, on the device of the generator."""
    device = generator.device
    num_joints = len(anatomy.offsets)
    weights = torch.tensor(list(config.kinds.model_dump().values()), device=device)
    kind = torch.multinomial(weights, count, replacement=True, generator=generator)
    active = _draw_active(count, config=config, anatomy=anatomy, generator=generator)[:, anatomy.part_of]
    normal = torch.randn(count, NUM_KEYS, num_joints, 3, generator=generator, device=device)
    turns = normal * anatomy.key_std(config)
    alternates = rearrange(kind == KINDS.index("alternate"), "N -> N 1 1 1")
    turns = torch.where(alternates, _alike_on_both_sides(turns, anatomy), turns)
    turns = within_reach(turns, anatomy) * rearrange(active, "N V -> N 1 V 1")
    turns = torch.cat([torch.zeros_like(turns[:, :1]), turns], dim=1)
    turns = _about_a_pose(turns, config=config, anatomy=anatomy, generator=generator)
    tracks = [(_STATIONS[name], _OTHER_SIDE.get(name, _STATIONS[name])) for name in KINDS]
    ways = torch.tensor([_WAYS[name] for name in KINDS], device=device)[kind]
    uneven = torch.randn(ways.shape, generator=generator, device=device) * config.uneven
    return Programmes(
        turns=turns,
        places=_draw_places(count, config=config, generator=generator),
        stations=torch.tensor(tracks, device=device)[kind],
        ways=shares(ways * torch.exp(uneven)),
    )


def within_reach(turns: Float[Tensor, "*batch V 3"], anatomy: Anatomy) -> Float[Tensor, "*batch V 3"]:
    """The turns of bones with what is beyond a limit reflected there, once, then cut off."""
    low, high = anatomy.lowest, anatomy.highest
    turns = torch.where(turns > high, 2 * high - turns, turns)
    turns = torch.where(turns < low, 2 * low - turns, turns)
    return cut_off(turns, anatomy)


def cut_off(turns: Float[Tensor, "*batch V 3"], anatomy: Anatomy) -> Float[Tensor, "*batch V 3"]:
    """The turns of bones, none farther than it can."""
    return torch.minimum(torch.maximum(turns, anatomy.lowest), anatomy.highest)


def shares(lengths: Float[Tensor, "N W"]) -> Float[Tensor, "N W"]:
    """Of each row, what each entry is of their sum."""
    return lengths / lengths.sum(dim=1, keepdim=True)


def mirrored_turns(turns: Float[Tensor, "*batch V 3"], anatomy: Anatomy) -> Float[Tensor, "*batch V 3"]:
    """The rotation vectors of the same movement in a mirror."""
    return turns[..., anatomy.mirrored, :] * turns.new_tensor([1.0, -1.0, -1.0])


def _draw_active(
    count: int, *, config: ProgrammeConfig, anatomy: Anatomy, generator: torch.Generator
) -> Bool[Tensor, "N P"]:
    """Which parts take part; at least one does."""
    chance = anatomy.active_chance(config)
    drawn = torch.rand(count, anatomy.num_parts, generator=generator, device=generator.device)
    active = drawn < chance
    # Where none is chosen it is the one that came nearest, among those that ever are.
    nearest = torch.where(chance > 0, drawn / chance.clamp(min=1e-9), torch.inf).argmin(dim=1, keepdim=True)
    none = ~active.any(dim=1, keepdim=True)
    return active | (none & torch.zeros_like(active).scatter(1, nearest, True))


def _alike_on_both_sides(turns: Float[Tensor, "N K V 3"], anatomy: Anatomy) -> Float[Tensor, "N K V 3"]:
    """Poses in which the right limbs do what the left ones do."""
    is_right = rearrange(anatomy.is_right, "V -> V 1")
    return torch.where(is_right, mirrored_turns(turns, anatomy), turns)


def _about_a_pose(
    turns: Float[Tensor, "N K V 3"],
    *,
    config: ProgrammeConfig,
    anatomy: Anatomy,
    generator: torch.Generator,
) -> Float[Tensor, "N K V 3"]:
    """Some programmes become small movements of the arms about the first key pose, which takes the place of
    rest."""
    chance = torch.rand(len(turns), 1, 1, 1, generator=generator, device=turns.device)
    is_fine = (chance < config.fine_share) & rearrange(anatomy.is_arm, "V -> 1 1 V 1")
    about = turns[:, 1:2]
    return torch.where(is_fine, about + config.fine_amount * (turns - about), turns)


def _draw_places(
    count: int, *, config: ProgrammeConfig, generator: torch.Generator
) -> Float[Tensor, "N K 3"]:
    device = generator.device
    places = torch.randn(count, NUM_KEYS, 3, generator=generator, device=device) * config.walk_metres
    walks = torch.rand(count, 1, 1, generator=generator, device=device) < config.walk_share
    places = places * walks * places.new_tensor([1.0, 0.0, 1.0])
    return torch.cat([torch.zeros_like(places[:, :1]), places], dim=1)
