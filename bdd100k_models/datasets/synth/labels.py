"""What a drawn picture says to each task, in the data set's own forms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from bdd100k_models.datasets.synth.camera import NEAR
from bdd100k_models.datasets.synth.canvas import SHIFT, fixed_point
from bdd100k_models.datasets.synth.people import pose_labels
from bdd100k_models.datasets.synth.picture import Picture
from bdd100k_models.datasets.synth.surfaces import (
    SURFACES,
    category_table,
    number_of,
    panoptic_ids,
    semantic_ids,
)
from bdd100k_models.formats import bitmask as bits
from bdd100k_models.formats import rle
from bdd100k_models.formats.bitmask import Bitmask
from bdd100k_models.formats.png import encode_png_quickly
from bdd100k_models.formats.runs import Runs
from bdd100k_models.formats.scalabel import Frame, Label
from bdd100k_models.tasks import TASKS, THINGS

#: Fewest pixels of a thing's panoptic segment; what shows less is unlabelled, as small things are in the real labels.
_LEAST_SEGMENT = 24
_IGNORE = 255
_GRAY = np.arange(256, dtype=np.uint8)  # a class is written as it is
_LANE_END = 120.0  # metres; where lanes end, for drivable areas
_LANE_STEPS = np.concatenate((np.linspace(NEAR, 12, 8), np.geomspace(13, _LANE_END, 14)))


@dataclass(frozen=True)
class Segments:
    """What a picture shows, as segments numbered from 1 in the order of their ids; 0 is nothing.

    Attributes:
        runs: The segment of each pixel, uint16.
        category: uint8 (K,), category ids, 0 for nothing.
        ids: uint16 (K,), ids in the files.
        attributes: uint8 (K,), as in bitmasks.
    """

    runs: Runs
    category: NDArray[np.uint8]
    ids: NDArray[np.uint16]
    attributes: NDArray[np.uint8]

    def png(self) -> bytes:
        """Return the PNG of the bitmask."""
        packed = bits.pack(Bitmask(self.category, self.ids, self.attributes)).view(np.uint8).reshape(-1, 4)
        return encode_png_quickly(self.runs, packed[:, (2, 1, 0, 3)])

    def labels(self, names: Mapping[int, str]) -> list[Label]:
        """Return a label with a run-length mask for each segment that is seen, in order of the ids."""
        labels = []
        for number, mask in rle.encode_runs(self.runs).items():
            if number:
                flags = int(self.attributes[number])
                attributes = {"occluded": bool(flags & bits.OCCLUDED), "truncated": bool(flags & bits.TRUNCATED)}
                category = names[int(self.category[number])]
                labels.append(Label(str(self.ids[number]), category=category, attributes=attributes, rle=mask))
        return labels


def _segments(
    picture: Picture, category: NDArray[np.uint8], ids: NDArray[np.integer], attributes: NDArray[np.uint8]
) -> Segments:
    """Return segments from tables (K,) by row of the picture; a row without a category is nothing."""
    known, first, numbers = np.unique(np.where(category > 0, ids, 0), return_index=True, return_inverse=True)
    if known[0] != 0:  # every row is something: make room for nothing
        known, first, numbers = np.insert(known, 0, 0), np.insert(first, 0, 0), numbers + 1
    columns = [table[first] for table in (category, attributes)]
    for column in columns:
        column[0] = 0
    runs = picture.runs.look_up(numbers.astype(np.uint16))
    return Segments(runs, columns[0], known.astype(np.uint16), columns[1])


def instance_segments(picture: Picture) -> Segments:
    """Return the instances that have a label, of the eight categories of instance segmentation and tracking.

    Ids are those of the tracks in a video, and else the objects' numbers.
    """
    category_ids = TASKS["ins_seg"].category_ids
    size, first = _rows(picture)
    category, attributes, ids = np.zeros(size, np.uint8), np.zeros(size, np.uint8), np.zeros(size, np.uint16)
    for label in picture.frame.labels or ():
        if label.category in category_ids:
            number = picture.numbers[str(label.id)]
            category[first + number] = category_ids[label.category]
            attributes[first + number] = _flags(label)
            ids[first + number] = picture.parts[number].track or number
    return _segments(picture, category, ids, attributes)


def _rows(picture: Picture) -> tuple[int, int]:
    """Return how many rows a picture's tables have, and that of nothing, which the objects follow."""
    return len(SURFACES) + 1 + max(picture.parts, default=0), len(SURFACES)


