"""People, bicycles and motorcycles: jointed figures of rounded bars."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bdd100k_models.datasets.synth.camera import Points, Pose
from bdd100k_models.datasets.synth.canvas import CIRCLE, Colour
from bdd100k_models.datasets.synth.painter import FRONT, REAR, Painter

Joint = tuple[float, float, float]
Joints = Mapping[str, Joint]

SKINS: Sequence[Colour] = ((242, 208, 178), (224, 172, 134), (190, 134, 96), (134, 88, 60), (92, 60, 42))
SHIRTS: Sequence[Colour] = (
    *((206, 52, 50), (48, 92, 170), (240, 240, 238), (60, 62, 68), (236, 178, 52), (72, 140, 92), (148, 74, 140)),
    *((232, 128, 60), (110, 178, 206), (128, 92, 64)),
)
TROUSERS: Sequence[Colour] = ((44, 54, 84), (36, 36, 40), (110, 100, 84), (78, 84, 92), (150, 134, 104))
_TYRE: Colour = (28, 28, 30)

_Bar = tuple[str, str, float, float, str]
#: Bars of a body: the joints at the ends, thickness in metres at each, and what it wears. The left ones come first.
_BARS: tuple[_Bar, ...] = (
    ("left shoulder", "left elbow", 0.13, 0.11, "shirt"),
    ("left elbow", "left wrist", 0.10, 0.08, "skin"),
    ("left hip", "left knee", 0.19, 0.14, "trousers"),
    ("left knee", "left ankle", 0.14, 0.10, "trousers"),
    ("left ankle", "left toe", 0.10, 0.08, "shoe"),
    ("right hip", "right knee", 0.19, 0.14, "trousers"),
    ("right knee", "right ankle", 0.14, 0.10, "trousers"),
    ("right ankle", "right toe", 0.10, 0.08, "shoe"),
    ("neck", "head", 0.12, 0.12, "skin"),
    ("neck", "pelvis", 0.40, 0.32, "shirt"),
    ("right shoulder", "right elbow", 0.13, 0.11, "shirt"),
    ("right elbow", "right wrist", 0.10, 0.08, "skin"),
)
#: The same as seen from afar.
_PLAIN_BARS: tuple[_Bar, ...] = (
    ("left shoulder", "left wrist", 0.13, 0.09, "shirt"),
    ("left hip", "left knee", 0.19, 0.14, "trousers"),
    ("left knee", "left ankle", 0.14, 0.12, "trousers"),
    ("right hip", "right knee", 0.19, 0.14, "trousers"),
    ("right knee", "right ankle", 0.14, 0.12, "trousers"),
    ("neck", "pelvis", 0.40, 0.32, "shirt"),
    ("right shoulder", "right wrist", 0.13, 0.09, "shirt"),
)


@dataclass(frozen=True)
class Clothes:
    """Colours of a person."""

    skin: Colour
    shirt: Colour
    trousers: Colour
    hair: Colour
    helmet: Colour | None = None


def walking(phase: float, height: float) -> Joints:
    """Return the joints (forward, up, right; metres) of a walker.

    Args:
        phase: Of the step, in radians.
        height: Of the person, in metres.
    """
    unit = height / 1.75
    swing = math.sin(phase)
    joints: dict[str, Joint] = {
        "head": (0.03, 1.60, 0.0),
        "neck": (0.0, 1.36, 0.0),
        "pelvis": (0.0, 0.98, 0.0),
    }
    for name, sign in (("left", -1.0), ("right", 1.0)):
        leg, arm = sign * swing * 0.46, -sign * swing * 0.42
        knee = (0.46 * math.sin(leg) + 0.02, 0.92 - 0.46 * math.cos(leg))
        bend = leg - max(0.0, -sign * math.cos(phase)) * 0.5 * abs(swing) - 0.08
        ankle = (knee[0] + 0.44 * math.sin(bend), max(knee[1] - 0.44 * math.cos(bend), 0.06))
        elbow = (0.28 * math.sin(arm), 1.34 - 0.28 * math.cos(arm))
        wrist = (elbow[0] + 0.26 * math.sin(arm + 0.4), elbow[1] - 0.26 * math.cos(arm + 0.4))
        joints[f"{name} shoulder"] = (0.0, 1.36, sign * 0.19)
        joints[f"{name} elbow"] = (*elbow, sign * 0.24)
        joints[f"{name} wrist"] = (*wrist, sign * 0.25)
        joints[f"{name} hip"] = (0.0, 0.92, sign * 0.09)
        joints[f"{name} knee"] = (*knee, sign * 0.10)
        joints[f"{name} ankle"] = (*ankle, sign * 0.10)
        joints[f"{name} toe"] = (ankle[0] + 0.15, max(ankle[1] - 0.02, 0.04), sign * 0.11)
    return {name: (a * unit, b * unit, c * unit) for name, (a, b, c) in joints.items()}


def riding(phase: float, *, motor: bool) -> Joints:
    """Return the joints of somebody on a bicycle, or on a motorcycle; ``phase`` is that of the pedals."""
    seat = 0.82 if motor else 0.98
    joints: dict[str, Joint] = {
        "head": (0.16, seat + 0.68, 0.0),
        "neck": (0.10, seat + 0.46, 0.0),
        "pelvis": (-0.22, seat + 0.02, 0.0),
    }
    for name, sign in (("left", -1.0), ("right", 1.0)):
        turn = phase + (0.0 if sign < 0 else math.pi)
        pedal = (0.12, 0.34) if motor else (0.02 + 0.17 * math.cos(turn), 0.32 + 0.17 * math.sin(turn))
        hip = (-0.20, seat)
        knee = _elbow(hip, pedal, 0.47, 0.46)
        joints[f"{name} shoulder"] = (0.10, seat + 0.44, sign * 0.19)
        joints[f"{name} elbow"] = (0.28, seat + 0.24, sign * 0.27)
        joints[f"{name} wrist"] = (0.46, seat + 0.16, sign * 0.25)
        joints[f"{name} hip"] = (*hip, sign * 0.10)
        joints[f"{name} knee"] = (*knee, sign * (0.22 if motor else 0.13))
        joints[f"{name} ankle"] = (*pedal, sign * (0.20 if motor else 0.12))
        joints[f"{name} toe"] = (pedal[0] + 0.14, pedal[1] - 0.03, sign * (0.20 if motor else 0.12))
    return joints


def _elbow(start: tuple[float, float], end: tuple[float, float], first: float, second: float) -> tuple[float, float]:
    """Return where two bars of given lengths meet, bent forward."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    span = min(math.hypot(dx, dy), (first + second) * 0.999)
    angle = math.acos((first**2 + span**2 - second**2) / (2 * first * span)) + math.atan2(dy, dx)
    return start[0] + first * math.cos(angle), start[1] + first * math.sin(angle)


