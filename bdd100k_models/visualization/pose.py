"""Draws people as limbs and joints, the sides of the body apart by colour."""

from __future__ import annotations

import cv2
import numpy as np

from bdd100k_models.inference.results import Floats, People
from bdd100k_models.tasks import JOINTS, LIMBS
from bdd100k_models.visualization.drawing import Canvas, line_width

#: By part of the body; blue, green, red.
_COLOURS = {"body": (0, 215, 255), "right_side": (60, 60, 255), "left_side": (255, 170, 40)}
_OUTLINE = (20, 20, 20)
_FARTHEST = 1 << 15  # pixels; beyond, OpenCV's coordinates run over


def draw_people(result: People, canvas: Canvas, threshold: float, joint: float) -> None:
    """Draw the people of an image.

    Args:
        result: The people; the best lies on top.
        canvas: The image.
        threshold: Least score of a person that is drawn.
        joint: Least confidence of a joint that is drawn. Those of labels are drawn where they have a place.
    """
    least = np.finfo(np.float64).tiny if result.labelled else joint
    for joints, score, area in zip(result.joints[::-1], result.scores[::-1], result.areas[::-1], strict=True):
        if score >= threshold:
            _draw(joints, float(area), canvas, float(least))


def _draw(joints: Floats, area: float, canvas: Canvas, threshold: float) -> None:
    pixels = canvas.pixels
    # small people get thin limbs, or those would hide them
    width = max(1, round(min(line_width(canvas.scale), np.sqrt(area) / 60)))
    points = {
        index: (round(x), round(y))
        for index, (x, y, confidence) in enumerate(joints.tolist())
        if confidence >= threshold and max(abs(x), abs(y)) < _FARTHEST
    }
    limbs = [(points[a], points[b], part) for a, b, part in LIMBS if a in points and b in points]
    for start, end, _ in limbs:
        cv2.line(pixels, start, end, _OUTLINE, width + 2, cv2.LINE_AA)
    for start, end, part in limbs:
        cv2.line(pixels, start, end, _COLOURS[part], width, cv2.LINE_AA)
    for index, point in points.items():
        cv2.circle(pixels, point, width + 1, _OUTLINE, cv2.FILLED, cv2.LINE_AA)
        cv2.circle(pixels, point, width, _COLOURS[_side(JOINTS[index])], cv2.FILLED, cv2.LINE_AA)


def _side(joint: str) -> str:
    side = f"{joint.partition('_')[0]}_side"
    return side if side in _COLOURS else "body"
