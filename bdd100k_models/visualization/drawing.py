"""Drawing on images: boxes with their category and score, legible at any size."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from bdd100k_models.tasks import RGB

Pixels = npt.NDArray[np.uint8]

_BRIGHTEST = 255


def line_width(height: int) -> int:
    """Return a stroke in pixels that looks the same at every image height: 2 at 720."""
    return max(1, round(height / 360))


def draw_boxes(
    image: Pixels,
    boxes: Sequence[Sequence[float]],
    texts: Sequence[str],
    colours: Sequence[RGB],
) -> None:
    """Draw boxes with captions into an image.

    Args:
        image: Pixels (height, width, 3), uint8, blue-green-red; changed in place.
        boxes: Corners x1, y1, x2, y2 in pixels, inclusive.
        texts: A caption a box; an empty one draws no caption.
        colours: A colour a box (red, green, blue). Dark ones are lightened, or they would drown in a street scene.
    """
    width = line_width(image.shape[0])
    for box, colour in zip(boxes, colours, strict=True):
        corners = [round(float(value)) for value in box]
        bgr = lighten(colour)[::-1]
        cv2.rectangle(image, corners[:2], corners[2:], bgr, width, cv2.LINE_AA)
    # captions last, so that no box runs through one
    for box, text, colour in zip(boxes, texts, colours, strict=True):
        if text:
            draw_caption(image, (round(float(box[0])), round(float(box[1]))), text, lighten(colour))


def lighten(colour: RGB, least: int = 200) -> RGB:
    """Scale a colour so that its strongest channel reaches at least ``least``; black becomes grey."""
    strongest = max(colour)
    if strongest == 0:
        return (least, least, least)
    factor = max(1.0, least / strongest)
    red, green, blue = (min(_BRIGHTEST, round(channel * factor)) for channel in colour)
    return (red, green, blue)


def draw_caption(image: Pixels, corner: tuple[int, int], text: str, colour: RGB) -> None:
    """Write a text on a ground of the given colour, above a point where there is room.

    Args:
        image: Pixels (height, width, 3), uint8, blue-green-red; changed in place.
        corner: Column and row of the lower left corner in pixels; the text is kept inside the image.
        text: One line.
        colour: The ground (red, green, blue); the letters are black or white, whichever is legible.
    """
    scale = image.shape[0] / 720 * 0.5
    thickness = max(1, round(scale * 2))
    (text_width, text_height), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thickness)
    height = text_height + below + 2
    left = max(0, min(corner[0], image.shape[1] - text_width - 2))
    top = corner[1] - height if corner[1] >= height else corner[1]
    cv2.rectangle(image, (left, top), (left + text_width + 2, top + height), colour[::-1], cv2.FILLED)
    luminance = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]
    ink = (0, 0, 0) if luminance > 128 else (_BRIGHTEST, _BRIGHTEST, _BRIGHTEST)
    origin = (left + 1, top + text_height + 1)
    cv2.putText(image, text, origin, cv2.FONT_HERSHEY_SIMPLEX, scale, ink, thickness, cv2.LINE_AA)
