"""Labels of a drawn picture, from its map of object numbers."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
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
        mask = (canvas.crop(extent.box) == number).view(np.uint8)
        seen = int(np.count_nonzero(mask))
        if not seen or seen < MIN_VISIBLE * extent.pixels:
            continue
        left, top, wide, high = cv2.boundingRect(mask)
        if min(wide, high) < least:
            continue
        x0, y0, _, _ = canvas.window(extent.box)
        attributes = {
            "occluded": seen < OCCLUDED_BELOW * extent.pixels,
            "truncated": _truncated(canvas, extent.box),
            "trafficLightColor": part.light_state,
        }
        left, top = x0 + left, y0 + top
        box = Box2D(float(left), float(top), float(left + wide - 1), float(top + high - 1))
        labels.append(Label(ids[number], category=part.category, attributes=attributes, box2d=box))
    return labels


def _truncated(canvas: Canvas, box: tuple[float, float, float, float]) -> bool:
    x1, y1, x2, y2 = box
    wide, high = max(x2 - x1, 1.0), max(y2 - y1, 1.0)
    beyond = (-x1 / wide, (x2 - canvas.width) / wide, -y1 / high, (y2 - canvas.height) / high)
    return max(beyond) > TRUNCATED_ABOVE