@dataclass(frozen=True)
class Person:
    """Somebody on foot or on a bike; only the joints and the helmet tell them apart.

    Attributes:
        joints: Of the body, now.
        clothes: What it wears.
        size: Length and width in metres.
        gait: The joints so many seconds from now; None for somebody who stands still.
    """

    joints: Joints
    clothes: Clothes
    size: tuple[float, float] = (0.6, 0.6)
    gait: Callable[[float], Joints] | None = None

    def after(self, seconds: float) -> Person:
        """Return the same person some time later."""
        return self if self.gait is None else replace(self, joints=self.gait(seconds))

    def draw(self, painter: Painter, pose: Pose) -> None:
        """Draw the far limbs, then the body, then the near ones."""
        pixels = painter.camera.see(pose, np.array(list(self.joints.values())))
        scale = painter.camera.scale(pose.z)
        shade = painter.light.shade
        worn = {
            "skin": shade(self.clothes.skin, pose.z),
            "shirt": shade(self.clothes.shirt, pose.z),
            "trousers": shade(self.clothes.trousers, pose.z),
            "shoe": shade((40, 36, 36), pose.z),
        }
        names, bars = tuple(self.joints), _PLAIN_BARS if painter.plain else _BARS
        starts, stops, widths = _bar_ends(bars, names, mirrored=not painter.visible(pose, "right", 0.0))
        painter.canvas.limbs(pixels[starts], pixels[stops], widths * scale, [worn[cloth] for *_, cloth in bars])
        self._head(painter, pose, pixels[names.index("head")], scale)

    def _head(self, painter: Painter, pose: Pose, centre: Points, scale: float) -> None:
        canvas, shade = painter.canvas, painter.light.shade
        radius = 0.125 * scale
        canvas.disc(centre, radius, shade(self.clothes.skin, pose.z), squeeze=0.82)
        facing = math.cos(pose.heading)
        if self.clothes.helmet is not None:
            canvas.disc(centre - (0, 0.04 * scale), radius * 1.1, shade(self.clothes.helmet, pose.z))
            if facing < 0.5:
                face = centre + np.array((0.0, 0.05 * scale))
                canvas.disc(face, radius * 0.7, shade(self.clothes.skin, pose.z), detail=True)
            return
        sink = 0.01 if facing > 0.3 else 0.06
        canvas.disc(centre - (0, sink * scale), radius, shade(self.clothes.hair, pose.z), squeeze=0.9)
        if facing <= 0.3:
            face = centre + np.array((0.0, 0.03 * scale))
            canvas.disc(face, radius * 0.72, shade(self.clothes.skin, pose.z), detail=True)


