"""Draws typed results over their image, of one task or of several together."""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping

from bdd100k_models.inference.results import (
    ClassMap,
    Detections,
    Instances,
    Panoptic,
    People,
    Result,
    Tags,
    Tracks,
)
from bdd100k_models.visualization.drawing import Canvas, Pixels
from bdd100k_models.visualization.instances import draw_boxed, draw_instances, draw_segments
from bdd100k_models.visualization.pose import draw_people
from bdd100k_models.visualization.semantic import draw_classes
from bdd100k_models.visualization.tags import draw_tag
from bdd100k_models.visualization.tracks import Trails, draw_tracks, draw_trails

#: From the ground up: what covers areas, what stands in a corner, and what has captions, which keep clear of corners.
_LAYERS: tuple[type[Result], ...] = (ClassMap, Panoptic, Tags, Instances, Detections, People)


def draw_results(
    results: Iterable[Result],
    pixels: Pixels,
    threshold: float = 0.0,
    trails: MutableMapping[int, Trails] | None = None,
    *,
    chosen: bool = False,
) -> None:
    """Draw results of one image, areas below and outlines on top.

    Args:
        results: The results, of any tasks.
        pixels: The image (height, width, 3), uint8, blue-green-red; changed in place.
        threshold: Least score that is drawn, where there are scores. Labels are always drawn.
        trails: Where tracks were before, if that is to be drawn, by the place of their model's result among the
            results, which are added; empty for the first frame.
        chosen: Whether the threshold has chosen objects and people before; it then applies to joints alone.

    Raises:
        TypeError: There is no way to draw a result.
    """
    canvas = Canvas(pixels)
    for place, result in sorted(enumerate(results), key=lambda item: _layer(item[1])):
        if trails is not None and isinstance(result, Tracks):  # below, so that no line runs through a caption
            draw_trails(pixels, trails.setdefault(place, Trails()).add(result, threshold))
        draw_result(result, canvas, threshold, chosen=chosen)


def _layer(result: Result) -> int:
    return next((place for place, kind in enumerate(_LAYERS) if isinstance(result, kind)), len(_LAYERS))


def draw_result(result: Result, canvas: Canvas, threshold: float, *, chosen: bool = False) -> None:
    """Draw one result; see :func:`draw_results`."""
    joint = threshold
    if result.labelled or chosen:
        threshold = 0.0
    match result:
        case Tracks():
            draw_tracks(result, canvas, threshold)
        case Instances():
            draw_instances(result, canvas, threshold)
        case Detections():
            draw_boxed(result, canvas, threshold)
        case ClassMap():
            draw_classes(result, canvas)
        case Panoptic():
            draw_segments(result, canvas)
        case Tags():
            draw_tag(result, canvas)
        case People():
            draw_people(result, canvas, threshold, joint)
        case _:
            raise TypeError(f"there is no way to draw a {type(result).__name__}")
