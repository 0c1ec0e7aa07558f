"""Instance segmentation: average precision and recall of masks, with the numbers of the official tool.

The official tool is two: bitmasks it scores by its own matching, run-length masks by COCO's. They differ in what a
crowd and an ignored region are, and in which object a detection takes; see :class:`InstanceEvaluator`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from bdd100k_models.errors import LabelError
from bdd100k_models.evaluation import coco
from bdd100k_models.evaluation.coco import Bools, Floats, Ints
from bdd100k_models.evaluation.config import EvalConfig, default_config
from bdd100k_models.evaluation.parts import Assessment, CurveParts, Units
from bdd100k_models.evaluation.precision import precision_scores, zero_scores
from bdd100k_models.evaluation.regions import NO_REGIONS, Regions, check_sizes, overlaps
from bdd100k_models.evaluation.result import Result
from bdd100k_models.evaluation.segments import overlay
from bdd100k_models.formats.bitmask import Bitmask, Packed


@dataclass(frozen=True)
class Objects:
    """Objects of an image, a row each.

    Attributes:
        category: int64 (N,): index of the category.
        area: int64 (N,): pixels.
        crowd: bool (N,): whether any number of detections may match it.
        ignored: bool (N,): whether it is no object to be found.
        scores: float64 (N,): NaN in ground truth.
    """

    category: Ints
    area: Ints
    crowd: Bools
    ignored: Bools
    scores: Floats


@dataclass(frozen=True)
class Comparison:
    """The objects and detections of an image, and which of them overlap.

    Attributes:
        truth: The objects.
        result: The detections.
        pairs: Rows of ``result`` and ``truth`` of one category, and how much they overlap, from the least overlap that
            can match.
        unlisted: How many predicted instances have no score and are left out.
        unknown: How many predicted instances are of no evaluated category.
    """

    truth: Objects
    result: Objects
    pairs: coco.Candidates
    unlisted: int = 0
    unknown: int = 0


class InstanceEvaluator:
    """Scores instance masks against ground truth, image by image.

    Args:
        config: Categories and names; the task's own by default.
        regions: Whether masks are compared by the rules for run-length masks, COCO's: crowds and ignored regions are
            alike, are never missed, and a detection in one by its own area is left out if it matches nothing else. By
            the rules for bitmasks, a detection takes the object that it overlaps most by intersection over union; it
            is left out where that is ignored, and a crowd is an object that many detections may find.
    """

    def __init__(self, config: EvalConfig | None = None, *, regions: bool = False) -> None:
        self.config = config or default_config("ins_seg")
        self.regions = regions
        self.reset()

    def reset(self) -> None:
        """Forget everything processed."""
        self._names: list[str] = []
        self._seen: set[str] = set()
        self._images: list[Comparison] = []

    def process(self, name: str, comparison: Comparison) -> None:
        """Add an image: what :func:`compare_bitmasks` or :func:`compare_regions` made of it.

        Raises:
            LabelError: An image of this name was added before.
        """
        if name in self._seen:
            raise LabelError(f"image {name} was processed before; give each image once")
        self._seen.add(name)
        self._names.append(name)
        self._images.append(comparison)

    def evaluate(self) -> Result:
        """Return twelve metrics in percent, by category and OVERALL; all NaN if nothing was processed."""
        return self.assess(Units(self._names)).result

    def assess(self, units: Units) -> Assessment:
        """Return the scores, and what was found of each image; ``units`` are these in the order of processing."""
        categories = self.config.categories
        parts = CurveParts(
            "ins_seg",
            _matches(self._images, self._names, len(categories), regular_first=self.regions),
            coco.OBJECTS,
            partial(precision_scores, categories=categories),
            partial(zero_scores, categories=categories) if self.regions else None,
        )
        return Assessment(replace(parts.result(), notes=tuple(self._notes())), parts, units, categories)

    def _notes(self) -> list[str]:
        notes = []
        if unlisted := sum(image.unlisted for image in self._images):
            notes.append(f"{unlisted} predicted instances have no score in the score file; they are left out")
        if unknown := sum(image.unknown for image in self._images):
            notes.append(f"{unknown} predicted instances are of no evaluated category; they are left out")
        if not any(len(image.result.category) for image in self._images):
            notes.append("there are no predicted masks of the evaluated categories")
        return notes


def compare_bitmasks(
    truth: Bitmask | Packed,
    result: Bitmask | Packed | None,
    scores: Sequence[tuple[int, float]],
    where: tuple[Path | str, Path | str],
    categories: int,
) -> Comparison:
    """Compare the bitmasks of an image.

    Args:
        truth: The ground truth.
        result: The prediction, or None where there is none.
        scores: Instance id and score of each detection; ids without pixels are skipped, and so are instances that are
            not listed.
        where: Names of the two files, for errors.
        categories: How many categories there are; ids from 1 to this are evaluated.

    Raises:
        LabelError: The sizes differ, an instance has several categories (or, in the ground truth, attributes), or an
            id is listed twice.
    """
    both = overlay(truth, result, where[1], attributes=False)
    both.truth.check(where[0])
    listed = _best_first(scores, where[1])
    known = np.isin(both.result.ids, list(listed))
    both.result.take(known).check(where[1])
    row_of_id = {int(both.result.ids[row]): int(row) for row in np.flatnonzero(known)}
    rows = np.array([row_of_id[index] for index in listed if index in row_of_id], np.int64)
    values = np.array([score for index, score in listed.items() if index in row_of_id], np.float64)
    kept = (both.result.category[rows] >= 1) & (both.result.category[rows] <= categories)
    rows, values = rows[kept], values[kept]
    regular = (both.truth.category >= 1) & (both.truth.category <= categories)
    true, found = both.truth.take(regular), both.result.take(rows)
    shared = both.shared[np.flatnonzero(regular)][:, rows]
    iou = shared / (true.area[:, None] + found.area[None, :] - shared)
    nothing = np.zeros(len(rows), np.bool_)
    return Comparison(
        Objects(true.category - 1, true.area, true.crowd, true.ignored, np.full(len(true.area), np.nan)),
        Objects(found.category - 1, found.area, nothing, nothing, values),
        _pairs(iou.T, found.category, true.category),
        unlisted=int((~known).sum()),
        unknown=int((~kept).sum()),
    )


def _best_first(scores: Sequence[tuple[int, float]], where: Path | str) -> Mapping[int, float]:
    listed: dict[int, float] = {}
    for index, score in sorted(scores, key=lambda pair: -pair[1]):
        if index in listed:
            raise LabelError(f"{where}: instance {index} has two scores in the score file; give one")
        listed[index] = score
    return listed


def compare_regions(truth: Regions, result: Regions | None, where: str) -> Comparison:
    """Compare the run-length masks of an image; they may overlap.

    Args:
        truth: The ground truth.
        result: The predictions, each with a score, or None where there are none.
        where: Names the predicted frame, for errors.

    Raises:
        LabelError: The masks of the two have different sizes.
    """
    found = result or NO_REGIONS
    check_sizes(truth, found, where)
    aside = truth.crowd | truth.ignored
    nothing = np.zeros(len(found), np.bool_)
    return Comparison(
        Objects(truth.category, truth.area, aside, aside, np.full(len(truth), np.nan)),
        Objects(found.category, found.area, nothing, nothing, found.scores),
        _pairs(overlaps(found, truth, aside), found.category, truth.category),
    )


def _pairs(overlap: Floats, category: Ints, true_category: Ints) -> coco.Candidates:
    """Keep what can match of overlaps (detections, objects)."""
    possible = (overlap >= coco.IOU_THRESHOLDS[0]) & (category[:, None] == true_category[None, :])
    detection, truth = np.nonzero(possible)
    return coco.Candidates(detection, truth, overlap[detection, truth])


def _matches(images: Sequence[Comparison], names: Sequence[str], kinds: int, *, regular_first: bool) -> coco.Matches:
    """Match every detection; equal scores keep the order of images' names."""
    by_name = np.argsort(coco.places(names), kind="stable")
    images = [images[index] for index in by_name.tolist()]
    truths = _join([image.truth for image in images])
    results = _join([image.result for image in images])
    image, true_image = (_image_of_row(side) for side in ([i.result for i in images], [i.truth for i in images]))
    groups = image * kinds + results.category
    order = np.lexsort((-results.scores, groups))
    rank = coco.ranks(groups[order])
    # what comes after the last that counts cannot take an object from those before
    order, rank = order[rank < coco.OBJECTS.max_detections[-1]], rank[rank < coco.OBJECTS.max_detections[-1]]
    place = np.full(len(groups), -1, np.int64)
    place[order] = np.arange(len(order))
    outside = coco.outside_areas(results.area[order].astype(np.float64), coco.OBJECTS)
    ignored = coco.outside_areas(truths.area.astype(np.float64), coco.OBJECTS) | truths.ignored[:, None]
    outcomes = coco.match(
        _candidates(images, place), groups[order], outside, ignored, truths.crowd, regular_first=regular_first
    )
    true_image = by_name[true_image]
    labelled = np.zeros((len(images), kinds), np.bool_)
    labelled[true_image, truths.category] = True
    counts = coco.count_objects(true_image, truths.category, ignored, len(images), kinds)
    kept = by_name[image[order]], results.category[order], rank, results.scores[order]
    return coco.Matches(*kept, outcomes, counts, labelled)


