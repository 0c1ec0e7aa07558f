"""Tags of whole images: ``tagging.json``, and ``preds.json`` and ``results.json`` as the original wrote them."""

from __future__ import annotations

import contextlib
from array import array
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from bdd100k_models.errors import ConfigError
from bdd100k_models.formats.coco import load_any_frames
from bdd100k_models.formats.files import write_bytes
from bdd100k_models.formats.frames import frame_writer
from bdd100k_models.formats.results.base import ResultFormat
from bdd100k_models.formats.scalabel import Frame
from bdd100k_models.tasks import TAGS, Task

_TOP = 5


class TagRecord(msgspec.Struct, gc=False):
    """What a model says of one image.

    Attributes:
        tag: Which tag it is about.
        scores: A probability for each of the tag's values, summing to 1; empty for an image that could not be read.
    """

    tag: str
    scores: list[float]

    @property
    def value(self) -> str | None:
        """The most probable value, or None for an image that could not be read."""
        return TAGS[self.tag][int(np.argmax(self.scores))] if self.scores else None


class _Predictions(msgspec.Struct):
    """The columns of ``preds.json``, in the data set's order; null where an image could not be read."""

    class_scores: list[list[float]]
    pred_score: list[float | None]
    pred_label: list[int | None]
    pred_class: list[str | None]


class TaggingFormat(ResultFormat):
    """One tag an image.

    Args:
        task: The task.
        outputs: See :class:`ResultFormat`.
        tag: Which tag the model predicts.

    Raises:
        ConfigError: There is no such tag.
    """

    record_type = TagRecord
    paths = {"json": "tagging.json", "preds": "preds.json"}
    defaults = ("json", "preds")

    def __init__(self, task: Task, outputs: Collection[str] | None = None, *, tag: str) -> None:
        super().__init__(task, outputs)
        if tag not in TAGS:
            raise ConfigError(f"test_evaluator.format.tag: there is no tag {tag!r}; the tags are {', '.join(TAGS)}")
        self.tag = tag

    def encode(self, samples: Sequence[Mapping[str, Any]]) -> TagRecord:
        """Turn a prediction into a record.

        Args:
            samples: One, whose ``pred_score`` is a tensor (classes,) of probabilities.

        Raises:
            ConfigError: The model has another number of classes than the tag has values.
        """
        (sample,) = samples
        scores = sample["pred_score"].detach().float().cpu().tolist()
        if len(scores) != len(TAGS[self.tag]):
            raise ConfigError(
                f"the model has {len(scores)} classes, but {self.tag} has {len(TAGS[self.tag])} values; "
                "set num_classes of its head or backbone"
            )
        return TagRecord(tag=self.tag, scores=scores)

    def empty(self, size: tuple[int, int]) -> TagRecord:
        """Return a record that says nothing."""
        return TagRecord(tag=self.tag, scores=[])

    def write(self, records: Iterable[tuple[str, Any]], out_dir: Path) -> int:
        """Write the chosen files; what ``preds.json`` needs is kept meanwhile, eight numbers an image.

        Returns:
            How many images have a tag.
        """
        columns = array("d")
        with contextlib.ExitStack() as stack:
            add = stack.enter_context(frame_writer(out_dir / self.paths["json"])) if "json" in self.outputs else None
            for name, record in records:
                if add is not None:
                    add(Frame(name=name, attributes={self.tag: record.value} if record.scores else {}, labels=[]))
                columns.extend(record.scores or [np.nan] * len(TAGS[self.tag]))
        scores = np.frombuffer(columns, np.float64).reshape(-1, len(TAGS[self.tag]))
        if "preds" in self.outputs:
            write_bytes(out_dir / self.paths["preds"], msgspec.json.encode(_predictions(scores, self.tag)))
        return int(np.isfinite(scores[:, 0]).sum())

    def raw(self, record: TagRecord) -> npt.NDArray[np.float32]:
        """Return the probabilities, float32 (classes,)."""
        return np.array(record.scores, np.float32)

    def write_scores(self, records: Iterable[tuple[str, Any]], truth: Path, out_dir: Path) -> None:
        """Write ``results.json``: the original's own metrics, in percent.

        Images without the tag in the ground truth, or that could not be read, are left out; without any other image
        nothing is written.
        """
        labels = {frame.name: (frame.attributes or {}).get(self.tag) for frame in load_any_frames(truth)}
        rows = [
            (record.scores, TAGS[self.tag].index(labels[name]))
            for name, record in records
            if record.scores and labels.get(name) in TAGS[self.tag]
        ]
        if not rows:
            return
        summary = classification_scores(np.array([row[0] for row in rows]), np.array([row[1] for row in rows]))
        write_bytes(out_dir / "results.json", msgspec.json.encode(summary))


def _predictions(scores: npt.NDArray[np.float64], tag: str) -> _Predictions:
    known = np.isfinite(scores[:, 0])
    labels = [int(np.argmax(row)) if ok else None for row, ok in zip(scores, known, strict=True)]
    return _Predictions(
        class_scores=[row.tolist() if ok else [] for row, ok in zip(scores, known, strict=True)],
        pred_score=[float(row.max()) if ok else None for row, ok in zip(scores, known, strict=True)],
        pred_label=labels,
        pred_class=[None if label is None else TAGS[tag][label] for label in labels],
    )


def classification_scores(scores: npt.NDArray[np.float64], truth: npt.NDArray[np.int64]) -> dict[str, float]:
    """Return the metrics of the original's ``results.json``.

    Args:
        scores: Probabilities (images, classes).
        truth: Index of the true class (images,).

    Returns:
        Percentages: ``accuracy_top-1``, ``accuracy_top-5``, and ``precision``, ``recall`` and ``f1_score``, each the
        mean over all classes, where a class that does not occur counts as 0. All 0 without images.
    """
    count, classes = scores.shape
    order = np.argsort(-scores, axis=1, kind="stable")
    hits = order == truth[:, None]
    confusion = np.zeros((classes, classes))
    np.add.at(confusion, (truth, order[:, 0]), 1)
    right = np.diag(confusion)
    precision = right / np.maximum(confusion.sum(axis=0), 1)
    recall = right / np.maximum(confusion.sum(axis=1), 1)
    f1 = 2 * precision * recall / np.maximum(precision + recall, np.finfo(np.float32).eps)
    return {
        "accuracy_top-1": 100.0 * float(hits[:, :1].sum()) / max(count, 1),
        "accuracy_top-5": 100.0 * float(hits[:, :_TOP].sum()) / max(count, 1),
        "precision": 100.0 * float(precision.mean()),
        "recall": 100.0 * float(recall.mean()),
        "f1_score": 100.0 * float(f1.mean()),
    }
