"""Draws people as limbs and joints, the sides of the body apart by colour."""

from __future__ import annotations

import cv2
import numpy as np

from bdd100k_models.formats.results.pose import Person, PoseRecord
from bdd100k_models.tasks import JOINTS, LIMBS, Task
from bdd100k_models.visualization.drawing import Pixels, line_width
from bdd100k_models.visualization.records import draw_record

#: By part of the body; blue, green, red.
_COLOURS = {"body": (0, 215, 255), "right_side": (60, 60, 255), "left_side": (255, 170, 40)}
_OUTLINE = (20, 20, 20)
_FARTHEST = 1 << 14  # pixels; beyond, OpenCV's coordinates run over


@draw_record.register
def draw_people(record: PoseRecord, pixels: Pixels, task: Task, threshold: float) -> None:
    """Draw the people of an image.

    Args:
        record: The people.
        pixels: The image (height, width, 3), uint8, blue-green-red; changed in place.
        task: The task.
        threshold: Least score of a person, and least confidence of a joint, that are drawn.
    """
    for person in reversed(record.people):
        if person.score >= threshold:
            _draw(person, pixels, threshold)


def _draw(person: Person, pixels: Pixels, threshold: float) -> None:
    # small people get thin limbs, or those would hide them
    width = max(1, round(min(line_width(pixels.shape[0]), np.sqrt(person.area) / 60)))
    points = {
        index: (round(x), round(y))
        for index, (x, y, confidence) in enumerate(person.joints)
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
