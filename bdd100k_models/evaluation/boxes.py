"""Overlap of boxes, for all pairs of a detection and an object of the same image and category."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bdd100k_models.evaluation.coco import IOU_THRESHOLDS, Bools, Candidates, Floats, Ints


def overlaps(detections: Floats, truths: Floats, crowd: Bools) -> Floats:
    """Return intersection over union, pair by pair; over the detection's area where the object is a crowd.

    Args:
        detections: float64 (P, 4): x, y, width, height.
        truths: float64 (P, 4): likewise.
        crowd: bool (P,).

    Returns:
        float64 (P,): from 0 to 1; 0 where boxes only touch. Computed operation by operation as COCO does, so that
        overlaps exactly at a threshold fall on the same side.
    """
    x1, y1, w1, h1 = detections.T
    x2, y2, w2, h2 = truths.T
    width = np.minimum(w1 + x1, w2 + x2) - np.maximum(x1, x2)
    height = np.minimum(h1 + y1, h2 + y2) - np.maximum(y1, y2)
    apart = (width <= 0) | (height <= 0)
    intersection = np.where(apart, 0.0, width * height)
    area = w1 * h1
    union = np.where(crowd, area, area + w2 * h2 - intersection)
    shares: Floats = np.divide(intersection, union, out=np.zeros_like(union), where=~apart)
    return shares


def pair_ranges(groups: Ints, truth_groups: Ints) -> tuple[Ints, Ints]:
    """Return first (D,) and past-the-last (D,) object of each detection's group; both inputs ascending."""
    return np.searchsorted(truth_groups, groups, side="left"), np.searchsorted(truth_groups, groups, side="right")


def chunk_bounds(groups: Ints, pairs: Ints, limit: int) -> list[int]:
    """Cut detections into runs of whole groups with at most ``limit`` pairs each, or one group.

    Args:
        groups: int64 (D,), ascending.
        pairs: int64 (D,): pairs of each detection.
        limit: Pairs a run should not exceed.

    Returns:
        Bounds, from 0 to D.
    """
    if not len(groups):
        return [0]
    ends = np.flatnonzero(np.r_[groups[1:] != groups[:-1], True]) + 1
    totals = np.cumsum(pairs)[ends - 1]
    bounds, done = [0], 0
    while bounds[-1] < len(groups):
        fitting = int(np.searchsorted(totals, done + limit, side="right"))
        first_left = int(np.searchsorted(ends, bounds[-1], side="right"))
        index = max(fitting - 1, first_left)
        bounds.append(int(ends[index]))
        done = int(totals[index])
    return bounds


def find_candidates(boxes: Floats, first: Ints, last: Ints, truths: Floats, crowd: Bools) -> Candidates:
    """Compare each detection with the objects ``first`` to ``last`` (exclusive) and keep the pairs that may match.

    Args:
        boxes: float64 (D, 4): x, y, width, height of the detections.
        first: int64 (D,), and ``last`` likewise: range of objects of each.
        last: See ``first``.
        truths: float64 (G, 4): boxes of the objects.
        crowd: bool (G,).

    Returns:
        Pairs whose overlap reaches the lowest threshold; indices are those of ``boxes`` and ``truths``.
    """
    counts = last - first
    detection: npt.NDArray[np.int64] = np.repeat(np.arange(len(boxes)), counts)
    truth = np.arange(len(detection)) + np.repeat(first - (np.cumsum(counts) - counts), counts)
    overlap = overlaps(boxes[detection], truths[truth], crowd[truth])
    keep = overlap >= IOU_THRESHOLDS[0]
    return Candidates(detection[keep], truth[keep], overlap[keep])