@functools.cache
def _bar_ends(bars: tuple[_Bar, ...], names: tuple[str, ...], *, mirrored: bool) -> tuple[list[int], list[int], Points]:
    """Return which of the joints each of K bars begins and ends at, and its thickness (K, 2) there in metres.

    A mirrored body has its right limbs first.
    """
    ends = [(_other(a), _other(b)) if mirrored else (a, b) for a, b, *_ in bars]
    widths = np.array([(first, second) for _, _, first, second, _ in bars])
    return [names.index(a) for a, _ in ends], [names.index(b) for _, b in ends], widths


def _other(name: str) -> str:
    if name.startswith("left"):
        return "right" + name[4:]
    return "left" + name[5:] if name.startswith("right") else name


@dataclass(frozen=True)
class Bicycle:
    """Two thin wheels, a frame, a basket and bags; what is between the spokes is the wheel, as in real labels."""

    colour: Colour
    size: tuple[float, float] = (1.75, 0.5)

    def draw(self, painter: Painter, pose: Pose) -> None:
        """Draw it."""
        scale = painter.camera.scale(pose.z)
        loads = [self._basket, self._bags]
        if math.cos(pose.heading) < 0:
            loads.reverse()
        loads[0](painter, pose)
        for at in (-0.53, 0.53):
            _ring(painter, pose, at, 0.34, 0.055, _TYRE)
        bars = (
            ((-0.53, 0.34, 0), (-0.05, 0.32, 0)),
            ((-0.53, 0.34, 0), (-0.20, 0.80, 0)),
            ((-0.05, 0.32, 0), (-0.22, 0.90, 0)),
            ((-0.20, 0.78, 0), (0.36, 0.84, 0)),
            ((-0.05, 0.32, 0), (0.37, 0.78, 0)),
            ((0.53, 0.34, 0), (0.34, 0.98, 0)),
        )
        points = painter.camera.see(pose, np.array(bars, dtype=float))
        colour = painter.light.shade(self.colour, pose.z)
        painter.canvas.limbs(
            points[:, 0], points[:, 1], np.full((len(points), 2), 0.06 * scale), [colour] * len(points)
        )
        dark = painter.light.shade((36, 34, 34), pose.z)
        more = np.array([((0.40, 1.02, -0.27), (0.40, 1.02, 0.27)), ((-0.34, 0.93, 0), (-0.10, 0.93, 0))])
        for (start, end), width in zip(painter.camera.see(pose, more), (0.05, 0.10), strict=True):
            painter.canvas.limb(start, end, (width * scale, width * scale), dark)
        loads[1](painter, pose)
        if painter.visible(pose, REAR, 0.87):
            painter.lamps(pose, [(-0.8, 0.76, 0.0)], 0.07, (230, 30, 30), 2.0 if painter.light.lamps else 0.0)
        elif painter.visible(pose, FRONT, 0.87):
            painter.lamps(pose, [(0.45, 0.92, 0.0)], 0.09, (250, 250, 235), 2.6 if painter.light.lamps else 0.0)

    def _basket(self, painter: Painter, pose: Pose) -> None:
        """Draw the basket before the handlebar."""
        profile = [(0.42, 0.72, 0.17), (0.40, 1.0, 0.21), (0.74, 1.0, 0.21), (0.68, 0.72, 0.17)]
        painter.solid(pose, profile, (122, 92, 60))

    def _bags(self, painter: Painter, pose: Pose) -> None:
        """Draw the bags beside the rear wheel, one body across both as seen from afar."""
        profile = [(-0.80, 0.30, 0.24), (-0.84, 0.72, 0.20), (-0.38, 0.72, 0.20), (-0.42, 0.30, 0.24)]
        painter.solid(pose, profile, (58, 62, 58))


