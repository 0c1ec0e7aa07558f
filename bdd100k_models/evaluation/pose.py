"""Pose: average precision and recall of key points, with the official tool's numbers.

Matching and accumulation are COCO's, with object key-point similarity in place of overlap
(https://cocodataset.org/#keypoints-eval): a joint off by the distance ``d`` counts ``exp(-d**2 / (2 * area * k**2))``,
where ``k`` is twice the joint's sigma and ``area`` that of the person's box; the similarity of two people is the mean
over the labelled joints.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bdd100k_models.errors import ConfigError, LabelError
from bdd100k_models.evaluation import coco
from bdd100k_models.evaluation.boxes import chunk_bounds, pair_ranges
from bdd100k_models.evaluation.coco import Bools, Candidates, Floats, Ints
from bdd100k_models.evaluation.config import EvalConfig, default_config
from bdd100k_models.evaluation.frames import pair_frames
from bdd100k_models.evaluation.parts import Assessment, CurveParts, Units
from bdd100k_models.evaluation.pose_frames import People, read_people
from bdd100k_models.evaluation.result import OVERALL, Result

#: COCO's settings for key points, with 20 people an image.
PEOPLE = coco.Protocol(
    area_ranges={"all": (0, 1e5**2), "medium": (32**2, 96**2), "large": (96**2, 1e5**2)},
    max_detections=(20,),
)

#: By metric: the curve it averages, and the area range and similarity it reads (None: all ten).
_METRICS: Mapping[str, tuple[str, str, float | None]] = {
    "AP": ("precision", "all", None),
    "AP50": ("precision", "all", 0.5),
    "AP75": ("precision", "all", 0.75),
    "APm": ("precision", "medium", None),
    "APl": ("precision", "large", None),
    "AR": ("recall", "all", None),
    "AR50": ("recall", "all", 0.5),
    "AR75": ("recall", "all", 0.75),
    "ARm": ("recall", "medium", None),
    "ARl": ("recall", "large", None),
}

#: Pairs of people compared at a time: about 100 MB of temporary arrays.
_PAIRS = 1 << 17


@dataclass(frozen=True)
class _Rows:
    """People of many images; ``image`` is int64 (N,), ascending."""

    image: Ints
    people: People


def similarities(predicted: Floats, truths: People, sigmas: Floats) -> Floats:
    """Return the object key-point similarity, pair by pair.

    Args:
        predicted: float64 (P, J, 2): joints in pixels.
        truths: The other person of each pair.
        sigmas: float64 (J,): spread of each joint's labels.

    Returns:
        float64 (P,): from 0 to 1. For a person without a labelled joint, distances are those to a box of three times
        the width and height around the person's.
    """
    visible = truths.confidence > 0
    count = visible.sum(axis=1)
    x, y, width, height = truths.boxes.T[:, :, None]
    with np.errstate(over="ignore"):
        offset = predicted - truths.joints
        for axis, (start, length) in enumerate(((x, width), (y, height))):
            low, high = start - length, start + length * 2
            values = predicted[:, :, axis]
            outside = np.maximum(0, low - values) + np.maximum(0, values - high)
            offset[:, :, axis] = np.where(count[:, None] > 0, offset[:, :, axis], outside)
        squared = offset[:, :, 0] ** 2 + offset[:, :, 1] ** 2
        error = squared / (sigmas * 2) ** 2 / (truths.areas[:, None] + np.spacing(1)) / 2
        closeness = np.exp(-error)
    counted = visible | (count == 0)[:, None]
    result = np.empty(len(predicted))
    # people with equally many joints together: a sum over as many numbers as COCO adds, in its order
    for number in np.unique(counted.sum(axis=1)).tolist():
        rows = np.flatnonzero(counted.sum(axis=1) == number)
        result[rows] = closeness[rows][counted[rows]].reshape(-1, number).sum(axis=1) / number
    return result


class PoseEvaluator:
    """Scores people found against labelled ones, image by image.

    Args:
        config: Categories, names and joints; the task's own by default.

    Raises:
        ConfigError: The config does not say how far each joint's labels spread.
    """

    def __init__(self, config: EvalConfig | None = None) -> None:
        self.config = config or default_config("pose")
        if not self.config.sigmas:
            raise ConfigError("the config has no scalabel.poseSigmas; give one number for each joint")
        self.sigmas: Floats = np.array(self.config.sigmas, np.float64)
        self.reset()

    def reset(self) -> None:
        """Forget everything processed."""
        self._names: list[str] = []
        self._where: list[str] = []
        self._truths: list[People] = []
        self._predictions: list[People] = []
        self._missing = 0

    def process(self, name: str, truth: People, prediction: People | None, where: str = "predictions") -> None:
        """Add an image.

        Args:
            name: Its file name; among people of equal score in two images, those of the lesser name go first.
            truth: Those labelled, each with a box.
            prediction: Those found, each with a score; None where the image has no predictions.
            where: Names the predictions, for errors.

        Raises:
            LabelError: The two differ in their number of joints.
        """
        found = People.none(len(self.sigmas)) if prediction is None else prediction
        for people in (truth, found):
            if people.joints.shape[1] != len(self.sigmas):
                raise LabelError(f"{where}: {people.joints.shape[1]} joints, but people have {len(self.sigmas)}")
        self._names.append(name)
        self._where.append(where)
        self._truths.append(truth)
        self._predictions.append(found)
        self._missing += prediction is None

    def evaluate(self, notes: Sequence[str] | None = None) -> Result:
        """Return the scores of everything processed; NaN if that holds no people.

        Args:
            notes: What to tell about missing images; by default how many there were.

        Raises:
            LabelError: The first predicted person has a box and another has none.
        """
        return self.assess(Units(self._names), notes).result

    def assess(self, units: Units, notes: Sequence[str] | None = None) -> Assessment:
        """Return the scores, and what was found of each image; see :meth:`evaluate`.

        Args:
            units: The images, in the order of processing.
            notes: What to tell about missing images; by default how many there were.

        Raises:
            LabelError: The first predicted person has a box and another has none.
        """
        parts = self._parts()
        given = self._default_notes() if notes is None else list(notes)
        if not len(parts.matches.image):
            given.append("there are no predicted people")
        return Assessment(replace(parts.result(), notes=tuple(given)), parts, units, self.config.categories)

    def _parts(self) -> CurveParts:
        order = self._order()
        truths, predictions = (self._rows(side, order) for side in (self._truths, self._predictions))
        areas = self._areas(predictions) if len(predictions.image) else np.zeros(0)
        matches = _matches(truths, predictions, areas, self.sigmas, np.array(order, np.int64))
        return CurveParts("pose", matches, PEOPLE, _scores, _no_scores)

    def _order(self) -> list[int]:
        """Return the images in the order of their names."""
        return sorted(range(len(self._names)), key=self._names.__getitem__)

    def _rows(self, side: Sequence[People], order: Sequence[int]) -> _Rows:
        ordered = [side[index] for index in order]
        counts = [len(people) for people in ordered]
        return _Rows(np.repeat(np.arange(len(counts)), counts), People.join(ordered, len(self.sigmas)))

    def _areas(self, predictions: _Rows) -> Floats:
        """Return the area of each predicted person: of the box, or where the first has none, around the joints."""
        has_box = ~np.isnan(predictions.people.boxes[:, 0])
        if not has_box[0]:
            spread: Floats = np.ptp(predictions.people.joints, axis=1)
            with np.errstate(over="ignore", invalid="ignore"):
                return np.asarray(spread[:, 0] * spread[:, 1])
        if not has_box.all():
            where = self._where[self._order()[int(predictions.image[np.argmin(has_box)])]]
            raise LabelError(f"{where}: a predicted person has no box2d, but others have; give all of them or none")
        return predictions.people.areas

    def _default_notes(self) -> list[str]:
        if not self._names:
            return ["the ground truth holds no frames"]
        if not self._missing:
            return []
        return [f"{self._missing} of {len(self._names)} images have no predictions; {_EMPTY}"]


_EMPTY = "they count as images with none found"


def _matches(truths: _Rows, predictions: _Rows, areas: Floats, sigmas: Floats, units: Ints) -> coco.Matches:
    """Match every prediction; ``units`` gives the number of each image, which are in the order that ties follow."""
    order = np.lexsort((-predictions.people.scores, predictions.image))
    rank = coco.ranks(predictions.image[order])
    keep = rank < PEOPLE.max_detections[-1]
    order, rank = order[keep], rank[keep]
    images, joints, scores = (
        predictions.image[order],
        predictions.people.joints[order],
        predictions.people.scores[order],
    )
    people = truths.people
    ignored = coco.outside_areas(people.areas, PEOPLE) | people.crowd[:, None]
    outside = coco.outside_areas(areas[order], PEOPLE)
    outcomes = np.empty((*outside.shape, len(coco.IOU_THRESHOLDS)), np.uint8)
    first, last = pair_ranges(images, truths.image)
    for start, end in pairwise(chunk_bounds(images, last - first, _PAIRS)):
        run = slice(start, end)
        low, high = int(first[start]), int(last[end - 1])
        candidates = _candidates(joints[run], first[run] - low, last[run] - low, people.take(slice(low, high)), sigmas)
        outcomes[run] = coco.match(candidates, images[run], outside[run], ignored[low:high], people.crowd[low:high])
    true_units, nothing = units[truths.image], np.zeros(len(truths.image), np.int64)
    labelled = np.bincount(true_units, minlength=len(units))[:, None] > 0
    counts = coco.count_objects(true_units, nothing, ignored, len(units), 1)
    return coco.Matches(units[images], np.zeros(len(order), np.int64), rank, scores, outcomes, counts, labelled)


def _candidates(joints: Floats, first: Ints, last: Ints, truths: People, sigmas: Floats) -> Candidates:
    """Compare each prediction with the people ``first`` to ``last`` (exclusive); keep the pairs that may match."""
    counts = last - first
    prediction: npt.NDArray[np.int64] = np.repeat(np.arange(len(joints)), counts)
    truth = np.arange(len(prediction)) + np.repeat(first - (np.cumsum(counts) - counts), counts)
    similarity = similarities(joints[prediction], truths.take(truth), sigmas)
    keep: Bools = similarity >= coco.IOU_THRESHOLDS[0]
    return Candidates(prediction[keep], truth[keep], similarity[keep])


def _scores(curves: coco.Curves) -> dict[str, list[dict[str, float]]]:
    return {metric: [{OVERALL: _read(curves, metric)}] for metric in _METRICS}


def _no_scores(present: Collection[int]) -> dict[str, list[dict[str, float]]]:
    return {metric: [{OVERALL: 0.0 if present else float("nan")}] for metric in _METRICS}


def _read(curves: coco.Curves, metric: str) -> float:
    curve, area, similarity = _METRICS[metric]
    kind = list(PEOPLE.area_ranges).index(area)
    values = curves.precision[..., kind] if curve == "precision" else curves.recall[:, :, kind, -1]
    if similarity is not None:
        values = values[np.flatnonzero(np.equal(coco.IOU_THRESHOLDS, similarity))]
    return coco.mean(values)


def evaluate_pose(truth: Path, result: Path, config: EvalConfig | None = None) -> Result:
    """Score a file of poses.

    Args:
        truth: Ground truth: Scalabel JSON whose labels have ``graph`` and ``box2d``, a file or a folder.
        result: Predictions likewise, with ``score``; boxes may be absent.
        config: Categories, names and joints; the task's own by default.

    Returns:
        Ten metrics in percent, OVERALL.

    Raises:
        MissingFileError: A file does not exist.
        LabelError: A file breaks its format, or belongs to other images.
        ConfigError: The config does not say how far each joint's labels spread.
    """
    return assess_pose(truth, result, config).result


def assess_pose(truth: Path, result: Path, config: EvalConfig | None = None, *, coco_truth: bool = False) -> Assessment:
    """Score a file of poses, and keep what was found of each image.

    See :func:`evaluate_pose`; with ``coco_truth`` the ground truth may be COCO JSON too.
    """
    evaluator = PoseEvaluator(config)
    pairs = pair_frames(truth, result, coco_truth=coco_truth)
    for pair in pairs:
        labels = read_people(pair.truth, evaluator.config, pair.truth_where, boxed=True)
        found = None
        if pair.result is not None:
            found = read_people(pair.result, evaluator.config, pair.where, scored=True)
        evaluator.process(pair.name, labels, found, pair.where)
    return evaluator.assess(pairs.units(), pairs.notes(_EMPTY))
