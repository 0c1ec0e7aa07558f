"""Typed results from the compact records that the result formats make of models' outputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bdd100k_models.errors import InputError
from bdd100k_models.formats import rle
from bdd100k_models.formats.results.boxes import DetectionRecord
from bdd100k_models.formats.results.instances import InstanceRecord
from bdd100k_models.formats.results.panoptic import THINGS, PanopticRecord
from bdd100k_models.formats.results.pose import PoseRecord
from bdd100k_models.formats.results.semantic import SemanticRecord
from bdd100k_models.formats.results.tags import TagRecord
from bdd100k_models.formats.results.tracks import MaskTrackRecord, TrackRecord
from bdd100k_models.formats.scalabel import RLE
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
from bdd100k_models.tasks import JOINTS, NAME_MAPPING, TAGS, Task


def to_result(
    record: Any,
    task: Task,
    name: str,
    size: tuple[int, int],
    video: str | None = None,
    position: int | None = None,
) -> Result:
    """Return the typed result of a record.

    Args:
        record: What a result format encoded.
        task: The task, for its categories.
        name: Name of the image.
        size: Height and width of the image in pixels.
        video: The video it is a frame of, if any.
        position: Its place there, from 0.

    Raises:
        TypeError: There is no such record.
    """
    place: dict[str, Any] = {"name": name, "size": size, "video": video, "position": position}
    match record:
        case MaskTrackRecord():
            segments = _segments(record.masks, record.size, name)
            return MaskTracks(**place, **_objects(record, task), ids=np.array(record.ids, np.int64), segments=segments)
        case TrackRecord():
            return Tracks(**place, **_objects(record, task), ids=np.array(record.ids, np.int64))
        case InstanceRecord():
            return Instances(**place, **_objects(record, task), segments=_segments(record.masks, record.size, name))
        case DetectionRecord():
            return Detections(**place, **_objects(record, task))
        case SemanticRecord():
            return ClassMap(**place, categories=task.categories, classes=record.class_map())
        case PanopticRecord():
            return _panoptic(record, task, place)
        case TagRecord():
            scores = np.array(record.scores, np.float64)
            return Tags(**place, tag=record.tag, values=TAGS[record.tag], scores=scores)
        case PoseRecord():
            return _people(record, place)
    raise TypeError(f"there is no result of a {type(record).__name__}")


def _objects(record: DetectionRecord | TrackRecord, task: Task) -> dict[str, Any]:
    boxes = np.array(record.boxes, np.float64).reshape(-1, 4)
    boxes[:, 2:] += 1
    return {
        "categories": task.categories,
        "boxes": boxes,
        "scores": np.array(record.scores, np.float64),
        "classes": np.array(record.classes, np.int64),
    }


def _segments(masks: Sequence[str], size: tuple[int, int], name: str) -> npt.NDArray[np.int32]:
    """Return the place of each pixel's mask, counted from 1; empty masks have no pixel."""
    visible = ((place, RLE(counts, size)) for place, counts in enumerate(masks, 1) if counts)
    return rle.decode_ids(visible, size, name)


def _panoptic(record: PanopticRecord, task: Task, place: dict[str, Any]) -> Panoptic:
    return Panoptic(
        **place,
        categories=task.categories,
        first_thing=len(task.categories) - THINGS,
        segments=rle.decode_ids(enumerate(record.masks, 1), record.size, place["name"]),
        classes=np.array([task.categories.index(name) for name in record.categories], np.int64),
        ids=np.array(record.numbers, np.int64),
    )


def _people(record: PoseRecord, place: dict[str, Any]) -> People:
    people = record.people
    return People(
        **place,
        joint_names=JOINTS,
        joints=np.array([person.joints for person in people], np.float64).reshape(-1, len(JOINTS), 3),
        scores=np.array([person.score for person in people], np.float64),
        areas=np.array([person.area for person in people], np.float64),
    )


def select(record: Any, task: Task, threshold: float, classes: frozenset[int] | None) -> Any:
    """Return a record with what is sure enough and of the wanted classes; the same type.

    Args:
        record: What a result format encoded; it is left as it is.
        task: The task.
        threshold: Least score of objects and tracks. Segments, classes of pixels and tags have none, and of people that
            of their boxes counts, before they are looked at.
        classes: Indices of the wanted categories, or None for all. Tags and people are kept.
    """
    match record:
        case DetectionRecord() | TrackRecord():
            places = [
                place
                for place, (score, index) in enumerate(zip(record.scores, record.classes, strict=True))
                if score >= threshold and (classes is None or index in classes)
            ]
            columns = [name for name in ("boxes", "scores", "classes", "ids", "masks") if hasattr(record, name)]
            return _with(record, columns, places)
        case SemanticRecord() if classes is not None:
            return _with(
                record, ["classes", "masks"], [i for i, index in enumerate(record.classes) if index in classes]
            )
        case PanopticRecord() if classes is not None:
            wanted = {task.categories[index] for index in classes}
            return _with(
                record, ["numbers", "masks"], [i for i, name in enumerate(record.categories) if name in wanted]
            )
    return record


def _with(record: Any, columns: Sequence[str], places: Sequence[int]) -> Any:
    """Return a copy of a record with only some places of its columns."""
    values = {name: getattr(record, name) for name in record.__struct_fields__}
    values |= {name: [values[name][place] for place in places] for name in columns}
    return type(record)(**values)


def class_indices(names: Sequence[str], task: Task) -> frozenset[int] | None:
    """Return the indices of the categories of a task that are named; None (all) where none of them is.

    A model that knows none of the wanted categories, as one of drivable areas beside a detector told to find cars, is
    thus left alone.
    """
    known = frozenset(index for name in names for index in _indices(name, task))
    return known or None


def _indices(name: str, task: Task) -> list[int]:
    """Return the indices of the categories of a task that a name means: its own, or those of the same meaning.

    People on foot are "pedestrian" to some tasks and "person" to others.
    """
    if name in task.categories:
        return [task.categories.index(name)]
    meaning = NAME_MAPPING.get(name, name)
    return [index for index, own in enumerate(task.categories) if NAME_MAPPING.get(own, own) == meaning]


def check_classes(names: Sequence[str], tasks: Sequence[Task]) -> None:
    """Refuse names that are no category of any of the tasks.

    Raises:
        InputError: One is not, and the message names the categories there are; or there is no name.
    """
    known = list(dict.fromkeys(category for task in tasks for category in task.categories))
    if not names:
        raise InputError("no category was named; name one, or leave them out for all")
    if unknown := [name for name in names if not any(_indices(name, task) for task in tasks)]:
        have = ", ".join(known) if known else "none: the model tags whole images"
        raise InputError(f"there is no category {unknown[0]!r}; the categories are {have}")