def _join(parts: Sequence[Objects]) -> Objects:
    def column(name: str, kind: type[np.generic]) -> np.ndarray:  # type: ignore[type-arg]
        return np.concatenate([np.zeros(0, kind), *(getattr(part, name) for part in parts)])

    return Objects(
        column("category", np.int64),
        column("area", np.int64),
        column("crowd", np.bool_),
        column("ignored", np.bool_),
        column("scores", np.float64),
    )


def _image_of_row(parts: Sequence[Objects]) -> Ints:
    return np.repeat(np.arange(len(parts)), np.array([len(part.category) for part in parts], np.int64))


def _candidates(images: Sequence[Comparison], place: Ints) -> coco.Candidates:
    """Number the pairs of all images: detections by their new place, objects in the order of images."""
    detections: list[Ints] = [np.zeros(0, np.int64)]
    truths: list[Ints] = [np.zeros(0, np.int64)]
    shares: list[Floats] = [np.zeros(0)]
    found = objects = 0
    for image in images:
        detections.append(place[found + image.pairs.detection])
        truths.append(objects + image.pairs.truth)
        shares.append(image.pairs.overlap)
        found, objects = found + len(image.result.category), objects + len(image.truth.category)
    detection, truth, overlap = np.concatenate(detections), np.concatenate(truths), np.concatenate(shares)
    order = np.argsort(detection, kind="stable")
    order = order[detection[order] >= 0]
    return coco.Candidates(detection[order], truth[order], overlap[order])
