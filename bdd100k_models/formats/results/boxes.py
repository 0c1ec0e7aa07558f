"""Boxes: ``det.json``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from bdd100k_models.formats.frames import frame_writer
from bdd100k_models.formats.results.base import ResultFormat
from bdd100k_models.formats.scalabel import Box2D, Frame, Label


class DetectionRecord(msgspec.Struct, gc=False):
    """The boxes of one image.

    Attributes:
        boxes: Inclusive corners in pixels, four numbers a box: x1, y1, x2, y2.
        scores: Confidence of each box, 0 to 1.
        classes: Index of each box's category in the task's order.
    """

    boxes: list[tuple[float, float, float, float]]
    scores: list[float]
    classes: list[int]


class DetectionFormat(ResultFormat):
    """Boxes, in one file."""

    record_type = DetectionRecord
    paths = {"json": "det.json"}
    defaults = ("json",)

    def encode(self, samples: Sequence[Mapping[str, Any]]) -> DetectionRecord:
        """Turn predicted instances into a record.

        Args:
            samples: One, whose ``pred_instances`` hold ``bboxes`` (n, 4; exclusive corners in pixels of the original
                image), ``scores`` (n,) and ``labels`` (n,) as tensors on any device.

        Returns:
            Boxes by category, then by the model's own order; corners inclusive, so one pixel less in x2 and y2.
        """
        (sample,) = samples
        instances = sample["pred_instances"]
        boxes = instances["bboxes"].detach().float().cpu().numpy().astype(np.float64)
        scores = instances["scores"].detach().float().cpu().numpy().astype(np.float64)
        classes = instances["labels"].detach().cpu().numpy()
        order = np.argsort(classes, kind="stable")
        boxes[:, 2:] -= 1
        return DetectionRecord(
            boxes=boxes[order].tolist(), scores=scores[order].tolist(), classes=classes[order].tolist()
        )

    def empty(self, size: tuple[int, int]) -> DetectionRecord:
        """Return a record without boxes."""
        return DetectionRecord(boxes=[], scores=[], classes=[])

    def write(self, records: Iterable[tuple[str, Any]], out_dir: Path) -> int:
        """Write ``det.json``; ids count from 1 through the whole file, as the published tool wrote them."""
        count = 0
        with frame_writer(self.result_path(out_dir)) as add:
            for name, record in records:
                add(Frame(name=name, labels=box_labels(record, self.task.categories, first_id=count + 1)))
                count += len(record.boxes)
        return count

    def raw(self, record: DetectionRecord) -> list[npt.NDArray[np.float32]]:
        """Return one float32 array (n, 5: x1, y1, x2, y2 exclusive, score) a category."""
        rows = np.array([(*box, score) for box, score in zip(record.boxes, record.scores, strict=True)], np.float64)
        rows = rows.reshape(-1, 5)
        rows[:, 2:4] += 1
        classes = np.asarray(record.classes, dtype=np.int64)
        return [rows[classes == index].astype(np.float32) for index in range(len(self.task.categories))]


def box_labels(record: DetectionRecord, categories: Sequence[str], first_id: int) -> list[Label]:
    """Return one label a box, with ids counted from ``first_id``."""
    return [
        Label(id=str(first_id + index), score=score, category=categories[class_index], box2d=Box2D(*box))
        for index, (box, score, class_index) in enumerate(zip(record.boxes, record.scores, record.classes, strict=True))
    ]
