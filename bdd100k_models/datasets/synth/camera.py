"""Where points of the drawn world land in the picture.

World coordinates are in metres: x to the right of the camera, y up from the road, z along the road. The road bends: a
point at distance z is moved sideways by ``yaw * z + bend * z**2`` before it is projected, so everything that is laid
out beside a straight road follows the bend.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]

#: Nearest distance in metres that is projected; what is nearer is drawn as if it were here.
NEAR = 0.8


@dataclass(frozen=True)
class Camera:
    """A pinhole camera above the road.

    Attributes:
        width: Pixels of the picture from left to right.
        height: Pixels from top to bottom.
        focal: Focal length in pixels.
        horizon: Row of the horizon in pixels.
        elevation: Metres above the road.
        yaw: Sideways drift of the road in metres a metre.
        bend: Curvature of the road in metres a square metre.
    """

    width: int
    height: int
    focal: float
    horizon: float
    elevation: float
    yaw: float
    bend: float
    _sights: dict[int, tuple[Pose, Points, Points]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def project(self, points: Points) -> Points:
        """Return pixels (..., 2) of world points (..., 3)."""
        z = np.maximum(points[..., 2], NEAR)
        shift = (self.yaw + self.bend * z) * z
        pixels = np.empty((*z.shape, 2))
        np.add(points[..., 0], shift, out=pixels[..., 0])
        np.subtract(self.elevation, points[..., 1], out=pixels[..., 1])
        pixels *= self.focal
        pixels /= z[..., None]
        pixels += self._centre
        return pixels

    def see(self, pose: Pose, local: Points) -> Points:
        """Return pixels (..., 2) of a thing's own points (..., 3): ``project(pose.place(local))``, but for rounding."""
        known = self._sights.get(id(pose))
        if known is None:
            self._sights.clear()  # things are drawn one after the other, so the last is enough
            # the pose is kept with what is known of it, or another could come to have its identity
            known = self._sights[id(pose)] = (pose, *self._sight(pose))
        _, matrix, away = known
        z = local @ away
        z += pose.z
        if z.min(initial=NEAR) < NEAR:
            return self.project(pose.place(local))
        z *= self.focal * self.bend
        pixels: Points = cv2.perspectiveTransform(local.reshape(1, -1, 3), matrix).reshape(*z.shape, 2)
        pixels[..., 0] += z
        return pixels

    def _sight(self, pose: Pose) -> tuple[Points, Points]:
        """Return what projects a thing's own points: a matrix (3, 4), but for the bend, and the axis (3,) of depth."""
        sin, cos, focal = math.sin(pose.heading), math.cos(pose.heading), self.focal
        right, up = self.width / 2 + focal * self.yaw, self.horizon
        matrix = np.array(
            (
                (focal * sin + right * cos, 0.0, focal * cos - right * sin, focal * pose.x + right * pose.z),
                (up * cos, -focal, -up * sin, focal * (self.elevation - pose.y) + up * pose.z),
                (cos, 0.0, -sin, pose.z),
            )
        )
        return matrix, matrix[2, :3].copy()

    @functools.cached_property
    def _centre(self) -> Points:
        """Where the road runs to without yaw and bend, in pixels (2,)."""
        return np.array((self.width / 2, self.horizon))

    def scale(self, z: float) -> float:
        """Return pixels a metre at distance ``z``."""
        return self.focal / max(z, NEAR)

    def row_depths(self) -> Points:
        """Return the distance in metres of the road in each row (height,); infinite at and above the horizon."""
        below = np.arange(self.height) + 0.5 - self.horizon
        with np.errstate(divide="ignore"):
            depth = self.focal * self.elevation / below
        return np.where(below > 0, depth, np.inf)


@dataclass(frozen=True)
class Pose:
    """Where a thing stands on the road: centre in metres, heading in radians (0 drives away, pi comes nearer)."""

    x: float
    z: float
    heading: float = 0.0
    y: float = 0.0

    def place(self, local: Points) -> Points:
        """Return world points of local ones (..., 3): forward, up, right of the thing."""
        turn, centre = self._motion
        world: Points = local @ turn
        world += centre
        return world

    @functools.cached_property
    def _motion(self) -> tuple[Points, Points]:
        """Matrix (3, 3) and offset (3,) that take local points into the world."""
        cos, sin = math.cos(self.heading), math.sin(self.heading)
        turn = np.array(((sin, 0.0, cos), (0.0, 1.0, 0.0), (cos, 0.0, -sin)))
        return turn, np.array((self.x, self.y, self.z))
