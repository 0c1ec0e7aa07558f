"""Instances with masks: ``det.json``, ``score.json`` and bitmasks, or ``ins_seg.json`` with run lengths."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from bdd100k_models.errors import ConfigError
from bdd100k_models.formats import rle
from bdd100k_models.formats.bitmask import SCORES_FILE, write_bitmask
from bdd100k_models.formats.folders import holds_json
from bdd100k_models.formats.frames import frame_writer
from bdd100k_models.formats.results.base import ResultFormat
from bdd100k_models.formats.results.boxes import DetectionFormat, DetectionRecord, box_labels
from bdd100k_models.formats.scalabel import RLE, Frame, Label


class InstanceRecord(DetectionRecord, gc=False):
    """The instances of one image; the place of one in the lists, from 1, is its id in the bitmask.

    Attributes:
        size: Height and width of the image in pixels.
        masks: Run-length counts of what is visible of each; empty where others with higher scores cover all of it.
    """

    size: tuple[int, int]
    masks: list[str]

    def visible(self) -> list[tuple[int, RLE]]:
        """Return the id and the mask of each instance that has a pixel."""
        return [(index, RLE(counts, self.size)) for index, counts in enumerate(self.masks, 1) if counts]


class InstanceFormat(ResultFormat):
    """Instances as the original wrote them: boxes, and a bitmask an image with its scores; on demand as one file."""

    record_type = InstanceRecord
    paths = {"bitmasks": "bitmasks", "boxes": "det.json", "json": "ins_seg.json"}
    defaults = ("bitmasks", "boxes")

    def encode(self, samples: Sequence[Mapping[str, Any]]) -> InstanceRecord:
        """Turn predicted instances into a record.

        A pixel belongs to one instance alone: of those that cover it, that of the highest score (of equal ones the
        later), as the original painted bitmasks.

        Args:
            samples: One, whose ``pred_instances`` hold what boxes need (see :class:`DetectionFormat`) and ``masks``,
                bool (n, height, width) at the image's own size, on any device; and which has ``ori_shape``.

        Returns:
            Instances by category, then by the model's own order.

        Raises:
            ConfigError: The model predicts no masks.
        """
        (sample,) = samples
        instances = sample["pred_instances"]
        if "masks" not in instances:
            raise ConfigError("the model predicts boxes without masks; give its roi_head a mask_head")
        boxes = DetectionFormat(self.task).encode(samples)
        order = np.argsort(instances["labels"].detach().cpu().numpy(), kind="stable")
        height, width = (int(side) for side in sample["ori_shape"][:2])
        visible = rle.encode_labels(paint_instances(instances["masks"], boxes.scores, order, (height, width)))
        return InstanceRecord(
            boxes=boxes.boxes,
            scores=boxes.scores,
            classes=boxes.classes,
            size=(height, width),
            masks=[visible[index].counts if index in visible else "" for index in range(1, len(order) + 1)],
        )

    def empty(self, size: tuple[int, int]) -> InstanceRecord:
        """Return a record without instances."""
        return InstanceRecord(boxes=[], scores=[], classes=[], size=size, masks=[])

    def save_image(self, name: str, record: InstanceRecord, out_dir: Path) -> None:
        """Write the image's bitmask, where it is wanted; its ids count from 1."""
        if "bitmasks" in self.outputs:
            path = (out_dir / self.paths["bitmasks"] / name).with_suffix(".png")
            ids = rle.decode_ids(record.visible(), record.size, name)
            categories = np.array([0, *(index + self.task.first_id for index in record.classes)], np.uint8)
            write_bitmask(path, categories[ids], ids)

    def write(self, records: Iterable[tuple[str, Any]], out_dir: Path) -> int:
        """Write the files of all images that are wanted.

        Ids count from 1 through the whole of ``det.json`` and ``score.json``, as in the original's; ``index`` is the id
        in the bitmask. ``ins_seg.json`` leaves out instances without a visible pixel, which the official tool cannot
        read.
        """
        files = {output: self.paths[output] for output in self.outputs}
        if "bitmasks" in files:
            files["bitmasks"] = SCORES_FILE
        count = 0
        with contextlib.ExitStack() as stack:
            add = {
                output: stack.enter_context(frame_writer(out_dir / file, bare=file == SCORES_FILE))
                for output, file in files.items()
            }
            for name, record in records:
                for output, add_frame in add.items():
                    add_frame(Frame(name=name, labels=self._labels(output, record, count + 1)))
                count += len(record.boxes)
        return count

    def _labels(self, output: str, record: InstanceRecord, first_id: int) -> list[Label]:
        if output == "boxes":
            return box_labels(record, self.task.categories, first_id)
        if output == "bitmasks":
            return [
                Label(id=str(first_id + index), index=index + 1, score=score)
                for index, score in enumerate(record.scores)
            ]
        names, classes, scores = self.task.categories, record.classes, record.scores
        return [
            Label(id=str(index), category=names[classes[index - 1]], score=scores[index - 1], rle=mask)
            for index, mask in record.visible()
        ]

    def raw(self, record: InstanceRecord) -> tuple[list[npt.NDArray[np.float32]], list[list[dict[str, Any]]]]:
        """Return boxes as detection does, and COCO run lengths a category, of what is visible of each instance."""
        masks: list[list[dict[str, Any]]] = [[] for _ in self.task.categories]
        height, width = record.size
        empty = rle.encode(np.zeros(record.size, np.bool_)).counts
        for counts, class_index in zip(record.masks, record.classes, strict=True):
            masks[class_index].append({"size": [height, width], "counts": (counts or empty).encode()})
        return DetectionFormat(self.task).raw(record), masks

    def output_for(self, truth: Path) -> str:
        """Return ``json`` for labels in JSON, else ``bitmasks``."""
        return "json" if holds_json(truth) else "bitmasks"

    def score_file(self, out_dir: Path) -> Path | None:
        """Return the file of the bitmasks' scores."""
        return out_dir / SCORES_FILE


def paint_instances(
    masks: torch.Tensor, scores: Sequence[float], order: npt.NDArray[np.integer[Any]], size: tuple[int, int]
) -> npt.NDArray[np.int32]:
    """Paint masks by ascending score, so that the highest lies on top.

    Args:
        masks: bool (n, height, width), on any device; the painting happens there.
        scores: Score of each instance, in the order of the ids.
        order: The row of ``masks`` that each instance has.
        size: Height and width in pixels, also where there is no mask.

    Returns:
        int32 (height, width): ids from 1, 0 for nothing.
    """
    painted = torch.zeros(size, dtype=torch.int32, device=masks.device)
    for index in np.argsort(scores, kind="stable").tolist():
        painted.masked_fill_(masks[int(order[index])].bool(), index + 1)
    result: npt.NDArray[np.int32] = painted.cpu().numpy()
    return result
