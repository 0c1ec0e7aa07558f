"""HOTA of one category in one video, on arrays.

Luiten et al., "HOTA: A Higher Order Metric for Evaluating Multi-Object Tracking" (IJCV 2021), with the matching and the
conventions of its authors' tool, trackeval.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linear_sum_assignment

from bdd100k_models.evaluation.clear_mot import TrackFrame
from bdd100k_models.evaluation.coco import Bools, Floats, Ints

#: Overlaps at which a match counts, nineteen of them; every score is the mean over these.
ALPHAS: Floats = np.arange(0.05, 0.99, 0.05, dtype=np.float64)

#: The scores, in order.
METRICS = ("HOTA", "DetA", "AssA", "LocA", "DetRe", "DetPr", "AssRe", "AssPr")

_EPS = float(np.finfo(np.float64).eps)

#: Stands for nothing where a sum or a count of overlaps is a divisor, so that LocA is 1 without matches.
_TINY = 1e-10


def _zeros() -> Floats:
    return np.zeros(len(ALPHAS))


@dataclass(frozen=True)
class HotaCounts:
    """What HOTA counts, each by threshold (19,); sums over videos and categories are counts again.

    Attributes:
        matched: float64: true positives.
        missed: float64: labelled objects without a match.
        wrong: float64: predicted objects without a match.
        similarity: float64: sum of the overlaps of all matches.
        association: float64: sum over matches of how well their two tracks agree (Jaccard index of the tracks).
        association_recall: float64: sum over matches of the share of the labelled track that the predicted one covers.
        association_precision: float64: sum over matches of the share of the predicted track that is right.
    """

    matched: Floats = field(default_factory=_zeros)
    missed: Floats = field(default_factory=_zeros)
    wrong: Floats = field(default_factory=_zeros)
    similarity: Floats = field(default_factory=_zeros)
    association: Floats = field(default_factory=_zeros)
    association_recall: Floats = field(default_factory=_zeros)
    association_precision: Floats = field(default_factory=_zeros)

    def __add__(self, other: HotaCounts) -> HotaCounts:
        """Return the sums."""
        return HotaCounts(*(mine + its for mine, its in zip(vars(self).values(), vars(other).values(), strict=True)))


def hota_scores(counts: HotaCounts) -> dict[str, float]:
    """Turn counts into scores in percent, each the mean over the thresholds.

    As in trackeval, everything is 0 without objects and predictions, but LocA, which is 100 without matches.
    """
    matched = counts.matched
    detection = matched / np.maximum(1, matched + counts.missed + counts.wrong)
    association = counts.association / np.maximum(1, matched)
    scores: Mapping[str, Floats] = {
        "HOTA": np.sqrt(detection * association),
        "DetA": detection,
        "AssA": association,
        "LocA": np.maximum(_TINY, counts.similarity) / np.maximum(_TINY, matched),
        "DetRe": matched / np.maximum(1, matched + counts.missed),
        "DetPr": matched / np.maximum(1, matched + counts.wrong),
        "AssRe": counts.association_recall / np.maximum(1, matched),
        "AssPr": counts.association_precision / np.maximum(1, matched),
    }
    return {metric: 100 * float(np.mean(scores[metric])) for metric in METRICS}


def count_hota(frames: Sequence[TrackFrame]) -> HotaCounts:
    """Count what happens to one category in one video.

    Args:
        frames: Its frames in order; those without an object on either side may be left out.
    """
    truth = np.concatenate([np.zeros(0, np.int64), *(frame.truth for frame in frames)])
    result = np.concatenate([np.zeros(0, np.int64), *(frame.result for frame in frames)])
    if not len(truth) or not len(result):
        return HotaCounts(missed=_zeros() + len(truth), wrong=_zeros() + len(result))
    life, result_life = np.bincount(truth), np.bincount(result)
    likeness = _likeness(frames, life, result_life)
    rows, columns, overlaps = _match(frames, likeness)
    reached = overlaps[:, None] >= ALPHAS - _EPS
    matched = reached.sum(axis=0).astype(np.float64)
    pairs, together = _together(rows, columns, reached, len(result_life))
    row, column = life[pairs // len(result_life)][:, None], result_life[pairs % len(result_life)][:, None]
    return HotaCounts(
        matched=matched,
        missed=len(truth) - matched,
        wrong=len(result) - matched,
        similarity=np.where(reached, overlaps[:, None], 0).sum(axis=0),
        association=(together * (together / np.maximum(1, row + column - together))).sum(axis=0),
        association_recall=(together * (together / np.maximum(1, row))).sum(axis=0),
        association_precision=(together * (together / np.maximum(1, column))).sum(axis=0),
    )


def _likeness(frames: Sequence[TrackFrame], life: Ints, result_life: Ints) -> Floats:
    """Return how well each pair of tracks agrees over the whole video, before any matching.

    Args:
        frames: The frames.
        life: int64 (T,): frames of each labelled track.
        result_life: int64 (R,): frames of each predicted track.

    Returns:
        float64 (T, R): Jaccard index; a frame adds the pair's overlap as a share of all overlaps of the two.
    """
    common = np.zeros((len(life), len(result_life)))
    for frame in frames:
        overlap = frame.similarity
        total = overlap.sum(axis=0)[None, :] + overlap.sum(axis=1)[:, None] - overlap
        share = np.divide(overlap, total, out=np.zeros_like(overlap), where=total > _EPS)
        common[frame.truth[:, None], frame.result[None, :]] += share
    union = life[:, None] + result_life[None, :] - common
    agreement: Floats = np.divide(common, union, out=np.zeros_like(common), where=union > 0)
    return agreement


def _match(frames: Sequence[TrackFrame], likeness: Floats) -> tuple[Ints, Ints, Floats]:
    """Match each frame's objects by the largest sum of overlap times likeness.

    Returns:
        Labelled track, predicted track and overlap of every match.
    """
    none = np.zeros(0, np.int64)
    truths, results, overlaps = [none], [none], [np.zeros(0)]
    for frame in frames:
        if not frame.similarity.size:
            continue
        score = likeness[frame.truth[:, None], frame.result[None, :]] * frame.similarity
        rows, columns = linear_sum_assignment(-score)
        truths.append(frame.truth[rows])
        results.append(frame.result[columns])
        overlaps.append(frame.similarity[rows, columns])
    return np.concatenate(truths), np.concatenate(results), np.concatenate(overlaps)


def _together(truth: Ints, result: Ints, reached: Bools, width: int) -> tuple[Ints, Floats]:
    """Count for each pair of tracks its matches by threshold, given which matches (K, 19) reach it.

    Returns:
        Each pair as a number, truth times ``width`` plus result, (P,); and the counts, float64 (P, 19).
    """
    pairs, index = np.unique(truth * width + result, return_inverse=True)
    counts = np.zeros((len(pairs), len(ALPHAS)))
    np.add.at(counts, index, reached)
    return pairs, counts
