"""COCO's greedy matching and average precision on arrays, whatever the overlap between two objects is.

The rules are those of COCO's evaluation (https://cocodataset.org/#detection-eval) as pycocotools 2.0 implements them.
pycocotools loops in Python over images, categories, area ranges, thresholds and detections; here one step handles the
detection of the same rank in thousands of images at once, for every area range and threshold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Outcomes = npt.NDArray[np.uint8]

#: Overlaps at which a detection counts, ten of them.
IOU_THRESHOLDS: Floats = np.linspace(0.5, 0.95, 10, dtype=np.float64)
#: Recalls at which precision is read, 101 of them.
RECALL_THRESHOLDS: Floats = np.linspace(0.0, 1.0, 101, dtype=np.float64)


@dataclass(frozen=True)
class Protocol:
    """What a task counts by.

    Attributes:
        area_ranges: By name, the least and the largest area in pixels, both included; the first holds everything.
        max_detections: How many detections of an image and category count, ascending. Average recall is given for
            each; the last holds for everything else.
    """

    area_ranges: Mapping[str, tuple[float, float]]
    max_detections: tuple[int, ...]


#: COCO's settings for boxes and masks.
OBJECTS = Protocol(
    area_ranges={
        "all": (0, 1e5**2),
        "small": (0, 32**2),
        "medium": (32**2, 96**2),
        "large": (96**2, 1e5**2),
    },
    max_detections=(1, 10, 100),
)

#: What became of a detection.
FALSE_POSITIVE, TRUE_POSITIVE, LEFT_OUT = 0, 1, 2

#: Added to a candidate's place where it is a regular object, so that those go before ignored ones.
_REGULAR = 1 << 24


@dataclass(frozen=True)
class Candidates:
    """Pairs of a detection and an object that overlap enough to match at the lowest threshold.

    Attributes:
        detection: int64 (P,): index of the detection, ascending.
        truth: int64 (P,): index of the object.
        overlap: float64 (P,): from 0 to 1.
    """

    detection: Ints
    truth: Ints
    overlap: Floats


@dataclass(frozen=True)
class Curves:
    """Accumulated scores; NaN for a category without a countable object.

    Attributes:
        precision: float64 (T, R, K, A): by IoU threshold, recall threshold, category and area range.
        recall: float64 (T, K, A, M): by IoU threshold, category, area range and number of detections.
    """

    precision: Floats
    recall: Floats


@dataclass(frozen=True)
class Matches:
    """What became of the detections of many images, best first within each image and category.

    Attributes:
        image: int64 (D,): the image of each; the order of rows decides between detections of equal score.
        category: int64 (D,): from 0 to K - 1.
        rank: int64 (D,): place in its image and category, from 0, below the protocol's maximum.
        scores: float64 (D,).
        outcomes: uint8 (D, A, T), from :func:`match`.
        counts: int32 (I, K, A): objects of each image that are not ignored.
        labelled: bool (I, K): whether an image has any label of a category, also only an ignored one.
    """

    image: Ints
    category: Ints
    rank: Ints
    scores: Floats
    outcomes: Outcomes
    counts: npt.NDArray[np.int32]
    labelled: Bools

    def curves(self, protocol: Protocol) -> Curves:
        """Accumulate the detections of all images."""
        totals = self.counts.sum(axis=0, dtype=np.int64)
        return accumulate(self.outcomes, self.scores, self.category, self.rank, totals, protocol)

    def take(self, images: Ints) -> Matches:
        """Return what became of the detections of some images (N,), which are numbered anew in that order."""
        number = np.full(len(self.counts), -1, np.int64)
        number[images] = np.arange(len(images))
        rows = number[self.image] >= 0
        return Matches(
            number[self.image[rows]],
            self.category[rows],
            self.rank[rows],
            self.scores[rows],
            self.outcomes[rows],
            self.counts[images],
            self.labelled[images],
        )


def places(names: Sequence[str]) -> Ints:
    """Return the place (I,) of each name among all of them, sorted; of equal ones the earlier goes first."""
    order = sorted(range(len(names)), key=names.__getitem__)
    position = np.empty(len(names), np.int64)
    position[order] = np.arange(len(names))
    return position


def count_objects(image: Ints, category: Ints, ignored: Bools, images: int, kinds: int) -> npt.NDArray[np.int32]:
    """Count the objects of each image and category that are not ignored.

    Args:
        image: int64 (G,): from 0 to ``images`` - 1.
        category: int64 (G,): from 0 to ``kinds`` - 1.
        ignored: bool (G, A).
        images: How many images there are.
        kinds: How many categories there are.

    Returns:
        int32 (images, kinds, A).
    """
    cells = image * kinds + category
    columns = [np.bincount(cells[~column], minlength=images * kinds) for column in ignored.T]
    return np.stack(columns, axis=-1).astype(np.int32).reshape(images, kinds, ignored.shape[1])


def outside_areas(areas: Floats, protocol: Protocol) -> Bools:
    """Tell for areas (N,) in pixels which area ranges they lie outside of.

    Returns:
        bool (N, A).
    """
    low, high = np.array(list(protocol.area_ranges.values()), dtype=np.float64).T
    outside: Bools = (areas[:, None] < low) | (areas[:, None] > high)
    return outside


def ranks(groups: Ints) -> Ints:
    """Return the place of each element in its run of equal values, from 0; (N,) sorted integers in, (N,) out."""
    if not len(groups):
        return np.zeros(0, np.int64)
    starts = np.flatnonzero(np.r_[True, groups[1:] != groups[:-1]])
    lengths = np.diff(np.r_[starts, len(groups)])
    return np.arange(len(groups)) - np.repeat(starts, lengths)


def match(
    candidates: Candidates, groups: Ints, outside: Bools, ignored: Bools, crowd: Bools, *, regular_first: bool = True
) -> Outcomes:
    """Match detections to objects as COCO does.

    Within a group (one category of one image) detections choose in the order given, best first. A detection takes the
    free regular object that it overlaps most (of equals the last), else so an ignored one; a crowd stays free.

    Args:
        candidates: Pairs within one group each.
        groups: int64 (D,): group of each detection, ascending; within a group by falling score.
        outside: bool (D, A): whether a detection lies outside an area range, and so is left out if unmatched.
        ignored: bool (G, A): whether an object is ignored in an area range.
        crowd: bool (G,): whether an object is a crowd, which any number of detections may match.
        regular_first: Whether regular objects go before ignored ones. If not, which COCO does not do, a detection
            takes the object that it overlaps most, regular or ignored, and of equals the first.

    Returns:
        uint8 (D, A, T): false positive, true positive or left out.
    """
    shape = (*outside.shape, len(IOU_THRESHOLDS))
    outcomes: Outcomes = np.where(outside[:, :, None], LEFT_OUT, FALSE_POSITIVE).astype(np.uint8)
    outcomes = np.ascontiguousarray(np.broadcast_to(outcomes, shape))
    if not len(candidates.detection):
        return outcomes
    order, steps = _schedule(candidates, groups, regular_first)
    detection, truth, overlap = candidates.detection[order], candidates.truth[order], candidates.overlap[order]
    place = ranks(detection) + 1
    preference = (place[:, None] + np.where(ignored[truth] | (not regular_first), 0, _REGULAR)).astype(np.int32)
    reaches = overlap[:, None] >= IOU_THRESHOLDS
    taken = np.zeros((*ignored.shape, len(IOU_THRESHOLDS)), np.bool_)
    for start, end in zip(steps[:-1].tolist(), steps[1:].tolist(), strict=True):
        step = slice(start, end)
        free = ~taken[truth[step]] | crowd[truth[step], None, None]
        choice = np.where(reaches[step, None, :] & free, preference[step, :, None], 0)
        firsts = np.flatnonzero(place[step] == 1)
        best = np.maximum.reduceat(choice, firsts, axis=0)
        which, area, threshold = np.nonzero(best)
        value = best[which, area, threshold]
        chosen = start + firsts[which] + value % _REGULAR - 1
        taken[truth[chosen], area, threshold] = True
        outcomes[detection[chosen], area, threshold] = np.where(ignored[truth[chosen], area], LEFT_OUT, TRUE_POSITIVE)
    return outcomes


def _schedule(candidates: Candidates, groups: Ints, last_of_equals: bool) -> tuple[Ints, Ints]:
    """Order pairs so that a step holds the pairs of one detection of each group.

    Returns:
        The order of pairs (P,): by step, detection, overlap and place of the object; and the bounds of the steps.
    """
    chosen = np.unique(candidates.detection)
    step_of_detection = np.zeros(len(groups), np.int64)
    step_of_detection[chosen] = ranks(groups[chosen])
    step = step_of_detection[candidates.detection]
    place = candidates.truth if last_of_equals else -candidates.truth
    order = np.lexsort((place, candidates.overlap, candidates.detection, step))
    bounds = np.searchsorted(step[order], np.arange(int(step.max()) + 2))
    return order, bounds


def accumulate(
    outcomes: Outcomes, scores: Floats, category: Ints, rank: Ints, truth_counts: Ints, protocol: Protocol
) -> Curves:
    """Turn outcomes into precision and recall.

    Args:
        outcomes: uint8 (D, A, T), from :func:`match`.
        scores: float64 (D,).
        category: int64 (D,): from 0 to K - 1.
        rank: int64 (D,): place of the detection in its image and category, from 0, below the protocol's maximum.
        truth_counts: int64 (K, A): objects that are not ignored.
        protocol: The area ranges (A) and numbers of detections (M).

    Returns:
        The curves; detections of equal score keep the order given.
    """
    thresholds, kinds, areas = len(IOU_THRESHOLDS), *truth_counts.shape
    precision = np.full((thresholds, len(RECALL_THRESHOLDS), kinds, areas), np.nan)
    recall = np.full((thresholds, kinds, areas, len(protocol.max_detections)), np.nan)
    for kind in range(kinds):
        mine = np.flatnonzero(category == kind)
        mine = mine[np.argsort(-scores[mine], kind="stable")]
        for area in np.flatnonzero(truth_counts[kind]):
            outcome = outcomes[mine, area]
            total = int(truth_counts[kind, area])
            hit = outcome == TRUE_POSITIVE
            for index, limit in enumerate(protocol.max_detections):
                recall[:, kind, area, index] = hit[rank[mine] < limit].sum(axis=0) / total
            misses = np.cumsum(outcome == FALSE_POSITIVE, axis=0, dtype=np.int32)
            for threshold in range(thresholds):
                hits = np.flatnonzero(hit[:, threshold])
                precision[threshold, :, kind, area] = _interpolate(misses[hits, threshold], total)
    return Curves(precision, recall)


def _interpolate(misses: npt.NDArray[np.int32], total: int) -> Floats:
    """Read precision at the recall thresholds.

    Args:
        misses: int32 (H,): false positives before each true positive, by falling score. Precision only falls between
            true positives, so its envelope is decided there.
        total: Objects to be found, at least 1.

    Returns:
        float64 (R,): the best precision at this recall or more; 0 where it is not reached.
    """
    found = np.arange(1, len(misses) + 1, dtype=np.float64)
    precision = found / (misses + found + np.spacing(1))
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    index = np.searchsorted(found / total, RECALL_THRESHOLDS, side="left")
    return np.append(envelope, 0.0)[index]


def mean(values: Floats) -> float:
    """Return the average in percent of the values that are not NaN; NaN where there is none."""
    valid = values[~np.isnan(values)]
    return float(np.mean(valid)) * 100 if valid.size else float("nan")
