"""Draws tracks: a colour an object that stays with it, its id and category, and the way it came."""

from __future__ import annotations

import colorsys
from collections import deque
from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from bdd100k_models.formats import rle
from bdd100k_models.formats.results.tracks import MaskTrackRecord, TrackRecord
from bdd100k_models.formats.scalabel import RLE
from bdd100k_models.tasks import RGB, Task
from bdd100k_models.visualization.drawing import Pixels, draw_boxes, line_width
from bdd100k_models.visualization.records import draw_record

#: Frames that a trail reaches back.
TRAIL = 20
_GOLDEN = 0.618033988749895  # of a turn of hue from one id to the next: neighbours differ most
_OPACITY = 0.45


def track_colour(number: int) -> RGB:
    """Return the colour (red, green, blue) of a track; the same id always has the same."""
    red, green, blue = colorsys.hsv_to_rgb((0.11 + number * _GOLDEN) % 1.0, 0.75 if number % 2 else 0.9, 1.0)
    return round(red * 255), round(green * 255), round(blue * 255)


@draw_record.register
def draw_tracks(record: TrackRecord, pixels: Pixels, task: Task, threshold: float) -> None:
    """Draw the boxes of tracks that reach ``threshold``, and their masks where they have some."""
    shown = [index for index, score in enumerate(record.scores) if score >= threshold]
    if isinstance(record, MaskTrackRecord):
        for index in shown:
            mask = rle.decode(RLE(record.masks[index], record.size), "mask")
            colour = np.array(track_colour(record.ids[index])[::-1])
            pixels[mask] = (pixels[mask] * (1 - _OPACITY) + colour * _OPACITY).astype(np.uint8)
    draw_boxes(
        pixels,
        [record.boxes[index] for index in shown],
        [f"{record.ids[index]} {task.categories[record.classes[index]]}" for index in shown],
        [track_colour(record.ids[index]) for index in shown],
    )


class Trails:
    """Remembers where tracks were, a few frames back; a new video begins with none."""

    def __init__(self) -> None:
        self._video: str | None = None
        self._ways: dict[int, deque[tuple[int, int]]] = {}

    def add(self, record: TrackRecord, video: str | None, threshold: float) -> Mapping[int, Sequence[tuple[int, int]]]:
        """Take the next frame; return the ways of the tracks in it, oldest point first, in pixels."""
        if video != self._video:
            self._video, self._ways = video, {}
        for number, (x1, _, x2, y2), score in zip(record.ids, record.boxes, record.scores, strict=True):
            if score >= threshold:
                self._ways.setdefault(number, deque(maxlen=TRAIL)).append((round((x1 + x2) / 2), round(y2)))
        return {number: way for number in record.ids if (way := self._ways.get(number))}


def draw_trails(pixels: Pixels, ways: Mapping[int, Sequence[tuple[int, int]]]) -> None:
    """Draw where tracks came from, along the ground, fading with age."""
    width = line_width(pixels.shape[0])
    for number, way in ways.items():
        bgr = track_colour(number)[::-1]
        for age, (start, end) in enumerate(zip(list(way)[-2::-1], list(way)[:0:-1], strict=True)):
            share = 1 - age / TRAIL
            faded = tuple(channel * share for channel in bgr)
            cv2.line(pixels, start, end, faded, max(1, round(width * share)), cv2.LINE_AA)
