"""Draws objects and panoptic segments: boxes or masks in their categories' colours, outlined, with captions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from bdd100k_models.inference.results import Detections, Instances, Panoptic
from bdd100k_models.tasks import IMAGE_SIZE
from bdd100k_models.visualization.drawing import (
    Canvas,
    Pixels,
    blend,
    colour_of,
    draw_boxes,
    lighten,
    outline,
)

#: A mask of fewer pixels, in an image of the data set's size, has no caption: it would be hidden.
_LEAST_CAPTIONED = 2500


def draw_boxed(result: Detections, canvas: Canvas, threshold: float) -> None:
    """Draw the boxes that reach ``threshold``, with category and, for predictions, score; the surest on top."""
    shown = best_last(result, threshold)
    draw_boxes(
        canvas,
        result.boxes[shown],
        [caption_of(result, place) for place in shown],
        [colour_of(result.names[place]) for place in shown],
    )


def draw_instances(result: Instances, canvas: Canvas, threshold: float) -> None:
    """Draw the visible part of each object that reaches ``threshold``, its outline, category and score.

    Args:
        result: The objects; one that is hidden by others is not drawn.
        canvas: The image.
        threshold: Least score that is drawn.
    """
    shown = best_last(result, threshold)
    colours = {place + 1: lighten(colour_of(result.names[place])) for place in shown}
    segments = _paint(canvas.pixels, result.segments, colours)
    texts = {place + 1: caption_of(result, place) for place in shown}
    for number, (column, row) in _middles(segments, list(texts)[::-1]):
        canvas.caption([(column, row, -1)], texts[number], colours[number])


def draw_segments(result: Panoptic, canvas: Canvas) -> None:
    """Draw segments in the official colours; things have an outline, and large segments their names."""
    names = result.names
    colours = {place: colour_of(name) for place, name in enumerate(names, 1)}
    blend(canvas.pixels, result.segments, _table(colours, len(names)))
    things = np.concatenate([[False], result.things])
    outline(canvas.pixels, np.where(things[result.segments], result.segments, 0))
    for number, (column, row) in _middles(result.segments, list(colours)):
        canvas.caption([(column, row, -1)], names[number - 1], lighten(colours[number]))


def best_last(result: Detections, threshold: float) -> list[int]:
    """Return the places of objects that reach ``threshold``, by ascending score."""
    order: list[int] = np.argsort(result.scores, kind="stable").tolist()
    return [place for place in order if result.scores[place] >= threshold]


def caption_of(result: Detections, place: int) -> str:
    """Return what is written beside an object: its category and, unless people labelled it, its score."""
    name = result.names[place]
    return name if result.labelled else f"{name} {result.scores[place]:.2f}"


def _paint(
    pixels: Pixels, segments: npt.NDArray[np.int32], colours: dict[int, tuple[int, int, int]]
) -> npt.NDArray[np.int32]:
    """Draw segments that have a colour; return the map of these alone."""
    known = np.zeros(int(segments.max(initial=0)) + 1, np.int32)
    chosen = [number for number in colours if number < len(known)]
    known[chosen] = chosen
    shown: npt.NDArray[np.int32] = known[segments]
    blend(pixels, shown, _table(colours, len(known)))
    outline(pixels, shown)
    return shown


def _table(colours: dict[int, tuple[int, int, int]], count: int) -> npt.NDArray[np.uint8]:
    table = np.zeros((max([count, *colours]) + 1, 3), np.uint8)
    for number, colour in colours.items():
        table[number] = colour
    return table


def _middles(segments: npt.NDArray[np.int32], numbers: Sequence[int]) -> Iterator[tuple[int, tuple[int, int]]]:
    """Yield column and row of the innermost point of each segment that is large enough for a caption."""
    counts = np.bincount(segments.ravel(), minlength=max(numbers, default=0) + 1)
    least = _LEAST_CAPTIONED * segments.size / (IMAGE_SIZE[0] * IMAGE_SIZE[1])
    for number in numbers:
        if counts[number] == 0 or counts[number] < least:
            continue
        mask = segments == number
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        inside = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        depth = cv2.distanceTransform(np.pad(inside, 1).astype(np.uint8), cv2.DIST_L2, 3)
        _, _, _, (column, row) = cv2.minMaxLoc(depth)
        yield number, (int(columns[0]) + column - 1, int(rows[0]) + row - 1)
