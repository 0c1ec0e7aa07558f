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

_SHIFT = 4  # fractional bits of coordinates
_ONE = 1 << _SHIFT
_LIMIT = 1 << 13  # pixels; outlines far outside the picture are pulled in to here, or the fixed point would overflow
_GLOW_SCALE = 4  # the layer of light is this much smaller than the picture
_TURN = np.linspace(-math.pi / 2, math.pi / 2, 7)
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
    pixels: int = 0


class Canvas:
    """A picture and its map of object numbers.

    Args:
        width: Pixels from left to right.
        height: Pixels from top to bottom.

    Attributes:
        pixels: uint8 (height, width, 3), blue, green, red.
        ids: int32 (height, width): number of the object shown, 0 for the background.
        glow: uint8, a fourth of the size: light that is spread and added at the end.
        extents: By object number.
    """

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.pixels = np.zeros((height, width, 3), dtype=np.uint8)
        self.ids = np.zeros((height, width), dtype=np.int32)
        self.glow = np.zeros((height // _GLOW_SCALE + 1, width // _GLOW_SCALE + 1, 3), dtype=np.uint8)
        self.extents: dict[int, Extent] = {}
        self._number = 0
        self._shines = False

    def begin(self, number: int) -> None:
        """Start drawing object ``number``; 0 is the background."""
        self._number = number

    def finish(self) -> None:
        """End the object and count its pixels."""
        extent = self.extents.get(self._number)
        if extent is not None:
            extent.pixels = int(np.count_nonzero(self.crop(extent.box) == self._number))
        self._number = 0

    def crop(self, box: tuple[float, float, float, float]) -> NDArray[np.int32]:
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
        self.fill_all([points], colour, detail=detail)

    def fill_all(self, polygons: Sequence[Points] | Points, colour: Colour, *, detail: bool = False) -> None:
        """Fill polygons that do not overlap; see :meth:`fill`."""
        fixed = [np.rint(np.clip(polygon, -_LIMIT, _LIMIT) * _ONE).astype(np.int32) for polygon in polygons]
        cv2.fillPoly(self.pixels, fixed, colour[::-1], cv2.LINE_AA, _SHIFT)
        if not detail:
            cv2.fillPoly(self.ids, fixed, self._number, cv2.LINE_8, _SHIFT)
            if self._shines:  # what stands in front hides the light behind
                small = [points // _GLOW_SCALE for points in fixed]
                cv2.fillPoly(self.glow, small, (0, 0, 0), cv2.LINE_8, _SHIFT)
            if self._number:
                for polygon in polygons:
                    self._extend(polygon)

    def _extend(self, points: Points) -> None:
        low, high = points.min(axis=0), points.max(axis=0)
        box = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
        known = self.extents.get(self._number)
        if known is None:
            self.extents[self._number] = Extent(box)
            return
        old = known.box
        known.box = (min(old[0], box[0]), min(old[1], box[1]), max(old[2], box[2]), max(old[3], box[3]))

    def disc(
        self, centre: Points, radius: float, colour: Colour, *, squeeze: float = 1.0, detail: bool = False
    ) -> None:
        """Fill an ellipse: ``radius`` pixels high, ``squeeze`` times as wide."""
        self.fill(centre + CIRCLE * (radius * squeeze, radius), colour, detail=detail)

    def limb(
        self, start: Points, end: Points, widths: tuple[float, float], colour: Colour, *, detail: bool = False
    ) -> None:
        """Fill a rounded bar from ``start`` to ``end``, ``widths`` pixels thick at its ends."""
        dx, dy = float(end[0] - start[0]), float(end[1] - start[1])
        angle = math.atan2(dy, dx)
        arc = np.concatenate((_TURN + angle, _TURN + angle + math.pi))
        radius = np.repeat((widths[1] / 2, widths[0] / 2), len(_TURN))[:, None]
        centres = np.repeat((end, start), len(_TURN), axis=0)
        self.fill(centres + radius * np.stack((np.cos(arc), np.sin(arc)), axis=-1), colour, detail=detail)

    def path(self, points: Points, width: float, colour: Colour, *, detail: bool = False) -> None:
        """Draw a line through points (N, 2), ``width`` pixels thick."""
        for start, end in zip(points[:-1], points[1:], strict=True):
            self.limb(start, end, (width, width), colour, detail=detail)

    def shine(self, centre: Points, radius: float, colour: Colour, *, squeeze: float = 1.0) -> None:
        """Add light around a point, ``radius`` pixels high; it appears in :meth:`spread_glow`."""
        points = (centre + CIRCLE * (radius * squeeze, radius)) / _GLOW_SCALE
        fixed = np.rint(np.clip(points, -_LIMIT, _LIMIT) * _ONE).astype(np.int32)
        self._shines = True
        cv2.fillPoly(self.glow, [fixed], colour[::-1], cv2.LINE_AA, _SHIFT)

    def spread_glow(self, strength: float) -> None:
        """Blur the layer of light and add it to the picture."""
        if not self._shines:
            return
        sigma = self.height / _GLOW_SCALE / 60
        soft = cv2.GaussianBlur(self.glow, (0, 0), sigma)
        wide = cv2.GaussianBlur(self.glow, (0, 0), sigma * 4)
        light = cv2.addWeighted(soft, strength, wide, strength * 0.7, 0)
        large = cv2.resize(light, (light.shape[1] * _GLOW_SCALE, light.shape[0] * _GLOW_SCALE))
        cv2.add(self.pixels, large[: self.height, : self.width], dst=self.pixels)