def _flags(label: Label) -> int:
    attributes = label.attributes or {}
    return bits.OCCLUDED * bool(attributes.get("occluded")) + bits.TRUNCATED * bool(attributes.get("truncated"))


def panoptic_segments(picture: Picture) -> Segments:
    """Return all segments: one for each kind of stuff, whose id is its category's, and one for each thing."""
    ids = panoptic_ids()
    stuff = len(ids) - len(THINGS)
    category = category_table(picture.parts, ids, 0)
    size, first = _rows(picture)
    objects = np.arange(size) - first
    is_thing = category > stuff
    seen = picture.runs.count(size)
    category[is_thing & (seen < _LEAST_SEGMENT)] = 0
    return _segments(picture, category, np.where(is_thing, objects + len(ids), category), np.zeros_like(category))


def semantic_runs(picture: Picture) -> Runs:
    """Return the class of every pixel, 255 for none (uint8)."""
    return picture.runs.look_up(category_table(picture.parts, semantic_ids(), _IGNORE))


def drivable_runs(picture: Picture) -> Runs:
    """Return where one may drive (uint8): 0 in the camera's own lane, 1 in others of its direction, 2 elsewhere.

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
        fixed = fixed_point(camera.project(np.array(outline)))
        cv2.fillPoly(mask, [fixed], direct if x == own else alternative, cv2.LINE_8, SHIFT)
    top = max(int(camera.horizon), 0)  # the road is below
    mask[top:][picture.ids[top:] != number_of("road")] = background
    return Runs.of(mask)


def class_labels(runs: Runs, names: Mapping[int, str]) -> list[Label]:
    """Return a label with a run-length mask for each class of a label mask that has a name."""
    coded = rle.encode_runs(runs)
    return [Label(str(value), category=names[value], rle=part) for value, part in coded.items() if value in names]


def _by_id(task: str) -> dict[int, str]:
    return {number: name for name, number in TASKS[task].category_ids.items()}


#: What is drawn for the tasks whose labels are masks: the PNG's pixels and the labels of its frame.
MaskLabels = tuple[bytes, list[Label]]


def _segment_labels(make: Callable[[Picture], Segments], task: str) -> Callable[[Picture], MaskLabels]:
    def labels(picture: Picture) -> MaskLabels:
        segments = make(picture)
        return segments.png(), segments.labels(_by_id(task))

    return labels


def _class_mask_labels(make: Callable[[Picture], Runs], task: str) -> Callable[[Picture], MaskLabels]:
    def labels(picture: Picture) -> MaskLabels:
        runs = make(picture)
        return encode_png_quickly(runs, _GRAY), class_labels(runs, _by_id(task))

    return labels


#: By task: the PNG and the run-length labels of a picture.
MASKS: Mapping[str, Callable[[Picture], MaskLabels]] = {
    "ins_seg": _segment_labels(instance_segments, "ins_seg"),
    "sem_seg": _class_mask_labels(semantic_runs, "sem_seg"),
    "drivable": _class_mask_labels(drivable_runs, "drivable"),
    "pan_seg": _segment_labels(panoptic_segments, "pan_seg"),
}

#: By task: the frame of a picture, where labels are no masks.
FRAMES: Mapping[str, Callable[[Picture], Frame]] = {
    "det": lambda picture: picture.frame,
    "tagging": lambda picture: picture.frame,
    "pose": lambda picture: Frame(picture.frame.name, size=picture.frame.size, labels=pose_labels(picture)),
}
