"""Solids, flat shapes and lamps of the world, put on a canvas under a light."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bdd100k_models.datasets.synth.camera import NEAR, Camera, Points, Pose
from bdd100k_models.datasets.synth.canvas import Canvas, Colour
from bdd100k_models.datasets.synth.light import Light

#: Sides of a thing, in its own axes.
FRONT, REAR, LEFT, RIGHT = "front", "rear", "left", "right"

_TURNS = {FRONT: 0.0, RIGHT: math.pi / 2, REAR: math.pi, LEFT: -math.pi / 2}
_KEPT = 1 << 10  # shapes whose corners are not computed again
_ROUND = np.linspace(0, 2 * np.pi, 18, endpoint=False)
#: A wheel from the outside in: tyre, rim, hub, in colours and in sizes of the radius.
_WHEEL: tuple[Colour, ...] = ((26.0, 26.0, 28.0), (150.0, 152.0, 156.0), (70.0, 70.0, 74.0))
_DISCS = np.multiply.outer((1.0, 0.58, 0.2), np.stack((np.cos(_ROUND), np.sin(_ROUND)), axis=-1))


@functools.lru_cache(maxsize=_KEPT)
def rectangle(low: tuple[float, float], high: tuple[float, float]) -> Points:
    """Return the corners (4, 2) of a rectangle; they cannot be changed."""
    corners = np.array([low, (high[0], low[1]), high, (low[0], high[1])], dtype=float)
    corners.flags.writeable = False
    return corners


@dataclass(frozen=True)
class _Body:
    """What a solid's profile of N corners says wherever it stands.

    Attributes:
        sides: Its corners (2, N, 3) on the left and on the right.
        quads: Those of each face (N - 1, 4), as rows of all the corners.
        rises: Whether each face (N - 1,) goes up.
        flat: How level each face (N - 1,) lies, 0 to 1.
        half: Half of the greatest width.
    """

    sides: Points
    quads: NDArray[np.int64]
    rises: NDArray[np.bool_]
    flat: Points
    half: float


@functools.lru_cache(maxsize=_KEPT)
def _body(profile: tuple[tuple[float, float, float], ...]) -> _Body:
    outline = np.asarray(profile, dtype=float)
    sides = np.stack((outline, outline))
    sides[0, :, 2] *= -1.0
    steps = outline[1:] - outline[:-1]
    rises, runs = steps[:, 1], np.abs(steps[:, 0])
    left = np.arange(len(steps))
    right = left + len(outline)
    quads = np.stack((left, left + 1, right + 1, right), axis=1)
    return _Body(sides, quads, rises > 0, runs / (runs + np.abs(rises) + 1e-6), float(outline[:, 2].max()))


def turn_of(quads: Points) -> Points:
    """Return twice the signed areas (K,) of quadrilaterals (K, 4, 2); the sign tells which way each turns."""
    a, b = quads[:, 2] - quads[:, 0], quads[:, 3] - quads[:, 1]
    area: Points = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    return area


@dataclass(frozen=True)
class Painter:
    """Draws in metres: a canvas, the camera that looks, the light that falls.

    Attributes:
        plain: Leave out what nobody can tell from so far.
    """

    canvas: Canvas
    camera: Camera
    light: Light
    plain: bool = False

    def visible(self, pose: Pose, side: str, at: float) -> bool:
        """Tell whether the camera sees a side of a thing: the plane ``at`` metres from its centre along that axis."""
        x = -pose.x - (self.camera.yaw + self.camera.bend * pose.z) * pose.z
        cos, sin = math.cos(pose.heading), math.sin(pose.heading)
        forward, right = x * sin - pose.z * cos, x * cos + pose.z * sin
        if side in (FRONT, REAR):
            return (forward if side == FRONT else -forward) > at
        return (right if side == RIGHT else -right) > at

    def lit(self, side: str, heading: float) -> float:
        """Return how well a side is lit, given where the sun stands."""
        angle = heading + _TURNS[side]
        return 0.84 + 0.12 * math.sin(angle) * self.light.sun - 0.04 * math.cos(angle)

    def polygon(self, pose: Pose, local: Points, colour: Colour, factor: float = 1.0, *, detail: bool = False) -> None:
        """Fill a polygon given by local points (N, 3)."""
        points = self.camera.see(pose, local)
        self.canvas.fill(points, self.light.shade(colour, pose.z, factor), detail=detail)

    def polygons(self, pose: Pose, local: Points, colour: Colour, factor: float = 1.0, *, detail: bool = False) -> None:
        """Fill polygons (K, N, 3) that do not overlap, in one colour."""
        if len(local):
            points = self.camera.see(pose, local)
            self.canvas.fill_all(points, self.light.shade(colour, pose.z, factor), detail=detail)

    def solid(self, pose: Pose, profile: Sequence[tuple[float, float, float]], colour: Colour) -> None:
        """Draw a body: a side view (forward, up, half width), corners from the rear along the top to the front."""
        body = _body(tuple(profile))
        world = pose.place(body.sides)
        pixels = self.camera.project(world)
        quads = pixels.reshape(-1, 2)[body.quads]
        away = world[..., 2] ** 2 + world[..., 0] ** 2
        order = np.argsort(-(away[0, :-1] + away[0, 1:] + away[1, 1:] + away[1, :-1]))
        order = order[turn_of(quads)[order] > 0]
        flat = body.flat[order]
        lit = np.where(body.rises[order], self.lit(REAR, pose.heading), self.lit(FRONT, pose.heading))
        factors = (flat * 1.08 + (1 - flat) * lit).tolist()
        self.canvas.fill_each(quads[order], self.light.shade_each(colour, pose.z, factors))
        for side, points in zip((LEFT, RIGHT), pixels, strict=True):
            if self.visible(pose, side, body.half):
                self.canvas.fill(points, self.light.shade(colour, pose.z, self.lit(side, pose.heading)))

    def on_side(self, pose: Pose, half: float, shapes: Sequence[Points], colour: Colour, inset: float = 0.0) -> None:
        """Draw flat shapes (N, 2: forward, up; all of one N) on whichever side is seen.

        Args:
            pose: Of the thing.
            half: Half its width.
            shapes: They lie inside the thing's outline.
            colour: Of the shapes.
            inset: Metres by which the upper part leans inwards for each metre up from the first shape's lowest point.
        """
        for side, sign in ((LEFT, -1.0), (RIGHT, 1.0)):
            if not self.visible(pose, side, half):
                continue
            base = min(float(shape[:, 1].min()) for shape in shapes)
            flat = np.array(shapes)
            across = sign * (half - inset * (flat[..., 1:] - base))
            local = np.concatenate((flat, across), axis=-1)
            self.polygons(pose, local, colour, self.lit(side, pose.heading), detail=True)

    def on_end(
        self, pose: Pose, side: str, at: float, shapes: Sequence[tuple[Points, Colour]], lean: float = 0.0
    ) -> None:
        """Draw flat shapes (N, 2: right, up; all of one N) and their colours on the front or rear, in their order.

        Args:
            pose: Of the thing.
            side: ``FRONT`` or ``REAR``.
            at: Metres from the centre.
            shapes: They lie inside the thing's outline.
            lean: Metres by which the plane falls back for each metre up from the shapes' lowest point.
        """
        if not self.visible(pose, side, at):
            return
        sign = 1.0 if side == FRONT else -1.0
        flat = np.array([shape for shape, _ in shapes])
        up = flat[..., 1]
        local = np.empty((*up.shape, 3))
        local[..., 0] = sign * (at - lean * (up - up.min()))
        local[..., 1], local[..., 2] = up, flat[..., 0]
        lit = self.lit(side, pose.heading)
        points = self.camera.see(pose, local)
        self.canvas.fill_each(points, [self.light.shade(colour, pose.z, lit) for _, colour in shapes], detail=True)

    def wheels(self, pose: Pose, half: float, places: Sequence[float], radius: float) -> None:
        """Draw the wheels of the side that is seen, and the tyres below the body."""
        for side, sign in ((LEFT, -1.0), (RIGHT, 1.0)):
            if not self.visible(pose, side, half):
                continue
            discs = _DISCS[:2] if self.plain else _DISCS
            rim = np.empty((len(places), len(discs), len(_ROUND), 3))
            rim[..., :2] = discs
            rim[..., :2] *= radius
            rim[..., 0] += np.reshape(places, (-1, 1, 1))
            rim[..., 1] += radius
            rim[..., 2] = sign * half
            tyre, *inside = (self.light.shade(colour, pose.z, 0.95) for colour in _WHEEL[: len(discs)])
            for wheel in self.camera.see(pose, rim):
                self.canvas.fill(wheel[0], tyre)
                self.canvas.fill_each(wheel[1:], inside, detail=True)

    def tyres(self, pose: Pose, half: float, places: Sequence[float], radius: float) -> None:
        """Draw the tyres as seen from an end, before the body hides their upper part."""
        width = 0.24
        quads = np.empty((len(places), 2, 4, 3))
        quads[..., 0] = np.reshape(places, (-1, 1, 1))
        for index, right in enumerate((-half + 0.03, half - width - 0.03)):
            quads[:, index, :, 2], quads[:, index, :, 1] = rectangle((right, 0.0), (right + width, radius * 1.3)).T
        colour = self.light.shade((24, 24, 26), pose.z, 0.9)
        for pair in self.camera.see(pose, quads):
            self.canvas.fill_all(pair, colour)

    def shadow(self, pose: Pose, length: float, width: float, ground: Colour) -> None:
        """Darken the road below a thing; ``ground`` is the road's own colour."""
        slant = -self.light.sun * 0.9 * (self.light.shadow > 0.3)
        shape = np.array([(-1, -1), (-0.9, -1.06), (0.9, -1.06), (1, -1), (1, 1), (0.9, 1.06), (-0.9, 1.06), (-1, 1)])
        local = np.column_stack((shape[:, 0] * length / 2, np.zeros(8), shape[:, 1] * width / 2))
        points = pose.place(local)
        points[:, 0] += np.where((points[:, 0] - pose.x) * slant > 0, slant, 0.0)
        points[:, 2] = np.maximum(points[:, 2], NEAR)
        shade = self.light.shade(ground, pose.z, 1 - self.light.shadow)
        self.canvas.fill(self.camera.project(points), shade, detail=True)

    def lamps(
        self, pose: Pose, places: Sequence[tuple[float, float, float]], size: float, colour: Colour, shine: float
    ) -> None:
        """Draw round lamps at local points; ``shine`` is how many times its size each glows (0: off, painted only)."""
        points = self.camera.see(pose, np.asarray(places, dtype=float))
        pixels = max(self.camera.scale(pose.z) * size / 2, 0.4)
        on = shine > 0
        shown = self.light.lamp(colour, pose.z) if on else self.light.shade(colour, pose.z)
        for point in points:
            self.canvas.disc(point, pixels, shown, detail=True)
            if on:
                self.canvas.shine(point, pixels * shine, colour)