@dataclass(frozen=True)
class Motorcycle:
    """Fat wheels, a tank, a seat, an engine and a fork."""

    colour: Colour
    size: tuple[float, float] = (2.1, 0.8)

    def draw(self, painter: Painter, pose: Pose) -> None:
        """Draw it."""
        scale = painter.camera.scale(pose.z)
        places = (-0.70, 0.72) if math.cos(pose.heading) < 0 else (0.72, -0.70)
        _fat_wheel(painter, pose, places[0])
        engine = [(-0.45, 0.25, 0.16), (-0.45, 0.62, 0.16), (0.40, 0.66, 0.16), (0.45, 0.28, 0.16)]
        painter.solid(pose, engine, (66, 68, 72))
        tail = [(-0.98, 0.70, 0.12), (-1.02, 0.88, 0.12), (-0.15, 0.80, 0.18), (-0.15, 0.62, 0.18)]
        tank = [(-0.20, 0.62, 0.17), (-0.16, 0.86, 0.18), (0.15, 1.04, 0.20), (0.55, 0.98, 0.20), (0.50, 0.62, 0.17)]
        fork = np.array([(0.72, 0.34, 0.0), (0.46, 1.0, 0.0)])
        bar = np.array([(0.44, 1.08, -0.38), (0.44, 1.08, 0.38)])
        dark = painter.light.shade((46, 46, 50), pose.z)
        for points, width in ((fork, 0.10), (bar, 0.07)):
            start, end = painter.camera.see(pose, points)
            painter.canvas.limb(start, end, (width * scale, width * scale), dark)
        bodies = [(tail, (40, 38, 40)), (tank, self.colour)]
        if math.cos(pose.heading) > 0:
            bodies.reverse()
        for profile, colour in bodies:
            painter.solid(pose, profile, colour)
        _fat_wheel(painter, pose, places[1])
        on = painter.light.lamps
        if painter.visible(pose, REAR, 1.0):
            painter.lamps(pose, [(-1.0, 0.78, 0.0)], 0.16, (235, 34, 30), 2.2 if on else 0.0)
        if painter.visible(pose, FRONT, 0.6):
            painter.lamps(pose, [(0.62, 0.92, 0.0)], 0.22, (255, 248, 225), 3.4 if on else 0.0)


def _ring(painter: Painter, pose: Pose, at: float, radius: float, width: float, colour: Colour) -> None:
    local = np.column_stack((at + radius * CIRCLE[:, 0], radius - radius * CIRCLE[:, 1], np.zeros(len(CIRCLE))))
    points = painter.camera.see(pose, local)
    painter.canvas.mark(points)
    painter.canvas.ring(points, max(width * painter.camera.scale(pose.z), 0.8), painter.light.shade(colour, pose.z))


def _fat_wheel(painter: Painter, pose: Pose, at: float) -> None:
    """Draw a motorcycle's wheel: its width from an end, a disc with a rim from a side."""
    radius, half = 0.33, 0.08
    scale = painter.camera.scale(pose.z)
    ends = painter.camera.see(pose, np.array([(at, half, 0.0), (at, 2 * radius - half, 0.0)]))
    painter.canvas.limb(ends[0], ends[1], (2 * half * scale, 2 * half * scale), painter.light.shade(_TYRE, pose.z))
    for size, colour in ((1.0, _TYRE), (0.60, (128, 130, 136)), (0.22, (60, 60, 64))):
        forward, up = at + radius * size * CIRCLE[:, 0], radius + radius * size * CIRCLE[:, 1]
        painter.polygon(pose, np.column_stack((forward, up, np.zeros(len(CIRCLE)))), colour, detail=size < 1)
