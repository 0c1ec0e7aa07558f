"""Scalabel JSON, the data set's own label and prediction format, read into typed records.

A file is a bare list of frames or a dict with ``frames``; a folder is all its ``*.json`` files. Unknown fields are
dropped, as the official tool does. Decoding is typed, so a wrong type is reported with its position, and lean: a label
with a box takes about 300 bytes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import msgspec

from bdd100k_models.errors import LabelError
from bdd100k_models.formats.stream import stream_frames


class Box2D(msgspec.Struct, gc=False):
    """A box in pixels; ``x2`` and ``y2`` are inclusive, so width is ``x2 - x1 + 1``."""

    x1: float
    y1: float
    x2: float
    y2: float


class ImageSize(msgspec.Struct, gc=False):
    """Width and height in pixels."""

    width: int
    height: int


class RLE(msgspec.Struct, gc=False):
    """A COCO run-length mask: compressed counts and ``[height, width]``."""

    counts: str
    size: tuple[int, int]


class Poly2D(msgspec.Struct):
    """A polygon or polyline: vertices in pixels, one letter a vertex (``L`` line, ``C`` Bezier control point)."""

    vertices: list[tuple[float, float]]
    types: str = ""
    closed: bool = True


class Node(msgspec.Struct, omit_defaults=True):
    """One joint of a graph: location in pixels, its name as category, and its confidence."""

    location: tuple[float, float]
    category: str
    id: str | int = ""
    score: float | None = None
    visibility: str | None = None
    type: str | None = None


class Edge(msgspec.Struct):
    """A limb of a graph, between two node ids."""

    source: str | int
    target: str | int
    type: str | None = None


class Graph(msgspec.Struct):
    """Joints and limbs of one person."""

    nodes: list[Node]
    edges: list[Edge]
    type: str | None = None


class Label(msgspec.Struct, omit_defaults=True):
    """One object, region or segment of a frame."""

    id: str | int
    score: float | None = None
    category: str | None = None
    index: int | None = None
    attributes: dict[str, Any] | None = None
    box2d: Box2D | None = None
    rle: RLE | None = None
    poly2d: list[Poly2D] | None = None
    graph: Graph | None = None


class Frame(msgspec.Struct, omit_defaults=True):
    """One image and its labels. ``labels`` is None or empty where nothing is annotated."""

    name: str
    videoName: str | None = None
    frameIndex: int | None = None
    url: str | None = None
    size: ImageSize | None = None
    attributes: dict[str, Any] | None = None
    labels: list[Label] | None = None


def load_frames(path: str | os.PathLike[str]) -> list[Frame]:
    """Read the frames of a file, or of every ``*.json`` file of a folder in name order.

    Args:
        path: A JSON file in either of the two forms, or a folder of such files (not searched recursively).

    Returns:
        Frames in file order; an empty list for a file without frames.

    Raises:
        MissingFileError: There is nothing at ``path``, or the folder holds no JSON file.
        LabelError: The file is not JSON, is COCO JSON, or a field has the wrong type; the message names the field.
    """
    return [frame for _, _, frame in stream_frames(path, Frame)]


def frames_by_name(frames: Iterable[Frame], where: str) -> dict[str, Frame]:
    """Index frames by image name.

    Raises:
        LabelError: Two frames have the same name.
    """
    index: dict[str, Frame] = {}
    for frame in frames:
        if frame.name in index:
            raise LabelError(f"{where}: frame {frame.name} appears twice; keep one of them")
        index[frame.name] = frame
    return index
