"""Draws instances and panoptic segments: masks in their categories' colours, outlined, with captions."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from bdd100k_models.formats import rle
from bdd100k_models.formats.results.instances import InstanceRecord
from bdd100k_models.formats.results.panoptic import MODEL_CATEGORIES, THINGS, PanopticRecord
from bdd100k_models.tasks import PALETTE, RGB, Task
from bdd100k_models.visualization.drawing import Pixels, draw_caption, lighten, line_width
from bdd100k_models.visualization.records import draw_record

_OPACITY = 0.5
_LEAST_CAPTIONED, _ROWS = 2500, 720  # pixels of a mask in an image of so many rows


@draw_record.register
def draw_instances(record: InstanceRecord, pixels: Pixels, task: Task, threshold: float) -> None:
    """Draw the visible part of each instance that reaches ``threshold``, its outline, category and score.

    Args:
        record: The instances.
        pixels: The image (height, width, 3), uint8, blue-green-red; changed in place.
        task: The task.
        threshold: Least score that is drawn.
    """
    shown = [(index - 1, mask) for index, mask in record.visible() if record.scores[index - 1] >= threshold]
    shown.sort(key=lambda pair: record.scores[pair[0]])
    names = [task.categories[record.classes[index]] for index, _ in shown]
    masks = [rle.decode(mask, "instance") for _, mask in shown]
    for name, mask in zip(names, masks, strict=True):
        blend(pixels, mask, lighten(PALETTE[name]))
    for mask in masks:
        outline(pixels, mask)
    for (index, _), name, mask in zip(shown, names, masks, strict=True):
        caption(pixels, mask, f"{name} {record.scores[index]:.2f}", PALETTE[name])


@draw_record.register
def draw_segments(record: PanopticRecord, pixels: Pixels, task: Task, threshold: float) -> None:
    """Draw segments in the official colours; things have an outline, and large segments their names.

    Args:
        record: The segments.
        pixels: The image (height, width, 3), uint8, blue-green-red; changed in place.
        task: The task.
        threshold: Not used: panoptic segments have no scores.
    """
    segments = [(name, rle.decode(mask, "segment")) for name, mask in zip(record.categories, record.masks, strict=True)]
    for name, mask in segments:
        blend(pixels, mask, PALETTE[name])
    for name, mask in segments:
        if name in MODEL_CATEGORIES[:THINGS]:
            outline(pixels, mask)
    for name, mask in segments:
        caption(pixels, mask, name, PALETTE[name])


def blend(pixels: Pixels, mask: npt.NDArray[np.bool_], colour: RGB) -> None:
    """Lay a half transparent colour (red, green, blue) over the pixels of a mask."""
    pixels[mask] = (pixels[mask] * (1 - _OPACITY) + np.array(colour[::-1]) * _OPACITY).astype(np.uint8)


def outline(pixels: Pixels, mask: npt.NDArray[np.bool_]) -> None:
    """Draw the border of a mask, and of its holes, in white: neighbours of one category have one colour."""
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(pixels, contours, -1, (255, 255, 255), max(1, line_width(pixels.shape[0]) // 2), cv2.LINE_AA)


def caption(pixels: Pixels, mask: npt.NDArray[np.bool_], text: str, colour: RGB) -> None:
    """Write a text at the innermost point of a mask, unless the mask is so small that the text would hide it."""
    if mask.sum() * _ROWS**2 < _LEAST_CAPTIONED * pixels.shape[0] ** 2:
        return
    depth = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 3)
    _, _, _, (column, row) = cv2.minMaxLoc(depth)
    draw_caption(pixels, (column - 1, row - 1), text, lighten(colour))
