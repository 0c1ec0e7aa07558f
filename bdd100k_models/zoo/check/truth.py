"""The labels of the validation set that a contribution is measured with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from bdd100k_models.errors import MissingFileError
from bdd100k_models.evaluation.frames import load_texts
from bdd100k_models.formats.folders import files_below, holds_json
from bdd100k_models.paths import exists
from bdd100k_models.tasks import Task

_SPLIT = "val"


@dataclass(frozen=True)
class Truth:
    """Labels and the images they are for.

    Attributes:
        labels: File or folder.
        images: Name of each image; in the tasks of tracking below its video's.
        are_files: Whether the labels are PNG files, which have other suffixes than the images.
    """

    labels: Path
    images: list[str]
    are_files: bool

    @cached_property
    def names(self) -> set[str]:
        """Names of images and videos, without suffixes."""
        paths = [PurePosixPath(image) for image in self.images]
        return {part for path in paths for part in (*path.parts[:-1], path.stem)}


def find_truth(task: Task, data_root: Path | None, given: Path | None) -> Truth | None:
    """Return the labels of the validation set, or None if neither they nor the data set's folder are named.

    Labels in JSON are preferred to PNG files, since predictions are handed in as JSON.

    Raises:
        MissingFileError: They are not where they should be.
        LabelError: They cannot be read.
    """
    if given is not None:
        return _read(task, given)
    if data_root is None:
        return None
    places = [data_root / path for path in task.label_paths(_SPLIT)]
    there = [path for path in places if exists(path)]
    if not there:
        named = " or ".join(str(path) for path in places)
        raise MissingFileError(f"{named}: there are no labels of {task.name}; name them with --labels")
    # False sorts first: a JSON file, or a folder of them
    return _read(task, min(there, key=lambda path: not holds_json(path)))


def _read(task: Task, path: Path) -> Truth:
    if not holds_json(path):
        files = [file.as_posix() for file in files_below(path, ".png")]
        if not files:
            raise MissingFileError(f"{path}: holds neither JSON nor PNG labels; name the labels of {_SPLIT}")
        return Truth(path, files, are_files=True)
    texts = load_texts(path)
    names = zip(texts.videos, texts.names, strict=True)
    return Truth(path, [f"{video}/{name}" if task.videos else name for video, name in names], are_files=False)
