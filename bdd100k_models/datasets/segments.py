"""Labelled segments of an image, read from whichever form the labels have: bitmask, run lengths or polygons."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from mmdet.datasets.base_det_dataset import BaseDetDataset

from bdd100k_models.datasets.categories import canonical_category, nothing_labelled, unknown_category
from bdd100k_models.datasets.images import find_labels_in_any_form, images_of_labels
from bdd100k_models.errors import LabelError
from bdd100k_models.formats import rle
from bdd100k_models.formats.arrays import Flags, is_true
from bdd100k_models.formats.bitmask import CROWD, IGNORED, read_bitmask
from bdd100k_models.formats.coco import is_coco_file, load_any_frames
from bdd100k_models.formats.folders import holds_json
from bdd100k_models.formats.polygons import paint_polygons
from bdd100k_models.formats.scalabel import RLE, ImageSize, Poly2D
from bdd100k_models.formats.stream import stream_frames
from bdd100k_models.tasks import IMAGE_SIZE, NOT_EVALUATED, Task


class _ListedLabel(msgspec.Struct):
    id: str | int = ""
    category: str | None = None
    attributes: Flags | None = None
    rle: RLE | None = None
    poly2d: msgspec.Raw = msgspec.Raw(b"null")


class _ListedFrame(msgspec.Struct):
    """A frame as it is kept until its image is used: polygons are not taken apart."""

    name: str
    size: ImageSize | None = None
    labels: list[_ListedLabel] | None = None


class _Label(msgspec.Struct):
    id: str | int
    category: str | None
    attributes: Flags | None
    rle: RLE | None
    poly2d: list[Poly2D] | None


class _Frame(msgspec.Struct):
    name: str
    size: ImageSize | None
    labels: list[_Label] | None


_DECODER = msgspec.json.Decoder(_Frame)


@dataclass(frozen=True)
class Segment:
    """One labelled region of an image.

    Attributes:
        category: Index of its category in the task's order.
        ignored: Whether it is neither to be found nor to be left alone: a crowd, or marked as ignored.
        mask: bool (height, width), with at least one pixel.
    """

    category: int
    ignored: bool
    mask: npt.NDArray[np.bool_]

    @property
    def box(self) -> tuple[int, int, int, int]:
        """The least box around the mask: x1, y1, x2, y2 in pixels, the latter two exclusive."""
        columns, rows = np.flatnonzero(self.mask.any(axis=0)), np.flatnonzero(self.mask.any(axis=1))
        return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


class SegmentDataset(BaseDetDataset):  # type: ignore[misc]
    """Images and where the labels of their segments are, for a task whose labels have three forms.

    ``ann_file`` is a folder of bitmasks (PNG), or JSON with run lengths or polygons: Scalabel's, or COCO's. Where the
    data set's own bitmasks are named but were not downloaded, its run lengths or polygons are taken. The labels of an
    image are read with it, by the pipeline.

    Raises:
        MissingFileError: There are no labels.
        LabelError: They hold no images, or break their format; or labels in JSON to be trained with have a category
            that is unknown.
    """

    task: Task

    def load_data_list(self) -> list[dict[str, Any]]:
        """List images and where their labels are.

        Returns:
            One dict an image: ``img_path``, ``img_id``, ``height`` and ``width`` (pixels), ``segments_path`` (a
            bitmask, or the label file), ``segments`` (the labels of the image as text, None with a bitmask),
            ``is_labelled`` (whether it has any label; None with a bitmask, which is not opened yet) and
            ``skip_empty``: whether the pipeline is to refuse an image without segments.
        """
        labels = find_labels_in_any_form(self.task, Path(self.ann_file), Path(self.data_root or ""))
        folder = Path(self.data_prefix["img"])
        # the metric reads the same labels again
        self._metainfo |= {"ann_file": str(labels), "image_dir": str(folder)}
        skip_empty = not self.test_mode and bool((self.filter_cfg or {}).get("filter_empty_gt", False))
        # labels to validate with are read by the evaluation, which knows more names
        classes = None if self.test_mode else tuple(self._metainfo["classes"])
        records = [
            {
                "img_path": str(folder / name),
                "img_id": number,
                "height": size[0],
                "width": size[1],
                "segments_path": str(path),
                "segments": text,
                "is_labelled": is_labelled,
                "skip_empty": skip_empty,
            }
            for number, (name, size, path, text, is_labelled) in enumerate(
                _list_images(labels, folder, self.task, classes)
            )
        ]
        if not records:
            raise LabelError(f"{labels}: holds no frames; check that these are the labels of the split")
        return records

    def filter_data(self) -> list[dict[str, Any]]:
        """Drop images that ``filter_cfg`` excludes: without any label, or with a side below ``min_size`` pixels.

        Of bitmasks, which tell only when they are opened, all are kept if any has a label: the pipeline passes over
        the others.
        """
        if self.test_mode or not self.filter_cfg:
            return list(self.data_list)
        min_size = self.filter_cfg.get("min_size", 0)
        kept = [
            record
            for record in self.data_list
            if min(record["width"], record["height"]) >= min_size
            and (record["is_labelled"] is not False or not record["skip_empty"])
        ]
        if not any(record["is_labelled"] or not record["skip_empty"] or _holds_segments(record) for record in kept):
            raise nothing_labelled(self._metainfo["ann_file"])
        return kept


def _holds_segments(record: dict[str, Any]) -> bool:
    """Tell whether a bitmask has a segment of a category."""
    bitmask = read_bitmask(Path(record["segments_path"]))
    return bool(((bitmask.ids > 0) & (bitmask.category > 0)).any())


def _list_images(
    labels: Path, folder: Path, task: Task, classes: Sequence[str] | None
) -> Iterator[tuple[str, tuple[int, int], Path, bytes | None, bool | None]]:
    """Yield name, size, label file, labels as text, and whether there are any, of each image.

    With ``classes``, only labels of these count, and others in JSON are refused, before any image is read.
    """
    if not holds_json(labels):
        for item in images_of_labels(labels, folder).items:
            yield item.name, IMAGE_SIZE, labels / Path(item.name).with_suffix(".png"), None, None
        return
    for file, frame in _frames(labels):
        size = (frame.size.height, frame.size.width) if frame.size else IMAGE_SIZE
        where = f"{file}: frame {frame.name}"
        is_labelled = False
        for label in frame.labels or ():
            counts = classes is None or _category_of(label, task, classes, where)[0] is not None
            is_labelled = is_labelled or counts
            if label.rle is not None:
                label.poly2d = msgspec.Raw(b"null")  # many times as large, and says the same
        yield frame.name, size, Path(file), msgspec.json.encode(frame), is_labelled


def _frames(labels: Path) -> Iterator[tuple[str, _ListedFrame]]:
    if is_coco_file(labels):
        for frame in load_any_frames(labels):
            yield str(labels), msgspec.convert(msgspec.to_builtins(frame), _ListedFrame)
        return
    for file, _, listed in stream_frames(labels, _ListedFrame):
        yield file, listed


def load_segments(
    record: dict[str, Any], task: Task, size: tuple[int, int], classes: Sequence[str] = ()
) -> list[Segment]:
    """Read the segments of an image.

    Args:
        record: What :class:`SegmentDataset` lists of it: ``segments_path`` and ``segments``.
        task: The task.
        size: Height and width of the image in pixels.
        classes: The categories that count, which bitmasks number as the task does its own; by default those.

    Returns:
        Segments in order of their ids or labels; those of later labels lie on top where polygons overlap, as in the
        official conversion. Segments without a pixel are left out.

    Raises:
        MissingFileError: The bitmask is not there.
        LabelError: The labels are broken, or have another size than the image; the message names file and label.
    """
    classes = classes or task.categories
    if record["segments"] is None:
        return segments_of_bitmask(Path(record["segments_path"]), task, size, classes)
    try:
        frame = _DECODER.decode(record["segments"])
    except msgspec.ValidationError as error:
        place = f"{record['segments_path']}: frame of {record['img_path']}"
        raise LabelError(f"{place}: {error}; this is not the Scalabel format") from None
    return _segments_of_frame(frame, task, size, classes, f"{record['segments_path']}: frame {frame.name}")


def segments_of_bitmask(path: Path, task: Task, size: tuple[int, int], classes: Sequence[str]) -> list[Segment]:
    """Read the segments of a bitmask; see :func:`load_segments`."""
    bitmask = read_bitmask(path)
    check_size(bitmask.ids.shape, size, str(path))
    # one number for all that a pixel says
    joined = (
        (bitmask.ids.astype(np.int32) << 12) | (bitmask.category.astype(np.int32) << 4) | (bitmask.attributes & 0xF)
    )
    segments = []
    earlier = 0
    for value in np.unique(joined[bitmask.ids > 0]).tolist():
        number, category_id, flags = value >> 12, (value >> 4) & 0xFF, value & 0xF
        index = category_id - task.first_id
        if number == earlier:
            raise LabelError(f"{path}: instance {number} has pixels of two categories or attributes; draw it anew")
        earlier = number
        if category_id == 0:
            continue
        if index >= len(classes):
            known = f"{task.first_id} to {len(classes) - 1 + task.first_id}"
            raise LabelError(f"{path}: instance {number} has category {category_id}; categories are {known}")
        segments.append(Segment(index, bool(flags & (CROWD | IGNORED)), joined == value))
    return segments


def _segments_of_frame(
    frame: _Frame, task: Task, size: tuple[int, int], classes: Sequence[str], where: str
) -> list[Segment]:
    if frame.size is not None:
        check_size((frame.size.height, frame.size.width), size, where)
    labels = [(label, *_category_of(label, task, classes, where)) for label in frame.labels or ()]
    chosen = [(label, index, ignored) for label, index, ignored in labels if index is not None]
    polygons = [
        (place, label.poly2d) for place, (label, _, _) in enumerate(chosen) if label.rle is None and label.poly2d
    ]
    painted = paint_polygons(polygons, size, -1, where) if polygons else None
    segments = []
    for place, (label, index, ignored) in enumerate(chosen):
        if label.rle is not None:
            check_size(label.rle.size, size, f"{where}, label {label.id}")
            mask = rle.decode(label.rle, f"{where}, label {label.id}")
        elif painted is not None:
            mask = painted == place
        else:
            continue
        if mask.any():
            segments.append(Segment(index, ignored, mask))
    return segments


def _category_of(
    label: _Label | _ListedLabel, task: Task, classes: Sequence[str], where: str
) -> tuple[int | None, bool]:
    """Return the index of a label's category, None for one that does not count, and whether it is ignored."""
    flags = label.attributes
    marked = flags is not None and (is_true(flags.crowd) or is_true(flags.ignored))
    if label.category in NOT_EVALUATED.get(task.name, ()):
        return None, marked
    # the official names of older labels are those of objects; segments are named as they are
    category, ignored = (
        (label.category, False) if task.name == "pan_seg" else canonical_category(label.category, classes)
    )
    if category not in classes:
        raise unknown_category(where, label.id, label.category, classes)
    return classes.index(category), ignored or marked


def check_size(found: tuple[int, ...], size: tuple[int, int], where: str) -> None:
    """Compare the height and width of labels with those of their image.

    Raises:
        LabelError: They differ.
    """
    if tuple(found) != tuple(size):
        raise LabelError(
            f"{where}: {found[0]}x{found[1]} pixels (height x width), but the image has {size[0]}x{size[1]}; "
            "take the labels of this image"
        )
