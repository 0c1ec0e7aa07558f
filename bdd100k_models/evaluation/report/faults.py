"""What is wrong with each image or video of a result, in numbers to sort by and in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from bdd100k_models.evaluation import coco
from bdd100k_models.evaluation.coco import FALSE_POSITIVE, TRUE_POSITIVE, Floats, Ints
from bdd100k_models.evaluation.lane import RADII
from bdd100k_models.evaluation.parts import Assessment, CurveParts, SummedParts
from bdd100k_models.evaluation.tracking import unpack_counts

#: How many categories a sentence names.
_NAMED = 4


@dataclass(frozen=True)
class Faults:
    """What is wrong.

    Attributes:
        weight: float64 (U,): how bad each unit is; 0 where nothing is wrong.
        describe: Says what is wrong with a unit.
        rule: Says how badness is measured, in a sentence.
        threshold: Least score of a detection that counts; 0 where there are no scores.
    """

    weight: Floats
    describe: Callable[[int], str]
    rule: str
    threshold: float = 0.0

    def worst(self, number: int) -> list[int]:
        """Return up to ``number`` units that have any fault, the worst first."""
        order = np.argsort(-self.weight, kind="stable")[:number]
        return [int(unit) for unit in order if self.weight[unit] > 0]


def find_faults(assessment: Assessment) -> Faults:
    """Measure the faults of every unit."""
    parts, names = assessment.parts, assessment.categories
    if isinstance(parts, CurveParts):
        return _detections(parts, names)
    assert isinstance(parts, SummedParts)
    finders: dict[str, Callable[[SummedParts], Faults]] = {
        "sem_seg": lambda p: _pixels(p, (*names, "no class")),
        "drivable": lambda p: _pixels(p, (*names, "background")),
        "pan_seg": lambda p: _segments(p, names),
        "lane_mark": lambda p: _lanes(p, names),
        "tagging": lambda p: _tags(p, names),
        "box_track": lambda p: _tracks(p, names),
        "seg_track": lambda p: _tracks(p, names),
    }
    return finders[assessment.result.task](parts)


def _listing(numbers: Ints | Floats, names: Sequence[str]) -> str:
    """Name the categories with the largest numbers."""
    order = [int(i) for i in np.argsort(-numbers, kind="stable")[:_NAMED] if numbers[i] > 0]
    rest = int((numbers > 0).sum()) - len(order)
    listed = ", ".join(f"{names[i]} {int(numbers[i])}" for i in order)
    return f"{listed}, ..." if rest else listed


def _counted(title: str, numbers: Ints | Floats, names: Sequence[str]) -> str:
    total = int(numbers.sum())
    return f"{total} {title} ({_listing(numbers, names)})" if total else f"0 {title}"


def best_threshold(matches: coco.Matches) -> float:
    """Return the score at which the F1-score of all detections, at an overlap of one half, is best; 0 without any."""
    outcome = matches.outcomes[:, 0, 0]
    order = np.argsort(-matches.scores, kind="stable")
    hit = np.cumsum(outcome[order] == TRUE_POSITIVE)
    wrong = np.cumsum(outcome[order] == FALSE_POSITIVE)
    total = int(matches.counts[:, :, 0].sum())
    if not len(order) or not total:
        return 0.0
    scores = matches.scores[order]
    # detections of equal score are taken together
    last = np.append(scores[1:] != scores[:-1], True)
    f1 = np.where(last, 2 * hit / (hit + wrong + total), 0)
    return float(scores[int(np.argmax(f1))])


def _detections(parts: CurveParts, names: Sequence[str]) -> Faults:
    matches = parts.matches
    threshold = best_threshold(matches)
    images, kinds, _ = matches.counts.shape
    shown = matches.scores >= threshold
    outcome = matches.outcomes[:, 0, 0]
    cells = matches.image * kinds + matches.category
    hits, wrong = (
        np.bincount(cells[shown & (outcome == what)], minlength=images * kinds).reshape(images, kinds)
        for what in (TRUE_POSITIVE, FALSE_POSITIVE)
    )
    missed = np.maximum(matches.counts[:, :, 0] - hits, 0)

    def describe(unit: int) -> str:
        return f"{_counted('missed', missed[unit], names)}, {_counted('wrong', wrong[unit], names)}"

    rule = (
        f"missed objects and wrong detections at an overlap of 0.5, among detections that score {threshold:.2f} or "
        "more, where the F1-score is best"
    )
    return Faults((missed + wrong).sum(axis=1).astype(np.float64), describe, rule, threshold)


def _pixels(parts: SummedParts, names: Sequence[str]) -> Faults:
    size = len(names)
    table = parts.table.reshape(-1, size, size)
    counted = table[:, :-1].copy()
    labelled = counted.sum(axis=(1, 2))
    counted[:, range(size - 1), range(size - 1)] = 0
    wrong = counted.sum(axis=(1, 2))
    share = np.divide(wrong, labelled, out=np.zeros(len(table)), where=labelled > 0)

    def describe(unit: int) -> str:
        pairs = counted[unit].reshape(-1)
        order = [int(i) for i in np.argsort(-pairs, kind="stable")[:_NAMED] if pairs[i] > 0]
        kinds = (f"{names[i // size]} as {names[i % size]} {100 * pairs[i] / labelled[unit]:.1f} %" for i in order)
        return f"{100 * share[unit]:.1f} % of the labelled pixels are wrong: {', '.join(kinds)}"

    return Faults(share, describe, "the share of labelled pixels that are predicted wrongly")


def _segments(parts: SummedParts, names: Sequence[str]) -> Faults:
    _, _, wrong, missed = np.moveaxis(parts.table.reshape(-1, 4, len(names)), 1, 0)

    def describe(unit: int) -> str:
        return f"{_counted('missed', missed[unit], names)}, {_counted('wrong', wrong[unit], names)}"

    return Faults((wrong + missed).sum(axis=1), describe, "missed and wrong segments")


def _lanes(parts: SummedParts, names: Sequence[str]) -> Faults:
    values = parts.table[:, :-1].reshape(len(parts.table), len(names), len(RADII))[:, :, -1]
    loss = 100 * (1 - values.mean(axis=1))

    def describe(unit: int) -> str:
        order = np.argsort(values[unit], kind="stable")[:_NAMED]
        listed = ", ".join(f"{names[i]} {100 * values[unit, i]:.0f}" for i in order.tolist() if values[unit, i] < 1)
        return f"mean F-score at {RADII[-1]} pixels {100 - loss[unit]:.1f}; lowest: {listed}"

    return Faults(loss, describe, f"the mean F-score of the classes at {RADII[-1]} pixels")


def _tags(parts: SummedParts, names: Sequence[str]) -> Faults:
    # values are called tag.value
    tags = [list(group) for _, group in groupby((name.partition(".") for name in names), key=lambda name: name[0])]
    bounds = np.cumsum([0, *(len(values) * (len(values) + 1) for values in tags)])
    wrong = np.zeros(len(parts.table))
    for values, low, high in zip(tags, bounds[:-1], bounds[1:], strict=True):
        matrix = parts.table[:, low:high].reshape(-1, len(values), len(values) + 1).copy()
        matrix[:, range(len(values)), range(len(values))] = 0
        wrong += matrix.sum(axis=(1, 2))

    def describe(unit: int) -> str:
        texts = []
        for values, low, high in zip(tags, bounds[:-1], bounds[1:], strict=True):
            cell = np.flatnonzero(parts.table[unit, low:high])
            if not len(cell):
                continue
            row, column = divmod(int(cell[0]), len(values) + 1)
            if row != column:
                guess = values[column][2] if column < len(values) else "not tagged"
                texts.append(f"{values[row][0]}: {values[row][2]}, predicted {guess}")
        return "; ".join(texts)

    return Faults(wrong, describe, "the number of wrong tags")


def _tracks(parts: SummedParts, names: Sequence[str]) -> Faults:
    videos = [unpack_counts(row, len(names))[0] for row in parts.table]
    missed = np.array([[one.objects - one.detected for one in video] for video in videos]).reshape(-1, len(names))
    wrong = np.array([[one.predictions - one.detected for one in video] for video in videos]).reshape(-1, len(names))
    switches = np.array([[one.switches for one in video] for video in videos]).reshape(-1, len(names))
    weight = (missed + wrong + switches).sum(axis=1).astype(np.float64)

    def describe(unit: int) -> str:
        rows = (("missed", missed), ("wrong", wrong), ("identity switches", switches))
        return ", ".join(_counted(title, numbers[unit], names) for title, numbers in rows)

    return Faults(weight, describe, "missed objects, wrong objects and identity switches over the whole video")
