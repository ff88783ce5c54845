"""What twins looks at in a step, as poses to be drawn."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from kinemask.augment.temporal import centre_crop
from kinemask.looks import ClipLook, Pose, TwinsLook
from kinemask.methods.look_numbers import rounded
from kinemask.skeleton.batch import Batch, RaggedClips

NUM_POSES = 6


@torch.no_grad()
def look_at_twins(
    first: Batch, second: Batch, clips: RaggedClips, names: Sequence[str]
) -> tuple[ClipLook, ...]:
    """Each clip beside the pair of simulated ones of its number, as long as there are any; first persons."""
    recorded = centre_crop(clips, share=1.0, num_frames=NUM_POSES).joints
    places = torch.linspace(0, first.joints.shape[1] - 1, NUM_POSES).round().long()
    shown = [one.joints[:, places.to(one.joints.device)] for one in (first, second)]
    return tuple(
        ClipLook(
            clip=name,
            mask=None,
            drop=None,
            twins=TwinsLook(
                recorded=_poses(recorded[number, :, 0]),
                first=_poses(shown[0][number, :, 0]),
                second=_poses(shown[1][number, :, 0]),
            ),
        )
        for number, name in enumerate(names[: len(first.joints)])
    )


def _poses(joints: Float[Tensor, "S V C"]) -> tuple[Pose, ...]:
    return tuple(tuple((rounded(x), rounded(y)) for x, y, *_ in pose) for pose in joints.tolist())
