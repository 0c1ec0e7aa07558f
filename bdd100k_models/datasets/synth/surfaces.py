"""What the background shows: surfaces that are not objects, and every pixel's category.

The canvas numbers objects from 1; the pixels of a surface have a negative number, so that one map tells both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from bdd100k_models.datasets.synth.scene import Part
from bdd100k_models.tasks import TASKS

#: Categories of the panoptic task that are drawn without being objects.
SURFACES = (
    *("sky", "terrain", "road", "sidewalk", "building", "vegetation", "pole", "street light"),
    *("wall", "fence", "guard rail", "rail track"),
)

#: What the panoptic and semantic tasks call an object where detection has another name.
_NAMES = {"pedestrian": "person"}

_FEW = 256  # values of a byte
_Entry = TypeVar("_Entry", np.uint8, np.uint16, np.uint32)

_NUMBERS = {name: -1 - index for index, name in enumerate(SURFACES)}


def number_of(surface: str) -> int:
    """Return the (negative) number of a surface in the canvas's map."""
    return _NUMBERS[surface]


def rows_of(ids: NDArray[np.int32]) -> NDArray[np.uint8] | NDArray[np.int32]:
    """Return the row of each pixel in tables of surfaces and objects: surfaces, nothing, then the objects by number.

    Args:
        ids: The canvas's map (height, width): objects from 1, surfaces below 0.

    Returns:
        The rows, as bytes where there are few enough, since those are looked up many times faster.
    """
    rows = ids + len(SURFACES)
    few = rows.size == 0 or int(rows.max()) < _FEW
    return rows.astype(np.uint8) if few else rows


def look_up(table: NDArray[_Entry], rows: NDArray[np.uint8] | NDArray[np.int32]) -> NDArray[_Entry]:
    """Return the entry of each pixel's row.

    Args:
        table: Entries (K,) of any type.
        rows: Rows (height, width), below K.
    """
    if rows.dtype == np.uint8:
        # no row is cut off: the table reaches as far as a byte does
        whole = np.zeros(_FEW, table.dtype)
        whole[: len(table)] = table[:_FEW]
        signed = whole.view(np.int32) if table.dtype.itemsize > 2 else whole  # OpenCV has no longer unsigned integers
        return np.asarray(cv2.LUT(rows, signed)).view(whole.dtype)
    return table[rows]


def count_rows(rows: NDArray[np.uint8] | NDArray[np.int32], size: int) -> NDArray[np.integer]:
    """Return how many pixels have each of ``size`` rows (size,)."""
    if rows.dtype == np.uint8:  # of these OpenCV makes a histogram several times faster
        counts = np.asarray(cv2.calcHist([rows], [0], None, [_FEW], [0, _FEW]))
        return counts.reshape(-1)[:size].astype(np.int64)
    return np.bincount(rows.reshape(-1), minlength=size)


def category_table(parts: Mapping[int, Part], category_ids: Mapping[str, int], nothing: int) -> NDArray[np.uint8]:
    """Return the category id of each row of a picture (see :func:`rows_of`).

    Args:
        parts: The objects by number.
        category_ids: Ids, by name as the panoptic and semantic tasks have them.
        nothing: For a category without an id.

    Returns:
        uint8 (K,).
    """
    low = -len(SURFACES)
    table = np.full(max(parts, default=0) + 1 - low, nothing, np.uint8)
    for name, number in _NUMBERS.items():
        table[number - low] = category_ids.get(name, nothing)
    for number, part in parts.items():
        name = part.category or ""
        table[number - low] = category_ids.get(_NAMES.get(name, name), nothing)
    return table


def panoptic_ids() -> dict[str, int]:
    """Return the category ids of the panoptic task's files."""
    return TASKS["pan_seg"].category_ids


def semantic_ids() -> dict[str, int]:
    """Return the classes of the semantic task's masks, street lights among the poles."""
    ids = TASKS["sem_seg"].category_ids
    return {**ids, "street light": ids["pole"]}
