"""Detection: average precision and recall of boxes, with the numbers of the official tool."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from bdd100k_models.errors import LabelError
from bdd100k_models.evaluation import coco
from bdd100k_models.evaluation.boxes import chunk_bounds, find_candidates, pair_ranges
from bdd100k_models.evaluation.coco import Bools, Floats, Ints
from bdd100k_models.evaluation.config import EvalConfig, default_config
from bdd100k_models.evaluation.names import unknown_category
from bdd100k_models.evaluation.pairing import foreign_frames, pair_keys
from bdd100k_models.evaluation.parts import BACKGROUND, Assessment, Confusion, CurveParts, Units
from bdd100k_models.evaluation.precision import precision_scores, zero_scores
from bdd100k_models.evaluation.result import Result
from bdd100k_models.formats.arrays import BoxTable, Scene, table_from_frames
from bdd100k_models.formats.scalabel import Frame
from bdd100k_models.tasks import TASKS

#: Pairs of boxes compared at a time: about 200 MB of temporary arrays.
_PAIRS = 1 << 20


@dataclass(frozen=True)
class Boxes:
    """Boxes of evaluated categories, a row each.

    Attributes:
        image: int64 (N,): index of the image.
        category: int64 (N,): index of the category.
        xywh: float64 (N, 4): left, top, width and height in pixels.
        scores: float64 (N,): NaN in ground truth.
        crowd: bool (N,): crowds and ignored regions.
    """

    image: Ints
    category: Ints
    xywh: Floats
    scores: Floats
    crowd: Bools

    def take(self, order: npt.NDArray[np.int64] | Bools) -> Boxes:
        """Return the rows that ``order`` chooses."""
        return Boxes(self.image[order], self.category[order], self.xywh[order], self.scores[order], self.crowd[order])


class DetectionEvaluator:
    """Scores detections against ground truth, given all at once or in parts.

    Args:
        config: Categories and names; the task's own by default.
    """

    def __init__(self, config: EvalConfig | None = None) -> None:
        self.config = config or default_config(TASKS["det"])
        self.reset()

    def reset(self) -> None:
        """Forget everything processed."""
        self._names: list[str] = []
        self._seen: set[str] = set()
        self._truths: list[Boxes] = []
        self._predictions: list[Boxes] = []
        self._scenes: list[Scene] = []
        self._missing = 0
        self._foreign = 0

    def process(self, truth: BoxTable, predictions: BoxTable) -> None:
        """Add images: those of ``truth``, with the predictions of the same names.

        An image without predictions counts as one where nothing was found; predictions for other images are left out.
        Names that repeat are told apart by video, if every frame names one.

        Raises:
            LabelError: A name stands twice, a category is unknown, a prediction has no score, or there are predictions
                but none is for an image of the ground truth.
        """
        keys, image_of_frame = self._pair(truth, predictions)
        first = len(self._names)
        own = np.arange(len(truth.names), dtype=np.int64)
        images = np.where(image_of_frame < 0, -1, image_of_frame + first)
        true_boxes = _select(truth, own + first, self.config)
        predicted_boxes = _select(predictions, images, self.config, scored=True)
        # nothing is kept of images that cannot be used
        self._truths.append(true_boxes)
        self._predictions.append(predicted_boxes)
        self._names.extend(truth.names)
        self._scenes.extend(truth.scenes)
        self._seen.update(keys)
        foreign = int((image_of_frame < 0).sum())
        self._foreign += foreign
        self._missing += len(truth.names) - (len(image_of_frame) - foreign)

    def _pair(self, truth: BoxTable, predictions: BoxTable) -> tuple[list[str], Ints]:
        """Return a key for each true frame, and each predicted frame's true frame or -1."""
        true_keys, result_keys = pair_keys(truth, predictions)
        for index, name in enumerate(true_keys):
            if name in self._seen:
                raise LabelError(f"{truth.files[index]}: frame {name} was processed before; give each image once")
        position = {name: index for index, name in enumerate(true_keys)}
        image_of_frame = np.array([position.get(name, -1) for name in result_keys], dtype=np.int64)
        if true_keys and result_keys and (image_of_frame < 0).all():
            raise foreign_frames(result_keys, truth, predictions)
        return true_keys, image_of_frame

    def evaluate(self) -> Result:
        """Return the scores of everything processed; all NaN if that holds no labels."""
        return self.assess().result

    def assess(self) -> Assessment:
        """Return the scores, and what was found of each image."""
        truths, predictions = _concatenate(self._truths), _concatenate(self._predictions)
        categories = self.config.categories
        parts = CurveParts(
            "det",
            _matches(truths, predictions, self._names, len(categories)),
            coco.OBJECTS,
            partial(precision_scores, categories=categories),
            partial(zero_scores, categories=categories),
        )
        result = replace(parts.result(), notes=self._notes(len(predictions.image)))
        units = Units(tuple(self._names), tuple(self._scenes))
        return Assessment(result, parts, units, categories, partial(_confusion, truths, predictions, categories))

    def _notes(self, found: int) -> tuple[str, ...]:
        notes = []
        if not self._names:
            notes.append("the ground truth holds no frames")
        if self._missing:
            total = len(self._names)
            notes.append(f"{self._missing} of {total} images have no predictions; they count as images with none found")
        if self._foreign:
            notes.append(f"{self._foreign} frames of the predictions are not in the ground truth; they are left out")
        if not found:
            notes.append("there are no predicted boxes of the evaluated categories")
        return tuple(notes)


