"""Cars, trucks, buses and trains."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bdd100k_models.datasets.synth.camera import Points, Pose
from bdd100k_models.datasets.synth.canvas import Colour
from bdd100k_models.datasets.synth.painter import FRONT, REAR, Painter, rectangle

GLASS: Colour = (52, 64, 78)
DARK: Colour = (38, 40, 44)
RED: Colour = (196, 28, 30)
WHITE: Colour = (246, 244, 232)

CAR_COLOURS: Sequence[Colour] = (
    *((236, 236, 234), (190, 194, 198), (120, 126, 132), (48, 50, 56), (28, 30, 36), (168, 34, 38), (34, 66, 132)),
    *((70, 112, 164), (54, 92, 72), (196, 176, 138), (222, 146, 44), (110, 36, 50), (86, 138, 146), (236, 200, 60)),
)


@dataclass(frozen=True)
class CarShape:
    """Side view of a car: length and height in metres, corners of the glass as shares of the length."""

    length: float
    height: float
    half: float
    belt: float
    hood: float
    windows: tuple[float, float, float, float]  # rear window's foot and top, windscreen's top and foot


CAR_SHAPES: Sequence[CarShape] = (
    CarShape(4.6, 1.45, 0.90, 0.92, 0.82, (-0.36, -0.20, 0.10, 0.27)),  # saloon
    CarShape(4.0, 1.50, 0.87, 0.92, 0.84, (-0.49, -0.40, 0.12, 0.30)),  # hatchback
    CarShape(4.7, 1.75, 0.95, 1.08, 1.00, (-0.49, -0.43, 0.12, 0.26)),  # off-roader
    CarShape(4.9, 1.95, 0.97, 1.12, 1.02, (-0.495, -0.47, 0.24, 0.40)),  # van
)


def bar(right: float, low: float, width: float, height: float) -> Points:
    """Return a rectangle (4, 2) centred at ``right``."""
    return rectangle((right - width / 2, low), (right + width / 2, low + height))


@dataclass(frozen=True)
class Car:
    """A passenger car."""

    shape: CarShape
    colour: Colour
    taxi: bool = False
    braking: bool = False

    @property
    def size(self) -> tuple[float, float]:
        """Length and width in metres."""
        return self.shape.length, self.shape.half * 2

    def draw(self, painter: Painter, pose: Pose) -> None:
        """Draw it."""
        shape, half, end = self.shape, self.shape.half, self.shape.length / 2
        axles = (-shape.length * 0.30, shape.length * 0.31)
        painter.tyres(pose, half, axles, 0.32)
        if painter.plain:
            self._silhouette(painter, pose)
        else:
            self._body(painter, pose)
        self._glass(painter, pose)
        painter.wheels(pose, half, axles, 0.33)
        for side, draw in ((REAR, self._rear), (FRONT, self._front)):
            if painter.visible(pose, side, end):
                draw(painter, pose)
        if self.taxi:
            sign = np.array([(0.0, shape.height, -0.3), (0, shape.height + 0.2, -0.25), (0, shape.height + 0.2, 0.25)])
            painter.polygon(pose, np.vstack((sign, (0.0, shape.height, 0.3))), (250, 236, 150), 1.1)

    def _silhouette(self, painter: Painter, pose: Pose) -> None:
        """Draw body and cabin as one."""
        shape, half, end = self.shape, self.shape.half, self.shape.length / 2
        foot, top_rear, top_front, screen = (share * shape.length for share in shape.windows)
        body = [(-end, 0.30, half), (-end * 0.98, shape.belt, half * 0.96), (foot, shape.belt + 0.02, half * 0.96)]
        body += [(top_rear, shape.height, half * 0.80), (top_front, shape.height, half * 0.80)]
        body += [(screen, shape.belt, half * 0.96), (end * 0.95, shape.hood, half * 0.95), (end, 0.28, half)]
        painter.solid(pose, body, self.colour)

    def _body(self, painter: Painter, pose: Pose) -> None:
        shape, half, end = self.shape, self.shape.half, self.shape.length / 2
        foot, top_rear, top_front, screen = (share * shape.length for share in shape.windows)
        body = [(-end, 0.30, half), (-end * 1.01, 0.62, half), (-end * 0.98, shape.belt, half * 0.96)]
        body += [(foot, shape.belt + 0.02, half * 0.96), (screen, shape.belt, half * 0.96)]
        body += [(end * 0.95, shape.hood, half * 0.95), (end, 0.62, half * 0.98), (end * 0.99, 0.28, half)]
        painter.solid(pose, body, self.colour)
        narrow = half * 0.80
        cabin = [(foot, shape.belt, half * 0.93), (top_rear, shape.height, narrow), (top_front, shape.height, narrow)]
        painter.solid(pose, [*cabin, (screen, shape.belt, half * 0.93)], self.colour)
        painter.on_side(pose, half, [rectangle((-end * 0.96, 0.28), (end * 0.96, 0.40))], DARK)

    def _glass(self, painter: Painter, pose: Pose) -> None:
        shape, half = self.shape, self.shape.half
        foot, top_rear, top_front, screen = (share * shape.length for share in shape.windows)
        low, high = shape.belt + 0.05, shape.height - 0.07
        inset = half * 0.13 / (shape.height - shape.belt)
        middle = (top_rear + top_front) / 2 - 0.05
        rear = np.array([(foot + 0.18, low), (top_rear + 0.12, high), (middle - 0.04, high), (middle - 0.04, low)])
        front = np.array([(middle + 0.04, low), (middle + 0.04, high), (top_front - 0.06, high), (screen - 0.16, low)])
        painter.on_side(pose, half * 0.93, [rear, front], GLASS, inset)
        wide, narrow = half * 0.84, half * 0.70
        pane = np.array([(-wide, low), (wide, low), (narrow, high), (-narrow, high)])
        lean = (top_rear - foot) / (shape.height - shape.belt)
        painter.on_end(pose, REAR, -foot - 0.03 * lean, [(pane, GLASS)], lean)
        lean = (screen - top_front) / (shape.height - shape.belt)
        painter.on_end(pose, FRONT, screen - 0.03 * lean, [(pane, GLASS)], lean)

    def _rear(self, painter: Painter, pose: Pose) -> None:
        half, end, on = self.shape.half, self.shape.length / 2, painter.light.lamps
        red: Colour = (255, 50, 40) if self.braking else RED
        bumper, plate = rectangle((-half * 0.96, 0.32), (half * 0.96, 0.46)), bar(0, 0.58, 0.5, 0.13)
        tail = [(bar(right, 0.64, half * 0.32, 0.17), red) for right in (-half * 0.80, half * 0.80)]
        painter.on_end(pose, REAR, end, [(bumper, DARK), (plate, WHITE), *tail])
        if on or self.braking:
            places = [(-end, 0.73, -half * 0.8), (-end, 0.73, half * 0.8)]
            painter.lamps(pose, places, 0.13, (255, 46, 36), 2.4 if on else 1.2)

    def _front(self, painter: Painter, pose: Pose) -> None:
        half, end = self.shape.half, self.shape.length / 2
        grille, plate = bar(0, 0.42, half * 1.05, 0.22), bar(0, 0.36, 0.5, 0.11)
        head = [(bar(right, 0.60, half * 0.36, 0.15), WHITE) for right in (-half * 0.76, half * 0.76)]
        painter.on_end(pose, FRONT, end, [(grille, DARK), (plate, WHITE), *head])
        if painter.light.lamps:
            places = [(end, 0.67, -half * 0.76), (end, 0.67, half * 0.76)]
            painter.lamps(pose, places, 0.20, (255, 248, 220), 3.6)


@dataclass(frozen=True)
class Bus:
    """A city bus with a long row of windows and a lit destination."""

    colour: Colour
    stripe: Colour
    size: tuple[float, float] = (11.5, 2.5)

    def draw(self, painter: Painter, pose: Pose) -> None:
        """Draw it."""
        end, half, top = self.size[0] / 2, self.size[1] / 2, 3.15
        axles = (-end * 0.52, end * 0.58)
        painter.tyres(pose, half, axles, 0.48)
        body = [(-end, 0.35, half), (-end, top - 0.12, half), (-end + 0.15, top, half * 0.95)]
        body += [(end - 0.15, top, half * 0.95), (end, top - 0.12, half), (end, 0.35, half)]
        painter.solid(pose, body, self.colour)
        painter.on_side(pose, half, [rectangle((-end, 0.85), (end, 1.12))], self.stripe)
        edges = np.linspace(-end + 0.3, end - 0.3, 8)
        panes = [rectangle((a + 0.06, 1.45), (b - 0.06, 2.65)) for a, b in itertools.pairwise(edges)]
        painter.on_side(pose, half, panes, (236, 214, 150) if painter.light.beam > 0.5 else GLASS)
        painter.wheels(pose, half, axles, 0.50)
        rear = [(rectangle((-half * 0.85, 1.65), (half * 0.85, 2.6)), GLASS)]
        rear += [(rectangle((-half, 0.85), (half, 1.12)), self.stripe), (rectangle((-half, 0.35), (half, 0.6)), DARK)]
        painter.on_end(pose, REAR, end, rear)
        front = [(rectangle((-half * 0.93, 1.15), (half * 0.93, 2.6)), GLASS)]
        front += [(rectangle((-half * 0.7, 2.70), (half * 0.7, 3.0)), (22, 22, 24))]
        front += [(rectangle((-half * 0.45, 2.76), (half * 0.5, 2.94)), (255, 170, 40))]
        front += [(rectangle((-half, 0.85), (half, 1.05)), self.stripe)]
        painter.on_end(pose, FRONT, end, front)
        _end_lamps(painter, pose, end, half, 0.72)


@dataclass(frozen=True)
class Truck:
    """A lorry: a cab and a box, or a tipper's open body."""

    cab: Colour
    cargo: Colour
    length: float = 8.0
    tipper: bool = False

    @property
    def size(self) -> tuple[float, float]:
        """Length and width in metres."""
        return self.length, 2.5

    def draw(self, painter: Painter, pose: Pose) -> None:
        """Draw it; what is farther goes first."""
        parts = [self._cargo, self._cab]
        if np.cos(pose.heading) < 0 or (abs(np.cos(pose.heading)) < 0.2 and pose.x * np.sin(pose.heading) > 0):
            parts.reverse()
        painter.tyres(pose, 1.2, (-self.length * 0.3, self.length * 0.38), 0.5)
        parts[1](painter, pose)
        parts[0](painter, pose)
        half = 1.22
        painter.wheels(pose, half, (-self.length * 0.36, -self.length * 0.22, self.length * 0.38), 0.5)
        _end_lamps(painter, pose, self.length / 2, half, 0.72)

    def _cargo(self, painter: Painter, pose: Pose) -> None:
        rear, front, top = -self.length / 2, self.length / 2 - 2.2, 2.5 if self.tipper else 3.5
        chassis = [(rear, 0.6, 1.0), (rear, 0.96, 1.0), (front, 0.96, 1.0), (front, 0.6, 1.0)]
        painter.solid(pose, chassis, DARK)
        bulge = 0.25 if self.tipper else 0.0
        box = [(rear, 0.95, 1.2), (rear - bulge * 0.3, top, 1.25), (front + bulge, top, 1.25), (front, 0.95, 1.2)]
        painter.solid(pose, box, self.cargo)
        edges = np.linspace(rear + 0.1, front - 0.1, 6)
        ribs = [rectangle((x - 0.04, 1.0), (x + 0.04, top - 0.05)) for x in edges]
        darker: Colour = (self.cargo[0] * 0.8, self.cargo[1] * 0.8, self.cargo[2] * 0.8)
        painter.on_side(pose, 1.24, ribs, darker)
        if not self.tipper:
            shapes = [(bar(0, 1.0, 0.07, 2.4), (90.0, 92.0, 96.0))]
            shapes += [(bar(x, 1.3, 0.08, 1.8), darker) for x in (-0.25, 0.25)]
        else:
            shapes = [(bar(x, 1.05, 0.12, 1.3), darker) for x in (-0.9, 0.0, 0.9)]
        shapes += [(bar(x, 0.62, 0.36, 0.18), (240.0, 196.0, 40.0)) for x in (-0.9, -0.18, 0.54)]
        painter.on_end(pose, REAR, -rear, shapes)

    def _cab(self, painter: Painter, pose: Pose) -> None:
        front, rear = self.length / 2, self.length / 2 - 2.0
        cab = [
            (rear, 0.45, 1.22),
            (rear, 2.75, 1.18),
            (front - 0.45, 2.85, 1.15),
            (front, 1.6, 1.2),
            (front, 0.45, 1.2),
        ]
        painter.solid(pose, cab, self.cab)
        window = np.array([(rear + 0.5, 1.65), (rear + 0.5, 2.45), (front - 0.5, 2.45), (front - 0.18, 1.65)])
        painter.on_side(pose, 1.2, [window], GLASS)
        pane = np.array([(-1.08, 1.65), (1.08, 1.65), (1.02, 2.5), (-1.02, 2.5)])
        painter.on_end(pose, FRONT, front - 0.02, [(pane, GLASS)], 0.36)
        painter.on_end(pose, FRONT, front, [(bar(0, 0.95, 1.5, 0.4), DARK), (bar(0, 0.45, 2.3, 0.25), (70, 72, 76))])


