"""Simulated cameras: three on an arc round the scene, as in NTU RGB+D, and where they see a joint."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from pydantic import Field

from kinemask.section import Range, Section
from kinemask.seeding import numpy_generator

# Kinect v2: focal lengths and centres, in pixels of the depth and of the colour image.
_DEPTH_FOCAL, _DEPTH_CENTRE = 365.5, (256.0, 212.0)
_COLOUR_FOCAL, _COLOUR_CENTRE = 1081.4, (959.5, 539.5)
_NEAR = 0.3  # metres; nothing is projected from nearer


class CameraConfig(Section):
    """Where the cameras stand. Each setup puts all of them elsewhere."""

    degrees: tuple[float, ...] = Field(min_length=2, max_length=9)  # of cameras 1, 2, ... seen from the scene
    distance_metres: Range  # nearest and farthest
    height_metres: Range
    aim_height_metres: float  # what they look at, above the room's origin
    aim_degrees: float = Field(ge=0, le=20)  # deviation of each angle, the pitch among them


@dataclass(frozen=True)
class Camera:
    """A camera in the room: its place, and its axes as columns of a rotation (x, y up, z away from it)."""

    place: Float[np.ndarray, " 3"]
    axes: Float[np.ndarray, "3 3"]

    def see(self, joints: Float[np.ndarray, "*frames 3"]) -> Float[np.ndarray, "*frames 3"]:
        """Points of the room in camera space: who faces the camera has the left hand at the smaller x."""
        return np.asarray((joints - self.place) @ self.axes)


def draw_camera(config: CameraConfig, *, seed: int, setup: int, camera: int) -> Camera:
    """Camera 1, 2, ... of a setup."""
    shared = numpy_generator(seed, "setup", setup)
    distance, height = shared.uniform(*config.distance_metres), shared.uniform(*config.height_metres)
    own = numpy_generator(seed, "camera", setup, camera)
    azimuth = np.radians(config.degrees[camera - 1] + config.aim_degrees * own.standard_normal())
    height = height + 0.1 * own.standard_normal()
    pitch = np.arctan2(height - config.aim_height_metres, distance)
    pitch = pitch + np.radians(0.5 * config.aim_degrees * own.standard_normal())
    level, vertical = np.array([-np.sin(azimuth), 0.0, -np.cos(azimuth)]), np.array([0.0, 1.0, 0.0])
    ahead = np.cos(pitch) * level - np.sin(pitch) * vertical
    up = np.sin(pitch) * level + np.cos(pitch) * vertical
    place = height * vertical - distance * level
    return Camera(place, np.stack([np.cross(up, ahead), up, ahead], axis=-1))


def pixels(joints: Float[np.ndarray, "*frames 3"]) -> Float[np.ndarray, "*frames 4"]:
    """Where points of camera space are on the images: depth x y, colour x y. Whole, may be outside."""
    depth = np.maximum(joints[..., 2], _NEAR)
    across, down = joints[..., 0] / depth, -joints[..., 1] / depth
    columns = []
    for focal, (left, top) in ((_DEPTH_FOCAL, _DEPTH_CENTRE), (_COLOUR_FOCAL, _COLOUR_CENTRE)):
        columns += [left + focal * across, top + focal * down]
    return np.asarray(np.rint(np.stack(columns, axis=-1)))
