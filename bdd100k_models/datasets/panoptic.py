"""Panoptic segments, read from the labels as downloaded, for OpenMMLab's training loop.

Files number the 40 categories stuff first, from 1. The published models count the 10 things first, then the 30 kinds of
stuff, from 0: their detection head knows things alone, and heads of both parts share one numbering.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.registry import DATASETS, TRANSFORMS

from bdd100k_models.datasets.instances import add_instances
from bdd100k_models.datasets.segments import SegmentDataset, load_segments
from bdd100k_models.errors import ConfigError
from bdd100k_models.formats.results.panoptic import MODEL_CATEGORIES, THINGS
from bdd100k_models.tasks import NO_CLASS, PALETTE, TASKS


@DATASETS.register_module()
class BDD100KPanSegDataset(SegmentDataset):
    """The 10K images and their segments; see :class:`SegmentDataset` for the forms of labels.

    Raises:
        ConfigError: ``metainfo`` names other classes, which the bitmasks and the numbers of the models cannot hold.
    """

    task = TASKS["pan_seg"]
    METAINFO = {
        "classes": MODEL_CATEGORIES,
        "thing_classes": MODEL_CATEGORIES[:THINGS],
        "stuff_classes": MODEL_CATEGORIES[THINGS:],
        "palette": tuple(PALETTE[name] for name in MODEL_CATEGORIES),
    }

    def load_data_list(self) -> list[dict[str, Any]]:
        """List images and where their labels are."""
        for key in ("classes", "thing_classes", "stuff_classes"):
            if tuple(self._metainfo[key]) != self.METAINFO[key]:
                raise ConfigError(
                    f"dataset.metainfo.{key}: panoptic segmentation is trained with the data set's own 40 categories "
                    "alone; leave it out, or train ins_seg or sem_seg with other classes"
                )
        return super().load_data_list()


@TRANSFORMS.register_module()
class LoadPanopticLabels(BaseTransform):  # type: ignore[misc]
    """Reads the segments of an image, from whichever form the labels have.

    Needs ``img_shape`` and what :class:`BDD100KPanSegDataset` lists. Adds the things as instances (see
    :func:`bdd100k_models.datasets.instances.add_instances`), and ``gt_seg_map``, uint8 (height, width): the class of
    each pixel as the models count them, 255 where there is none.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """Add the segments.

        Returns:
            The results, or None for an image without segments that is to be skipped, whereupon the data set takes
            another.

        Raises:
            MissingFileError: The bitmask is not there.
            LabelError: The labels are broken, or have another size than the image.
        """
        task = TASKS["pan_seg"]
        size = tuple(results["img_shape"][:2])
        segments = load_segments(results, task, size)
        if not segments and results.get("skip_empty"):
            return None
        classes = [MODEL_CATEGORIES.index(task.categories[segment.category]) for segment in segments]
        seg_map = np.full(size, NO_CLASS, np.uint8)
        for segment, class_index in zip(segments, classes, strict=True):
            seg_map[segment.mask] = class_index
        things = [place for place, class_index in enumerate(classes) if class_index < THINGS]
        add_instances(results, [segments[place] for place in things], [classes[place] for place in things])
        results["gt_seg_map"] = seg_map
        results.setdefault("seg_fields", []).append("gt_seg_map")
        return results
