"""Draws the classes of an image's pixels: colours over the image, outlined, with a legend."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from bdd100k_models.formats.results.semantic import NO_CLASS, SemanticRecord
from bdd100k_models.tasks import RGB, Task
from bdd100k_models.visualization.drawing import Pixels, lighten
from bdd100k_models.visualization.records import draw_record

#: A class of everything else: it is not drawn, or it would hide what is.
_REST = "background"

_OPACITY = 0.5
_OUTLINE = 0.7  # of white, where two classes meet
_LEGEND_SHARE = 0.0001  # of the image's pixels: a class on fewer is drawn, but not listed
_PANEL, _INK = (32, 24, 16), (255, 255, 255)  # blue, green, red


@draw_record.register
def draw_classes(record: SemanticRecord, pixels: Pixels, task: Task, threshold: float) -> None:
    """Draw classes in the official colours over an image.

    Args:
        record: The classes; nothing is drawn where there are none.
        pixels: The image (height, width, 3), uint8, blue-green-red; changed in place.
        task: The task, whose palette is used. A class called background is left as it is.
        threshold: Not used: classes are drawn, not scores.
    """
    classes = record.class_map()
    names = task.categories
    rest = names.index(_REST) if _REST in names else NO_CLASS
    shown = (classes != NO_CLASS) & (classes != rest)
    colours = np.zeros((NO_CLASS + 1, 3), np.uint8)
    colours[: len(names)] = np.array(task.palette, np.uint8)[:, ::-1]
    mixed = cv2.addWeighted(pixels, 1 - _OPACITY, colours[classes], _OPACITY, 0)
    np.copyto(pixels, mixed, where=shown[..., None])
    border = _borders(classes)
    pixels[border] = (pixels[border] * (1 - _OUTLINE) + 255 * _OUTLINE).astype(np.uint8)
    counts = np.bincount(classes[shown], minlength=len(names))
    listed = [index for index in range(len(names)) if counts[index] >= max(1, _LEGEND_SHARE * classes.size)]
    _legend(pixels, [names[index] for index in listed], [task.palette[index] for index in listed])


def _borders(classes: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Return the pixels whose right or lower neighbour has another class."""
    border = np.zeros(classes.shape, np.bool_)
    border[:, :-1] |= classes[:, 1:] != classes[:, :-1]
    border[:-1] |= classes[1:] != classes[:-1]
    return border


def _legend(pixels: Pixels, names: list[str], colours: list[RGB]) -> None:
    """Write names beside their colours, in a column in the upper left corner."""
    if not names:
        return
    scale = pixels.shape[0] / 720
    row, margin = max(1, round(24 * scale)), max(1, round(10 * scale))
    font, size, thickness = cv2.FONT_HERSHEY_SIMPLEX, 0.5 * scale, max(1, round(scale))
    widest = max(cv2.getTextSize(name, font, size, thickness)[0][0] for name in names)
    panel = pixels[margin : 2 * margin + row * len(names), margin : 4 * margin + row + widest]
    panel[:] = (panel * 0.25 + np.array(_PANEL) * 0.75).astype(np.uint8)
    for place, (name, colour) in enumerate(zip(names, colours, strict=True)):
        top = margin + margin // 2 + row * place
        swatch = (2 * margin, top + row // 8), (2 * margin + row, top + row - row // 8)
        cv2.rectangle(pixels, *swatch, colour[::-1], cv2.FILLED)
        # dark colours would drown in the panel
        cv2.rectangle(pixels, *swatch, lighten(colour)[::-1], thickness)
        origin = (3 * margin + row, top + round(0.7 * row))
        cv2.putText(pixels, name, origin, font, size, _INK, thickness, cv2.LINE_AA)
