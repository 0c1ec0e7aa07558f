"""Typed results as frames of Scalabel JSON."""

from __future__ import annotations

import functools

from bdd100k_models.formats import rle
from bdd100k_models.formats.graphs import person_label
from bdd100k_models.formats.scalabel import RLE, Box2D, Frame, ImageSize, Label
from bdd100k_models.inference.results import (
    ClassMap,
    Detections,
    Instances,
    Panoptic,
    People,
    Result,
    Tags,
    Tracks,
)
from bdd100k_models.tasks import NO_CLASS


def to_frame(result: Result) -> Frame:
    """Return a result as a frame.

    Labels are those of the official formats: boxes with inclusive corners, masks as run lengths, people as graphs of
    joints, tags as attributes. Objects without a visible pixel have no run lengths.
    """
    height, width = result.size
    frame = Frame(
        name=result.name,
        videoName=result.video,
        frameIndex=result.position,
        size=ImageSize(width=width, height=height),
        labels=_labels(result),
    )
    if isinstance(result, Tags):
        frame.attributes = {} if result.value is None else {result.tag: result.value}
    return frame


@functools.singledispatch
def _labels(result: Result) -> list[Label]:
    raise TypeError(f"there is no frame of a {type(result).__name__}")


@_labels.register
def _(result: Tags) -> list[Label]:
    return []


@_labels.register
def _(result: Detections) -> list[Label]:
    labels = [
        Label(id=str(place), category=name, box2d=Box2D(x1, y1, x2 - 1, y2 - 1))
        for place, (name, (x1, y1, x2, y2)) in enumerate(zip(result.names, result.boxes.tolist(), strict=True), 1)
    ]
    if not result.labelled:
        for label, score in zip(labels, result.scores.tolist(), strict=True):
            label.score = score
    if isinstance(result, Tracks):
        for label, number in zip(labels, result.ids.tolist(), strict=True):
            label.id = str(number)
    if isinstance(result, Instances):
        masks = rle.encode_labels(result.segments) if len(labels) else {}
        for place, label in enumerate(labels, 1):
            label.rle = masks.get(place)
    return labels


@_labels.register
def _(result: ClassMap) -> list[Label]:
    masks: dict[int, RLE] = rle.encode_labels(result.classes)
    known = [(index, mask) for index, mask in masks.items() if index != NO_CLASS]
    return [
        Label(id=str(place), category=result.categories[index], rle=mask)
        for place, (index, mask) in enumerate(known, 1)
    ]


@_labels.register
def _(result: Panoptic) -> list[Label]:
    masks = rle.encode_labels(result.segments)
    return [
        Label(id=str(number), category=name, rle=masks.get(place))
        for place, (number, name) in enumerate(zip(result.ids.tolist(), result.names, strict=True), 1)
    ]


@_labels.register
def _(result: People) -> list[Label]:
    return [
        person_label([(x, y, sure) for x, y, sure in joints], None if result.labelled else score, place)
        for place, (joints, score) in enumerate(zip(result.joints.tolist(), result.scores.tolist(), strict=True))
    ]
