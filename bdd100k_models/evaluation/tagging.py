"""Image tagging: precision, recall, F1-score and accuracy of each tag, with the numbers of ``scalabel.eval.tagging``.

All of them come from one matrix of confusion a tag. Its last column holds images to which no value was assigned: they
count as right in the official numbers if their whole frame is missing, and as wrong in the strict ones.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from bdd100k_models.errors import LabelError
from bdd100k_models.evaluation.config import EvalConfig
from bdd100k_models.evaluation.frames import FrameTexts, decode_frame, pair_frames
from bdd100k_models.evaluation.parts import Assessment, Confusion, SummedParts, Units
from bdd100k_models.evaluation.result import AVERAGE, Result, task_result
from bdd100k_models.tasks import TAGS

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

#: The metrics, as the official result calls them.
METRICS = ("precision", "recall", "f1_score", "accuracy")

Attributes = Mapping[str, Any]


class _Frame(msgspec.Struct, gc=False):
    attributes: dict[str, Any] | None = None


_DECODER = msgspec.json.Decoder(_Frame)


@dataclass(frozen=True)
class TagScores:
    """The scores of one tag, from 0 to 1.

    Attributes:
        precision: float64 (values,): NaN for a value that is neither labelled nor predicted, 0 for one that is not
            predicted.
        recall: float64 (values,): likewise, 0 for one that is not labelled.
        f1_score: float64 (values,): likewise.
        means: By metric, the mean over the values that occur; NaN for all but accuracy if only one occurs.
    """

    precision: Floats
    recall: Floats
    f1_score: Floats
    means: dict[str, float]


def tag_scores(confusion: Ints) -> TagScores:
    """Score one tag.

    Args:
        confusion: int64 (values, values + 1): images by true value, and by predicted value or, last, none.

    Returns:
        The scores; NaN everywhere without images.
    """
    right = np.diag(confusion).astype(np.float64)
    predicted, labelled = confusion.sum(axis=0)[:-1], confusion.sum(axis=1)
    occurs = (predicted > 0) | (labelled > 0)
    none = np.where(occurs, 0.0, np.nan)
    precision = np.divide(right, predicted, out=none.copy(), where=predicted > 0)
    recall = np.divide(right, labelled, out=none.copy(), where=labelled > 0)
    total = precision + recall
    f1_score = np.divide(2 * precision * recall, total, out=none.copy(), where=total > 0)
    # the official report leaves the means of a single value out
    several = int(occurs.sum()) > 1
    named = zip(METRICS, (precision, recall, f1_score), strict=False)
    means = {name: float(values[occurs].mean()) if several else float("nan") for name, values in named}
    images = int(confusion.sum())
    means["accuracy"] = float(right.sum()) / images if images else float("nan")
    return TagScores(precision, recall, f1_score, means)


class TaggingEvaluator:
    """Scores image tags, image by image.

    Args:
        tags: The values of each tag to evaluate; all tags of the data set by default.
    """

    def __init__(self, tags: Mapping[str, Sequence[str]] = TAGS) -> None:
        self.tags = {tag: tuple(values) for tag, values in tags.items()}
        self.reset()

    def reset(self) -> None:
        """Forget everything processed."""
        self.confusion = {tag: np.zeros((len(values), len(values) + 1), np.int64) for tag, values in self.tags.items()}
        self._missing = {tag: np.zeros(len(values), np.int64) for tag, values in self.tags.items()}
        self._untagged = dict.fromkeys(self.tags, 0)
        self._rows: list[Ints] = []
        self.images = 0
        self.unlabelled = 0

    def process(
        self,
        truth: Attributes | None,
        prediction: Attributes | None,
        truth_where: str = "ground truth",
        where: str = "prediction",
    ) -> None:
        """Add an image.

        Args:
            truth: Its attributes, with every evaluated tag; None leaves the image out.
            prediction: Its predicted attributes; None where the image is missing from the predictions.
            truth_where: Names the labels, for errors.
            where: Names the predictions, for errors.

        Raises:
            LabelError: A label is missing, or a value is none of the tag's.
        """
        if truth is None:
            self.unlabelled += 1
            self._rows.append(np.full(len(self.tags), -1))
            return
        cells = []
        for tag in self.tags:
            row = self._index(tag, truth, truth_where)
            if row is None:
                raise LabelError(f"{truth_where}: attributes.{tag} is missing; every labelled image needs it")
            cells.append((tag, row, None if prediction is None else self._index(tag, prediction, where)))
        self.images += 1
        self._rows.append(np.array([self._cell(*cell, missing=prediction is None) for cell in cells], np.int64))
        for tag, row, column in cells:
            if prediction is None:
                self._missing[tag][row] += 1
            elif column is None:
                self._untagged[tag] += 1
                self.confusion[tag][row, -1] += 1
            else:
                self.confusion[tag][row, column] += 1

    def _cell(self, tag: str, row: int, column: int | None, *, missing: bool) -> int:
        """Return the place of an image in the flat matrix of a tag; officially, missing images count as right."""
        columns = len(self.tags[tag]) + 1
        return row * columns + (row if missing else columns - 1 if column is None else column)

    def _index(self, tag: str, attributes: Attributes, where: str) -> int | None:
        value = attributes.get(tag)
        if value is None:
            return None
        values = self.tags[tag]
        if value in values:
            return values.index(value)
        near = difflib.get_close_matches(str(value), values, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"the values are {', '.join(values)}"
        raise LabelError(f"{where}: attributes.{tag} is {value!r}; {hint}")

    def evaluate(self, notes: Sequence[str] | None = None) -> Result:
        """Return the scores of everything processed, in percent.

        Args:
            notes: What to tell about missing images; by default how many there were.
        """
        given = self._default_notes() if notes is None else list(notes)
        scored = self._score([self._with_missing(tag, right=True) for tag in self.tags])
        return replace(scored, notes=(*given, *self._surprises()))

    def assess(self, units: Units, notes: Sequence[str] | None = None) -> Assessment:
        """Return the scores, and what was found of each image; see :meth:`evaluate`.

        Args:
            units: The images, in the order of processing.
            notes: What to tell about missing images; by default how many there were.
        """
        sizes = [matrix.size for matrix in self.confusion.values()]
        first = np.cumsum([0, *sizes[:-1]])
        cells = np.stack([np.zeros(len(sizes), np.int64), *self._rows])[1:]
        table = np.zeros((len(cells), sum(sizes)), np.uint8)
        image, tag = np.nonzero(cells >= 0)
        table[image, first[tag] + cells[image, tag]] = 1

        def score(total: Floats) -> Result:
            matrices = np.split(total.astype(np.int64), first[1:])
            return self._score([m.reshape(one.shape) for m, one in zip(matrices, self.confusion.values(), strict=True)])

        categories = tuple(f"{tag}.{value}" for tag, values in self.tags.items() for value in values)
        return Assessment(self.evaluate(notes), SummedParts(table, score), units, categories, self._confusions)

    def _score(self, matrices: Sequence[Ints]) -> Result:
        """Score the matrix of each tag."""
        official = {tag: tag_scores(matrix) for tag, matrix in zip(self.tags, matrices, strict=True)}
        scores: dict[str, list[dict[str, float]]] = {}
        for metric in METRICS:
            groups = [self._rows_of(tag, metric, official[tag]) for tag in self.tags]
            averages = {tag.upper(): 100 * official[tag].means[metric] for tag in self.tags}
            valid = [value for value in averages.values() if not np.isnan(value)]
            scores[metric] = [*groups, averages, {AVERAGE: float(np.mean(valid)) if valid else float("nan")}]
        return task_result("tagging", scores)

    def _confusions(self, threshold: float) -> list[Confusion]:
        return [
            Confusion(f"images by {tag}", values, (*values, "none"), self._with_missing(tag, right=False))
            for tag, values in self.tags.items()
        ]

    def _with_missing(self, tag: str, *, right: bool) -> Ints:
        """Return the matrix of a tag with its missing images, as right or as wrong."""
        matrix = self.confusion[tag].copy()
        if right:
            matrix[:, :-1] += np.diag(self._missing[tag])
        else:
            matrix[:, -1] += self._missing[tag]
        return matrix

    def _rows_of(self, tag: str, metric: str, scores: TagScores) -> dict[str, float]:
        values = np.full(len(self.tags[tag]), np.nan) if metric == "accuracy" else getattr(scores, metric)
        return {f"{tag}.{name}": 100 * float(value) for name, value in zip(self.tags[tag], values, strict=True)}

    def _default_notes(self) -> list[str]:
        if not self.images:
            return ["there are no labelled images"]
        missing = self._count_missing()
        return [f"{missing} of {self.images} images have no predictions; they count as right"] if missing else []

    def _count_missing(self) -> int:
        return int(next(iter(self._missing.values())).sum()) if self._missing else 0

    def _surprises(self) -> list[str]:
        """Return what a reader of these numbers would not expect."""
        notes = []
        if self.unlabelled:
            notes.append(f"{self.unlabelled} images have no attributes in the ground truth; they are left out")
        for tag, count in self._untagged.items():
            if count:
                notes.append(f"{count} predicted frames have no {tag}; it counts as wrong there")
        if self._count_missing():
            for tag in self.tags:
                means = tag_scores(self._with_missing(tag, right=False)).means
                numbers = ", ".join(f"{metric} {100 * means[metric]:.2f}" for metric in METRICS)
                notes.append(f"where missing images count as wrong, {tag} has {numbers}")
        return notes


def evaluate_tagging(truth: Path, result: Path, config: EvalConfig | None = None) -> Result:
    """Score image tags.

    Args:
        truth: Ground truth: Scalabel JSON whose frames have attributes, a file or a folder.
        result: Predictions likewise.
        config: The tags and their values; by default those tags of the data set that the predictions carry.

    Returns:
        Precision, recall and f1_score by value (``weather.clear``) and, with accuracy, by tag and their AVERAGE.

    Raises:
        MissingFileError: A file does not exist.
        LabelError: A file breaks its format, no prediction carries a tag, or a value is unknown.
    """
    return assess_tagging(truth, result, config).result


def assess_tagging(truth: Path, result: Path, config: EvalConfig | None = None) -> Assessment:
    """Score image tags, and keep what was found of each image; see :func:`evaluate_tagging`."""
    pairs = pair_frames(truth, result)
    tags = dict(config.groups) if config is not None else _carried_tags(pairs.result)
    if not tags and pairs.result.texts:
        raise LabelError(f"{result}: no frame has an attribute {', '.join(TAGS)}; tags are written as attributes")
    evaluator = TaggingEvaluator(tags or TAGS)
    for pair in pairs:
        labels = decode_frame(pair.truth, _DECODER, pair.truth_where).attributes
        prediction = None
        if pair.result is not None:
            prediction = decode_frame(pair.result, _DECODER, pair.where).attributes or {}
        evaluator.process(labels, prediction, pair.truth_where, pair.where)
    return evaluator.assess(pairs.units(), pairs.notes("they count as right, as in the official tool"))


def _carried_tags(frames: FrameTexts) -> dict[str, tuple[str, ...]]:
    """Return the tags of the data set that any predicted frame carries, and their values."""
    carried: set[str] = set()
    for index, text in enumerate(frames.texts):
        carried.update(decode_frame(text, _DECODER, frames.where(index)).attributes or ())
    return {tag: values for tag, values in TAGS.items() if tag in carried}
