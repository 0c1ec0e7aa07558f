"""What the background shows: surfaces that are not objects, and every pixel's category.

The canvas numbers objects from 1; the pixels of a surface have a negative number, so that one map tells both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bdd100k_models.datasets.synth.scene import Part
from bdd100k_models.formats.runs import Runs
from bdd100k_models.tasks import TASKS

#: Categories of the panoptic task that are drawn without being objects.
SURFACES = (
    *("sky", "terrain", "road", "sidewalk", "building", "vegetation", "pole", "street light"),
    *("wall", "fence", "guard rail", "rail track"),
)

#: What the panoptic and semantic tasks call an object where detection has another name.
_NAMES = {"pedestrian": "person"}

_NUMBERS = {name: -1 - index for index, name in enumerate(SURFACES)}


def number_of(surface: str) -> int:
    """Return the (negative) number of a surface in the canvas's map."""
    return _NUMBERS[surface]


def row_runs(ids: NDArray[np.int16]) -> Runs:
    """Return the row of each pixel in tables of surfaces and objects: surfaces, nothing, then the objects by number.

    Args:
        ids: The canvas's map (height, width): objects from 1, surfaces below 0.
    """
    runs = Runs.of(ids)
    return replace(runs, values=runs.values + len(SURFACES))


def category_table(parts: Mapping[int, Part], category_ids: Mapping[str, int], nothing: int) -> NDArray[np.uint8]:
    """Return the category id of each row of a picture (see :func:`row_runs`).

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
