"""What simulated people do and how they differ: the sections of params.yaml."""

from typing import Annotated

from pydantic import Field, model_validator

from kinemask.section import Range, Section

Share = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(ge=0)]


class GroupChances(Section):
    """How often a group of joints takes part. Parts of a body that are neither arm nor leg are its trunk."""

    arm: Share
    leg: Share
    trunk: Share


class KindWeights(Section):
    """How often programmes are of a kind, relative to one another.

    `free`: through all key poses, and there it ends. `back`: there and back. `hold`: the pose is held in
    between. `period`: to and fro. `alternate`: the two sides take turns at it.
    """

    free: Weight
    back: Weight
    hold: Weight
    period: Weight
    alternate: Weight

    @model_validator(mode="after")
    def _any(self) -> "KindWeights":
        if not any(self.model_dump().values()):
            raise ValueError("all kinds have weight 0: no programme could be drawn")
        return self


class ProgrammeConfig(Section):
    """What is to be done: key poses of groups of joints, and the order they come in."""

    active: GroupChances
    near_std: float = Field(ge=0, le=2)  # radians, of the key turns of the bone nearest to the trunk
    far_std: float = Field(ge=0, le=2)  # of the bone at the end of a limb; between them it falls evenly
    trunk_std: float = Field(ge=0, le=1)
    kinds: KindWeights
    fine_share: Share  # of the programmes: small movements about a raised pose, as on a table
    fine_amount: float = Field(gt=0, le=1)  # how large those are, of the others
    walk_share: Share  # of the programmes: those in which the person moves about
    walk_metres: float = Field(ge=0, le=2)  # standard deviation of where they go, along x and z
    uneven: float = Field(ge=0, le=2)  # deviation of the logarithm of how long a part of a programme takes


class BodyConfig(Section):
    """How bodies differ: largest differences from the median, as shares of it."""

    size: float = Field(ge=0, lt=1)  # all bones together
    part: float = Field(ge=0, lt=1)  # the bones of a part of the body together
    bone: float = Field(ge=0, lt=1)  # each by itself, alike on both sides


class PostureConfig(Section):
    """How people hold themselves while they do it."""

    seated_share: Share
    seated_leg_amount: Share  # what is left of what the legs do on a chair
    trunk_std: float = Field(ge=0, le=1)  # radians, of how trunk and head lean
    limb_std: float = Field(ge=0, le=1)  # radians, of where arms and legs rest
    outward: Range  # radians by which both arms are held off the body
    sway_std: float = Field(ge=0, le=0.2)  # radians, of slow aimless turns of every bone
    sway_periods: Range  # of those, in a clip


class MannerConfig(Section):
    """How a performance differs from the programme."""

    amplitude: Range  # of all movements
    key_std: float = Field(ge=0, le=1)  # radians by which a key pose is missed
    timing_std: float = Field(ge=0, le=2)  # of the logarithm of how long a part takes this time
    warp: float = Field(ge=0, lt=1)  # largest share by which it runs faster or slower inside
    pause: Range  # share of the clip before the programme begins, and after it ends
    broken_share: Share  # of the performances: those that stop on the way
    broken_from: float = Field(gt=0, le=1)  # earliest share of the programme at which they do
    mirror_share: Share  # of the performances: by the other hand, where a data set counts that as the same
    compensation_std: float = Field(ge=0, le=1)  # radians the trunk bends for each of an arm


class CameraConfig(Section):
    """Where the camera stands: in front, turned by up to so many radians, at some distance."""

    yaw: float = Field(ge=0, le=3.15)
    pitch: float = Field(ge=0, le=1)
    metres: Range


class SensorConfig(Section):
    """What the sensor makes of it."""

    trunk_metres: float = Field(ge=0, le=0.1)  # noise of the joints of the trunk at 3 m
    tip_metres: float = Field(ge=0, le=0.1)  # noise at the end of a limb
    memory: float = Field(ge=0, lt=1)  # share of a frame's error that the next one keeps
    lost_share: Share  # of the joints: lost for the whole clip, they stay where they were at first
    dropped_share: Share  # of the frames: lost, the one before stands in their place


class PairConfig(Section):
    """Second persons, where clips have room for them. Each does a programme of its own."""

    share: Share  # of the programmes
    apart_metres: Range  # from the first, to either side


class PeopleConfig(Section):
    """Simulated people: what they do, how they do it, and who sees it."""

    programme: ProgrammeConfig
    body: BodyConfig
    posture: PostureConfig
    manner: MannerConfig
    camera: CameraConfig
    sensor: SensorConfig
    pairs: PairConfig
