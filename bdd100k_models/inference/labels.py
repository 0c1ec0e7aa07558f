"""Labels and predictions in files, of every task and form, as typed results that can be drawn."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bdd100k_models.datasets.categories import canonical_category
from bdd100k_models.errors import InputError, LabelError, MissingFileError
from bdd100k_models.formats.bitmask import SCORES_FILE, check_classes, read_bitmask, read_mask
from bdd100k_models.formats.coco import load_any_frames
from bdd100k_models.formats.folders import files_below, holds_json
from bdd100k_models.formats.regions import paint_regions
from bdd100k_models.formats.scalabel import Box2D, Frame, Label
from bdd100k_models.inference.results import (
    ClassMap,
    Detections,
    Instances,
    MaskTracks,
    Panoptic,
    People,
    Result,
    Tags,
    Tracks,
)
from bdd100k_models.paths import exists
from bdd100k_models.tasks import JOINTS, NO_CLASS, TAGS, THINGS, Task

_IDS = 1 << 20  # ids that are no numbers get one below
_SEGMENTED = ("ins_seg", "mots")
_CLASSED = ("sem_seg", "drivable")

#: Tasks whose labels can be PNG files.
WITH_MASKS = (*_SEGMENTED, *_CLASSED, "pan_seg")


@dataclass(frozen=True)
class LabelledImage:
    """The labels of one image, not yet read where they are in a file of their own.

    Attributes:
        name: The image's name.
        video: The video it is a frame of, if any.
        position: Its place there, from 0.
        frame: Its labels, or None where ``mask`` holds them.
        mask: The PNG file of its labels.
        where: The file, for errors.
        scores: Of predictions in ``mask``: the score of each id, where a file beside the folder has them.
    """

    name: str
    video: str | None
    position: int | None
    frame: Frame | None
    mask: Path | None
    where: str
    scores: Mapping[int, float] | None = None

    @property
    def path(self) -> Path:
        """Where it lies below its folder."""
        return Path(self.video or "") / self.name

    @property
    def place(self) -> Path:
        """Where its files lie below their folders, without suffix."""
        return Path(self.video or "") / Path(self.name).stem


def find_labels(path: Path, task: Task) -> list[LabelledImage]:
    """List the images that labels or predictions are about.

    Args:
        path: JSON (Scalabel's or COCO's, a file or a folder of them), or a folder of PNG files, for videos with a
            folder each.
        task: The task.

    Raises:
        MissingFileError: There is nothing at ``path``, or nothing that could be labels.
        LabelError: JSON breaks its format.
    """
    if not exists(path):
        raise MissingFileError(f"{path}: no such labels; name a JSON file, or a folder of JSON or PNG files")
    if not holds_json(path):
        return _list_masks(path, task)
    images = [_of_frame(frame, str(path)) for frame in load_any_frames(path)]
    if not images:
        raise LabelError(f"{path}: holds no frames")
    return _in_videos(images)


def _of_frame(frame: Frame, where: str) -> LabelledImage:
    path = Path(frame.name)
    # what is written stands below one folder, whatever the labels say: an absolute path names a file alone
    folder = frame.videoName or ("" if path.is_absolute() else str(path.parent))
    video = Path(*(part for part in Path(folder).parts if part not in (Path(folder).anchor, "..")))
    return LabelledImage(path.name, str(video) if video.name else None, frame.frameIndex, frame, None, where)


def _in_videos(images: Sequence[LabelledImage]) -> list[LabelledImage]:
    """Return images with the frames of each video together and in order."""
    videos: dict[str | None, list[LabelledImage]] = {}
    for image in images:
        videos.setdefault(image.video, []).append(image)
    for video, frames in videos.items():
        if video is not None:
            frames.sort(key=lambda image: -1 if image.position is None else image.position)
    return [image for frames in videos.values() for image in frames]


def _list_masks(folder: Path, task: Task) -> list[LabelledImage]:
    if task.name not in WITH_MASKS:
        raise MissingFileError(f"{folder}: no .json file in this folder; labels of {task.name} are JSON")
    files = [folder / file for file in files_below(folder, ".png")]
    if not files:
        raise MissingFileError(f"{folder}: no .json or .png file in this folder")
    scores = _scores_beside(folder) if task.name == "ins_seg" else {}
    images = []
    position: dict[str, int] = {}
    for file in files:
        video = str(file.parent.relative_to(folder)) if file.parent != folder else None
        place = None
        if video is not None:
            place = position[video] = position.get(video, -1) + 1
        own = scores.get(file.stem)
        images.append(LabelledImage(f"{file.stem}.jpg", video, place, None, file, str(file), own))
    return images


def _scores_beside(folder: Path) -> dict[str, dict[int, float]]:
    """Return the score of each id in the bitmasks of a folder of predictions, by the stem of the image."""
    file = folder.parent / SCORES_FILE
    if not file.is_file():
        return {}
    return {
        Path(frame.name).stem: {label.index: _score(label) for label in frame.labels or () if label.index is not None}
        for frame in load_any_frames(file)
    }


def read_labels(image: LabelledImage, task: Task, size: tuple[int, int] | None) -> list[Result]:
    """Read the labels of an image.

    Args:
        image: What :func:`find_labels` lists.
        task: The task.
        size: Height and width of the image in pixels; by default what the labels say.

    Returns:
        One result; of tags one for each tag that is given.

    Raises:
        LabelError: The labels break their format, or are of another size.
        InputError: Nothing says how large the image is.
    """
    place: dict[str, Any] = {"name": image.name, "video": image.video, "position": image.position}
    if image.mask is not None:
        return [_of_mask(image.mask, task, place, size, image.scores)]
    assert image.frame is not None
    place["size"] = size or _size_of(image.frame, image.where)
    return _of_labels(image.frame, task, place, f"{image.where}: frame {image.frame.name}")


def _size_of(frame: Frame, where: str) -> tuple[int, int]:
    if frame.size is not None:
        return frame.size.height, frame.size.width
    for label in frame.labels or ():
        if label.rle is not None:
            return label.rle.size
    raise InputError(f"{where}: frame {frame.name}: nothing says how large the image is; give the images with -i")


def _of_labels(frame: Frame, task: Task, place: dict[str, Any], where: str) -> list[Result]:
    labels = frame.labels or []
    place["labelled"] = all(label.score is None for label in labels)
    if task.name == "tagging":
        return list(_tags(frame, place))
    if task.name == "pose":
        return [_people([label for label in labels if label.graph is not None], place)]
    if task.name in _CLASSED:
        return [_class_map(labels, task, place, where)]
    if task.name == "pan_seg":
        known = [label for label in labels if label.category in task.categories and _has_region(label)]
        classes = np.array([task.categories.index(str(label.category)) for label in known], np.int64)
        segments = _paint(known, place["size"], where)
        ids = np.array([_number(label.id) for label in known], np.int64)
        return [_panoptic(task, place, segments, classes, ids)]
    shown = [label for label in labels if label.box2d is not None or _has_region(label)]
    if task.name in _SEGMENTED:
        # where masks overlap, the surer one is seen
        shown.sort(key=lambda label: label.score or 0.0)
    return [_objects(shown, task, place, where)]


def _has_region(label: Label) -> bool:
    return label.rle is not None or bool(label.poly2d)


def _tags(frame: Frame, place: dict[str, Any]) -> Iterator[Result]:
    for tag, values in TAGS.items():
        value = (frame.attributes or {}).get(tag)
        if value in values:
            scores = np.array([float(name == value) for name in values])
            yield Tags(**place | {"labelled": True}, tag=tag, values=values, scores=scores)


def _people(labels: Sequence[Label], place: dict[str, Any]) -> Result:
    joints = np.zeros((len(labels), len(JOINTS), 3))
    for row, label in zip(joints, labels, strict=True):
        for node in label.graph.nodes if label.graph else ():
            if node.category in JOINTS:
                # what nobody labelled has no place
                sure = float(node.visibility != "A") if node.score is None else node.score
                row[JOINTS.index(node.category)] = (*node.location, sure)
    order = np.argsort([-_score(label) for label in labels], kind="stable")
    areas = np.array([_area(row) for row in joints], np.float64)
    scores = np.array([_score(label) for label in labels], np.float64)
    return People(**place, joint_names=JOINTS, joints=joints[order], scores=scores[order], areas=areas[order])


def _area(joints: npt.NDArray[np.float64]) -> float:
    """Return the area of the least box around the joints that have a place, in square pixels."""
    points = joints[joints[:, 2] > 0, :2]
    return float(np.ptp(points, axis=0).prod()) if len(points) else 0.0


def _score(label: Label) -> float:
    return 1.0 if label.score is None else label.score


def _class_map(labels: Sequence[Label], task: Task, place: dict[str, Any], where: str) -> Result:
    known = [label for label in labels if label.category in task.categories and _has_region(label)]
    classes = np.array([NO_CLASS, *(task.categories.index(str(label.category)) for label in known)], np.uint8)
    return ClassMap(**place, categories=task.categories, classes=classes[_paint(known, place["size"], where)])


def _paint(labels: Sequence[Label], size: tuple[int, int], where: str) -> npt.NDArray[np.int32]:
    return paint_regions([(label.rle, label.poly2d) for label in labels], size, where)


def _panoptic(task: Task, place: dict[str, Any], segments: npt.NDArray[np.int32], classes: Any, ids: Any) -> Panoptic:
    first_thing = len(task.categories) - len(THINGS)
    return Panoptic(
        **place, categories=task.categories, first_thing=first_thing, segments=segments, classes=classes, ids=ids
    )


def _objects(labels: Sequence[Label], task: Task, place: dict[str, Any], where: str) -> Result:
    names = [_name(label, task) for label in labels]
    # labels name more than models find
    categories = tuple(dict.fromkeys([*task.categories, *names]))
    common: dict[str, Any] = {
        **place,
        "categories": categories,
        "scores": np.array([_score(label) for label in labels], np.float64),
        "classes": np.array([categories.index(name) for name in names], np.int64),
    }
    ids = np.array([_number(label.id) for label in labels], np.int64)
    boxes = np.array([_corners(label.box2d) for label in labels], np.float64).reshape(-1, 4)
    if task.name not in _SEGMENTED:
        kept = ~np.isnan(boxes).any(axis=1)
        common |= {"scores": common["scores"][kept], "classes": common["classes"][kept], "boxes": boxes[kept]}
        return Tracks(**common, ids=ids[kept]) if task.videos else Detections(**common)
    segments = _paint(labels, place["size"], where)
    unknown = np.isnan(boxes).any(axis=1)
    boxes[unknown] = boxes_of(segments, len(labels))[unknown]
    if task.videos:
        return MaskTracks(**common, boxes=boxes, ids=ids, segments=segments)
    return Instances(**common, boxes=boxes, segments=segments)


def _name(label: Label, task: Task) -> str:
    canonical, ignored = canonical_category(label.category)
    if canonical is None:
        return "unknown"
    return canonical if not ignored and canonical in task.categories else str(label.category)


def _corners(box: Box2D | None) -> tuple[float, float, float, float]:
    return (np.nan, np.nan, np.nan, np.nan) if box is None else (box.x1, box.y1, box.x2 + 1, box.y2 + 1)


def _number(name: str | int) -> int:
    """Return an id as a number; the same for the same text."""
    text = str(name)
    return int(text) if text.isdecimal() and len(text) < 18 else zlib.crc32(text.encode()) % _IDS


def boxes_of(segments: npt.NDArray[np.int32], count: int) -> npt.NDArray[np.float64]:
    """Return the least box around each of ``count`` segments, float64 (count, 4), exclusive; zeros around none."""
    boxes = np.zeros((count, 4))
    for number in range(1, count + 1):
        mask = segments == number
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if len(rows):
            boxes[number - 1] = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    return boxes


def _of_mask(
    path: Path,
    task: Task,
    place: dict[str, Any],
    size: tuple[int, int] | None,
    scores: Mapping[int, float] | None,
) -> Result:
    """Read a PNG file of labels: a mask of classes, or a bitmask, of predictions with the score of each id."""
    if task.name in _CLASSED:
        classes = read_mask(path)
        check_classes(classes, len(task.categories), str(path))
        _check_size(classes.shape, size, path)
        own = classes.shape[0], classes.shape[1]
        return ClassMap(**place, size=own, labelled=True, categories=task.categories, classes=classes)
    bitmask = read_bitmask(path)
    _check_size(bitmask.ids.shape, size, path)
    numbers, first = np.unique(bitmask.ids, return_index=True)
    numbers, first = numbers[numbers > 0], first[numbers > 0]
    known = bitmask.category.ravel()[first] >= task.first_id
    numbers, classes_of = numbers[known], bitmask.category.ravel()[first][known].astype(np.int64) - task.first_id
    if (classes_of >= len(task.categories)).any():
        raise LabelError(f"{path}: category {classes_of.max() + task.first_id} is none of {task.name}; see its labels")
    table = np.zeros(int(bitmask.ids.max(initial=0)) + 1, np.int32)
    table[numbers] = np.arange(1, len(numbers) + 1)
    segments = table[bitmask.ids]
    place |= {"size": (segments.shape[0], segments.shape[1]), "labelled": scores is None}
    if task.name == "pan_seg":
        return _panoptic(task, place, segments, classes_of, numbers.astype(np.int64))
    common = {
        **place,
        "categories": task.categories,
        "scores": np.array([1.0 if scores is None else scores.get(number, 0.0) for number in numbers.tolist()]),
        "classes": classes_of,
        "boxes": boxes_of(segments, len(numbers)),
        "segments": segments,
    }
    return MaskTracks(**common, ids=numbers.astype(np.int64)) if task.videos else Instances(**common)


def _check_size(found: tuple[int, ...], size: tuple[int, int] | None, path: Path) -> None:
    if size is not None and tuple(found[:2]) != tuple(size):
        raise LabelError(
            f"{path}: {found[0]}x{found[1]} pixels (height x width), but the image has {size[0]}x{size[1]}; "
            "take the labels of this image"
        )
