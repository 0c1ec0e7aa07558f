"""Pictures of predictions, drawn beside the inference so that it need not wait for them."""

from __future__ import annotations

import concurrent.futures
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2

from bdd100k_models.datasets.images import ImageSet, read_image
from bdd100k_models.formats.files import make_folder, write_bytes
from bdd100k_models.formats.results import DetectionRecord
from bdd100k_models.tasks import Task
from bdd100k_models.visualization.drawing import Pixels, draw_boxes

_WAITING = 8  # pictures that may wait to be drawn; bounds the memory


class Gallery:
    """Draws each result over its image and writes it under the image's name.

    Args:
        task: The task.
        images: The run's images.
        folder: Where the pictures go.
        threshold: Least score that is drawn.

    Raises:
        OutputError: The folder cannot be written.
    """

    def __init__(self, task: Task, images: ImageSet, folder: Path, threshold: float) -> None:
        make_folder(folder)
        self.task, self.images, self.folder, self.threshold = task, images, folder, threshold
        self._pool = concurrent.futures.ThreadPoolExecutor(max_workers=1)
        self._waiting: deque[concurrent.futures.Future[None]] = deque()

    def add(self, index: int, record: Any) -> None:
        """Have one result drawn soon.

        Raises:
            OutputError: An earlier picture could not be written.
        """
        self._waiting.append(self._pool.submit(self._draw, index, record))
        while len(self._waiting) > _WAITING:
            self._waiting.popleft().result()

    def _draw(self, index: int, record: DetectionRecord) -> None:
        item = self.images.items[index]
        pixels, _ = read_image(item.path)
        draw_record(pixels, record, self.task, self.threshold)
        _, encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 92])
        write_bytes(self.folder / Path(item.name).with_suffix(".jpg"), encoded.tobytes())

    def __enter__(self) -> Gallery:
        """Return self."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for the last pictures."""
        self._pool.shutdown(wait=True)
        if error is None:
            for future in self._waiting:
                future.result()


def draw_record(pixels: Pixels, record: DetectionRecord, task: Task, threshold: float) -> None:
    """Draw the boxes of a record that reach ``threshold`` into an image (blue-green-red, changed in place)."""
    shown = [index for index in range(len(record.boxes)) if record.scores[index] >= threshold]
    shown.sort(key=lambda index: record.scores[index])
    draw_boxes(
        pixels,
        [record.boxes[index] for index in shown],
        [f"{task.categories[record.classes[index]]} {record.scores[index]:.2f}" for index in shown],
        [task.palette[record.classes[index]] for index in shown],
    )
