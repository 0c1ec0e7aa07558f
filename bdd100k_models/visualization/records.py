"""Draws the predictions of an image over it, whatever the task: one function for each kind of record."""

from __future__ import annotations

import functools
from typing import Any

from bdd100k_models.formats.results.boxes import DetectionRecord
from bdd100k_models.tasks import Task
from bdd100k_models.visualization.drawing import Pixels, draw_boxes


@functools.singledispatch
def draw_record(record: Any, pixels: Pixels, task: Task, threshold: float) -> None:
    """Draw the predictions of one image.

    Args:
        record: What a result format encoded; its type chooses the way of drawing.
        pixels: The image (height, width, 3), uint8, blue-green-red; changed in place.
        task: The task.
        threshold: Least score that is drawn, where predictions have one.

    Raises:
        TypeError: Nothing is registered for such records.
    """
    raise TypeError(f"there is no way to draw a {type(record).__name__}")


@draw_record.register
def _(record: DetectionRecord, pixels: Pixels, task: Task, threshold: float) -> None:
    shown = [index for index in range(len(record.boxes)) if record.scores[index] >= threshold]
    shown.sort(key=lambda index: record.scores[index])
    draw_boxes(
        pixels,
        [record.boxes[index] for index in shown],
        [f"{task.categories[record.classes[index]]} {record.scores[index]:.2f}" for index in shown],
        [task.palette[record.classes[index]] for index in shown],
    )
