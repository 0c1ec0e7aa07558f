"""CLEAR MOT and identity metrics of one category in one video, on arrays.

CLEAR MOT is Bernardin and Stiefelhagen, "Evaluating Multiple Object Tracking Performance" (2008), with the reading of
motmetrics 1.4: a match is kept while it stays valid, the rest is assigned by least distance. The identity metrics are
Ristani et al., "Performance Measures and a Data Set for Multi-Target, Multi-Camera Tracking" (2016), section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from scipy.optimize import linear_sum_assignment

from bdd100k_models.evaluation.coco import Bools, Floats, Ints

#: Shares of its life for which a track must be matched to count as mostly, or at least partially, tracked.
_MOSTLY, _PARTIALLY = 0.8, 0.2


@dataclass(frozen=True)
class TrackFrame:
    """The objects of one category in one frame.

    Attributes:
        truth: int64 (N,): number of each object's track, from 0, without repetition.
        result: int64 (M,): number of each predicted object's track, likewise.
        similarity: float64 (N, M): overlap of each pair, from 0 to 1.
    """

    truth: Ints
    result: Ints
    similarity: Floats


@dataclass(frozen=True)
class Counts:
    """What CLEAR MOT and the identity metrics count; sums over videos and categories are counts again.

    Attributes:
        objects: Labelled objects.
        predictions: Predicted objects.
        detected: Labelled objects that are matched.
        switches: Those of them whose match has another track than their match before.
        distance: Sum of one minus the overlap, over all matches.
        mostly_tracked: Labelled tracks matched for at least 80 % of their frames.
        partially_tracked: Those matched for at least 20 %, and less than 80 %.
        mostly_lost: Those matched for less.
        fragmentations: How often a matched track is lost and found again.
        identified: Objects whose track is the one assigned to theirs over the whole video (true positive identities).
    """

    objects: int = 0
    predictions: int = 0
    detected: int = 0
    switches: int = 0
    distance: float = 0.0
    mostly_tracked: int = 0
    partially_tracked: int = 0
    mostly_lost: int = 0
    fragmentations: int = 0
    identified: int = 0

    def __add__(self, other: Counts) -> Counts:
        """Return the sums."""
        return Counts(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(Counts)))


def clear_scores(counts: Counts) -> dict[str, float]:
    """Turn counts into the official scores.

    Returns:
        MOTA, MOTP and IDF1 in percent; FP, FN, IDSw, MT, PT, ML and FM as integers. Without objects, MOTA is NaN, or
        minus infinity if there are predictions; MOTP is NaN without matches, IDF1 without objects and predictions.
    """
    missed = counts.objects - counts.detected
    wrong = counts.predictions - counts.detected
    return {
        "MOTA": 100 * (1 - _ratio(missed + wrong + counts.switches, counts.objects)),
        "MOTP": 100 * (1 - _ratio(counts.distance, counts.detected)),
        "IDF1": 100 * _ratio(2 * counts.identified, counts.objects + counts.predictions),
        "FP": wrong,
        "FN": missed,
        "IDSw": counts.switches,
        "MT": counts.mostly_tracked,
        "PT": counts.partially_tracked,
        "ML": counts.mostly_lost,
        "FM": counts.fragmentations,
    }


def _ratio(part: float, whole: float) -> float:
    if whole:
        return part / whole
    return float("inf") if part else float("nan")


def may_match(similarity: Floats, threshold: float) -> Bools:
    """Tell which pairs overlap by ``threshold`` or more, compared as distances, as the official tool does."""
    near: Bools = 1 - similarity <= 1 - threshold
    return near


def assign(distance: Floats, allowed: Bools) -> tuple[Ints, Ints]:
    """Match as many allowed pairs as possible, of all such ways by the least sum of distances.

    Args:
        distance: float64 (N, M).
        allowed: bool (N, M).

    Returns:
        Rows and columns of the matched pairs, rows ascending. Where several ways are equally good, the one that
        motmetrics finds with SciPy's solver.
    """
    rows, columns = np.nonzero(allowed)
    if len(rows) < 2 or (np.bincount(rows).max() < 2 and np.bincount(columns).max() < 2):
        return rows, columns
    # so much that no number of good pairs makes up for one more forbidden pair
    forbidden = 2 * min(distance.shape) * (np.abs(distance[allowed]).max() + 1) + 1
    rows, columns = linear_sum_assignment(np.where(allowed, distance, forbidden))
    good = allowed[rows, columns]
    return rows[good], columns[good]


def leave_out_ignored(frame: TrackFrame, inside: Floats, iou_threshold: float, iof_threshold: float) -> TrackFrame:
    """Leave out predictions that match nothing and lie in ignored regions.

    Args:
        frame: The objects.
        inside: float64 (M,): the largest share of each prediction that lies in one ignored region.
        iou_threshold: Least overlap of a match.
        iof_threshold: Share above which a prediction lies in a region.

    Returns:
        The objects that count.
    """
    drop = inside > iof_threshold
    if not drop.any():
        return frame
    _, matched = assign(1 - frame.similarity, may_match(frame.similarity, iou_threshold))
    drop[matched] = False
    return TrackFrame(frame.truth, frame.result[~drop], frame.similarity[:, ~drop])


def count_clear(frames: Sequence[TrackFrame], threshold: float) -> Counts:
    """Count what happens to one category in one video.

    Args:
        frames: Its frames in order; those without an object on either side may be left out.
        threshold: Least overlap of a match.
    """
    predictions = sum(len(frame.result) for frame in frames)
    tracks = np.concatenate([np.zeros(0, np.int64), *(frame.truth for frame in frames)])
    if not len(tracks) or not predictions:
        return Counts(len(tracks), predictions, mostly_lost=len(np.unique(tracks)))
    last: dict[int, int] = {}
    switches, distance = 0, 0.0
    matches = []
    for frame in frames:
        gaps = 1 - frame.similarity
        allowed = gaps <= 1 - threshold
        matched = np.zeros(len(frame.truth), np.bool_)
        matches.append(matched)
        if not allowed.any():
            continue
        kept_rows, kept_columns = _keep(frame, allowed, last)
        allowed[kept_rows] = False
        allowed[:, kept_columns] = False
        rows, columns = assign(gaps, allowed)
        matched[kept_rows] = True
        matched[rows] = True
        distance += float(gaps[kept_rows, kept_columns].sum() + gaps[rows, columns].sum())
        for truth, result in zip(frame.truth[rows].tolist(), frame.result[columns].tolist(), strict=True):
            switches += last.get(truth, result) != result
            last[truth] = result
    found = np.concatenate(matches)
    mostly, partially, lost = _coverage(tracks, found)
    return Counts(
        objects=len(tracks),
        predictions=predictions,
        detected=int(found.sum()),
        switches=switches,
        distance=distance,
        mostly_tracked=mostly,
        partially_tracked=partially,
        mostly_lost=lost,
        fragmentations=_fragmentations(tracks, found),
        identified=_identified(frames, threshold),
    )


def _keep(frame: TrackFrame, allowed: Bools, last: dict[int, int]) -> tuple[list[int], list[int]]:
    """Find the objects that may keep their last match; of two with the same, the first does."""
    place = {track: column for column, track in enumerate(frame.result.tolist())}
    rows: list[int] = []
    columns: list[int] = []
    for row, track in enumerate(frame.truth.tolist()):
        column = place.get(last.get(track, -1))
        if column is not None and allowed[row, column]:
            rows.append(row)
            columns.append(column)
            del place[last[track]]
    return rows, columns


def _coverage(tracks: Ints, found: Bools) -> tuple[int, int, int]:
    """Count the tracks that are mostly tracked, partially tracked and mostly lost."""
    life = np.bincount(tracks)
    share = np.bincount(tracks, weights=found)[life > 0] / life[life > 0]
    mostly, lost = int((share >= _MOSTLY).sum()), int((share < _PARTIALLY).sum())
    return mostly, len(share) - mostly - lost, lost


def _fragmentations(tracks: Ints, found: Bools) -> int:
    """Count the gaps between the first and the last match of each track."""
    order = np.argsort(tracks, kind="stable")
    tracks, found = tracks[order], found[order]
    begins = found & ~np.r_[False, found[:-1] & (tracks[1:] == tracks[:-1])]
    runs = np.bincount(tracks[begins])
    return int((runs[runs > 0] - 1).sum())


def _identified(frames: Sequence[TrackFrame], threshold: float) -> int:
    """Pair tracks one to one so that they overlap in as many frames as possible; return that number."""
    pairs = [np.nonzero(may_match(frame.similarity, threshold)) for frame in frames]
    truth = np.concatenate([frame.truth[rows] for frame, (rows, _) in zip(frames, pairs, strict=True)])
    result = np.concatenate([frame.result[columns] for frame, (_, columns) in zip(frames, pairs, strict=True)])
    if not len(truth):
        return 0
    true_tracks, rows = np.unique(truth, return_inverse=True)
    tracks, columns = np.unique(result, return_inverse=True)
    together = np.bincount(rows * len(tracks) + columns, minlength=len(true_tracks) * len(tracks))
    table = together.reshape(len(true_tracks), len(tracks))
    return int(table[linear_sum_assignment(table, maximize=True)].sum())
