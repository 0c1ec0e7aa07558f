"""Draws the tags of an image: the values with their probabilities, best first, as bars in the corner."""

from __future__ import annotations

import cv2
import numpy as np

from bdd100k_models.formats.results.tags import TagRecord
from bdd100k_models.tasks import TAGS, Task
from bdd100k_models.visualization.drawing import Pixels
from bdd100k_models.visualization.records import draw_record

_BARS = 3
_BACKGROUND, _BAR, _INK = (32, 24, 16), (170, 120, 30), (255, 255, 255)  # blue, green, red


@draw_record.register
def draw_tag(record: TagRecord, pixels: Pixels, task: Task, threshold: float) -> None:
    """Draw the most probable values of a tag in the upper left corner.

    Args:
        record: The probabilities; nothing is drawn where there are none.
        pixels: The image (height, width, 3), uint8, blue-green-red; changed in place.
        task: The task.
        threshold: Not used: a distribution is drawn, not a decision.
    """
    if not record.scores:
        return
    scale = pixels.shape[0] / 720
    row, width, margin = round(34 * scale), round(340 * scale), round(12 * scale)
    best = np.argsort(-np.array(record.scores), kind="stable")[:_BARS]
    bottom = margin + row * (len(best) + 1) + margin
    panel = pixels[margin:bottom, margin : margin + width]
    panel[:] = (panel * 0.25 + np.array(_BACKGROUND) * 0.75).astype(np.uint8)
    _write(pixels, record.tag, margin * 2, margin + row, scale)
    for place, index in enumerate(best.tolist(), 1):
        top = margin + row * place + round(8 * scale)
        length = round((width - 2 * margin) * record.scores[index])
        cv2.rectangle(pixels, (margin * 2, top), (margin * 2 + length, top + row - round(6 * scale)), _BAR, cv2.FILLED)
        text = f"{TAGS[record.tag][index]} {record.scores[index]:.2f}"
        _write(pixels, text, margin * 2 + round(6 * scale), top + row - round(14 * scale), scale)


def _write(pixels: Pixels, text: str, left: int, baseline: int, scale: float) -> None:
    thickness = max(1, round(1.5 * scale))
    cv2.putText(pixels, text, (left, baseline), cv2.FONT_HERSHEY_SIMPLEX, 0.65 * scale, _INK, thickness, cv2.LINE_AA)
