"""Draws the tags of an image: the values with their probabilities, best first, as bars in the corner."""

from __future__ import annotations

import cv2
import numpy as np

from bdd100k_models.inference.results import Tags
from bdd100k_models.visualization.drawing import Canvas, text_mask, write

_BARS = 3
_WIDTH = 250  # pixels, in an image of the data set's size
_BAR, _INK = (170, 120, 30), (255, 255, 255)  # blue, green, red


def draw_tag(result: Tags, canvas: Canvas) -> None:
    """Draw the most probable values of a tag in the upper left corner, or of a label the value alone.

    Args:
        result: The probabilities; nothing is drawn where there are none.
        canvas: The image.
    """
    if result.value is None:
        return
    least = round(_WIDTH * canvas.scale)
    if result.labelled:
        lines: list[tuple[str, float]] = [(f"{result.tag}: {result.value}", 0.0)]
        least = 0
    else:
        best = np.argsort(-result.scores, kind="stable")[:_BARS].tolist()
        bars = [(f"{result.values[index]} {result.scores[index]:.2f}", float(result.scores[index])) for index in best]
        lines = [(result.tag, 0.0), *bars]
    scale = canvas.scale
    texts = [text_mask(line, scale) for line, _ in lines]
    height = texts[0].shape[0]
    row, margin = round(1.45 * height), round(0.5 * height)
    width = max([least, *(text.shape[1] + 4 * margin for text in texts)])
    left, top = canvas.panel(width, 2 * margin + row * len(lines))
    for place, (text, (_, share)) in enumerate(zip(texts, lines, strict=True)):
        y = top + margin + row * place
        length = round((width - 2 * margin) * share)
        if length:
            corners = (left + margin, y + 1), (left + margin + length, y + row - 2)
            cv2.rectangle(canvas.pixels, *corners, _BAR, cv2.FILLED)
        indent = margin * 2 if place else margin
        write(canvas.pixels, text, left + indent, y + (row - height) // 2, _INK)
