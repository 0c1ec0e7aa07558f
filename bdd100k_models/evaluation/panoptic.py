"""Panoptic segmentation: panoptic, segmentation and recognition quality, with the numbers of the official tool.

PQ = SQ * RQ as defined by Kirillov et al., "Panoptic Segmentation" (2019): a true and a predicted segment of one
category match where their intersection over union is above one half; SQ is the mean of those overlaps, RQ the F1 score
of the matches.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from bdd100k_models.errors import ConfigError, LabelError
from bdd100k_models.evaluation.coco import Bools, Floats, Ints
from bdd100k_models.evaluation.config import EvalConfig, default_config
from bdd100k_models.evaluation.parts import BACKGROUND, Assessment, Confusion, SummedParts, Units
from bdd100k_models.evaluation.regions import NO_REGIONS, Regions, check_sizes, merge_stuff, shared_pixels, shares_of
from bdd100k_models.evaluation.result import OVERALL, Result, task_result
from bdd100k_models.evaluation.segments import overlay
from bdd100k_models.formats.bitmask import OFFICIAL_OBJECTS, Bitmask, Packed

STUFF, THING = "STUFF", "THING"


@dataclass(frozen=True)
class Counts:
    """What became of the segments of an image, or of many, by category.

    Attributes:
        overlap: float64 (K,): sum of intersection over union of the matches.
        matched: int64 (K,): matches.
        wrong: int64 (K,): predicted segments that match nothing and lie mostly in true segments.
        missed: int64 (K,): true segments that nothing matches.
        predicted: How many segments were predicted.
        pairs: int64 (P,): true and predicted segments of whatever category that match each other, as ``true category *
            (K + 1) + predicted category``; category K stands for none.
    """

    overlap: Floats
    matched: Ints
    wrong: Ints
    missed: Ints
    predicted: int = 0
    pairs: Ints = field(default_factory=lambda: np.zeros(0, np.int64))

    def __add__(self, other: Counts) -> Counts:
        """Add up two."""
        return Counts(
            self.overlap + other.overlap,
            self.matched + other.matched,
            self.wrong + other.wrong,
            self.missed + other.missed,
            self.predicted + other.predicted,
            np.concatenate([self.pairs, other.pairs]),
        )


class PanopticEvaluator:
    """Scores panoptic segments against ground truth, image by image.

    Args:
        config: Categories, and which of them are things; the task's own by default.
        regions: Whether the number of categories is called ``NUM``, as for run-length masks, instead of ``N``.

    Raises:
        ConfigError: The config does not tell things from stuff.
    """

    def __init__(self, config: EvalConfig | None = None, *, regions: bool = False) -> None:
        self.config = config or default_config("pan_seg")
        if self.config.things is None:
            raise ConfigError("the config must say of every category whether it is a thing: add isThing")
        self._number = "NUM" if regions else "N"
        self.reset()

    def reset(self) -> None:
        """Forget everything processed."""
        self._seen: dict[str, None] = {}
        self._images: list[Counts] = []
        self._crowded = 0

    def process(self, name: str, counts: Counts) -> None:
        """Add an image: what :func:`count_bitmasks` or :func:`count_regions` made of it.

        Raises:
            LabelError: An image of this name was added before.
        """
        if name in self._seen:
            raise LabelError(f"image {name} was processed before; give each image once")
        self._seen[name] = None
        self._images.append(counts)
        self._crowded += counts.predicted > OFFICIAL_OBJECTS and self._number == "N"

    def evaluate(self) -> Result:
        """Return PQ, SQ and RQ in percent and the number of categories they average, by category, kind and OVERALL.

        A category without any segment has 0 everywhere and does not enter the averages.
        """
        return self.assess(Units(list(self._seen))).result

    def assess(self, units: Units) -> Assessment:
        """Return the scores, and what was found of each image; ``units`` are these in the order of processing."""
        rows = [np.stack([one.overlap, one.matched, one.wrong, one.missed]) for one in self._images]
        # added one by one, as officially, to the last digit
        total = functools.reduce(operator.add, rows, np.zeros((4, len(self.config.categories))))
        table = np.stack([np.zeros(total.size), *(row.reshape(-1) for row in rows)])[1:]
        result = replace(self._score(total), notes=tuple(self._notes()))
        return Assessment(result, SummedParts(table, self._score), units, self.config.categories, self._confusions)

    def _score(self, total: Floats) -> Result:
        """Score sums (4, K) or flat: overlap, matched, wrong and missed by category."""
        names = self.config.categories
        things = self.config.things or frozenset()
        kinds = {
            STUFF: [index for index, name in enumerate(names) if name not in things],
            THING: [index for index, name in enumerate(names) if name in things],
        }
        sums = total.reshape(4, len(names))
        rows = [
            {name: _quality(sums, [index]) for index, name in enumerate(names)},
            {kind: _quality(sums, members) for kind, members in kinds.items()},
            {OVERALL: _quality(sums, range(len(names)))},
        ]
        metrics = ("PQ", "SQ", "RQ", self._number)
        scores = {
            metric: [{row: values[place] for row, values in group.items()} for group in rows]
            for place, metric in enumerate(metrics)
        }
        return task_result("pan_seg", scores)

    def _confusions(self, threshold: float) -> list[Confusion]:
        size = len(self.config.categories) + 1
        pairs = np.concatenate([np.zeros(0, np.int64), *(one.pairs for one in self._images)])
        names = (*self.config.categories, BACKGROUND)
        counts = np.bincount(pairs, minlength=size**2).reshape(size, size)
        return [Confusion("segments that share more than half, whatever their category", names, names, counts)]

    def _notes(self) -> list[str]:
        notes = []
        if self._crowded:
            notes.append(
                f"{self._crowded} predicted masks have more than {OFFICIAL_OBJECTS} segments; the official tool and "
                "its server refuse them"
            )
        if not any(one.predicted for one in self._images):
            notes.append("there are no predicted segments")
        return notes


def count_bitmasks(
    truth: Bitmask | Packed, result: Bitmask | Packed | None, where: tuple[Path | str, Path | str], categories: int
) -> Counts:
    """Match the segments of two bitmasks of an image.

    Segments that are crowds or ignored are left out on both sides. A predicted segment that matches nothing is wrong
    only if at least half of it lies in segments of the ground truth that count.

    Args:
        truth: The ground truth.
        result: The prediction, or None where there is none.
        where: Names of the two files, for errors.
        categories: How many categories there are; ids from 1 to this are evaluated.

    Raises:
        LabelError: The sizes differ, or a segment has several categories or attributes.
    """
    both = overlay(truth, result, where[1])
    both.truth.check(where[0])
    both.result.check(where[1])
    counted = ~(both.truth.crowd | both.truth.ignored)
    usable = ~(both.result.crowd | both.result.ignored)
    return _count(
        both.ious()[counted],
        both.iofs()[counted].sum(axis=0),
        (both.truth.category[counted] - 1, both.result.category - 1),
        usable,
        categories,
    )


def count_regions(
    truth: Regions, result: Regions | None, where: str, config: EvalConfig, *, strict: bool = False
) -> Counts:
    """Match the run-length masks of an image, which must not overlap in the prediction.

    As :func:`count_bitmasks`, and all masks of a kind of stuff are one segment.

    Args:
        truth: The ground truth.
        result: The prediction, or None where there is none.
        where: Names the predicted frame, for errors.
        config: Categories, and which of them are things.
        strict: Whether overlapping masks of one kind of stuff are united; see :func:`regions.merge_stuff`.

    Raises:
        LabelError: The masks of the two have different sizes.
    """
    check_sizes(truth, result or NO_REGIONS, where)
    stuff = stuff_of(config)
    counted = (side.take(~(side.crowd | side.ignored)) for side in (truth, result or NO_REGIONS))
    true, found = (merge_stuff(side, stuff, strict=strict) for side in counted)
    shared = shared_pixels(found, true)
    inside = shares_of(shared, found.area, true.area, np.ones(len(true), np.bool_))
    return _count(
        np.ascontiguousarray(shares_of(shared, found.area, true.area, np.zeros(len(true), np.bool_)).T),
        np.ascontiguousarray(inside.T).sum(axis=0),
        (true.category, found.category),
        np.ones(len(found), np.bool_),
        len(config.categories),
    )


def stuff_of(config: EvalConfig) -> Bools:
    """Return whether each category is stuff, bool (K,)."""
    return np.array([name not in (config.things or ()) for name in config.categories], np.bool_)


def _count(overlap: Floats, inside: Floats, category: tuple[Ints, Ints], usable: Bools, kinds: int) -> Counts:
    """Match segments.

    Args:
        overlap: float64 (N, M): intersection over union of the true segments that count and all predicted ones.
        inside: float64 (M,): share of each predicted segment that lies in such.
        category: Categories of both, int64 (N,) and (M,); those outside 0 to ``kinds`` - 1 match but are not counted.
        usable: bool (M,): whether a predicted segment counts.
        kinds: Number of categories.
    """
    true_category, found_category = category
    same = np.where(true_category[:, None] == found_category[None, :], overlap, 0.0)
    if same.shape[1]:
        best = same.argmax(axis=1)
        share = same[np.arange(len(best)), best]
        hit = (share > 0.5) & usable[best]
    else:
        best, share, hit = (np.zeros(len(true_category), kind) for kind in (np.int64, np.float64, np.bool_))
    taken = np.zeros(len(found_category), np.bool_)
    taken[best[hit]] = True
    wrong = usable & ~taken & (1 - inside <= 0.5)
    return Counts(
        _sums(true_category[hit], share[hit], kinds),
        _sums(true_category[hit], None, kinds).astype(np.int64),
        _sums(found_category[wrong], None, kinds).astype(np.int64),
        _sums(true_category[~hit], None, kinds).astype(np.int64),
        predicted=len(found_category),
        pairs=_confused(np.where(usable, overlap, 0), true_category, found_category, wrong, kinds),
    )


def _sums(category: Ints, values: Floats | None, kinds: int) -> Floats:
    """Add up values, or ones, by category; other categories are left out."""
    valid = (category >= 0) & (category < kinds)
    weights = np.ones(len(category)) if values is None else values
    return np.bincount(category[valid], weights=weights[valid], minlength=kinds).astype(np.float64)


def _quality(sums: Floats, members: Iterable[int]) -> tuple[float, float, float, int]:
    """Average PQ, SQ and RQ over those categories that have a segment."""
    qualities = []
    for index in members:
        overlap, matched, wrong, missed = sums[:, index].tolist()
        if matched + wrong + missed == 0:
            continue
        size = matched + 0.5 * wrong + 0.5 * missed
        share = overlap / matched if matched else 0.0
        qualities.append((overlap / size * 100, share * 100, matched / size * 100))
    number = len(qualities)
    if not number:
        return 0.0, 0.0, 0.0, 0
    # added one by one, as officially, to the last digit
    pq, sq, rq = (functools.reduce(operator.add, column) / number for column in zip(*qualities, strict=True))
    return pq, sq, rq, number


def _confused(overlap: Floats, true_category: Ints, found_category: Ints, wrong: Bools, kinds: int) -> Ints:
    """Pair segments that share more than half, whatever their category; see :attr:`Counts.pairs`.

    At most one predicted segment can share more than half with a true one, as predicted ones do not overlap.

    Args:
        overlap: float64 (N, M): intersection over union.
        true_category: int64 (N,), and those predicted, int64 (M,).
        found_category: See ``true_category``.
        wrong: bool (M,): whether a predicted segment matches nothing and counts as wrong.
        kinds: Number of categories; others than those from 0 on are left out.
    """
    rows, columns = np.nonzero(overlap > 0.5)
    missed = np.ones(len(true_category), np.bool_)
    missed[rows] = False
    alone = wrong.copy()
    alone[columns] = False
    none = np.full(len(true_category) + len(found_category), kinds)
    true = np.concatenate([true_category[rows], true_category[missed], none[: int(alone.sum())]])
    found = np.concatenate([found_category[columns], none[: int(missed.sum())], found_category[alone]])
    valid = (true >= 0) & (true <= kinds) & (found >= 0) & (found <= kinds)
    pairs: Ints = true[valid] * (kinds + 1) + found[valid]
    return pairs
