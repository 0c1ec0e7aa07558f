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
from bdd100k_models.tasks import Task
from bdd100k_models.visualization import tags  # noqa: F401 (registers how its records are drawn)
from bdd100k_models.visualization.records import draw_record

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

    def _draw(self, index: int, record: Any) -> None:
        item = self.images.items[index]
        pixels, _ = read_image(item.path)
        draw_record(record, pixels, self.task, self.threshold)
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
