"""What a drawn picture says to each task, in the data set's own forms."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from bdd100k_models.datasets.synth.camera import NEAR
from bdd100k_models.datasets.synth.people import pose_labels
from bdd100k_models.datasets.synth.picture import Picture
from bdd100k_models.datasets.synth.surfaces import number_of, paint_categories, panoptic_ids, semantic_ids
from bdd100k_models.formats import bitmask as bits
from bdd100k_models.formats import rle
from bdd100k_models.formats.bitmask import Bitmask
from bdd100k_models.formats.scalabel import Frame, Label
from bdd100k_models.tasks import TASKS

#: Fewest pixels of a thing's panoptic segment; what shows less is unlabelled, as small things are in the real labels.
_LEAST_SEGMENT = 24
_IGNORE = 255
_LANE_END = 120.0  # metres; where lanes end, for drivable areas
_LANE_STEPS = np.concatenate((np.linspace(NEAR, 12, 8), np.geomspace(13, _LANE_END, 14)))


def instance_bitmask(picture: Picture) -> Bitmask:
    """Return the instances that have a label, of the eight categories of instance segmentation and tracking.

    Ids are those of the tracks in a video, and else the objects' numbers.
    """
    category_ids = TASKS["ins_seg"].category_ids
    size = max(picture.parts, default=0) + 1
    category, attributes, instance = np.zeros(size, np.uint8), np.zeros(size, np.uint8), np.zeros(size, np.uint16)
    for label in picture.frame.labels or ():
        if label.category in category_ids:
            number = picture.numbers[str(label.id)]
            category[number] = category_ids[label.category]
            attributes[number] = _flags(label)
            instance[number] = picture.parts[number].track or number
    objects = np.maximum(picture.ids, 0)
    return Bitmask(category[objects], instance[objects], attributes[objects])


def _flags(label: Label) -> int:
    attributes = label.attributes or {}
    return bits.OCCLUDED * bool(attributes.get("occluded")) + bits.TRUNCATED * bool(attributes.get("truncated"))


def panoptic_bitmask(picture: Picture) -> Bitmask:
    """Return all segments: one for each kind of stuff, whose id is its category's, and one for each thing."""
    ids = panoptic_ids()
    things = len(ids) - len(_things())
    category = paint_categories(picture.ids, picture.parts, ids, 0)
    is_thing = category > things
    seen = np.bincount(np.maximum(picture.ids, 0)[is_thing], minlength=1)
    small = is_thing & (seen < _LEAST_SEGMENT)[np.clip(picture.ids, 0, len(seen) - 1)]
    category[small] = 0
    segments = np.where(is_thing & ~small, picture.ids + len(ids), category)
    return Bitmask(category, segments.astype(np.uint16), np.zeros_like(category))


def _things() -> tuple[str, ...]:
    return TASKS["pan_seg"].categories[30:]


def semantic_mask(picture: Picture) -> NDArray[np.uint8]:
    """Return the class of every pixel, 255 for none (uint8, height x width)."""
    return paint_categories(picture.ids, picture.parts, semantic_ids(), _IGNORE)


def drivable_mask(picture: Picture) -> NDArray[np.uint8]:
    """Return where one may drive: 0 in the camera's own lane, 1 in others of its direction, 2 elsewhere.

    Only road that is seen counts; a crossing street ends the lanes before it.
    """
    road, camera = picture.scene.road, picture.scene.camera
    direct, alternative, background = range(3)
    mask = np.full(picture.ids.shape, background, np.uint8)
    end = _LANE_END if road.crossing is None else road.crossing - 5.0
    steps = np.append(_LANE_STEPS[end > _LANE_STEPS], end)
    own = min((abs(x), x) for x, oncoming in road.lanes if not oncoming)[1]
    for x, oncoming in road.lanes:
        if oncoming:
            continue
        sides = (x - road.lane / 2, x + road.lane / 2)
        outline = [(sides[0], 0.0, z) for z in steps] + [(sides[1], 0.0, z) for z in steps[::-1]]
        points = camera.project(np.array(outline))
        fixed = np.rint(np.clip(points, -8192, 8192) * 16).astype(np.int32)
        cv2.fillPoly(mask, [fixed], direct if x == own else alternative, cv2.LINE_8, 4)
    mask[picture.ids != number_of("road")] = background
    return mask


def segment_labels(bitmask: Bitmask, names: Mapping[int, str]) -> list[Label]:
    """Return a label with a run-length mask for each segment of a bitmask, in order of the ids."""
    # a segment has one category and one set of attributes, so any of its pixels may tell them
    category, flags = np.zeros((2, int(bitmask.ids.max()) + 1), np.uint8)
    category[bitmask.ids.reshape(-1)] = bitmask.category.reshape(-1)
    flags[bitmask.ids.reshape(-1)] = bitmask.attributes.reshape(-1)
    labels = []
    for number, mask in rle.encode_labels(bitmask.ids.astype(np.int32)).items():
        if number:
            attributes = {
                "occluded": bool(flags[number] & bits.OCCLUDED),
                "truncated": bool(flags[number] & bits.TRUNCATED),
            }
            labels.append(Label(str(number), category=names[int(category[number])], attributes=attributes, rle=mask))
    return labels


def class_labels(mask: NDArray[np.uint8], names: Mapping[int, str]) -> list[Label]:
    """Return a label with a run-length mask for each class of a label mask that has a name."""
    coded = rle.encode_labels(mask)
    return [Label(str(value), category=names[value], rle=part) for value, part in coded.items() if value in names]


def _by_id(task: str) -> dict[int, str]:
    return {number: name for name, number in TASKS[task].category_ids.items()}


#: What is drawn for the tasks whose labels are masks: the PNG's pixels and the labels of its frame.
MaskLabels = tuple[bytes, list[Label]]


def _bitmask_labels(make: Callable[[Picture], Bitmask], task: str) -> Callable[[Picture], MaskLabels]:
    def labels(picture: Picture) -> MaskLabels:
        bitmask = make(picture)
        return bits.encode_bitmask(bitmask), segment_labels(bitmask, _by_id(task))

    return labels


def _class_mask_labels(make: Callable[[Picture], NDArray[np.uint8]], task: str) -> Callable[[Picture], MaskLabels]:
    def labels(picture: Picture) -> MaskLabels:
        mask = make(picture)
        return bits.encode_png(mask), class_labels(mask, _by_id(task))

    return labels


#: By task: the PNG and the run-length labels of a picture.
MASKS: Mapping[str, Callable[[Picture], MaskLabels]] = {
    "ins_seg": _bitmask_labels(instance_bitmask, "ins_seg"),
    "sem_seg": _class_mask_labels(semantic_mask, "sem_seg"),
    "drivable": _class_mask_labels(drivable_mask, "drivable"),
    "pan_seg": _bitmask_labels(panoptic_bitmask, "pan_seg"),
}

#: By task: the frame of a picture, where labels are no masks.
FRAMES: Mapping[str, Callable[[Picture], Frame]] = {
    "det": lambda picture: picture.frame,
    "tagging": lambda picture: picture.frame,
    "pose": lambda picture: Frame(picture.frame.name, labels=pose_labels(picture)),
}
