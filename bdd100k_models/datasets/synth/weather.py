"""Rain and snow in the air, drawn last; they hide too little to change a label."""

from __future__ import annotations

import cv2
import numpy as np

from bdd100k_models.datasets.synth.canvas import Canvas
from bdd100k_models.datasets.synth.scene import Scene


def draw_weather(canvas: Canvas, scene: Scene, rng: np.random.Generator) -> None:
    """Draw what falls."""
    if scene.weather == "rainy":
        _rain(canvas, scene, rng)
    elif scene.weather == "snowy":
        _snow(canvas, scene, rng)


def _rain(canvas: Canvas, scene: Scene, rng: np.random.Generator) -> None:
    count = 260
    unit = canvas.height / 720
    starts = rng.uniform((0, -40 * unit), (canvas.width, canvas.height), (count, 2))
    lengths = rng.uniform(12, 34, count) * unit
    slant = float(rng.uniform(-0.25, 0.25))
    ends = starts + np.column_stack((lengths * slant, lengths))
    lines = np.rint(np.stack((starts, ends), axis=1) * 16).astype(np.int32)
    layer = np.zeros_like(canvas.pixels)
    level = 58 if scene.timeofday == "daytime" else 36
    cv2.polylines(layer, list(lines), False, (level, level, level), 1, cv2.LINE_AA, 4)
    cv2.add(canvas.pixels, layer, dst=canvas.pixels)


def _snow(canvas: Canvas, scene: Scene, rng: np.random.Generator) -> None:
    unit = canvas.height / 720
    level = 250.0 * max(max(scene.light.ambient), 0.6)
    flakes = rng.uniform((0, 0, 0.6), (canvas.width, canvas.height, 2.6), (200, 3))
    for x, y, radius in flakes:
        centre = (round(x * 16), round(y * 16))
        cv2.circle(canvas.pixels, centre, round(radius * unit * 16), (level, level, level), -1, cv2.LINE_AA, 4)
