"""People with their joints, as arrays, and how they stand in frames."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import msgspec
import numpy as np

from bdd100k_models.errors import LabelError
from bdd100k_models.evaluation.coco import Bools, Floats, Ints
from bdd100k_models.evaluation.config import EvalConfig
from bdd100k_models.evaluation.frames import decode_frame
from bdd100k_models.evaluation.names import unknown_category
from bdd100k_models.formats.arrays import Flags, check_box, is_true
from bdd100k_models.formats.graphs import LABELLED, VISIBILITY
from bdd100k_models.formats.scalabel import Box2D


class _Node(msgspec.Struct, gc=False):
    location: list[float]
    score: float | None = None
    visibility: str | None = None


class _Graph(msgspec.Struct, gc=False):
    nodes: list[_Node]
    type: str | None = None


class _Label(msgspec.Struct):
    id: str | int
    category: str | None = None
    score: float | None = None
    attributes: Flags | None = None
    box2d: Box2D | None = None
    graph: _Graph | None = None


class _Frame(msgspec.Struct):
    labels: list[_Label] | None = None


_DECODER = msgspec.json.Decoder(_Frame)


@dataclass(frozen=True)
class People:
    """People, a row each.

    Attributes:
        joints: float64 (N, J, 2): x and y in pixels.
        confidence: float64 (N, J): of a label 2 (seen), 1 (hidden) or 0 (not labelled), or the joint's score.
        boxes: float64 (N, 4): left, top, width and height in pixels; NaN for a person without a box.
        scores: float64 (N,): NaN for a label.
        crowd: bool (N,): crowds and ignored regions.
    """

    joints: Floats
    confidence: Floats
    boxes: Floats
    scores: Floats
    crowd: Bools

    def __len__(self) -> int:
        """Return the number of people."""
        return len(self.crowd)

    @property
    def areas(self) -> Floats:
        """Area of each box in pixels, float64 (N,)."""
        areas: Floats = self.boxes[:, 2] * self.boxes[:, 3]
        return areas

    def take(self, rows: Ints | slice) -> People:
        """Return the people that ``rows`` chooses."""
        return People(*(getattr(self, field.name)[rows] for field in fields(self)))

    @classmethod
    def none(cls, joints: int) -> People:
        """Return no people, with ``joints`` joints."""
        empty = np.empty((0, joints, 2)), np.empty((0, joints)), np.empty((0, 4)), np.empty(0), np.empty(0, np.bool_)
        return cls(*empty)

    @classmethod
    def join(cls, parts: Sequence[People], joints: int) -> People:
        """Return the people of all parts, with ``joints`` joints each, one after another."""
        columns = ([getattr(part, field.name) for part in (cls.none(joints), *parts)] for field in fields(cls))
        return cls(*(np.concatenate(column) for column in columns))


def read_people(
    text: bytes | msgspec.Raw, config: EvalConfig, where: str, *, boxed: bool = False, scored: bool = False
) -> People:
    """Read the people of a frame; labels without a graph are skipped.

    Args:
        text: JSON of the frame.
        config: Categories, names and joints.
        where: Names file and frame, for errors.
        boxed: Whether everyone must have a box.
        scored: Whether everyone must have a score.

    Raises:
        LabelError: A field has the wrong type, is missing or impossible, a category is unknown, or joints are missing.
    """
    joints = len(config.sigmas or ())
    labels, ignored = [], []
    for place, label in enumerate(decode_frame(text, _DECODER, where).labels or ()):
        spot = f"{where}, label {place}"
        meaning = config.meaning(label.category)
        if meaning is None:
            raise LabelError(f"{spot}: {unknown_category(label.category, config)}")
        if meaning.category is None or label.graph is None:
            continue
        _check_graph(label.graph, joints, spot)
        _check_label(label, spot, boxed=boxed, scored=scored)
        flags = label.attributes or Flags()
        labels.append(label)
        ignored.append(meaning.ignored or is_true(flags.crowd) or is_true(flags.ignored))
    if not labels:
        return People.none(joints)
    graphs = [label.graph for label in labels if label.graph is not None]
    return People(
        joints=np.array([[node.location[:2] for node in graph.nodes] for graph in graphs], np.float64),
        confidence=np.array([_confidence(graph) for graph in graphs], np.float64),
        boxes=np.array([_corner_and_size(label.box2d) for label in labels], np.float64),
        scores=np.array([math.nan if label.score is None else label.score for label in labels], np.float64),
        crowd=np.array(ignored, np.bool_),
    )


def _check_graph(graph: _Graph, joints: int, spot: str) -> None:
    if len(graph.nodes) != joints:
        raise LabelError(
            f"{spot}: graph.nodes has {len(graph.nodes)} joints, but a person has {joints}; give all of them in order"
        )
    for index, node in enumerate(graph.nodes):
        if len(node.location) not in (2, 3):
            raise LabelError(f"{spot}: graph.nodes[{index}].location has {len(node.location)} numbers; give x and y")


def _check_label(label: _Label, spot: str, *, boxed: bool, scored: bool) -> None:
    if scored and label.score is None:
        raise LabelError(f"{spot}: score is missing; every prediction needs one")
    if label.box2d is not None:
        check_box(label.box2d, spot)
    elif boxed:
        raise LabelError(f"{spot}: box2d is missing; every labelled person needs one, whose area is the scale")


def _corner_and_size(box: Box2D | None) -> tuple[float, float, float, float]:
    """Return left, top, width and height; corners are inclusive."""
    if box is None:
        return (math.nan,) * 4
    return box.x1, box.y1, box.x2 - box.x1 + 1, box.y2 - box.y1 + 1


def _confidence(graph: _Graph) -> list[float]:
    """Return each joint's score, or where it has none what its visibility counts as."""
    levels = VISIBILITY if graph.type is not None and graph.type.startswith(LABELLED) else {}
    return [float(levels.get(node.visibility or "", 0)) if node.score is None else node.score for node in graph.nodes]
