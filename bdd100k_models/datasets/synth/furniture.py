"""What stands beside the road: traffic lights, signs, poles, trees, houses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bdd100k_models.datasets.synth.camera import NEAR, Points, Pose
from bdd100k_models.datasets.synth.canvas import Colour
from bdd100k_models.datasets.synth.painter import Painter, rectangle

_STEEL: Colour = (120, 124, 128)
_LAMPS: dict[str, tuple[float, Colour]] = {
    "R": (0.33, (255, 48, 36)),
    "Y": (0.0, (255, 196, 40)),
    "G": (-0.33, (52, 240, 140)),
}


def shape_of(corners: int, turn: float, radius: float) -> Points:
    """Return a regular polygon (N, 2); ``turn`` radians from having a corner on the right."""
    angles = np.linspace(0, 2 * math.pi, corners, endpoint=False) + turn
    return radius * np.stack((np.cos(angles), np.sin(angles)), axis=-1)


_TAPER = np.array([(1.0, 0.75), (0.75, 0.6)])  # of an upright and its arm


@dataclass(frozen=True)
class Pole:
    """An upright, with an arm to the side when ``reach`` (metres, signed) is not zero."""

    height: float
    reach: float = 0.0
    lamp: bool = False
    thickness: float = 0.14
    colour: Colour = _STEEL
    size: tuple[float, float] = (0.3, 0.3)

    def draw(self, painter: Painter, pose: Pose) -> None:
        """Draw it, and its lamp where it is a street light."""
        local = np.array([(0, 0, 0), (0, self.height, 0), (0, self.height + (0.25 if self.lamp else 0.0), self.reach)])
        points = painter.camera.see(pose, local.astype(float))
        width = max(self.thickness * painter.camera.scale(pose.z), 1.0)
        colour = painter.light.shade(self.colour, pose.z, 0.9)
        bars = 2 if self.reach else 1
        widths = width * _TAPER[:bars]
        painter.canvas.limbs(points[:bars], points[1 : bars + 1], widths, [colour] * bars)
        if self.lamp:
            on = painter.light.lamps
            painter.lamps(pose, [(0.0, self.height + 0.15, self.reach)], 0.35, (255, 226, 170), 3.0 if on else 0.0)


@dataclass(frozen=True)
class TrafficLight:
    """A housing with three lamps, one of them lit, at ``y`` of its pose."""

    state: str
    size: tuple[float, float] = (0.3, 0.4)

    def draw(self, painter: Painter, pose: Pose) -> None:
        """Draw the housing with a pale border, and the lamps."""
        housing = np.array([(-0.25, -0.58), (0.25, -0.58), (0.25, 0.58), (-0.25, 0.58)])
        for grow, paint in ((1.0, (206, 178, 60)), (0.86, (24, 26, 28))):
            local = np.column_stack((np.zeros(4), housing * grow))[:, [0, 2, 1]]
            painter.polygon(pose, local, paint, detail=grow < 1)
        for state, (up, colour) in _LAMPS.items():
            dim: Colour = (colour[0] * 0.25, colour[1] * 0.25, colour[2] * 0.25)
            lit = state == self.state
            painter.lamps(pose, [(0.0, up, 0.0)], 0.29, colour if lit else dim, 2.2 if lit else 0.0)


@dataclass(frozen=True)
class TrafficSign:
    """A plate at ``y`` of its pose.

    Attributes:
        kind: ``limit``, ``stop``, ``warning``, ``yield``, ``no entry``, ``parking`` or ``guide``.
        radius: Half its size in metres.
        marks: Places and lengths of the writing, each 0 to 1.
    """

    kind: str
    radius: float = 0.45
    marks: Sequence[tuple[float, float]] = ()
    size: tuple[float, float] = (0.2, 1.0)

    def draw(self, painter: Painter, pose: Pose) -> None:
        """Draw the plate and what is on it."""
        for points, colour, detail in self._layers():
            local = np.column_stack((np.zeros(len(points)), points[:, 1], points[:, 0]))
            painter.polygon(pose, local, colour, 1.05, detail=detail)

    def _layers(self) -> list[tuple[Points, Colour, bool]]:
        radius = self.radius
        red: Colour = (206, 28, 34)
        white: Colour = (246, 246, 242)
        black: Colour = (30, 30, 32)
        bar = rectangle((-0.62 * radius, -0.14 * radius), (0.62 * radius, 0.14 * radius))
        if self.kind == "limit":
            digits = [rectangle((s - 0.13, -0.32), (s + 0.13, 0.32)) * radius for s in (-0.22, 0.22)]
            layers = [(shape_of(20, 0, radius), red, False), (shape_of(20, 0, radius * 0.76), white, True)]
            return layers + [(digit, black, True) for digit in digits]
        if self.kind == "stop":
            octagon = shape_of(8, math.pi / 8, radius)
            return [(octagon, white, False), (octagon * 0.92, red, True), (bar * 0.95, white, True)]
        if self.kind == "no entry":
            return [(shape_of(20, 0, radius), red, False), (bar, white, True)]
        if self.kind == "warning":
            diamond = shape_of(4, 0, radius * 1.1)
            arrow = [rectangle((-0.09, -0.5), (0.09, 0.2)), np.array([(-0.28, 0.15), (0.28, 0.15), (0, 0.55)])]
            layers = [(diamond, black, False), (diamond * 0.92, (248, 198, 36), True)]
            return layers + [(part * radius, black, True) for part in arrow]
        if self.kind == "yield":
            triangle = shape_of(3, -math.pi / 2, radius * 1.1)
            return [(triangle, red, False), (triangle * 0.62, white, True)]
        wide = 1.9 if self.kind == "guide" else 0.8
        back: Colour = (24, 112, 74) if self.kind == "guide" else (28, 84, 178)
        plate = rectangle((-wide * radius, -radius), (wide * radius, radius))
        layers = [(plate, white, False), (plate * (0.97, 0.94), back, True)]
        for row, (left, length) in enumerate(self.marks):
            low = radius * (0.42 - 0.56 * row)
            x1 = (-0.85 + left * 0.5) * wide * radius
            stroke = rectangle((x1, low), (x1 + (0.4 + 0.7 * length) * wide * radius * 0.9, low + 0.24 * radius))
            layers.append((stroke, white, True))
        return layers


@dataclass(frozen=True)
class Tree:
    """A trunk with a round crown, or a conifer."""

    height: float
    crown: float
    colour: Colour
    blobs: Sequence[tuple[float, float, float]] = ()
    conifer: bool = False
    snowy: bool = False
    size: tuple[float, float] = (1.0, 1.0)

    def draw(self, painter: Painter, pose: Pose) -> None:
        """Draw it: dark below, light above."""
        scale, canvas, light = painter.camera.scale(pose.z), painter.canvas, painter.light
        foot, top = painter.camera.see(pose, np.array([(0.0, 0.0, 0.0), (0.0, self.height, 0.0)]))
        canvas.limb(foot, (foot + top) / 2, (0.35 * scale, 0.22 * scale), light.shade((92, 70, 52), pose.z, 0.9))
        if self.conifer:
            for low, high, wide in ((0.15, 0.6, 1.0), (0.4, 0.82, 0.75), (0.62, 1.0, 0.5)):
                y1, y2 = foot[1] + (top[1] - foot[1]) * low, foot[1] + (top[1] - foot[1]) * high
                half = self.crown * wide * scale
                colour = light.shade(self.colour, pose.z, 0.75 + 0.3 * high)
                canvas.fill(np.array([(foot[0] - half, y1), (foot[0] + half, y1), (foot[0], y2)]), colour)
                if self.snowy:
                    tip = np.array(
                        [(foot[0] - half * 0.4, y2 + (y1 - y2) * 0.4), (foot[0] + half * 0.4, y2 + (y1 - y2) * 0.4)]
                    )
                    canvas.fill(np.vstack((tip, (foot[0], y2))), light.shade((238, 240, 244), pose.z), detail=True)
            return
        centre = foot + (top - foot) * 0.70
        right, up, size = np.array(self.blobs).reshape(-1, 3).T
        for layer, factor in ((0.0, 0.72), (0.10, 0.90), (0.22, 1.06)):
            colour = light.shade((236, 238, 242) if self.snowy and layer > 0.2 else self.colour, pose.z, factor)
            offsets = np.stack((right + light.sun * layer, -up - layer * 1.3), axis=1) * self.crown * scale
            radii = self.crown * scale * size * (1 - layer * 1.6)
            canvas.discs(centre + offsets, radii, colour)


@dataclass(frozen=True)
class House:
    """A block along the road with windows, and a gable roof where ``roof`` is its height in metres.

    The pose is the middle of the block; ``size`` its length along the road and its depth away from it.
    """

    height: float
    colour: Colour
    size: tuple[float, float]
    lit: Sequence[float] = ()
    floor: float = 3.2
    bay: float = 2.6
    shop: Colour | None = None
    roof: float = 0.0

    def draw(self, painter: Painter, pose: Pose) -> None:
        """Draw the side towards the road, the end towards the camera, and the roof."""
        z1, z2 = -self.size[0] / 2, self.size[0] / 2
        inner, outer = (-self.size[1] / 2, self.size[1] / 2) if pose.x > 0 else (self.size[1] / 2, -self.size[1] / 2)
        z1 = max(z1, 1.2 - pose.z)
        end = np.array([(z1, 0, inner), (z1, self.height, inner), (z1, self.height, outer), (z1, 0, outer)])
        side = np.array([(z1, 0, inner), (z1, self.height, inner), (z2, self.height, inner), (z2, 0, inner)])
        near = Pose(pose.x, max(pose.z + z1, 2.0))
        shift = np.array((near.z - pose.z, 0.0, 0.0))
        painter.polygon(near, end - shift, self.colour, 0.80)
        painter.polygon(pose, side, self.colour, 1.0 if painter.light.sun * pose.x < 0 else 0.9)
        if self.roof:
            self._roof(painter, pose, (z1, z2), (inner, outer))
        self._windows(painter, pose, (z1, z2), inner)
        if self.shop is not None:
            sign = np.array([(z1, 2.7, inner), (z1, 3.4, inner), (z2, 3.4, inner), (z2, 2.7, inner)])
            painter.polygon(pose, sign, self.shop, 1.0, detail=True)

    def _roof(self, painter: Painter, pose: Pose, z: tuple[float, float], x: tuple[float, float]) -> None:
        middle, top = (x[0] + x[1]) / 2, self.height + self.roof
        gable = np.array([(z[0], self.height, x[0]), (z[0], top, middle), (z[0], self.height, x[1])])
        slope = np.array(
            [(z[0], self.height, x[0]), (z[0], top, middle), (z[1], top, middle), (z[1], self.height, x[0])]
        )
        painter.polygon(Pose(pose.x, pose.z), slope, (128, 70, 56))
        painter.polygon(Pose(pose.x, pose.z), gable, self.colour, 0.80)

    def _windows(self, painter: Painter, pose: Pose, z: tuple[float, float], across: float) -> None:
        floors = max(int(self.height / self.floor), 1)
        bays = max(int((z[1] - z[0]) / self.bay), 1)
        step = (z[1] - z[0]) / bays
        left = z[0] + step * (np.arange(bays) + 0.26)
        low = self.floor * np.arange(floors)[:, None] + (0.5 if self.shop is not None else 1.0)
        wide, tall = step * 0.48, 1.5
        grid = np.empty((floors, bays, 4, 3))
        for corner, (right, up) in enumerate(((0, 0), (0, tall), (wide, tall), (wide, 0))):
            grid[:, :, corner, 0], grid[:, :, corner, 1] = left + right, low + up
        grid[..., 2] = across
        quads = grid.reshape(-1, 4, 3)
        share = 0.45 if painter.light.beam > 0.5 else 0.10 if painter.light.lamps else 0.0
        shine = np.resize(self.lit or (1.0,), len(quads)) < share
        painter.polygons(pose, quads[~shine], (96, 116, 136), 0.9, detail=True)
        if shine.any():
            pixels = painter.camera.see(pose, quads[shine])
            painter.canvas.fill_all(pixels, painter.light.lamp((244, 206, 128), pose.z), detail=True)


@dataclass(frozen=True)
class Wall:
    """A long band along the road: a wall, a fence with its posts, a guard rail.

    Attributes:
        height: Of the upper edge, in metres.
        colour: Of all of it; posts are darker.
        size: Length and width in metres.
        bottom: Height of the lower edge.
        post: Metres from post to post, or 0 for none.
    """

    height: float
    colour: Colour
    size: tuple[float, float]
    bottom: float = 0.0
    post: float = 0.0

    def draw(self, painter: Painter, pose: Pose) -> None:
        """Draw it in pieces, so that distance fades it."""
        edges = np.linspace(pose.z - self.size[0] / 2, pose.z + self.size[0] / 2, 7)
        lows, highs = np.maximum(edges[-2::-1], 1.0), np.maximum(edges[:0:-1], 1.1)
        world = np.full((len(lows), 4, 3), pose.x)
        world[:, (0, 3), 1], world[:, (1, 2), 1] = self.bottom, self.height
        world[:, :2, 2], world[:, 2:, 2] = lows[:, None], highs[:, None]
        for low, high, points in zip(lows.tolist(), highs.tolist(), painter.camera.project(world), strict=True):
            painter.canvas.fill(points, painter.light.shade(self.colour, (low + high) / 2, 0.95))
            if self.post:
                self._posts(painter, pose.x, low, high)

    def _posts(self, painter: Painter, x: float, low: float, high: float) -> None:
        places = np.arange(math.ceil(low / self.post) * self.post, high, self.post)
        if not len(places):
            return
        half = 0.12 * self.post
        quads = np.full((len(places), 4, 3), x)
        quads[:, (0, 3), 1], quads[:, (1, 2), 1] = self.bottom, self.height
        quads[..., 2] = np.maximum(places[:, None] + np.array((-half, -half, half, half)), NEAR)
        colour = painter.light.shade(self.colour, (low + high) / 2, 0.72)
        painter.canvas.fill_all(painter.camera.project(quads), colour, detail=True)