def evaluate_detection(
    truth: BoxTable | Iterable[Frame], predictions: BoxTable | Iterable[Frame], *, config: EvalConfig | None = None
) -> Result:
    """Score predicted boxes against true ones.

    Args:
        truth: The ground truth, a table or frames; its frames are the images evaluated.
        predictions: Predictions likewise, each with a score.
        config: Categories and names; the task's own by default.

    Returns:
        Twelve metrics in percent, by category and OVERALL. A category without countable objects has NaN and does not
        enter OVERALL; everything is 0 where there are objects but no predictions.

    Raises:
        LabelError: See :meth:`DetectionEvaluator.process`.
    """
    evaluator = DetectionEvaluator(config)
    evaluator.process(_table(truth, "ground truth"), _table(predictions, "predictions"))
    # the evaluator has taken what it needs; for millions of boxes the rest is worth freeing
    del truth, predictions
    return evaluator.evaluate()


def _table(data: BoxTable | Iterable[Frame], source: str) -> BoxTable:
    return data if isinstance(data, BoxTable) else table_from_frames(data, source)


def _select(table: BoxTable, images: Ints, config: EvalConfig, scored: bool = False) -> Boxes:
    """Translate the categories of a table and keep the boxes that are evaluated.

    Args:
        table: Labels.
        images: int64 (F,): image of each frame, -1 for a frame to leave out.
        config: Categories and names.
        scored: Whether each box must have a score.
    """
    meanings = [config.meaning(name) for name in table.category_names]
    unknown = [index for index, meaning in enumerate(meanings) if meaning is None]
    if unknown:
        row = int(np.argmax(np.isin(table.category, unknown)))
        name = table.category_names[int(table.category[row])]
        raise LabelError(f"{table.where(row)}: {unknown_category(name, config)}")
    indices = [-1 if m is None or m.category is None else m.category for m in meanings]
    ignoring = [m is not None and m.ignored for m in meanings]
    category = np.array(indices, dtype=np.int64)[table.category] if indices else table.category.astype(np.int64)
    ignored = np.array(ignoring, dtype=np.bool_)[table.category] if indices else table.ignored
    image = images[table.frame] if len(images) else table.frame.astype(np.int64)
    keep = table.has_box & (category >= 0) & (image >= 0)
    if scored and (lacking := keep & np.isnan(table.scores)).any():
        raise LabelError(f"{table.where(int(np.argmax(lacking)))}: score is missing; every prediction needs one")
    x1, y1, x2, y2 = table.boxes[keep].T
    return Boxes(
        image[keep],
        category[keep],
        np.stack([x1, y1, x2 - x1 + 1, y2 - y1 + 1], axis=1),
        table.scores[keep],
        (table.crowd | table.ignored | ignored)[keep],
    )


def _concatenate(parts: Sequence[Boxes]) -> Boxes:
    if not parts:
        none = np.empty(0, np.int64)
        return Boxes(none, none, np.empty((0, 4)), np.empty(0), np.empty(0, np.bool_))
    if len(parts) == 1:
        return parts[0]
    columns = zip(*((p.image, p.category, p.xywh, p.scores, p.crowd) for p in parts), strict=True)
    return Boxes(*(np.concatenate(column) for column in columns))


