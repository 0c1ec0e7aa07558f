"""Pictures of predictions, drawn beside the inference so that it need not wait for them."""

from __future__ import annotations

import sys
from pathlib import Path
from types import TracebackType
from typing import Any

from bdd100k_models.datasets.images import ImageItem, ImageSet, read_image
from bdd100k_models.formats.files import keep_originals, make_folder
from bdd100k_models.inference.convert import to_result
from bdd100k_models.tasks import Task
from bdd100k_models.visualization.backlog import Backlog
from bdd100k_models.visualization.drawing import Pixels, save_picture
from bdd100k_models.visualization.movie import Movie
from bdd100k_models.visualization.results import draw_results
from bdd100k_models.visualization.tracks import Trails


def is_drawn(images: ImageSet, index: int, folder: Path) -> bool:
    """Tell whether the picture of an image, and the movie of its video, are in a gallery's folder."""
    item = images.items[index]
    return _place(folder, item).is_file() and (item.video is None or _film(folder, item.video).is_file())


def _place(folder: Path, item: ImageItem) -> Path:
    return folder / Path(item.name).with_suffix(".jpg")


def _film(folder: Path, video: str) -> Path:
    return folder / f"{video}.mp4"


class Gallery:
    """Draws each result over its image and writes it under the image's name; of videos also a movie each.

    Args:
        task: The task.
        images: The run's images.
        folder: Where the pictures go.
        threshold: Least score that is drawn.

    Raises:
        InputError: The images themselves lie there.
        OutputError: The folder cannot be written.
    """

    def __init__(self, task: Task, images: ImageSet, folder: Path, threshold: float) -> None:
        keep_originals(
            (item.path.parent for item in images.items),
            ((folder / item.name).parent for item in images.items),
            "--show-dir",
        )
        make_folder(folder)
        self.task, self.images, self.folder, self.threshold = task, images, folder, threshold
        self._backlog = Backlog()
        self._trails: dict[int, Trails] = {}
        self._movie: Movie | None = None
        self._video: str | None = None

    def add(self, index: int, record: Any) -> None:
        """Have one result drawn soon.

        Raises:
            OutputError: An earlier picture could not be written.
        """
        self._backlog.add(self._draw, index, record)

    def _draw(self, index: int, record: Any) -> None:
        item = self.images.items[index]
        pixels, _ = read_image(item.path)
        size = pixels.shape[0], pixels.shape[1]
        result = to_result(record, self.task, item.name, size, item.video, item.position)
        draw_results([result], pixels, self.threshold, self._trails)
        if item.video is not None:
            self._film(item.video, pixels)
        save_picture(_place(self.folder, item), pixels)

    def _film(self, video: str, pixels: Pixels) -> None:
        """Append a picture to its video's movie."""
        if self._movie is None or video != self._video:
            self._end_movie()
            self._video, self._movie = video, Movie(_film(self.folder, video))
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
        try:
            self._backlog.__exit__(kind, error, trace)
        except BaseException:
            self._end_movie(*sys.exc_info())
            raise
        self._end_movie(kind, error, trace)
