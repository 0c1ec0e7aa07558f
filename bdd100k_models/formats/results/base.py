"""What all formats share."""

from __future__ import annotations

import pickle
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from bdd100k_models.errors import InputError
from bdd100k_models.formats.files import atomic_writer
from bdd100k_models.tasks import Task

#: Outputs that are a file for each image.
IMAGE_OUTPUTS = ("masks", "bitmasks")


class ResultFormat(ABC):
    """Encodes predictions of one task and writes its official files.

    A format keeps nothing of what it encodes, so any rank can encode any image, and the final merge does not care who
    did.

    Args:
        task: The task.
        outputs: Which of :attr:`paths` to write; :attr:`defaults` where None.

    Attributes:
        record_type: What an image's predictions are encoded to.
        paths: The outputs there are, by name: a file or folder below the output folder.
        defaults: Those that are written when nothing is said.
        frame_indices: Which frame of its video an image is, by name; where that is not said, its place among those of
            the video that are written. Only formats of videos ask.

    Raises:
        InputError: There is no such output.
    """

    record_type: type[msgspec.Struct]
    paths: Mapping[str, str]
    defaults: tuple[str, ...]

    def __init__(self, task: Task, outputs: Collection[str] | None = None) -> None:
        if unknown := [name for name in outputs or () if name not in self.paths]:
            raise InputError(f"{task.name} has no output {unknown[0]!r}; its outputs are {', '.join(self.paths)}")
        self.task = task
        self.outputs = tuple(name for name in self.paths if name in (outputs or self.defaults))
        self.frame_indices: Mapping[str, int] = {}

    @abstractmethod
    def encode(self, samples: Sequence[Mapping[str, Any]]) -> Any:
        """Turn the data samples of one image (as dicts) into a record.

        There is one sample, or for models that look at regions one a region, in their order, and perhaps none.
        """

    @abstractmethod
    def empty(self, size: tuple[int, int]) -> Any:
        """Return the record of an image of ``size`` (height, width in pixels) without predictions."""

    def merge(self, records: Sequence[Any]) -> Any:
        """Return one record for the samples of one image, encoded one by one; by default there is only one."""
        return records[0]

    def save_image(self, name: str, record: Any, out_dir: Path) -> None:  # noqa: B027 (most formats have none)
        """Write the files that belong to one image alone, as soon as it is done.

        Raises:
            OutputError: A file cannot be written.
        """

    @abstractmethod
    def write(self, records: Iterable[tuple[str, Any]], out_dir: Path) -> int:
        """Write the files that hold all images, one image at a time.

        Args:
            records: Image name and record of every image, in the data set's order.
            out_dir: Where the files go.

        Returns:
            How many labels (objects, regions, tags) there are.

        Raises:
            OutputError: A file cannot be written; an older one is left as it was.
        """

    def refuse_foreign(  # noqa: B027 (the evaluation of most tasks leaves out what is of other images)
        self, names: Iterable[str], out_dir: Path, output: str
    ) -> None:
        """Refuse to write beside results with which those of these images could not be scored.

        Args:
            names: The images of the run.
            out_dir: Where the files go.
            output: The output that is to be scored.

        Raises:
            InputError: There are such results.
        """

    def write_scores(  # noqa: B027 (most formats have none)
        self, records: Iterable[tuple[str, Any]], truth: Path, out_dir: Path
    ) -> None:
        """Write the scores that the original wrote beside its predictions, where it did so for this task.

        Args:
            records: See :meth:`write`.
            truth: The labels of the run's images.
            out_dir: Where the file goes.

        Raises:
            LabelError: The labels are broken.
            OutputError: The file cannot be written.
        """

    @abstractmethod
    def raw(self, record: Any) -> Any:
        """Return a record in the form that OpenMMLab 1.x pickled for ``--out``."""

    def pickled(self, results: list[Any]) -> Any:
        """Return what is pickled of what :meth:`raw` made of each image; by default the list itself."""
        return results

    def output_for(self, truth: Path) -> str:
        """Return the output that the official evaluation compares with this ground truth."""
        return next(iter(self.paths))

    def score_file(self, out_dir: Path) -> Path | None:
        """Return the file of scores that the evaluation needs beside the result, if it does."""
        return None

    def result_path(self, out_dir: Path, output: str | None = None) -> Path:
        """Return where an output lies; by default the first that is written."""
        return out_dir / self.paths[output or self.outputs[0]]

    def write_pickle(self, records: Iterable[tuple[str, Any]], path: Path) -> None:
        """Write all records as one pickle, as ``--out`` of OpenMMLab 1.x did; holds them all in memory."""
        results = self.pickled([self.raw(record) for _, record in records])
        with atomic_writer(path) as file:
            pickle.dump(results, file)