@dataclass(frozen=True)
class Train:
    """A tram or light-rail car: long, high windows, a sloped front, a dark roof with a current collector."""

    colour: Colour
    stripe: Colour
    size: tuple[float, float] = (17.0, 2.6)

    def draw(self, painter: Painter, pose: Pose) -> None:
        """Draw it."""
        end, half, top = self.size[0] / 2, self.size[1] / 2, 3.4
        under = [(-end + 1, 0.12, half * 0.8), (-end + 1, 0.5, half * 0.8), (end - 1, 0.5, half * 0.8)]
        painter.solid(pose, [*under, (end - 1, 0.12, half * 0.8)], (44, 44, 48))
        body = [(-end, 0.35, half * 0.85), (-end - 0.1, 1.2, half * 0.9), (-end + 0.7, top, half * 0.85)]
        body += [(end - 0.7, top, half * 0.85), (end + 0.1, 1.2, half * 0.9), (end, 0.35, half * 0.85)]
        painter.solid(pose, body, self.colour)
        painter.on_side(pose, half * 0.9, [rectangle((-end + 0.2, 0.5), (end - 0.2, 1.15))], self.stripe)
        edges = np.linspace(-end + 1.2, end - 1.2, 11)
        panes = [rectangle((a + 0.05, 1.6), (b - 0.05, 2.75)) for a, b in itertools.pairwise(edges)]
        painter.on_side(pose, half * 0.9, panes, (240, 222, 168) if painter.light.beam > 0.5 else (44, 54, 68))
        pane = np.array([(-1.0, 1.45), (1.0, 1.45), (0.85, 2.85), (-0.85, 2.85)])
        for side in (FRONT, REAR):
            painter.on_end(pose, side, end - 0.02, [(pane, (34, 42, 54))], 0.36)
            painter.on_end(pose, side, end + 0.06, [(bar(0, 0.45, 1.9, 0.6), self.stripe)])
            painter.on_end(pose, side, end - 0.42, [(bar(0, 2.98, 1.2, 0.26), (255, 190, 60))], 0.36)
        roof = [
            (-end + 1.2, top, 0.7),
            (-end + 1.3, top + 0.3, 0.6),
            (end - 1.3, top + 0.3, 0.6),
            (end - 1.2, top, 0.7),
        ]
        painter.solid(pose, roof, (92, 96, 102))
        _end_lamps(painter, pose, end + 0.06, half * 0.85, 0.85)


def _end_lamps(painter: Painter, pose: Pose, end: float, half: float, up: float) -> None:
    """Draw the head and tail lights of a large vehicle, whichever is seen."""
    on = painter.light.lamps
    for side, colour, shine in ((REAR, RED, 2.4), (FRONT, WHITE, 3.4)):
        if painter.visible(pose, side, end):
            at = end if side == FRONT else -end
            painter.lamps(pose, [(at, up, -half * 0.82), (at, up, half * 0.82)], 0.24, colour, shine if on else 0.0)