def _matches(truths: Boxes, predictions: Boxes, names: Sequence[str], kinds: int) -> coco.Matches:
    """Match every prediction; the order of images' names decides between those of equal score."""
    truth_groups = truths.image * kinds + truths.category
    order = np.argsort(truth_groups, kind="stable")
    truths, truth_groups = truths.take(order), truth_groups[order]
    groups = predictions.image * kinds + predictions.category
    order = np.lexsort((-predictions.scores, groups))
    rank = coco.ranks(groups[order])
    order, rank = order[rank < coco.OBJECTS.max_detections[-1]], rank[rank < coco.OBJECTS.max_detections[-1]]
    predictions, groups = predictions.take(order), groups[order]

    ignored = coco.outside_areas(_areas(truths), coco.OBJECTS) | truths.crowd[:, None]
    outcomes = _outcomes(predictions, groups, truths, truth_groups, ignored)
    labelled = np.bincount(truth_groups, minlength=len(names) * kinds).reshape(len(names), kinds) > 0
    by_name = np.argsort(coco.places(names)[predictions.image], kind="stable")
    return coco.Matches(
        predictions.image[by_name],
        predictions.category[by_name],
        rank[by_name],
        predictions.scores[by_name],
        outcomes[by_name],
        coco.count_objects(truths.image, truths.category, ignored, len(names), kinds),
        labelled,
    )


def _confusion(truths: Boxes, predictions: Boxes, categories: Sequence[str], threshold: float) -> list[Confusion]:
    """Match boxes of whatever category, those of higher score first, at an overlap of one half.

    Crowds and ignored regions are left out, and so are predictions that lie in one and match nothing else.
    """
    predictions = predictions.take(predictions.scores >= threshold)
    predictions = predictions.take(np.lexsort((-predictions.scores, predictions.image)))
    truths = truths.take(np.argsort(truths.image, kind="stable"))
    first, last = pair_ranges(predictions.image, truths.image)
    taken = np.zeros(len(truths.image), np.bool_)
    match = np.full(len(predictions.image), -1, np.int64)
    aside = np.zeros(len(predictions.image), np.bool_)
    for start, end in pairwise(chunk_bounds(predictions.image, last - first, _PAIRS)):
        run, low, high = slice(start, end), int(first[start]), int(last[end - 1])
        pairs = find_candidates(
            predictions.xywh[run], first[run] - low, last[run] - low, truths.xywh[low:high], truths.crowd[low:high]
        )
        order = np.lexsort((-pairs.overlap, pairs.detection))
        detections, objects = (pairs.detection[order] + start).tolist(), (pairs.truth[order] + low).tolist()
        for detection, index in zip(detections, objects, strict=True):
            if truths.crowd[index]:
                aside[detection] = True
            elif match[detection] < 0 and not taken[index]:
                match[detection], taken[index] = index, True
    return [_tabulate(truths, predictions, match, taken, aside, categories)]


def _tabulate(
    truths: Boxes, predictions: Boxes, match: Ints, taken: Bools, aside: Bools, categories: Sequence[str]
) -> Confusion:
    """Count the pairs of ``match`` (predictions,), what is missed, and what matches nothing and is not ``aside``."""
    kinds = len(categories)
    hit, wrong = match >= 0, (match < 0) & ~aside
    missed = ~taken & ~truths.crowd
    rows = np.concatenate([truths.category[match[hit]], np.full(int(wrong.sum()), kinds), truths.category[missed]])
    columns = np.concatenate(
        [predictions.category[hit], predictions.category[wrong], np.full(int(missed.sum()), kinds)]
    )
    counts = np.bincount(rows * (kinds + 1) + columns, minlength=(kinds + 1) ** 2).reshape(kinds + 1, kinds + 1)
    names = (*categories, BACKGROUND)
    return Confusion("boxes, matched at an overlap of 0.5 whatever their category", names, names, counts)


def _areas(boxes: Boxes) -> Floats:
    areas: Floats = boxes.xywh[:, 2] * boxes.xywh[:, 3]
    return areas


def _outcomes(predictions: Boxes, groups: Ints, truths: Boxes, truth_groups: Ints, ignored: Bools) -> coco.Outcomes:
    """Match predictions, sorted by group and falling score, a run of groups at a time; uint8 (D, A, T)."""
    outside = coco.outside_areas(_areas(predictions), coco.OBJECTS)
    first, last = pair_ranges(groups, truth_groups)
    outcomes = np.empty((*outside.shape, len(coco.IOU_THRESHOLDS)), np.uint8)
    bounds = chunk_bounds(groups, last - first, _PAIRS)
    for start, end in pairwise(bounds):
        run, low, high = slice(start, end), int(first[start]), int(last[end - 1])
        candidates = find_candidates(
            predictions.xywh[run], first[run] - low, last[run] - low, truths.xywh[low:high], truths.crowd[low:high]
        )
        outcomes[run] = coco.match(candidates, groups[run], outside[run], ignored[low:high], truths.crowd[low:high])
    return outcomes
