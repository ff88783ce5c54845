"""What simulated people look like, beside those of kinesim, whose kinematics they share."""

import numpy as np
import torch

from kinemask.datasets.kinesim.actions import ACTIONS
from kinemask.datasets.kinesim.scene import draw_people, perform
from kinemask.simulation.performance import perform as perform_programmes
from kinemask.simulation.programme import draw_programmes
from kinemask.skeleton.layout import KINECT25
from tests.conftest import generator
from tests.datasets.kinesim.kinesim_config import make_config
from tests.simulation.people_section import ANATOMY, EXACT, people

NUM_FRAMES = 12
ALONE = [action for action in ACTIONS if len(action.roles) == 1]
PARENTS = list(ANATOMY.tree.parents)


def directions(joints):
    """Which way each bone points, frame by frame: neither place nor size of a body counts."""
    bones = joints - joints[:, :, PARENTS]
    return bones / torch.linalg.vector_norm(bones, dim=-1, keepdim=True).clamp(min=1e-6)


def distance(one, others):
    """Of one movement from each of others: radians a bone points elsewhere, mean over frames and bones."""
    bones = [joint for joint in range(25) if joint != ANATOMY.tree.root]
    cosine = (directions(one[None]) * directions(others)).sum(dim=-1)[..., bones]
    return cosine.clamp(-1, 1).arccos().mean(dim=(1, 2))


def of_kinesim(action, person, config):
    joints = perform(action, [person], config=config.people, seed=1, replication=1, frames_per_second=12.0)[
        :, 0
    ]
    at = np.linspace(0, len(joints) - 1, NUM_FRAMES).round().astype(int)
    return torch.from_numpy(joints[at]).float()


def test_the_actions_of_kinesim_are_not_among_the_programmes():
    # Nearly every action is more like itself done by others than like any of two thousand programmes. Those
    # that hardly are, such as to raise an arm, any key pose may come near to.
    still = {"people.places.yaw_degrees": 0, "people.places.drift_degrees": 0}
    config = make_config(still)
    subjects = [one for one in draw_people(config.people, seed=1, role="subject", subjects=8)]
    right_handed = [one for one in subjects if not one.habits.left_handed][:4]
    programmes = draw_programmes(2000, config=people().programme, anatomy=ANATOMY, generator=generator())
    simulated = perform_programmes(
        programmes, config=people(EXACT), anatomy=ANATOMY, num_frames=NUM_FRAMES, may_mirror=False,
        generator=generator(),
    )  # fmt: skip
    moving = (simulated - simulated[:, :1]).abs().amax(dim=(1, 2, 3)) > 0.2
    nearer = []
    for action in ALONE:
        first, *others = [of_kinesim(action, person, config) for person in right_handed]
        nearer.append(distance(first, torch.stack(others)).min() < distance(first, simulated[moving]).min())
    assert np.mean(nearer) >= 0.75


def test_elbows_and_knees_bend_and_none_farther_than_it_can():
    config = people()
    programmes = draw_programmes(300, config=config.programme, anatomy=ANATOMY, generator=generator())
    joints = perform_programmes(
        programmes, config=config, anatomy=ANATOMY, num_frames=NUM_FRAMES, may_mirror=True,
        generator=generator(1),
    )  # fmt: skip
    # How far each pair of bones is from a straight line: an elbow bends by 2.5 radians, a knee by 2.4.
    for upper, middle, lower, most in (("shoulder", "elbow", "wrist", 2.8), ("hip", "knee", "ankle", 2.45)):
        for side in ("left", "right"):
            one, two, three = (
                joints[:, :, KINECT25.index(f"{side}_{name}")] for name in (upper, middle, lower)
            )
            bend = torch.nn.functional.cosine_similarity(two - one, three - two, dim=-1).clamp(-1, 1).arccos()
            assert bend.max() < most
            assert bend.max() > 1.0
