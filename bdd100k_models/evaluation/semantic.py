"""Semantic segmentation and drivable area: intersection over union of classes, with the official tool's numbers.

Everything comes from one matrix of confusion, summed over the images: row ``i`` holds the pixels labelled ``i``, column
``j`` those predicted as ``j``. The last row and column stand for what is no class: in predictions any other value, in
labels what is not evaluated (for drivable area: background).
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from bdd100k_models.errors import LabelError
from bdd100k_models.evaluation.config import EvalConfig, default_config
from bdd100k_models.evaluation.frames import FramePair, pair_frames
from bdd100k_models.evaluation.masks import check_shapes, has_masks, map_images, pair_masks
from bdd100k_models.evaluation.parts import BACKGROUND, Assessment, Confusion, SummedParts, Units
from bdd100k_models.evaluation.result import AVERAGE, Result, task_result
from bdd100k_models.evaluation.semantic_frames import (
    FIXED_VALUES,
    Regions,
    common_size,
    count_pairs,
    paint,
    read_regions,
)
from bdd100k_models.formats.bitmask import read_mask
from bdd100k_models.tasks import NO_CLASS

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
LabelMap = npt.NDArray[np.uint8]

#: What a mask holds where nothing is labelled.
UNLABELLED = NO_CLASS

#: Most pixels of one call to OpenCV's histogram, whose counts are exact up to 2**24 only.
_MOST_PIXELS = 1 << 24

#: How many parts of an image are counted in turn.
_PARTS = 4

_WRONG = "all of their pixels count as wrong"


def joint_histogram(truth: LabelMap, prediction: LabelMap) -> Ints:
    """Count pairs of values.

    Args:
        truth: uint8 (height, width).
        prediction: Likewise.

    Returns:
        int64 (256, 256): pixels by value of ``truth`` and of ``prediction``; all 0 for an image without pixels.
    """
    order: Literal["C", "F"] = "F" if truth.flags.f_contiguous and prediction.flags.f_contiguous else "C"
    sides = [np.ravel(side, order) for side in (truth, prediction)]
    counts = np.zeros((256, 256), np.int64)
    for start in range(0, truth.size, _MOST_PIXELS):
        part = [_interleave(side[start : start + _MOST_PIXELS]) for side in sides]
        counts += cv2.calcHist(part, [0, 1], None, [256, 256], [0, 256, 0, 256]).astype(np.int64)
    return counts


def _interleave(pixels: LabelMap) -> LabelMap:
    """Reorder pixels (N,) so that neighbours come from different parts of the image.

    Counting one value many times in a row waits for the counter each time; this takes a third less.
    """
    if len(pixels) % _PARTS:
        return pixels
    return np.asarray(cv2.merge(list(pixels.reshape(_PARTS, 1, -1)))).reshape(1, -1)


def confusion(truth: LabelMap, prediction: LabelMap | None, classes: int, where: str = "ground truth") -> Ints:
    """Compare two label maps.

    Args:
        truth: uint8 (height, width): classes from 0; ``classes`` or 255 where a pixel is not evaluated.
        prediction: uint8 (height, width): classes from 0, any other value for none; None for no prediction at all.
        classes: How many classes there are.
        where: Names the labels, for errors.

    Returns:
        int64 (classes + 1, classes + 1); pixels whose label is 255 are left out.

    Raises:
        LabelError: A label is neither a class nor one of the values that mean none.
    """
    other = np.full_like(truth, UNLABELLED) if prediction is None else prediction
    counts = joint_histogram(truth, other)
    if counts[classes + 1 : UNLABELLED].any():
        value = classes + 1 + int(np.argmax(counts[classes + 1 : UNLABELLED].any(axis=1)))
        raise LabelError(
            f"{where}: the mask holds {value}, but labels are 0 to {classes - 1}, or {UNLABELLED} for none; "
            "is this the mask of another task?"
        )
    matrix = np.empty((classes + 1, classes + 1), np.int64)
    matrix[:, :classes] = counts[: classes + 1, :classes]
    matrix[:, classes] = counts[: classes + 1, classes:].sum(axis=1)
    return matrix


def class_scores(matrix: Ints) -> tuple[Floats, Floats, float, float]:
    """Return the official scores of a matrix (classes + 1, classes + 1), whose last row does not count.

    Returns:
        From 0 to 1: IoU (classes,), 0 for classes that occur nowhere; share of right pixels among those predicted as
        each class (classes,), likewise, which the official tool calls accuracy; the mean IoU weighted by labelled
        pixels; and the share of right pixels. The last two are NaN where no pixel is labelled.
    """
    counted = matrix[:-1]
    right = np.diag(counted)
    labelled, predicted = counted.sum(axis=1), counted.sum(axis=0)[:-1]
    union = labelled + predicted - right
    iou = np.divide(right, union, out=np.zeros(len(right)), where=union > 0)
    accuracy = np.divide(right, predicted, out=np.zeros(len(right)), where=predicted > 0)
    total = int(labelled.sum())
    if not total:
        return iou, accuracy, float("nan"), float("nan")
    return iou, accuracy, float((iou * (labelled / total)).sum()), float(right.sum() / total)


def scores_with_background(matrix: Ints) -> Floats:
    """Return the IoU of every class and, last, of background, with wrong pixels on background counted.

    Args:
        matrix: int64 (classes + 1, classes + 1), the last row and column being background.

    Returns:
        float64 (classes + 1,) from 0 to 1; NaN for what is neither labelled nor predicted.
    """
    right = np.diag(matrix)
    union = matrix.sum(axis=1) + matrix.sum(axis=0) - right
    iou: Floats = np.divide(right, union, out=np.full(len(right), np.nan), where=union > 0)
    return iou


class SemanticEvaluator:
    """Scores label maps against true ones, image by image.

    Args:
        task: ``sem_seg`` or ``drivable``, as the official tool names them.
        config: Categories and names; the task's own by default.
    """

    def __init__(self, task: str = "sem_seg", config: EvalConfig | None = None) -> None:
        self.task = task
        self.config = config or default_config(task)
        self.reset()

    def reset(self) -> None:
        """Forget everything processed."""
        classes = len(self.config.categories)
        self.matrix = np.zeros((classes + 1, classes + 1), np.int64)
        self._rows: list[Ints] = []
        self.images = 0
        self.missing = 0

    def process(self, truth: LabelMap, prediction: LabelMap | None, where: str = "prediction") -> None:
        """Add an image.

        Args:
            truth: uint8 (height, width): classes from 0; 255, or their number, where nothing is evaluated.
            prediction: uint8 (height, width); values that are no class count as wrong, as does None everywhere.
            where: Names the image, for errors.

        Raises:
            LabelError: The two differ in size, or a label is no class.
        """
        if prediction is not None:
            check_shapes(truth.shape, prediction.shape, where)
        self.add(confusion(truth, prediction, len(self.config.categories), where), missing=prediction is None)

    def add(self, matrix: Ints, *, missing: bool = False) -> None:
        """Add the matrix of an image, or the sum of several; ``missing`` if it had no prediction."""
        self.matrix += matrix
        self._rows.append(matrix.reshape(-1))
        self.images += 1
        self.missing += missing

    def evaluate(self, notes: Sequence[str] | None = None) -> Result:
        """Return the scores of everything processed, in percent.

        Args:
            notes: What to tell about missing images; by default how many there were.
        """
        given = self._default_notes() if notes is None else notes
        return replace(self._score(self.matrix), notes=(*given, *self._surprises()))

    def assess(self, units: Units, notes: Sequence[str] | None = None) -> Assessment:
        """Return the scores, and what was found of each image; see :meth:`evaluate`.

        Args:
            units: The images, in the order of processing.
            notes: What to tell about missing images; by default how many there were.
        """
        table = np.stack([np.zeros(self.matrix.size, np.int64), *self._rows])[1:]
        parts = SummedParts(table, self._score)
        return Assessment(self.evaluate(notes), parts, units, self.config.categories, self._confusions)

    def _score(self, total: Ints | Floats) -> Result:
        """Score a matrix (classes + 1, classes + 1), or a flat one."""
        names = self.config.categories
        matrix = total.astype(np.int64).reshape(self.matrix.shape)
        iou, accuracy, weighted, right = class_scores(matrix)
        present = matrix[:-1].sum(axis=1) > 0
        scores: dict[str, list[Mapping[str, float]] | float] = {}
        for metric, values in (("IoU", iou), ("Acc", accuracy)):
            average = float(values[present].mean()) * 100 if present.any() else float("nan")
            scores[metric] = [dict(zip(names, (100 * values).tolist(), strict=True)), {AVERAGE: average}]
        return task_result(self.task, scores | {"fIoU": 100 * weighted, "pAcc": 100 * right})

    def _confusions(self, threshold: float) -> list[Confusion]:
        labelled = (*self.config.categories, BACKGROUND if self.task == "drivable" else "not evaluated")
        predicted = (*self.config.categories, BACKGROUND if self.task == "drivable" else "no class")
        rows = len(labelled) - (self.task != "drivable")
        return [Confusion("pixels", labelled[:rows], predicted, self.matrix[:rows])]

    def _default_notes(self) -> list[str]:
        if not self.images:
            return ["there are no images"]
        return [f"{self.missing} of {self.images} images have no predictions; {_WRONG}"] if self.missing else []

    def _surprises(self) -> list[str]:
        """Return what a reader of these numbers would not expect."""
        present = self.matrix[:-1].sum(axis=1) > 0
        notes = []
        if not present.any():
            notes.append("no pixel of the evaluated classes is labelled, so there is nothing to score")
        elif not present.all():
            absent = ", ".join(name for name, there in zip(self.config.categories, present, strict=True) if not there)
            notes.append(f"not labelled in any image, so 0 in the table and left out of {AVERAGE}: {absent}")
        if self.task == "drivable":
            notes.append(self._strict())
        return notes

    def _strict(self) -> str:
        iou = scores_with_background(self.matrix)
        names = (*self.config.categories, "background")
        each = ", ".join(f"{name} {100 * value:.2f}" for name, value in zip(names, iou, strict=True))
        mean = 100 * float(np.nanmean(iou)) if not np.isnan(iou).all() else float("nan")
        return (
            "drivable area predicted on background costs nothing here, as in the official tool; where it counts as "
            f"wrong and background as a class, mIoU is {mean:.2f} ({each})"
        )


def evaluate_semantic(
    task: str, truth: Path, result: Path, config: EvalConfig | None = None, processes: int | None = None
) -> Result:
    """Score a folder of masks or a JSON result of ``sem_seg`` or ``drivable``.

    Args:
        task: The task.
        truth: Ground truth: a folder of PNG masks, or JSON with run-length masks, in the form of the result.
        result: Predictions.
        config: Categories and names of JSON; the task's own by default. Values of PNG masks have a fixed meaning.
        processes: How many to use; one by default.

    Returns:
        IoU and Acc by class and their AVERAGE over the classes that are labelled, fIoU and pAcc.

    Raises:
        MissingFileError: A path does not exist, or a folder is empty.
        LabelError: A file breaks its format, or belongs to other images.
    """
    return assess_semantic(task, truth, result, config, processes).result


def assess_semantic(
    task: str,
    truth: Path,
    result: Path,
    config: EvalConfig | None = None,
    processes: int | None = None,
    *,
    coco_truth: bool = False,
) -> Assessment:
    """Score label maps, and keep what was found of each image.

    See :func:`evaluate_semantic`; with ``coco_truth`` the ground truth may be COCO JSON too.
    """
    if has_masks(truth, result):
        return _assess_masks(task, truth, result, config, processes)
    evaluator = SemanticEvaluator(task, config)
    pairs = pair_frames(truth, result, coco_truth=coco_truth)
    overlapping = 0
    for matrix, overlap in map_images(functools.partial(_compare_frames, evaluator.config), pairs, processes):
        evaluator.add(matrix)
        overlapping += overlap
    notes = pairs.notes(_WRONG)
    if overlapping:
        notes.append(f"masks overlap in {overlapping} predicted frames; there the later label counts, as officially")
    return evaluator.assess(pairs.units(), notes)


def _assess_masks(task: str, truth: Path, result: Path, config: EvalConfig | None, processes: int | None) -> Assessment:
    fixed = default_config(task)
    evaluator = SemanticEvaluator(task, fixed)
    pairs = pair_masks(truth, result)
    files = list(zip(pairs.truths, pairs.results, strict=True))
    for matrix in map_images(functools.partial(_compare_files, len(fixed.categories)), files, processes):
        evaluator.add(matrix)
    notes = pairs.notes(_WRONG)
    if config is not None and config.categories != fixed.categories:
        notes.append(FIXED_VALUES)
    return evaluator.assess(pairs.units(), notes)


def _compare_files(classes: int, files: tuple[Path, Path | None]) -> Ints:
    """Read the masks of an image and compare them."""
    truth = read_mask(files[0])
    prediction = None
    if files[1] is not None:
        prediction = read_mask(files[1])
        check_shapes(truth.shape, prediction.shape, files[1])
    return confusion(truth, prediction, classes, str(files[0]))


def _compare_frames(config: EvalConfig, pair: FramePair) -> tuple[Ints, bool]:
    """Paint the labels of an image and compare them; also tell whether its predictions overlap."""
    classes = len(config.categories)
    truth = read_regions(pair.truth, config, pair.truth_where)
    result = None if pair.result is None else read_regions(pair.result, config, pair.where)
    size = common_size([truth] if result is None else [truth, result], config)
    if size is None:
        return np.zeros((classes + 1, classes + 1), np.int64), False
    # what no label covers is background, or not evaluated
    labels = paint(truth, size, classes, pair.truth_where)
    prediction = paint(result or Regions([], [], []), size, classes, pair.where)
    return count_pairs(labels, prediction, classes + 1), prediction.overlapping
