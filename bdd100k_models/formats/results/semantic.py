"""A class for each pixel: ``sem_seg.json`` or ``drivable.json``, label masks, and colour maps."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import torch

from bdd100k_models.errors import ConfigError
from bdd100k_models.formats import rle
from bdd100k_models.formats.bitmask import encode_png
from bdd100k_models.formats.files import write_bytes
from bdd100k_models.formats.folders import holds_json
from bdd100k_models.formats.frames import frame_writer
from bdd100k_models.formats.results.base import ResultFormat
from bdd100k_models.formats.scalabel import RLE, Frame, Label
from bdd100k_models.tasks import NO_CLASS, Task


class SemanticRecord(msgspec.Struct, gc=False):
    """The classes of an image's pixels.

    Attributes:
        size: Height and width in pixels.
        classes: Index of each class that occurs, ascending.
        masks: Where each of them is; together they cover every pixel once, or are none for an image that could not be
            read.
    """

    size: tuple[int, int]
    classes: list[int]
    masks: list[RLE]

    def class_map(self) -> npt.NDArray[np.uint8]:
        """Return the class of each pixel, uint8 (height, width); 255 where there is none."""
        return rle.decode_labels(zip(self.classes, self.masks, strict=True), self.size, NO_CLASS, "record")


class SemanticFormat(ResultFormat):
    """A class for each pixel: run lengths of all images in one file, or one mask an image."""

    record_type = SemanticRecord
    defaults = ("json",)

    def __init__(self, task: Task, outputs: Collection[str] | None = None) -> None:
        self.paths = {"json": f"{task.name}.json", "masks": "masks", "colormaps": "colormaps"}
        super().__init__(task, outputs)
        # a byte's every value has a colour; those of no class are black
        self._colours = np.zeros((NO_CLASS + 1, 3), np.uint8)
        self._colours[: len(task.palette)] = np.array(task.palette, np.uint8)[:, ::-1]

    def encode(self, samples: Sequence[Mapping[str, Any]]) -> SemanticRecord:
        """Turn predicted classes into a record.

        Args:
            samples: One, whose ``pred_sem_seg`` holds ``data``: classes as integers (1, height, width) or (height,
                width), at the image's own size, on any device. One byte a pixel leaves that device.

        Raises:
            ConfigError: The model predicts a class that the task does not have.
        """
        (sample,) = samples
        data: torch.Tensor = sample["pred_sem_seg"]["data"]
        classes = data.detach().to(torch.uint8).cpu().numpy()
        classes = classes.reshape(classes.shape[-2:])
        found = rle.encode_labels(classes)
        known = len(self.task.categories)
        if found and max(found) >= known:
            raise ConfigError(
                f"the model predicts class {max(found)}, but {self.task.name} has {known} classes; "
                "set num_classes of its heads"
            )
        height, width = classes.shape
        return SemanticRecord(size=(height, width), classes=list(found), masks=list(found.values()))

    def empty(self, size: tuple[int, int]) -> SemanticRecord:
        """Return a record without any class."""
        return SemanticRecord(size=size, classes=[], masks=[])

    def save_image(self, name: str, record: SemanticRecord, out_dir: Path) -> None:
        """Write the image's mask (8 bits, a class each pixel; 255: none) and colour map, where they are wanted."""
        if not {"masks", "colormaps"} & set(self.outputs):
            return
        classes = record.class_map()
        file = Path(name).with_suffix(".png")
        if "masks" in self.outputs:
            write_bytes(out_dir / self.paths["masks"] / file, encode_png(classes))
        if "colormaps" in self.outputs:
            write_bytes(out_dir / self.paths["colormaps"] / file, encode_png(self._colours[classes]))

    def write(self, records: Iterable[tuple[str, Any]], out_dir: Path) -> int:
        """Write the JSON file, where it is wanted: a label for each class of an image.

        Ids count from 1 through the whole file, as the published tool wrote them.
        """
        count = 0
        with contextlib.ExitStack() as stack:
            path = out_dir / self.paths["json"]
            add = stack.enter_context(frame_writer(path)) if "json" in self.outputs else None
            for name, record in records:
                if add is not None:
                    add(Frame(name=name, labels=self._labels(record, first_id=count + 1)))
                count += len(record.classes)
        return count

    def _labels(self, record: SemanticRecord, first_id: int) -> list[Label]:
        return [
            Label(id=str(first_id + index), category=self.task.categories[class_index], rle=mask)
            for index, (class_index, mask) in enumerate(zip(record.classes, record.masks, strict=True))
        ]

    def output_for(self, truth: Path) -> str:
        """Return ``masks`` for a folder of PNG files, else ``json``."""
        return "json" if holds_json(truth) else "masks"

    def raw(self, record: SemanticRecord) -> npt.NDArray[np.int64]:
        """Return the class of each pixel, int64 (height, width)."""
        return record.class_map().astype(np.int64)
