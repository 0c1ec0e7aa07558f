"""Panoptic segments: ``pan_seg.json`` with run lengths, and bitmasks.

Files number the 40 categories stuff first, from 1. The published models count the 10 things first, then the 30 kinds of
stuff, from 0; a segment's number is its class, plus 1000 for each thing that the model found before and with it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import torch

from bdd100k_models import tasks
from bdd100k_models.errors import ConfigError
from bdd100k_models.formats import rle
from bdd100k_models.formats.bitmask import CROWD, IGNORED, OFFICIAL_OBJECTS, write_bitmask
from bdd100k_models.formats.folders import holds_json
from bdd100k_models.formats.frames import frame_writer
from bdd100k_models.formats.results.base import ResultFormat
from bdd100k_models.formats.scalabel import RLE, Frame, Label
from bdd100k_models.runtime.segments import OFFSET
from bdd100k_models.tasks import TASKS

#: How many of the categories are things.
THINGS = len(tasks.THINGS)

#: The categories as the models count them.
MODEL_CATEGORIES = TASKS["pan_seg"].categories[-THINGS:] + TASKS["pan_seg"].categories[:-THINGS]

_VOID = len(MODEL_CATEGORIES)
_STUFF = len(MODEL_CATEGORIES) - THINGS


class PanopticRecord(msgspec.Struct, gc=False):
    """The segments of one image; they do not overlap.

    Attributes:
        size: Height and width in pixels.
        numbers: The model's number of each segment, ascending: its class, and 1000 times the place of a thing among the
            things, best first.
        masks: Where each is.
    """

    size: tuple[int, int]
    numbers: list[int]
    masks: list[RLE]

    @property
    def categories(self) -> list[str]:
        """The category of each segment."""
        return [MODEL_CATEGORIES[number % OFFSET] for number in self.numbers]


class PanopticFormat(ResultFormat):
    """Panoptic segments: run lengths of all images in one file, and one bitmask an image."""

    record_type = PanopticRecord
    paths = {"json": "pan_seg.json", "bitmasks": "bitmasks"}
    defaults = ("json", "bitmasks")

    def encode(self, samples: Sequence[Mapping[str, Any]]) -> PanopticRecord:
        """Turn predicted segments into a record.

        Args:
            samples: One, whose ``pred_panoptic_seg`` holds ``sem_seg``: a segment's number for each pixel, integers (1,
                height, width) at the image's own size, on any device.

        Returns:
            The segments; pixels of the class after the last are of none.

        Raises:
            ConfigError: The model predicts no segments, or a class that the task does not have.
        """
        (sample,) = samples
        if "pred_panoptic_seg" not in sample:
            raise ConfigError("the model predicts no panoptic segments; it needs a panoptic_fusion_head")
        data: torch.Tensor = sample["pred_panoptic_seg"]["sem_seg"]
        numbers = data.detach().to(torch.int32).cpu().numpy()
        found = rle.encode_labels(numbers.reshape(numbers.shape[-2:]))
        if wrong := [number for number in found if number % OFFSET > _VOID]:
            raise ConfigError(
                f"the model predicts class {wrong[0] % OFFSET}, but {self.task.name} has {_VOID} classes; "
                "set num_things_classes and num_stuff_classes of its heads"
            )
        found = {number: mask for number, mask in found.items() if number % OFFSET != _VOID}
        height, width = numbers.shape[-2:]
        return PanopticRecord(size=(height, width), numbers=list(found), masks=list(found.values()))

    def empty(self, size: tuple[int, int]) -> PanopticRecord:
        """Return a record without segments."""
        return PanopticRecord(size=size, numbers=[], masks=[])

    def save_image(self, name: str, record: PanopticRecord, out_dir: Path) -> None:
        """Write the image's bitmask, where it is wanted.

        The id of stuff is that of its category, those of things count from 31. Of more than 100 segments, which the
        official tool cannot count, the things that the model is least sure of are left out; an image without any gets
        the bitmask that the official tool puts in the place of a missing one, since it cannot read an empty one.
        """
        if "bitmasks" not in self.outputs:
            return
        path = (out_dir / self.paths["bitmasks"] / name).with_suffix(".png")
        category_ids = self.task.category_ids
        # stuff has the lowest numbers, and things follow in order of their scores
        chosen = list(zip(record.numbers, record.categories, record.masks, strict=True))[:OFFICIAL_OBJECTS]
        if not chosen:
            ones = np.ones(record.size, np.uint8)
            write_bitmask(path, ones * 0, ones, ones * (CROWD | IGNORED))
            return
        stuff = [(category_ids[category], mask) for number, category, mask in chosen if _is_stuff(number)]
        things = [(category_ids[category], mask) for number, category, mask in chosen if not _is_stuff(number)]
        category_of = np.arange(_STUFF + len(things) + 1, dtype=np.uint8)
        category_of[_STUFF + 1 :] = [category for category, _ in things]
        segments = [*stuff, *((place, mask) for place, (_, mask) in enumerate(things, _STUFF + 1))]
        ids = rle.decode_ids(segments, record.size, name)
        write_bitmask(path, category_of[ids], ids)

    def write(self, records: Iterable[tuple[str, Any]], out_dir: Path) -> int:
        """Write ``pan_seg.json``, where it is wanted; ids are the model's numbers, as the original wrote them."""
        count = 0
        with contextlib.ExitStack() as stack:
            path = out_dir / self.paths["json"]
            add = stack.enter_context(frame_writer(path)) if "json" in self.outputs else None
            for name, record in records:
                if add is not None:
                    add(Frame(name=name, labels=_labels(record)))
                count += len(record.numbers)
        return count

    def raw(self, record: PanopticRecord) -> dict[str, npt.NDArray[np.int32]]:
        """Return the number of each pixel's segment (height, width), 40 where there is none, as ``pan_results``."""
        numbers = rle.decode_ids(zip(record.numbers, record.masks, strict=True), record.size, "record")
        numbers[numbers == 0] = _VOID
        return {"pan_results": numbers}

    def output_for(self, truth: Path) -> str:
        """Return ``json`` for labels in JSON, else ``bitmasks``."""
        return "json" if holds_json(truth) else "bitmasks"


def _is_stuff(number: int) -> bool:
    return number % OFFSET >= THINGS


def _labels(record: PanopticRecord) -> list[Label]:
    return [
        Label(id=str(number), category=category, rle=mask)
        for number, category, mask in zip(record.numbers, record.categories, record.masks, strict=True)
    ]
