"""A class for each pixel, read from the labels as downloaded: masks, run lengths or polygons."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from mmcv.transforms import BaseTransform
from mmengine.registry import DATASETS, TRANSFORMS

from bdd100k_models.datasets.categories import nothing_labelled, unknown_category
from bdd100k_models.datasets.class_names import ClassNamingDataset
from bdd100k_models.datasets.images import find_labels_in_any_form, images_of_labels
from bdd100k_models.errors import LabelError
from bdd100k_models.formats.bitmask import check_classes, read_mask
from bdd100k_models.formats.folders import holds_json
from bdd100k_models.formats.regions import paint_regions
from bdd100k_models.formats.scalabel import Frame, Label, load_frames
from bdd100k_models.tasks import NO_CLASS, NOT_EVALUATED, TASKS, Task


class _SemanticDataset(ClassNamingDataset):
    """Images and a class for each of their pixels.

    ``ann_file`` is a folder of masks (PNG, 8 bits, a class each pixel, 255 for none), or Scalabel JSON with run lengths
    or polygons. Where the data set's own masks are named but were not downloaded, its run lengths or polygons are
    taken. ``metainfo`` may name other classes, by which JSON is read; in masks their numbers are their places.

    Raises:
        MissingFileError: There are no labels.
        LabelError: They hold no images; or to train with, they have no label of the classes, or JSON has one of an
            unknown category.
    """

    task: Task

    def load_data_list(self) -> list[dict[str, Any]]:
        """List images and where their labels are.

        Returns:
            One dict an image: ``img_path``; and ``seg_map_path`` of a mask, or ``seg_labels``, a frame with labels.
        """
        labels = find_labels_in_any_form(self.task, Path(self.ann_file), Path(self.data_root or ""))
        folder = Path(self.data_prefix["img"])
        # the metric reads the same file again
        self._metainfo |= {"ann_file": str(labels), "image_dir": str(folder)}
        if not holds_json(labels):
            records = [
                {"img_path": str(item.path), "seg_map_path": str(labels / Path(item.name).with_suffix(".png"))}
                for item in images_of_labels(labels, folder).items
            ]
            # commonly the first mask tells
            if not self.test_mode and not any(_holds_classes(Path(record["seg_map_path"])) for record in records):
                raise nothing_labelled(str(labels))
            return records
        frames = load_frames(labels)
        if not frames:
            raise LabelError(f"{labels}: holds no frames; check that it is the label file of the split")
        if not self.test_mode and not self._is_labelled(frames, labels):
            raise nothing_labelled(str(labels))
        return [
            {"img_path": str(folder / frame.name), "seg_labels": frame, "seg_map_path": str(labels)} for frame in frames
        ]

    def _is_labelled(self, frames: Sequence[Frame], labels: Path) -> bool:
        """Tell whether any label is of a class; refuse unknown categories before any image is read."""
        names = self._metainfo["classes"]
        counted = [_of_classes(frame, self.task, names, f"{labels}: frame {frame.name}") for frame in frames]
        return any(counted)


def _holds_classes(mask: Path) -> bool:
    """Tell whether any pixel of a mask is of a class."""
    return bool((read_mask(mask) != NO_CLASS).any())


@DATASETS.register_module()
class BDD100KSemSegDataset(_SemanticDataset):
    """The 10K images and their 19 classes; pixels without a label count for no class."""

    task = TASKS["sem_seg"]
    METAINFO = {"classes": task.categories, "palette": task.palette}


@DATASETS.register_module()
class BDD100KDrivableDataset(_SemanticDataset):
    """The 100K images and their drivable areas; pixels without a label are background, a class of its own."""

    task = TASKS["drivable"]
    METAINFO = {"classes": task.categories, "palette": task.palette}


@TRANSFORMS.register_module()
class LoadSemanticLabels(BaseTransform):  # type: ignore[misc]
    """Reads the classes of an image's pixels, from whichever form the labels have.

    Needs ``img_shape`` and what :class:`BDD100KSemSegDataset` or :class:`BDD100KDrivableDataset` lists; adds
    ``gt_seg_map``, uint8 (height, width), 255 where no class is trained on.

    Args:
        task: ``sem_seg`` or ``drivable``.
    """

    def __init__(self, task: str) -> None:
        self.task = TASKS[task]

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add the classes.

        Raises:
            MissingFileError: The mask is not there.
            LabelError: The labels are broken, name an unknown category, hold a value that is no class, or have another
                size than the image.
        """
        size = tuple(results["img_shape"][:2])
        frame = results.pop("seg_labels", None)
        where = str(results["seg_map_path"])
        names = results.get("class_names") or self.task.categories
        classes = read_mask(Path(where)) if frame is None else paint_frame(frame, self.task, size, where, names)
        if classes.shape != size:
            raise LabelError(
                f"{where}: {classes.shape[0]}x{classes.shape[1]} pixels (height x width), but the image "
                f"{results['img_path']} has {size[0]}x{size[1]}; take the mask of this image"
            )
        check_classes(classes, len(names), where)
        results["gt_seg_map"] = classes
        results.setdefault("seg_fields", []).append("gt_seg_map")
        return results


def paint_frame(
    frame: Frame, task: Task, size: tuple[int, int], where: str, names: Sequence[str] = ()
) -> npt.NDArray[np.uint8]:
    """Paint the labels of a frame into a map of classes.

    Labels of categories that the data set does not evaluate are left out, and later labels lie on top, as in the
    official conversion. What no label covers is background where the task has such a class, and 255 otherwise.

    Args:
        frame: The frame; of a label with both ``rle`` and ``poly2d`` the former counts.
        task: The task.
        size: Height and width of the image in pixels.
        where: The label file, for errors.
        names: The classes; by default the task's categories.

    Returns:
        uint8 (height, width).

    Raises:
        LabelError: A category is unknown, a mask is malformed or has another size than the image, or a polygon is
            malformed.
    """
    names = names or task.categories
    place = f"{where}: frame {frame.name}"
    if frame.size is not None and (frame.size.height, frame.size.width) != size:
        raise LabelError(
            f"{place}: size is {frame.size.height}x{frame.size.width} (height x width), but the image has "
            f"{size[0]}x{size[1]}; take the labels of this image"
        )
    labels = _of_classes(frame, task, names, place)
    outside = names.index("background") if "background" in names else NO_CLASS
    classes = np.array([outside, *(names.index(str(label.category)) for label in labels)], np.uint8)
    return np.take(classes, paint_regions([(label.rle, label.poly2d) for label in labels], size, place))


def _of_classes(frame: Frame, task: Task, names: Sequence[str], place: str) -> list[Label]:
    """Return the labels of a frame that are of a class; refuse those that are of none although they should be."""
    return [label for label in frame.labels or () if _counts(label, task, names, place)]


def _counts(label: Label, task: Task, names: Sequence[str], place: str) -> bool:
    """Tell whether a label is of a class; refuse one that is of none although it should be."""
    if label.category in names:
        return True
    if label.category in NOT_EVALUATED.get(task.name, ()):
        return False
    raise unknown_category(place, label.id, label.category, names)
