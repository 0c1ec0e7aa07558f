"""Draws tracks: a colour an object that stays with it, its id and category, and the way it came."""

from __future__ import annotations

import colorsys
from collections import deque
from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from bdd100k_models.inference.results import MaskTracks, Tracks
from bdd100k_models.tasks import RGB
from bdd100k_models.visualization.drawing import Canvas, Pixels, blend, draw_boxes, line_width, scale_of, to_pixels
from bdd100k_models.visualization.instances import best_last

#: Frames that a trail reaches back.
TRAIL = 20
_GOLDEN = 0.618033988749895  # of a turn of hue from one id to the next: neighbours differ most
_OPACITY = 0.45


def track_colour(number: int) -> RGB:
    """Return the colour (red, green, blue) of a track; the same id always has the same."""
    red, green, blue = colorsys.hsv_to_rgb((0.11 + number * _GOLDEN) % 1.0, 0.75 if number % 2 else 0.9, 1.0)
    return round(red * 255), round(green * 255), round(blue * 255)


def draw_tracks(result: Tracks, canvas: Canvas, threshold: float) -> None:
    """Draw the boxes of tracks that reach ``threshold``, and their masks where they have some."""
    shown = best_last(result, threshold)
    ids = result.ids.tolist()
    if isinstance(result, MaskTracks):
        places = np.zeros(len(ids) + 1, np.int32)
        places[[place + 1 for place in shown]] = [place + 1 for place in shown]
        colours = np.array([(0, 0, 0), *(track_colour(number) for number in ids)], np.uint8)
        blend(canvas.pixels, places[result.segments], colours, _OPACITY)
    draw_boxes(
        canvas,
        result.boxes[shown],
        [f"{ids[place]} {result.names[place]}" for place in shown],
        [track_colour(ids[place]) for place in shown],
    )


class Trails:
    """Remembers where one model's tracks were, a few frames back; a new video begins with none."""

    def __init__(self) -> None:
        self._video: str | None = None
        self._ways: dict[int, deque[tuple[int, int]]] = {}
        self._seen: dict[int, int] = {}
        self._frame = 0

    def add(self, result: Tracks, threshold: float) -> Mapping[int, Sequence[tuple[int, int]]]:
        """Take the next frame; return the ways of the tracks in it, oldest point first, in pixels."""
        if result.video != self._video:
            self._video, self._ways, self._seen = result.video, {}, {}
        self._frame += 1
        for number in [number for number, frame in self._seen.items() if frame < self._frame - TRAIL]:
            del self._ways[number], self._seen[number]
        ids = result.ids.tolist()
        middles = (result.boxes[:, 0] + result.boxes[:, 2] - 1) / 2
        feet = to_pixels(np.column_stack([middles, result.boxes[:, 3] - 1]))
        for number, (x, y), score in zip(ids, feet.tolist(), result.scores.tolist(), strict=True):
            if score >= threshold:
                self._ways.setdefault(number, deque(maxlen=TRAIL)).append((x, y))
                self._seen[number] = self._frame
        return {number: way for number in ids if (way := self._ways.get(number))}


def draw_trails(pixels: Pixels, ways: Mapping[int, Sequence[tuple[int, int]]]) -> None:
    """Draw where tracks came from, along the ground, fading with age."""
    width = line_width(scale_of(pixels)) + 1
    for number, way in ways.items():
        bgr = track_colour(number)[::-1]
        for age, (start, end) in enumerate(zip(list(way)[-2::-1], list(way)[:0:-1], strict=True)):
            share = 1 - age / TRAIL
            faded = tuple(channel * share for channel in bgr)
            cv2.line(pixels, start, end, faded, max(1, round(width * share)), cv2.LINE_AA)
