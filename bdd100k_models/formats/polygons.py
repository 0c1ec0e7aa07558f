"""Regions given as polygons with Bezier curves, painted as the official tool does.

The official ``bdd100k.label.to_mask`` draws a figure with matplotlib. Here the same renderer (Agg) paints without a
figure: the pixels are equal, and a frame takes milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.path import Path
from matplotlib.transforms import Affine2D

from bdd100k_models.errors import InputError, LabelError
from bdd100k_models.formats.scalabel import Poly2D

MAX_VALUE = 65535

_CODES = {"L": Path.LINETO, "C": Path.CURVE4}
_DPI = 72.0  # any: nothing here has a width in points


def paint_polygons(
    regions: Iterable[tuple[int, Sequence[Poly2D]]], size: tuple[int, int], fill: int, where: str
) -> npt.NDArray[np.int32]:
    """Paint regions over each other, later ones on top.

    Args:
        regions: A value of 0 to 65535 and the polygons of each region; all are filled, closed or not.
        size: Height and width in pixels.
        fill: The value of pixels outside all regions.
        where: File and frame, for errors.

    Returns:
        int32 (height, width).

    Raises:
        InputError: A value is out of range.
        LabelError: A polygon has no vertices, or other kinds of vertices than ``L`` and ``C``, one each.
    """
    height, width = size
    renderer = RendererAgg(width, height, _DPI)
    pen = renderer.new_gc()
    pen.set_antialiased(False)
    pen.set_snap(True)
    pen.set_linewidth(0)
    # image rows go down, the renderer's axis goes up
    upright = Affine2D().scale(1, -1).translate(0, height)
    for value, polygons in regions:
        if not 0 <= value <= MAX_VALUE:
            raise InputError(f"{where}: a region has the value {value}; values are 0 to {MAX_VALUE}")
        colour = ((value >> 8) / 255, (value & 255) / 255, 0.0, 1.0)
        for polygon in polygons:
            renderer.draw_path(pen, _outline(polygon, where), upright, colour)
    pixels = np.asarray(renderer.buffer_rgba()).astype(np.int32)
    return np.where(pixels[..., 3] > 0, (pixels[..., 0] << 8) | pixels[..., 1], np.int32(fill))


def check_polygon(polygon: Poly2D, where: str) -> str:
    """Require a polygon to be one, and return the types of its vertices; ``where`` names it.

    Raises:
        LabelError: It has no vertices, or other kinds of vertices than ``L`` and ``C``, one each.
    """
    types = polygon.types or "L" * len(polygon.vertices)
    if not polygon.vertices or len(types) != len(polygon.vertices) or set(types) - set(_CODES):
        raise LabelError(
            f"{where}: a polygon has {len(polygon.vertices)} vertices of the types {polygon.types!r}; "
            "give one letter a vertex, L for a corner or C for a point of a Bezier curve"
        )
    return types


def _outline(polygon: Poly2D, where: str) -> Path:
    types = check_polygon(polygon, where)
    codes = [_CODES[letter] for letter in types]
    codes[0] = Path.MOVETO
    return Path([*polygon.vertices, polygon.vertices[0]], [*codes, Path.LINETO])
