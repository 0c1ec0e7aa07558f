"""What a prediction run writes: Scalabel JSON and masks of each model, pictures and films of all together."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from bdd100k_models.engine.test import format_of
from bdd100k_models.errors import InputError
from bdd100k_models.formats.files import make_folder
from bdd100k_models.formats.frames import frame_writer
from bdd100k_models.formats.results.base import IMAGE_OUTPUTS
from bdd100k_models.inference.interruptions import uninterrupted
from bdd100k_models.inference.model import Model
from bdd100k_models.inference.pictures import Picture
from bdd100k_models.inference.results import Result
from bdd100k_models.inference.sources import Source
from bdd100k_models.visualization.backlog import Backlog
from bdd100k_models.visualization.drawing import save_picture
from bdd100k_models.visualization.movie import Movie
from bdd100k_models.visualization.results import draw_results
from bdd100k_models.visualization.tracks import Trails

#: What can be written.
KINDS = ("json", "masks", "pictures")

_JPEG_SIDE = 65_500  # pixels; larger pictures are PNG


@dataclass(frozen=True)
class Prediction:
    """What one model says of a picture.

    Attributes:
        record: What its result format encoded, after the threshold.
        result: The same as a typed result.
    """

    record: Any
    result: Result


class Writers:
    """Writes predictions beside the main thread, so that an interruption leaves only whole files.

    Below the folder: ``MODEL.json``, ``MODEL/masks``, ``MODEL/bitmasks`` or ``MODEL/seg_track`` where the task has such
    files, ``pictures/IMAGE.jpg`` and ``videos/VIDEO.mp4``.

    Args:
        folder: Where everything goes; made if needed.
        models: The models.
        kinds: What to write; some of :data:`KINDS`.
        threshold: Least confidence of a joint that is drawn; what else is written has been chosen before.

    Raises:
        InputError: There is no such kind.
        OutputError: The folder cannot be written.
    """

    def __init__(
        self, folder: Path, models: Sequence[Model], kinds: Collection[str] = KINDS, threshold: float = 0.0
    ) -> None:
        if unknown := [kind for kind in kinds if kind not in KINDS]:
            raise InputError(f"there is no {unknown[0]!r} to write; {', '.join(KINDS)} can be")
        make_folder(folder)
        self.folder, self.kinds, self.threshold = folder, frozenset(kinds), threshold
        self._masks = {model.name: _mask_format(model) for model in models} if "masks" in self.kinds else {}
        self._files = contextlib.ExitStack()
        self._json = {
            model.name: self._files.enter_context(frame_writer(folder / f"{model.name}.json"))
            for model in models
            if "json" in self.kinds
        }
        self._pictures, self._films = picture_folders(folder)
        self._backlog = Backlog()
        self._movie: Movie | None = None
        self._trails: dict[int, Trails] = {}

    def begin(self, source: Source) -> None:
        """Take what follows as pictures of another source."""
        self._backlog.add(self._begin, source)

    def _begin(self, source: Source) -> None:
        self._end_movie()
        self._trails = {}
        if source.rate is not None and "pictures" in self.kinds:
            self._movie = Movie(self._films / f"{source.name}.mp4", source.rate, source.sound)

    def add(self, picture: Picture, predictions: Mapping[str, Prediction]) -> None:
        """Have the predictions on a picture written soon.

        Raises:
            OutputError: Earlier ones could not be written.
        """
        self._backlog.add(self._write, picture, predictions)

    def _write(self, picture: Picture, predictions: Mapping[str, Prediction]) -> None:
        place = f"{picture.video}/{picture.name}" if picture.video else picture.name
        for name, prediction in predictions.items():
            if (mask_format := self._masks.get(name)) is not None:
                mask_format.save_image(place, prediction.record, self.folder / name)
            if name in self._json:
                self._json[name](prediction.result.frame())
        if "pictures" in self.kinds:
            pixels = picture.pixels.copy()
            results = [prediction.result for prediction in predictions.values()]
            draw_results(results, pixels, self.threshold, self._trails, chosen=True)
            if self._movie is not None:
                self._movie.add(pixels, picture.time, picture.aspect)
            else:
                suffix = ".jpg" if max(pixels.shape) < _JPEG_SIDE else ".png"
                save_picture((self._pictures / place).with_suffix(suffix), pixels)

    def _end_movie(self, *problem: Any) -> None:
        movie, self._movie = self._movie, None
        if movie is not None:
            movie.__exit__(*problem or (None, None, None))

    def __enter__(self) -> Writers:
        """Return self."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish the files; after an error, JSON and films, which would not be complete, are dropped.

        Raises:
            KeyboardInterrupt: It came while they were being finished, which they are now.
        """
        with uninterrupted():
            self._finish(kind, error, trace)

    def _finish(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            try:
                self._backlog.__exit__(kind, error, trace)
            except BaseException as problem:
                kind, error, trace = type(problem), problem, problem.__traceback__
                raise
        finally:
            try:
                self._end_movie(kind, error, trace)
            finally:
                self._files.__exit__(kind, error, trace)


def picture_folders(folder: Path) -> tuple[Path, Path]:
    """Return where, below an output folder, pictures and films go."""
    return folder / "pictures", folder / "videos"


def _mask_format(model: Model) -> Any:
    """Return a format that writes the PNG files of a model's task, or None where it has none."""
    outputs = [name for name in IMAGE_OUTPUTS if name in model.format.paths]
    return format_of(model.task, model.config, outputs) if outputs else None
