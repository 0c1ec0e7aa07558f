"""Pictures put together: two side by side, many on a sheet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from bdd100k_models.errors import ImageError
from bdd100k_models.visualization.drawing import Pixels, line_width, scale_of, text_mask, write

_GROUND = 24  # grey of what lies between pictures
_INK = (235, 235, 235)
_FLATTEST, _TALLEST = 0.2, 2.0  # height of a place on a sheet, in widths


def beside(left: Pixels, right: Pixels, titles: tuple[str, str]) -> Pixels:
    """Put two pictures of one size side by side, each below its title.

    Args:
        left: uint8 (height, width, 3).
        right: Likewise.
        titles: What they are.
    """
    scale = scale_of(left)
    gap = 4 * line_width(scale)
    columns = []
    for pixels, title in zip((left, right), titles, strict=True):
        letters = text_mask(title, scale, size=1.2)
        head = np.full((letters.shape[0] + gap, pixels.shape[1], 3), _GROUND, np.uint8)
        write(head, letters, gap, gap // 2, _INK)
        columns.append(np.vstack([head, pixels]))
    between = np.full((columns[0].shape[0], gap, 3), _GROUND, np.uint8)
    return np.hstack([columns[0], between, columns[1]])


def contact_sheets(files: Sequence[Path], columns: int, rows: int, width: int) -> Iterator[Pixels]:
    """Put pictures on sheets, each with its name below, in their order.

    Args:
        files: Picture files; one that cannot be read leaves its place empty.
        columns: Pictures beside each other.
        rows: Pictures below each other; the last sheet may have fewer.
        width: Of a sheet, in pixels.

    Yields:
        Sheets, uint8 (height, width, 3), blue-green-red; all have one layout. The first picture says how high the
            places are, within bounds.

    Raises:
        ImageError: The first picture cannot be read.
    """
    if not files:
        return
    first = cv2.imread(str(files[0]))
    if first is None:
        raise ImageError(f"{files[0]}: cannot be read")
    gap = max(4, width // 160)
    cell_width = max(16, (width - gap * (columns + 1)) // columns)
    proportion = min(max(first.shape[0] / first.shape[1], _FLATTEST), _TALLEST)
    cell_height = max(16, round(cell_width * proportion))
    for start in range(0, len(files), columns * rows):
        yield _sheet(files[start : start + columns * rows], columns, (cell_height, cell_width), gap)


def _sheet(files: Sequence[Path], columns: int, cell: tuple[int, int], gap: int) -> Pixels:
    scale = max(0.6, cell[1] / 480)
    line = text_mask("name", scale, size=0.8).shape[0] + gap
    rows = -(-len(files) // columns)
    height, width = rows * (cell[0] + line) + gap * (rows + 1), columns * cell[1] + gap * (columns + 1)
    sheet = np.full((height, width, 3), _GROUND, np.uint8)
    for place, (file, pixels) in enumerate(_read(files)):
        top = gap + (place // columns) * (cell[0] + line + gap)
        left = gap + (place % columns) * (cell[1] + gap)
        if pixels is not None:
            fitted = _fit(pixels, cell)
            sheet[top : top + fitted.shape[0], left : left + fitted.shape[1]] = fitted
        write(sheet, text_mask(file.stem, scale, size=0.8)[:, : cell[1]], left, top + cell[0] + gap // 2, _INK)
    return sheet


def _read(files: Iterable[Path]) -> Iterator[tuple[Path, Pixels | None]]:
    for file in files:
        pixels = cv2.imread(str(file))
        yield file, None if pixels is None else np.asarray(pixels, np.uint8)


def _fit(pixels: Pixels, cell: tuple[int, int]) -> Pixels:
    """Make a picture as large as a cell allows."""
    share = min(cell[0] / pixels.shape[0], cell[1] / pixels.shape[1])
    size = max(1, round(pixels.shape[1] * share)), max(1, round(pixels.shape[0] * share))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
