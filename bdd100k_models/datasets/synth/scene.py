"""What a picture shows: its tags, the road, and everything on it, drawn from a generator of random numbers."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from bdd100k_models.datasets.synth.camera import NEAR, Camera, Points, Pose
from bdd100k_models.datasets.synth.light import Light
from bdd100k_models.datasets.synth.painter import Painter

#: Widths in metres of a track in the road and of a row of parked vehicles.
TRACK, PARKING = 3.6, 2.3
_GLOW = 0.15  # of the width; light outside of the picture is seen inside it from no farther
_PLAIN_BEYOND = 30.0  # metres; what is nearer has all details, so sets of a shorter reach do not depend on this
_PLAIN_SCALE = 40.0  # pixels a metre; so have large pictures, in which one sees farther
_OVERHANG = 2.5  # metres; how far crowns and arms reach beyond the ground that a thing covers


class Shape(Protocol):
    """Something that can be drawn at a pose."""

    @property
    def size(self) -> tuple[float, float]:
        """Length and width in metres."""

    def draw(self, painter: Painter, pose: Pose) -> None:
        """Draw it."""


@dataclass(frozen=True)
class Part:
    """One object, or a piece of the background.

    Attributes:
        category: What is labelled, or None for background.
        shape: What it looks like.
        pose: Where it stands.
        light_state: Of a traffic light: ``R``, ``Y`` or ``G``.
        surface: Of background: the panoptic category that its pixels have.
        track: In a video: the id of the object in all frames, from 1.
    """

    category: str | None
    shape: Shape
    pose: Pose
    light_state: str = "NA"
    surface: str = "building"
    track: int = 0


@dataclass(frozen=True)
class Prop:
    """Parts that stand together and are drawn one after the other, such as a bicycle and its rider.

    Attributes:
        parts: In drawing order.
        bounds: The ground it covers: x from and to, z from and to, in metres.
        shadow: Length and width in metres of its shadow; (0, 0) for none.
        speed: Metres a second in the direction of its heading, in a video.
    """

    parts: tuple[Part, ...]
    bounds: tuple[float, float, float, float]
    shadow: tuple[float, float] = (0.0, 0.0)
    speed: float = 0.0

    @property
    def is_labelled(self) -> bool:
        """Whether any of its parts is an object."""
        return any(part.category is not None for part in self.parts)


@dataclass(frozen=True)
class Road:
    """A straight road along z; a bend is the camera's affair.

    Attributes:
        left: x of the left kerb, in metres.
        right: x of the right kerb.
        divide: x of the line between the directions.
        lane: Width of a lane.
        counts: Lanes that go away and lanes that come nearer.
        walk: Width of the pavements; on a highway, of the hard shoulders.
        rails: x of the middle of a track, or None.
        crossing: z of the middle of a crossing street, or None.
        highway: No pavements, no crossings.
    """

    left: float
    right: float
    divide: float
    lane: float
    counts: tuple[int, int]
    walk: float
    rails: float | None
    crossing: float | None
    highway: bool

    @property
    def lanes(self) -> list[tuple[float, bool]]:
        """Middle of each lane, and whether traffic there comes nearer; parked vehicles are not in lanes."""
        mine = [self.divide + self.lane * (index + 0.5) for index in range(self.counts[0])]
        start = self.divide - (TRACK if self.rails is not None and not self.highway else 0.0)
        theirs = [start - self.lane * (index + 0.5) for index in range(self.counts[1])]
        return [(x, False) for x in mine] + [(x, True) for x in theirs]


@dataclass(frozen=True)
class Scene:
    """All that is needed to draw one picture and to label it.

    In a video the camera stays at z = 0 and everything else comes nearer; ``travelled`` is by how many metres.
    """

    weather: str
    timeofday: str
    place: str
    camera: Camera
    light: Light
    road: Road
    props: Sequence[Prop] = field(default_factory=tuple)
    travelled: float = 0.0

    def within(self, reach: float) -> Scene:
        """Return the scene without the objects that are more than ``reach`` metres away; the background stays."""
        kept = (prop for prop in self.props if prop.bounds[2] <= reach or not prop.is_labelled)
        return replace(self, props=tuple(kept))

    def is_far(self, prop: Prop) -> bool:
        """Tell whether objects are so far and so small that they are drawn plainly; the background never is."""
        z = prop.bounds[2]
        return prop.is_labelled and z > _PLAIN_BEYOND and self.camera.scale(z) < _PLAIN_SCALE

    @functools.cached_property
    def in_view(self) -> list[bool]:
        """Whether each prop may be seen, or its light; False is certain."""
        x1, x2, z1, z2 = self._bounds.T
        near, far = np.maximum(z1, NEAR), np.maximum(z2, NEAR)
        x1, x2 = x1 - _OVERHANG, x2 + _OVERHANG
        bends = self.camera.bend * near, self.camera.bend * far
        right = x2 / np.where(x2 > 0, near, far) + self.camera.yaw + np.maximum(*bends)
        left = x1 / np.where(x1 < 0, near, far) + self.camera.yaw + np.minimum(*bends)
        half = self.camera.width * (0.5 + _GLOW)
        seen: list[bool] = ((self.camera.focal * right > -half) & (self.camera.focal * left < half)).tolist()
        return seen

    @functools.cached_property
    def _bounds(self) -> Points:
        return np.array([prop.bounds for prop in self.props]).reshape(-1, 4)

    def drawing_order(self) -> list[int]:
        """Return the indices of the props so that whatever may hide another comes after it.

        A thing whose ground lies wholly beyond another's, or wholly farther out on the same side, is behind it. Where
        the two say the opposite, no line of sight meets both; nor where the directions to them differ.
        """
        bounds = self._bounds
        x1, x2, z1, z2 = bounds.T
        nearer = z2[:, None] <= z1[None, :]
        inside = (x1[None, :] >= np.maximum(x2[:, None], 0)) | (x2[None, :] <= np.minimum(x1[:, None], 0))
        near = np.maximum(z1, NEAR)
        first, last = (np.minimum(x / near, x / np.maximum(z2, NEAR)) for x in (x1 - _OVERHANG, -x2 - _OVERHANG))
        meet = (first[:, None] <= -last[None, :]) & (first[None, :] <= -last[:, None])
        before = ((nearer & ~inside.T) | (inside & ~nearer.T)) & meet  # before[a, b]: a may hide b
        waiting = before.sum(axis=1)
        middle = (z1 + z2) / 2
        left = np.ones(len(bounds), dtype=bool)
        order = []
        for _ in range(len(bounds)):
            ready = left & (waiting == 0)
            pool = np.flatnonzero(ready if ready.any() else left)
            chosen = int(pool[np.argmax(middle[pool])])
            order.append(chosen)
            left[chosen] = False
            waiting -= before[:, chosen]
        return order


def pick(rng: np.random.Generator, weights: dict[str, float]) -> str:
    """Return one of the names, each as likely as its weight."""
    names = list(weights)
    shares = np.array(list(weights.values()))
    return names[int(rng.choice(len(names), p=shares / shares.sum()))]
