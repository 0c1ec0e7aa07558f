"""Two pictures drawn in step: colours, and the number of the object that each pixel shows.

The colours are drawn with smooth edges, the numbers with hard ones, from the same outlines. Labels come from the
numbers alone, so they agree with what can be seen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from bdd100k_models.datasets.synth.camera import Points

Colour = tuple[float, float, float]

#: Fractional bits of coordinates.
SHIFT = 4
_ONE = 1 << SHIFT
_LIMIT = 1 << 13  # pixels; outlines far outside the picture are pulled in to here, or the fixed point would overflow
_TILE = 16  # pixels
_GLOW_SHIFT = 2
_GLOW_SCALE = 1 << _GLOW_SHIFT  # the layer of light is this much smaller than the picture
_HALF_TURN = np.exp(1j * np.linspace(-math.pi / 2, math.pi / 2, 7))
_CIRCLE = np.linspace(0, 2 * math.pi, 24, endpoint=False)
CIRCLE = np.stack((np.cos(_CIRCLE), np.sin(_CIRCLE)), axis=-1)


@dataclass
class Extent:
    """What an object covers before anything stands in front of it.

    Attributes:
        box: Outline (x1, y1, x2, y2) in pixels, also outside the picture.
        pixels: Pixels in the picture, counted as soon as the object is drawn.
    """

    box: tuple[float, float, float, float]
    pixels: int


class Canvas:
    """A picture and its map of object numbers.

    Args:
        width: Pixels from left to right.
        height: Pixels from top to bottom.

    Attributes:
        pixels: uint8 (height, width, 3), blue, green, red.
        ids: int16 (height, width): number of the object shown, or below 0 that of a surface; 0 where nothing is.
        glow: uint8, a fourth of the size: light that is spread and added at the end.
        extents: By object number.
    """

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.pixels = np.zeros((height, width, 3), dtype=np.uint8)
        self.ids = np.zeros((height, width), dtype=np.int16)
        self.glow = np.zeros((height // _GLOW_SCALE + 1, width // _GLOW_SCALE + 1, 3), dtype=np.uint8)
        self.extents: dict[int, Extent] = {}
        self._number = 0
        self._outlines: list[Points] = []
        self._shines = False

    def begin(self, number: int) -> None:
        """Start drawing object ``number`` (from 1), or a surface (below 0)."""
        self._number = number

    def finish(self) -> None:
        """End the object, and measure it where it has a number and an outline."""
        if self._outlines:
            points = np.concatenate(self._outlines)
            box = (*points.min(axis=0).tolist(), *points.max(axis=0).tolist())
            self.extents[self._number] = Extent(box, int(np.count_nonzero(self.crop(box) == self._number)))
            self._outlines = []
        self._number = 0

    def crop(self, box: tuple[float, float, float, float]) -> NDArray[np.int16]:
        """Return the part of the map of numbers inside a box, a pixel wider on each side (a view, maybe empty)."""
        x1, y1, x2, y2 = self.window(box)
        return self.ids[y1:y2, x1:x2]

    def window(self, box: tuple[float, float, float, float]) -> tuple[int, int, int, int]:
        """Return integer bounds (x1, y1, x2, y2; the last two exclusive) of a box inside the picture."""
        x1, y1, x2, y2 = (min(max(value, -_LIMIT), _LIMIT) for value in box)
        return (
            min(max(math.floor(x1) - 1, 0), self.width),
            min(max(math.floor(y1) - 1, 0), self.height),
            min(max(math.ceil(x2) + 2, 0), self.width),
            min(max(math.ceil(y2) + 2, 0), self.height),
        )

    def fill(self, points: Points, colour: Colour, *, detail: bool = False) -> None:
        """Fill a polygon.

        Args:
            points: Corners (N, 2) in pixels.
            colour: Red, green, blue, 0 to 255.
            detail: It lies inside the object's outline, so the map of numbers needs no change.
        """
        self._fill([fixed_point(points)], colour, detail=detail)
        if not detail:
            self._extend(points)

    def fill_all(self, polygons: Points, colour: Colour, *, detail: bool = False) -> None:
        """Fill polygons (K, N, 2) that do not overlap; see :meth:`fill`."""
        self._fill(list(fixed_point(polygons)), colour, detail=detail)
        if not detail:
            self._extend(polygons.reshape(-1, 2))

    def fill_each(self, polygons: Points, colours: Sequence[Colour], *, detail: bool = False) -> None:
        """Fill polygons (K, N, 2) in their order, each in a colour of its own; see :meth:`fill`."""
        for fixed, colour in zip(fixed_point(polygons), colours, strict=True):
            self._fill([fixed], colour, detail=detail)
        if not detail and len(polygons):
            self._extend(polygons.reshape(-1, 2))

    def _fill(self, fixed: list[NDArray[np.int32]], colour: Colour, *, detail: bool) -> None:
        cv2.fillPoly(self.pixels, fixed, colour[::-1], cv2.LINE_AA, SHIFT)
        if detail:
            return
        cv2.fillPoly(self.ids, fixed, self._number, cv2.LINE_8, SHIFT)
        if self._shines:  # what stands in front hides the light behind
            small = [points >> _GLOW_SHIFT for points in fixed]
            cv2.fillPoly(self.glow, small, (0, 0, 0), cv2.LINE_8, SHIFT)

    def mark(self, points: Points, number: int | None = None) -> None:
        """Give the pixels of a polygon (N, 2) a number, by default that of the object, without drawing anything."""
        shown = self._number if number is None else number
        cv2.fillPoly(self.ids, [fixed_point(points)], shown, cv2.LINE_8, SHIFT)

    def _extend(self, points: Points) -> None:
        """Take points (N, 2) as part of the outline of the object; surfaces have none."""
        if self._number > 0:
            self._outlines.append(points)

    def disc(
        self, centre: Points, radius: float, colour: Colour, *, squeeze: float = 1.0, detail: bool = False
    ) -> None:
        """Fill an ellipse: ``radius`` pixels high, ``squeeze`` times as wide."""
        self.fill(centre + CIRCLE * (radius * squeeze, radius), colour, detail=detail)

    def discs(self, centres: Points, radii: Points, colour: Colour) -> None:
        """Fill discs around points (K, 2) in their order, ``radii`` (K,) pixels large."""
        self.fill_each(centres[:, None] + CIRCLE * radii[:, None, None], [colour] * len(radii))

    def limb(
        self, start: Points, end: Points, widths: tuple[float, float], colour: Colour, *, detail: bool = False
    ) -> None:
        """Fill a rounded bar from ``start`` to ``end``, ``widths`` pixels thick at its ends."""
        self.fill(_bars(start[None], end[None], np.array([widths]))[0], colour, detail=detail)

    def limbs(self, starts: Points, ends: Points, widths: Points, colours: Sequence[Colour]) -> None:
        """Fill rounded bars between points (K, 2) in their order, ``widths`` (K, 2) pixels thick at their ends."""
        self.fill_each(_bars(starts, ends, widths), colours)

    def ring(self, points: Points, width: float, colour: Colour) -> None:
        """Draw a wheel's rim, ``width`` pixels thick, seen at any angle: ``points`` (N, 2) go once around it."""
        outward = width / 2 * CIRCLE
        low, high = points.min(axis=0), points.max(axis=0)
        if high[0] - low[0] < 2 * width:
            middle = (low[0] + high[0]) / 2
            self.limb(np.array((middle, low[1])), np.array((middle, high[1])), (width, width), colour)
            return
        if points[0, 0] < points[len(points) // 2, 0]:
            outward = outward * (-1, 1)
        outer, inner = points + outward, points - outward
        self.fill(np.concatenate((outer, outer[:1], inner[:1], inner[::-1])), colour)

    def shine(self, centre: Points, radius: float, colour: Colour, *, squeeze: float = 1.0) -> None:
        """Add light around a point, ``radius`` pixels high; it appears in :meth:`spread_glow`."""
        points = (centre + CIRCLE * (radius * squeeze, radius)) / _GLOW_SCALE
        fixed = fixed_point(points)
        self._shines = True
        cv2.fillPoly(self.glow, [fixed], colour[::-1], cv2.LINE_AA, SHIFT)

    def spread_glow(self, strength: float) -> None:
        """Blur the layer of light and add it to the picture."""
        if not self._shines:
            return
        sigma = self.height / _GLOW_SCALE / 60
        high, wide = self.glow.shape[:2]
        near = cv2.GaussianBlur(self.glow, (0, 0), sigma)
        small = cv2.resize(near, (wide // 4 + 1, high // 4 + 1), interpolation=cv2.INTER_AREA)
        far = cv2.resize(cv2.GaussianBlur(small, (0, 0), sigma), (wide, high))
        light = cv2.addWeighted(near, strength, far, strength * 0.7, 0)
        lit = np.flatnonzero(light.any(axis=(1, 2)))
        if not len(lit):
            return
        top, end = max(int(lit[0]) - 1, 0), int(lit[-1]) + 2  # with a dark row on each side, into which it fades
        large = cv2.resize(light[top:end], (wide * _GLOW_SCALE, len(light[top:end]) * _GLOW_SCALE))
        lower = self.pixels[top * _GLOW_SCALE : end * _GLOW_SCALE]
        cv2.add(lower, large[: len(lower), : self.width], dst=lower)


def stretch(column: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    """Return a picture (height, ``width``, 3) whose rows have the colours of ``column`` (height, 3)."""
    # many pixels at a time are copied many times faster than one
    tile = np.repeat(column[:, None], _TILE, axis=1)
    return np.asarray(cv2.repeat(tile, 1, -(-width // _TILE)))[:, :width]


def _bars(starts: Points, ends: Points, widths: Points) -> Points:
    """Return the outlines (K, N, 2) of rounded bars; see :meth:`Canvas.limbs`."""
    first, last = (np.ascontiguousarray(points).view(np.complex128) for points in (starts, ends))
    along = last - first
    length = np.abs(along)
    turn = np.ones_like(along)
    np.divide(along, length, out=turn, where=length > 0)
    arcs = _HALF_TURN * turn
    outlines = np.concatenate((last + arcs * (widths[:, 1:] / 2), first - arcs * (widths[:, :1] / 2)), axis=1)
    bars: Points = outlines.view(np.float64).reshape(len(outlines), -1, 2)
    return bars


def fixed_point(points: Points) -> NDArray[np.int32]:
    """Return pixels (..., 2) as OpenCV takes them with a shift of :data:`SHIFT`."""
    near = np.maximum(points, -_LIMIT)
    np.minimum(near, _LIMIT, out=near)
    near *= _ONE
    np.rint(near, out=near)
    return near.astype(np.int32)
