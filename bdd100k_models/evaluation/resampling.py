"""Average precision of samples of a data set, many samples at a time, without matching anew.

A detection of an image that is in a sample ``w`` times counts ``w`` times. The envelope of precision is then decided at
the last of the copies of each true positive, and one of weight 0 changes nothing: its precision is at most that of the
true positive before it. So the same rows serve every sample.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bdd100k_models.evaluation.coco import (
    FALSE_POSITIVE,
    IOU_THRESHOLDS,
    RECALL_THRESHOLDS,
    TRUE_POSITIVE,
    Curves,
    Floats,
    Ints,
    Matches,
    Protocol,
)

#: Numbers of a column held at a time: what fits a processor's cache is quickest.
_CELLS = 1 << 17

#: Samples of one pass at most.
_MOST = 64


@dataclass(frozen=True)
class _Counter:
    """Detections whose images are counted up to certain places of the ranking.

    Attributes:
        images: int64 (N,): their images, by falling score.
        before: int64 (H,): how many of them stand before each true positive.
    """

    images: Ints
    before: Ints

    def count(self, weights: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """Return the sums of weights (B, I) before each true positive, int32 (B, H)."""
        sums = np.zeros((len(weights), len(self.images) + 1), np.int32)
        np.cumsum(weights.take(self.images, axis=1), axis=1, out=sums[:, 1:])
        return sums.take(self.before, axis=1)


@dataclass(frozen=True)
class _Column:
    """The detections of one category, area range and overlap.

    Attributes:
        hits: int64 (H,): image of each true positive, by falling score.
        base: int64 (H,): which place before each true positive to read in the false positives of the highest overlap,
            which are counted once for all overlaps.
        fewer: Those of them that are no false positives here.
        more: False positives here that are none of them.
    """

    hits: Ints
    base: Ints
    fewer: _Counter
    more: _Counter


@dataclass(frozen=True)
class _Range:
    """The detections of one category and area range.

    Attributes:
        kind: The category.
        area: The area range.
        base: int64 (N,): image of each false positive of the highest overlap, by falling score.
        columns: One for each overlap.
    """

    kind: int
    area: int
    base: Ints
    columns: tuple[_Column, ...]


class CurveSampler:
    """Accumulates samples of images.

    Args:
        matches: What became of the detections.
        protocol: Area ranges (A) and numbers of detections (M).
    """

    def __init__(self, matches: Matches, protocol: Protocol) -> None:
        self._images, self._kinds, self._areas = matches.counts.shape
        self._limits = protocol.max_detections
        self._counts = matches.counts.reshape(self._images, self._kinds * self._areas).astype(np.float64)
        self._ranges: list[_Range] = []
        self._early: list[Floats] = []
        most = 1
        for kind in range(self._kinds):
            mine = np.flatnonzero(matches.category == kind)
            mine = mine[np.argsort(-matches.scores[mine], kind="stable")]
            most = max(most, len(mine))
            images, outcomes = matches.image[mine], matches.outcomes[mine]
            self._ranges += [_range(kind, area, images, outcomes[:, area]) for area in range(self._areas)]
            self._early.append(self._early_hits(images, matches.rank[mine], outcomes[:, 0] == TRUE_POSITIVE))
        self._step = max(1, min(_MOST, _CELLS // most))

    def _early_hits(self, images: Ints, rank: Ints, hits: npt.NDArray[np.bool_]) -> Floats:
        """Count true positives of the widest area range among the first detections of each image.

        Returns:
            float64 (I, T * (M - 1)): for each limit but the last, which :class:`_Column` has.
        """
        columns = [
            np.bincount(images[hits[:, threshold] & (rank < limit)], minlength=self._images)
            for threshold in range(len(IOU_THRESHOLDS))
            for limit in self._limits[:-1]
        ]
        return np.stack(columns, axis=1).astype(np.float64) if columns else np.zeros((self._images, 0))

    def curves(self, weights: Ints) -> Iterator[Curves]:
        """Accumulate samples.

        Args:
            weights: int64 (B, I): how often each image is in each sample.

        Yields:
            The curves of each sample; precision is averaged over recall already, float64 (T, 1, K, A). Recall of
            other than the most detections is given for the widest area range only, else NaN.
        """
        for start in range(0, len(weights), self._step):
            part = weights[start : start + self._step]
            precision, recall = self._accumulate(part)
            for row in range(len(part)):
                yield Curves(precision[row], recall[row])

    def _accumulate(self, weights: Ints) -> tuple[Floats, Floats]:
        """Return precision (B, T, 1, K, A) and recall (B, T, K, A, M)."""
        samples, thresholds = len(weights), len(IOU_THRESHOLDS)
        precision = np.full((samples, thresholds, 1, self._kinds, self._areas), np.nan)
        recall = np.full((samples, thresholds, self._kinds, self._areas, len(self._limits)), np.nan)
        wide, narrow = weights.astype(np.float64), np.ascontiguousarray(weights, np.int32)
        totals = np.rint(wide @ self._counts).astype(np.int64).reshape(samples, self._kinds, self._areas)
        for part in self._ranges:
            total = totals[:, part.kind, part.area]
            rows = np.flatnonzero(total)
            if not len(rows):
                continue
            values = _mean_precisions(part, narrow[rows], total[rows])
            precision[rows, :, 0, part.kind, part.area], recall[rows, :, part.kind, part.area, -1] = values
        for kind, table in enumerate(self._early) if len(self._limits) > 1 else ():
            total = totals[:, kind, 0]
            counted = total > 0
            share = (wide[counted] @ table) / total[counted, None]
            recall[counted, :, kind, 0, :-1] = share.reshape(-1, thresholds, len(self._limits) - 1)
        return precision, recall


def _range(kind: int, area: int, images: Ints, outcomes: npt.NDArray[np.uint8]) -> _Range:
    """Prepare the detections (D,) of a category, by falling score, with their outcomes (D, T)."""
    wrong = outcomes == FALSE_POSITIVE
    base = np.flatnonzero(wrong[:, -1])
    columns = []
    for threshold in range(len(IOU_THRESHOLDS)):
        hits = np.flatnonzero(outcomes[:, threshold] == TRUE_POSITIVE)
        fewer = np.flatnonzero(wrong[:, -1] & ~wrong[:, threshold])
        more = np.flatnonzero(wrong[:, threshold] & ~wrong[:, -1])
        counters = (_Counter(images[rows], np.searchsorted(rows, hits)) for rows in (fewer, more))
        columns.append(_Column(images[hits], np.searchsorted(base, hits), *counters))
    return _Range(kind, area, images[base], tuple(columns))


def _mean_precisions(part: _Range, weights: npt.NDArray[np.int32], total: Ints) -> tuple[Floats, Floats]:
    """Accumulate one category and area range.

    Args:
        part: Its detections.
        weights: int32 (B, I).
        total: int64 (B,): objects, at least 1.

    Returns:
        float64 (B, T) both, from 0 to 1: precision averaged over the recall thresholds, and recall.
    """
    needed = _needed(total)
    base = np.zeros((len(weights), len(part.base) + 1), np.int32)
    np.cumsum(weights.take(part.base, axis=1), axis=1, out=base[:, 1:])
    precision, recall = np.zeros((len(weights), len(part.columns))), np.zeros((len(weights), len(part.columns)))
    for place, column in enumerate(part.columns):
        if not len(column.hits):
            continue
        found = np.cumsum(weights.take(column.hits, axis=1), axis=1, dtype=np.int32)
        wrong = base.take(column.base, axis=1)
        if len(column.fewer.images):
            wrong -= column.fewer.count(weights)
        if len(column.more.images):
            wrong += column.more.count(weights)
        precision[:, place] = _average(found, wrong, needed)
        recall[:, place] = found[:, -1] / total
    return precision, recall


def _average(found: npt.NDArray[np.int32], wrong: npt.NDArray[np.int32], needed: Ints) -> Floats:
    """Average precision over the recall thresholds.

    Args:
        found: int32 (B, H): true positives up to and with each, by falling score; H is at least 1.
        wrong: int32 (B, H): false positives before each.
        needed: int64 (B, R): true positives at which each recall threshold is reached.

    Returns:
        float64 (B,): from 0 to 1.
    """
    precision = found / (wrong + found + np.spacing(1))
    samples, number = precision.shape
    values = np.zeros((samples, number + 1))
    np.maximum.accumulate(precision[:, ::-1], axis=1, out=values[:, -2::-1])
    index = np.stack([np.searchsorted(found[row], needed[row], side="left") for row in range(samples)])
    picked: Floats = np.take_along_axis(values, index, axis=1)
    return np.asarray(picked.mean(axis=1))


def _needed(total: Ints) -> Ints:
    """Return how many of ``total`` (B,) objects are the least that reach each recall threshold, int64 (B, R)."""
    number = np.ceil(RECALL_THRESHOLDS * total[:, None]).astype(np.int32)
    # shares are compared as quotients, so that rounding decides as it does in the curves
    number -= (number - 1) / total[:, None] >= RECALL_THRESHOLDS
    number += number / total[:, None] < RECALL_THRESHOLDS
    return np.maximum(number, 0)
