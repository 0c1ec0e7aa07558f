"""Draws the classes of an image's pixels: colours over the image, outlined, with a legend."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from bdd100k_models.inference.results import ClassMap
from bdd100k_models.tasks import NO_CLASS, colour_of
from bdd100k_models.visualization.drawing import Canvas, blend, lighten, outline, text_mask, write

#: A class of everything else: it is not drawn, or it would hide what is.
_REST = "background"

_LEGEND_SHARE = 0.0001  # of the image's pixels: a class on fewer is drawn, but not listed
_INK = (255, 255, 255)


def draw_classes(result: ClassMap, canvas: Canvas) -> None:
    """Draw classes in the official colours over an image; a class called background is left as it is."""
    names = result.categories
    hidden = {NO_CLASS} | {index for index, name in enumerate(names) if name == _REST}
    shown = np.where(np.isin(result.classes, list(hidden)), 0, result.classes.astype(np.int32) + 1)
    colours = np.zeros((len(names) + 1, 3), np.uint8)
    colours[1:] = [colour_of(name) for name in names]
    blend(canvas.pixels, shown, colours)
    outline(canvas.pixels, shown)
    counts = np.bincount(shown.ravel(), minlength=len(names) + 1)[1:]
    _draw_legend(canvas, [name for name, count in zip(names, counts, strict=True) if _is_listed(count, shown.size)])


def _is_listed(count: int, pixels: int) -> bool:
    return count >= max(1, _LEGEND_SHARE * pixels)


def _draw_legend(canvas: Canvas, names: Sequence[str]) -> None:
    """Write names beside their colours, in a column in the upper left corner."""
    if not names:
        return
    scale = canvas.scale
    texts = [text_mask(name, scale) for name in names]
    height = texts[0].shape[0]
    row, margin, swatch = round(1.35 * height), round(0.5 * height), round(1.5 * height)
    width = max(text.shape[1] for text in texts)
    room = max(1, (canvas.pixels.shape[0] - 4 * margin) // row)  # in a low picture the names take several columns
    if len(names) > room:
        _draw_legend(canvas, names[:room])
        _draw_legend(canvas, names[room:])
        return
    left, top = canvas.panel(3 * margin + swatch + width, 2 * margin + row * len(names))
    pixels = canvas.pixels
    for place, (name, text) in enumerate(zip(names, texts, strict=True)):
        y = top + margin + row * place
        corners = (left + margin, y + row // 8), (left + margin + swatch, y + row - row // 8)
        cv2.rectangle(pixels, *corners, colour_of(name)[::-1], cv2.FILLED)
        # dark colours would drown in the panel
        cv2.rectangle(pixels, *corners, lighten(colour_of(name))[::-1], max(1, round(scale)))
        write(pixels, text, left + 2 * margin + swatch, y + (row - height) // 2, _INK)
