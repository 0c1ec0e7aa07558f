"""Instances with masks, read from the labels as downloaded, for OpenMMLab's training loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks
from mmengine.registry import DATASETS, TRANSFORMS

from bdd100k_models.datasets.class_names import ClassNamingDataset
from bdd100k_models.datasets.segments import Segment, SegmentDataset, load_segments
from bdd100k_models.tasks import TASKS


@DATASETS.register_module()
class BDD100KInsSegDataset(ClassNamingDataset, SegmentDataset):
    """The 10K images and the masks of their objects; see :class:`SegmentDataset` for the forms of labels."""

    task = TASKS["ins_seg"]
    METAINFO = {"classes": task.categories, "palette": task.palette}


@TRANSFORMS.register_module()
class LoadInstanceLabels(BaseTransform):  # type: ignore[misc]
    """Reads the instances of an image, from whichever form the labels have.

    Needs ``img_shape`` and what :class:`BDD100KInsSegDataset` lists; adds what :func:`add_instances` does.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """Add the instances.

        Returns:
            The results, or None for an image without instances that is to be skipped, whereupon the data set takes
            another.

        Raises:
            MissingFileError: The bitmask is not there.
            LabelError: The labels are broken, or have another size than the image.
        """
        size = tuple(results["img_shape"][:2])
        segments = load_segments(results, TASKS["ins_seg"], size, results.get("class_names", ()))
        if not segments and results.get("skip_empty"):
            return None
        add_instances(results, segments, [segment.category for segment in segments])
        return results


def add_instances(results: dict[str, Any], segments: Sequence[Segment], labels: Sequence[int]) -> None:
    """Add instances to what a pipeline knows of an image.

    Adds ``gt_bboxes`` (n, 4; exclusive corners in pixels), ``gt_bboxes_labels`` int64 (n,), ``gt_ignore_flags`` bool
    (n,) and ``gt_masks``, n bitmaps of the image's size.

    Args:
        results: The pipeline's dict, with ``img_shape``.
        segments: The instances.
        labels: The class of each, as the model counts them.
    """
    height, width = results["img_shape"][:2]
    boxes = torch.tensor([segment.box for segment in segments], dtype=torch.float32).reshape(-1, 4)
    results["gt_bboxes"] = HorizontalBoxes(boxes)
    results["gt_bboxes_labels"] = np.array(labels, np.int64)
    results["gt_ignore_flags"] = np.array([segment.ignored for segment in segments], np.bool_)
    results["gt_masks"] = BitmapMasks([segment.mask.astype(np.uint8) for segment in segments], height, width)
