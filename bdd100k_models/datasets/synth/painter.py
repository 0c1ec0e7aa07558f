"""Solids, flat shapes and lamps of the world, put on a canvas under a light."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bdd100k_models.datasets.synth.camera import NEAR, Camera, Points, Pose
from bdd100k_models.datasets.synth.canvas import Canvas, Colour
from bdd100k_models.datasets.synth.light import Light

#: Sides of a thing, in its own axes.
FRONT, REAR, LEFT, RIGHT = "front", "rear", "left", "right"

_ROUND = np.linspace(0, 2 * np.pi, 18, endpoint=False)
#: A wheel from the outside in: tyre, rim, hub, in colours and in sizes of the radius.
_WHEEL: tuple[Colour, ...] = ((26.0, 26.0, 28.0), (150.0, 152.0, 156.0), (70.0, 70.0, 74.0))
_DISCS = np.multiply.outer((1.0, 0.58, 0.2), np.stack((np.cos(_ROUND), np.sin(_ROUND)), axis=-1))


def rectangle(low: tuple[float, float], high: tuple[float, float]) -> Points:
    """Return the corners (4, 2) of a rectangle."""
    return np.array([low, (high[0], low[1]), high, (low[0], high[1])], dtype=float)


def turn_of(quads: Points) -> Points:
    """Return twice the signed areas (K,) of quadrilaterals (K, 4, 2); the sign tells which way each turns."""
    a, b = quads[:, 2] - quads[:, 0], quads[:, 3] - quads[:, 1]
    area: Points = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    return area


@dataclass(frozen=True)
class Painter:
    """Draws in metres: a canvas, the camera that looks, the light that falls."""

    canvas: Canvas
    camera: Camera
    light: Light

    def visible(self, pose: Pose, side: str, at: float) -> bool:
        """Tell whether the camera sees a side of a thing: the plane ``at`` metres from its centre along that axis."""
        x = -pose.x - (self.camera.yaw + self.camera.bend * pose.z) * pose.z
        cos, sin = math.cos(pose.heading), math.sin(pose.heading)
        forward, right = x * sin - pose.z * cos, x * cos + pose.z * sin
        return bool({FRONT: forward > at, REAR: -forward > at, RIGHT: right > at, LEFT: -right > at}[side])

    def lit(self, side: str, heading: float) -> float:
        """Return how well a side is lit, given where the sun stands."""
        angle = heading + {FRONT: 0.0, RIGHT: np.pi / 2, REAR: np.pi, LEFT: -np.pi / 2}[side]
        return 0.84 + 0.12 * math.sin(angle) * self.light.sun - 0.04 * math.cos(angle)

    def polygon(self, pose: Pose, local: Points, colour: Colour, factor: float = 1.0, *, detail: bool = False) -> None:
        """Fill a polygon given by local points (N, 3)."""
        points = self.camera.project(pose.place(local))
        self.canvas.fill(points, self.light.shade(colour, pose.z, factor), detail=detail)

    def polygons(self, pose: Pose, local: Points, colour: Colour, factor: float = 1.0, *, detail: bool = False) -> None:
        """Fill polygons (K, N, 3) that do not overlap, in one colour."""
        if len(local):
            points = self.camera.project(pose.place(local))
            self.canvas.fill_all(points, self.light.shade(colour, pose.z, factor), detail=detail)

    def solid(self, pose: Pose, profile: Sequence[tuple[float, float, float]], colour: Colour) -> None:
        """Draw a body: a side view (forward, up, half width), corners from the rear along the top to the front."""
        outline = np.asarray(profile, dtype=float)
        sides = np.stack((outline, outline))
        sides[0, :, 2] *= -1.0
        world = pose.place(sides)
        left, right = self.camera.project(world)
        quads = np.stack((left[:-1], left[1:], right[1:], right[:-1]), axis=1)
        away = world[..., 2] ** 2 + world[..., 0] ** 2
        order = np.argsort(-(away[0, :-1] + away[0, 1:] + away[1, 1:] + away[1, :-1]))
        order = order[turn_of(quads)[order] > 0]
        steps = outline[1:] - outline[:-1]
        rises, runs = steps[order, 1], np.abs(steps[order, 0])
        flat = runs / (runs + np.abs(rises) + 1e-6)
        lit = np.where(rises > 0, self.lit(REAR, pose.heading), self.lit(FRONT, pose.heading))
        factors = (flat * 1.08 + (1 - flat) * lit).tolist()
        self.canvas.fill_each(quads[order], [self.light.shade(colour, pose.z, factor) for factor in factors])
        for side, points in ((LEFT, left), (RIGHT, right)):
            if self.visible(pose, side, float(outline[:, 2].max())):
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
            flat = np.stack(shapes)
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
        flat = np.stack([shape for shape, _ in shapes])
        up = flat[..., 1]
        local = np.empty((*up.shape, 3))
        local[..., 0] = sign * (at - lean * (up - up.min()))
        local[..., 1], local[..., 2] = up, flat[..., 0]
        lit = self.lit(side, pose.heading)
        points = self.camera.project(pose.place(local))
        self.canvas.fill_each(points, [self.light.shade(colour, pose.z, lit) for _, colour in shapes], detail=True)

    def wheels(self, pose: Pose, half: float, places: Sequence[float], radius: float) -> None:
        """Draw the wheels of the side that is seen, and the tyres below the body."""
        for side, sign in ((LEFT, -1.0), (RIGHT, 1.0)):
            if not self.visible(pose, side, half):
                continue
            rim = np.empty((len(places), len(_DISCS), len(_ROUND), 3))
            rim[..., :2] = _DISCS
            rim[..., :2] *= radius
            rim[..., 0] += np.reshape(places, (-1, 1, 1))
            rim[..., 1] += radius
            rim[..., 2] = sign * half
            tyre, *inside = (self.light.shade(colour, pose.z, 0.95) for colour in _WHEEL)
            for discs in self.camera.project(pose.place(rim)):
                self.canvas.fill(discs[0], tyre)
                self.canvas.fill_each(discs[1:], inside, detail=True)

    def tyres(self, pose: Pose, half: float, places: Sequence[float], radius: float) -> None:
        """Draw the tyres as seen from an end, before the body hides their upper part."""
        width = 0.24
        quads = np.empty((len(places), 2, 4, 3))
        quads[..., 0] = np.reshape(places, (-1, 1, 1))
        for index, right in enumerate((-half + 0.03, half - width - 0.03)):
            quads[:, index, :, 2], quads[:, index, :, 1] = rectangle((right, 0.0), (right + width, radius * 1.3)).T
        colour = self.light.shade((24, 24, 26), pose.z, 0.9)
        for pair in self.camera.project(pose.place(quads)):
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
        points = self.camera.project(pose.place(np.asarray(places, dtype=float)))
        pixels = max(self.camera.scale(pose.z) * size / 2, 0.4)
        on = shine > 0
        shown = self.light.lamp(colour, pose.z) if on else self.light.shade(colour, pose.z)
        for point in points:
            self.canvas.disc(point, pixels, shown, detail=True)
            if on:
                self.canvas.shine(point, pixels * shine, colour)
