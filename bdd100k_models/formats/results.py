"""What a prediction becomes on disk: a compact record while a run goes on, the official files at its end.

A format is stateless, so that any rank can encode any image and the merge does not care who did.
"""

from __future__ import annotations

import pickle
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from bdd100k_models.errors import InputError
from bdd100k_models.formats.files import atomic_writer
from bdd100k_models.formats.scalabel import Box2D, Frame, Label
from bdd100k_models.tasks import Task


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


class ResultFormat(ABC):
    """Encodes predictions of one task and writes its official files."""

    record_type: type[msgspec.Struct]

    def __init__(self, task: Task) -> None:
        self.task = task

    @abstractmethod
    def encode(self, sample: Mapping[str, Any]) -> msgspec.Struct:
        """Turn one data sample of the model (as a dict) into a record."""

    @abstractmethod
    def empty(self) -> msgspec.Struct:
        """Return the record of an image without predictions."""

    @abstractmethod
    def labels(self, record: Any, first_id: int) -> list[Label]:
        """Return a record's labels, with ids counted from ``first_id``."""

    @abstractmethod
    def raw(self, record: Any) -> Any:
        """Return a record in the form that OpenMMLab 1.x pickled for ``--out``."""

    @property
    def result_path(self) -> str:
        """The file (below the output folder) that the official evaluation reads."""
        return self.task.result_file

    def write(self, records: Iterable[tuple[str, Any]], out_dir: Path) -> tuple[Path, int]:
        """Write the prediction file in the official form, one frame at a time.

        Ids count from 1 through the whole file, in the order of the frames, as the published tool wrote them.

        Args:
            records: Image name and record of every image, in the data set's order.
            out_dir: Where the file goes.

        Returns:
            The file, and how many labels it holds.

        Raises:
            OutputError: The file cannot be written; an older one is left as it was.
        """
        path = out_dir / self.task.result_file
        encoder = msgspec.json.Encoder()
        count = 0
        with atomic_writer(path) as file:
            file.write(b'{"frames":[')
            for index, (name, record) in enumerate(records):
                labels = self.labels(record, first_id=count + 1)
                count += len(labels)
                file.write(b",\n" if index else b"\n")
                file.write(encoder.encode(Frame(name=name, labels=labels)))
            file.write(b'\n],"groups":null,"config":null}\n')
        return path, count

    def write_pickle(self, records: Iterable[tuple[str, Any]], path: Path) -> None:
        """Write all records as one pickled list, as ``--out`` of OpenMMLab 1.x did; holds them all in memory."""
        results = [self.raw(record) for _, record in records]
        with atomic_writer(path) as file:
            pickle.dump(results, file)


class DetectionFormat(ResultFormat):
    """Boxes: ``det.json``."""

    record_type = DetectionRecord

    def encode(self, sample: Mapping[str, Any]) -> DetectionRecord:
        """Turn predicted instances into a record.

        Args:
            sample: ``pred_instances`` holds ``bboxes`` (n, 4; exclusive corners in pixels of the original image),
                ``scores`` (n,) and ``labels`` (n,) as tensors on any device.

        Returns:
            Boxes by category, then by the model's own order; corners inclusive, so one pixel less in x2 and y2.
        """
        instances = sample["pred_instances"]
        boxes = instances["bboxes"].detach().float().cpu().numpy().astype(np.float64)
        scores = instances["scores"].detach().float().cpu().numpy().astype(np.float64)
        classes = instances["labels"].detach().cpu().numpy()
        order = np.argsort(classes, kind="stable")
        boxes[:, 2:] -= 1
        return DetectionRecord(
            boxes=boxes[order].tolist(), scores=scores[order].tolist(), classes=classes[order].tolist()
        )

    def empty(self) -> DetectionRecord:
        """Return a record without boxes."""
        return DetectionRecord(boxes=[], scores=[], classes=[])

    def labels(self, record: DetectionRecord, first_id: int) -> list[Label]:
        """Return one label a box."""
        names = self.task.categories
        return [
            Label(id=str(first_id + index), score=score, category=names[class_index], box2d=Box2D(*box))
            for index, (box, score, class_index) in enumerate(
                zip(record.boxes, record.scores, record.classes, strict=True)
            )
        ]

    def raw(self, record: DetectionRecord) -> list[npt.NDArray[np.float32]]:
        """Return one float32 array (n, 5: x1, y1, x2, y2 exclusive, score) a category."""
        rows = np.array([(*box, score) for box, score in zip(record.boxes, record.scores, strict=True)], np.float64)
        rows = rows.reshape(-1, 5)
        rows[:, 2:4] += 1
        classes = np.asarray(record.classes, dtype=np.int64)
        return [rows[classes == index].astype(np.float32) for index in range(len(self.task.categories))]


_FORMATS: Mapping[str, type[ResultFormat]] = {"det": DetectionFormat}


def get_format(task: Task) -> ResultFormat:
    """Return the format of a task.

    Raises:
        InputError: The task has none yet.
    """
    if task.name not in _FORMATS:
        raise InputError(f"{task.name} cannot be run here yet; the tasks that can are {', '.join(_FORMATS)}")
    return _FORMATS[task.name](task)
