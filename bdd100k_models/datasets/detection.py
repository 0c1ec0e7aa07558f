"""Boxes of the detection task, read as downloaded, for OpenMMLab's training loop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmdet.datasets.base_det_dataset import BaseDetDataset
from mmengine.registry import DATASETS

from bdd100k_models.datasets.categories import canonical_category, is_ignored, unknown_category
from bdd100k_models.errors import LabelError
from bdd100k_models.formats.coco import load_any_frames
from bdd100k_models.formats.scalabel import Frame
from bdd100k_models.tasks import IMAGE_SIZE, TASKS

_MIN_SIDE = 1.0  # pixels; mmdet's COCO reader drops smaller boxes too


@DATASETS.register_module()
class BDD100KDetDataset(BaseDetDataset):  # type: ignore[misc]
    """Images and boxes of the detection task.

    ``ann_file`` is Scalabel JSON (a list, or a dict with ``frames``), a folder of such files, or COCO JSON. Boxes
    become ``(x1, y1, x2 + 1, y2 + 1)``, since the files' corners are inclusive; ``crowd``, ``ignored`` and the
    official ``ignored_mapping`` set ``ignore_flag``. Frames without ``labels`` are images without boxes.

    Raises:
        LabelError: A label has a category that the class list does not know.
        MissingFileError: The label file is not there.
    """

    METAINFO = {"classes": TASKS["det"].categories, "palette": TASKS["det"].palette}

    def load_data_list(self) -> list[dict[str, Any]]:
        """Read the label file into mmengine's records.

        Returns:
            One dict an image: ``img_path``, ``img_id``, ``width``, ``height`` (pixels) and ``instances``, each with
            ``bbox`` (four floats, exclusive corners), ``bbox_label`` (index of the class) and ``ignore_flag`` (0 or 1).
        """
        label_file = Path(self.ann_file)
        label_of = {name: index for index, name in enumerate(self._metainfo["classes"])}
        # the metric reads the same file again
        self._metainfo["ann_file"] = str(label_file)
        self._metainfo["image_dir"] = str(self.data_prefix["img"])
        records = []
        for image_id, frame in enumerate(load_any_frames(label_file)):
            height, width = (frame.size.height, frame.size.width) if frame.size else IMAGE_SIZE
            records.append(
                {
                    "img_path": str(Path(self.data_prefix["img"]) / frame.name),
                    "img_id": image_id,
                    "name": frame.name,
                    "height": height,
                    "width": width,
                    "instances": instances_of_frame(frame, label_of, (width, height), label_file),
                }
            )
        if not records:
            raise LabelError(f"{label_file}: holds no frames; check that it is the label file of the split")
        return records

    def filter_data(self) -> list[dict[str, Any]]:
        """Drop images that ``filter_cfg`` excludes: without any box, or with a side below ``min_size`` pixels."""
        if self.test_mode or not self.filter_cfg:
            return list(self.data_list)
        skip_empty = self.filter_cfg.get("filter_empty_gt", False)
        min_size = self.filter_cfg.get("min_size", 0)
        kept = [
            record
            for record in self.data_list
            if min(record["width"], record["height"]) >= min_size and (record["instances"] or not skip_empty)
        ]
        if not kept:
            raise LabelError(f"{self.ann_file}: no image has a box of the classes; training needs labelled images")
        return kept


def instances_of_frame(
    frame: Frame, label_of: dict[str, int], size: tuple[int, int], label_file: Path
) -> list[dict[str, Any]]:
    """Return the boxes of a frame as OpenMMLab's data sets have them.

    Args:
        frame: The frame; labels without a box are left out.
        label_of: Number of each class.
        size: Width and height of the image in pixels. Boxes outside it are left out, as are those too small to learn.
        label_file: Where the frame stands, for errors.

    Returns:
        One dict a box: ``bbox`` (exclusive corners), ``bbox_label`` and ``ignore_flag``.

    Raises:
        LabelError: A category is unknown.
    """
    instances = []
    for label in frame.labels or ():
        if label.box2d is None:
            continue
        category, ignored = canonical_category(label.category, label_of)
        if category not in label_of:
            raise unknown_category(f"{label_file}: frame {frame.name}", label.id, label.category, label_of)
        box = label.box2d
        corners = [box.x1, box.y1, box.x2 + 1, box.y2 + 1]
        visible_width = min(corners[2], size[0]) - max(corners[0], 0)
        visible_height = min(corners[3], size[1]) - max(corners[1], 0)
        if visible_width <= 0 or visible_height <= 0:
            continue
        if corners[2] - corners[0] < _MIN_SIDE or corners[3] - corners[1] < _MIN_SIDE:
            continue
        instances.append(
            {
                "bbox": corners,
                "bbox_label": label_of[category],
                "ignore_flag": int(ignored or is_ignored(label)),
            }
        )
    return instances
