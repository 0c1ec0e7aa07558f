"""Draws the compact records of the result formats over their images."""

from __future__ import annotations

from typing import Any

from bdd100k_models.inference.convert import to_result
from bdd100k_models.tasks import Task
from bdd100k_models.visualization.drawing import Pixels
from bdd100k_models.visualization.results import draw_results


def draw_record(record: Any, pixels: Pixels, task: Task, threshold: float) -> None:
    """Draw the predictions of one image.

    Args:
        record: What a result format encoded; its type chooses the way of drawing.
        pixels: The image (height, width, 3), uint8, blue-green-red; changed in place.
        task: The task.
        threshold: Least score that is drawn, where predictions have one.

    Raises:
        TypeError: There is no way to draw such records.
    """
    draw_results([to_result(record, task, "image", (pixels.shape[0], pixels.shape[1]))], pixels, threshold)
