"""The twelve scores of detection and instance segmentation, read from COCO's curves."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from bdd100k_models.evaluation import coco
from bdd100k_models.evaluation.result import OVERALL

#: By metric: the curve it averages, and the area range, number of detections and overlap it reads (None: all ten).
_METRICS: dict[str, tuple[str, str, int, float | None]] = {
    "AP": ("precision", "all", 100, None),
    "AP50": ("precision", "all", 100, 0.5),
    "AP75": ("precision", "all", 100, 0.75),
    "APs": ("precision", "small", 100, None),
    "APm": ("precision", "medium", 100, None),
    "APl": ("precision", "large", 100, None),
    "AR1": ("recall", "all", 1, None),
    "AR10": ("recall", "all", 10, None),
    "AR100": ("recall", "all", 100, None),
    "ARs": ("recall", "small", 100, None),
    "ARm": ("recall", "medium", 100, None),
    "ARl": ("recall", "large", 100, None),
}


def precision_scores(curves: coco.Curves, categories: Sequence[str]) -> dict[str, list[dict[str, float]]]:
    """Average the curves of :data:`coco.OBJECTS` for each category and over all of them, in percent.

    Returns:
        By metric, the scores of the categories and OVERALL; NaN where there is no countable object.
    """
    return {metric: _read(curves, metric, categories) for metric in _METRICS}


def zero_scores(present: Collection[int], categories: Sequence[str]) -> dict[str, list[dict[str, float]]]:
    """Return the scores of a result without predictions.

    Args:
        present: Indices of the categories that have any label, also only an ignored one.
        categories: The names of all.

    Returns:
        By metric, 0 for those categories, NaN for others, and OVERALL.
    """
    rows = {name: 0.0 if index in present else float("nan") for index, name in enumerate(categories)}
    overall = {OVERALL: 0.0 if present else float("nan")}
    return {metric: [dict(rows), dict(overall)] for metric in _METRICS}


def _read(curves: coco.Curves, metric: str, categories: Sequence[str]) -> list[dict[str, float]]:
    """Average a curve for each category and over all of them."""
    curve, area, limit, overlap = _METRICS[metric]
    kind = list(coco.OBJECTS.area_ranges).index(area)
    values = (
        curves.precision[..., kind]
        if curve == "precision"
        else curves.recall[:, :, kind, coco.OBJECTS.max_detections.index(limit)]
    )
    if overlap is not None:
        values = values[np.flatnonzero(np.equal(coco.IOU_THRESHOLDS, overlap))]
    rows = {name: coco.mean(values[..., index]) for index, name in enumerate(categories)}
    return [rows, {OVERALL: coco.mean(values)}]
