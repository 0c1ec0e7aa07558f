"""Labels of a drawn picture, from its map of object numbers."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bdd100k_models.datasets.synth.canvas import Canvas
from bdd100k_models.datasets.synth.scene import Part
from bdd100k_models.formats.scalabel import Box2D, Label

#: Least width and height, in pixels of a picture 720 high, of what is labelled.
MIN_SIDE = 8
#: Least share of an object's pixels in the picture that must be seen for a label.
MIN_VISIBLE = 0.25
#: Where less than this share is seen, the object is called occluded.
OCCLUDED_BELOW = 0.92
#: An object is called truncated where it reaches this share of its size beyond the picture.
TRUNCATED_ABOVE = 0.03


def annotate(canvas: Canvas, parts: Mapping[int, Part], ids: Mapping[int, str]) -> list[Label]:
    """Return the labels of what is seen.

    Args:
        canvas: After everything was drawn.
        parts: The labelled objects by number.
        ids: The id of each object's label, by number.

    Returns:
        Labels by object number. A box is the extent of the pixels that show the object, ends included, in pixels.
    """
    labels = []
    least = MIN_SIDE * canvas.height / 720
    for number, part in parts.items():
        extent = canvas.extents.get(number)
        if extent is None or not extent.pixels:
            continue
        mask = canvas.crop(extent.box) == number
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        seen = int(np.count_nonzero(mask))
        if not seen or seen < MIN_VISIBLE * extent.pixels:
            continue
        if min(rows[-1] - rows[0], columns[-1] - columns[0]) + 1 < least:
            continue
        x0, y0, _, _ = canvas.window(extent.box)
        attributes = {
            "occluded": seen < OCCLUDED_BELOW * extent.pixels,
            "truncated": _truncated(canvas, extent.box),
            "trafficLightColor": part.light_state,
        }
        box = Box2D(*(float(value) for value in (x0 + columns[0], y0 + rows[0], x0 + columns[-1], y0 + rows[-1])))
        labels.append(Label(ids[number], category=part.category, attributes=attributes, box2d=box))
    return labels


def _truncated(canvas: Canvas, box: tuple[float, float, float, float]) -> bool:
    x1, y1, x2, y2 = box
    wide, high = max(x2 - x1, 1.0), max(y2 - y1, 1.0)
    beyond = (-x1 / wide, (x2 - canvas.width) / wide, -y1 / high, (y2 - canvas.height) / high)
    return max(beyond) > TRUNCATED_ABOVE
