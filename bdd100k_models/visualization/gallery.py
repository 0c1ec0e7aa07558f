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
from bdd100k_models.visualization import instances, pose, semantic, tags  # noqa: F401 (register drawing)
from bdd100k_models.visualization.drawing import Pixels
from bdd100k_models.visualization.movie import Movie
from bdd100k_models.visualization.records import draw_record
from bdd100k_models.visualization.tracks import Trails, draw_trails

_WAITING = 8  # pictures that may wait to be drawn; bounds the memory


class Gallery:
    """Draws each result over its image and writes it under the image's name; of videos also a movie each.

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
        self._trails = Trails()
        self._movie: Movie | None = None
        self._video: str | None = None

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
        if item.video is not None:
            draw_trails(pixels, self._trails.add(record, item.video, self.threshold))
            self._film(item.video, pixels)
        _, encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 92])
        write_bytes(self.folder / Path(item.name).with_suffix(".jpg"), encoded.tobytes())

    def _film(self, video: str, pixels: Pixels) -> None:
        """Append a picture to its video's movie."""
        if self._movie is None or video != self._video:
            self._end_movie()
            self._video, self._movie = video, Movie(self.folder / f"{video}.mp4")
        self._movie.add(pixels)

    def _end_movie(self, *problem: Any) -> None:
        if self._movie is not None:
            self._movie.__exit__(*problem or (None, None, None))
        self._movie = None

    def __enter__(self) -> Gallery:
        """Return self."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for the last pictures; a movie that an error cut short is dropped."""
        self._pool.shutdown(wait=True)
        if error is None:
            for future in self._waiting:
                future.result()
        self._end_movie(kind, error, trace)
