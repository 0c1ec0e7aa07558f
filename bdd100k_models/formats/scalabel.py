"""Scalabel JSON, the data set's own label and prediction format, read into typed records.

A file is a bare list of frames or a dict with ``frames``; a folder is all its ``*.json`` files. Unknown fields are
dropped, as the official tool does. Decoding is typed, so a wrong type is reported with its position, and lean: a label
with a box takes about 300 bytes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from bdd100k_models.errors import LabelError, MissingFileError


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


class _Dataset(msgspec.Struct):
    frames: list[Frame]


_LIST_DECODER = msgspec.json.Decoder(list[Frame])
_DICT_DECODER = msgspec.json.Decoder(_Dataset)


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
    source = Path(path)
    if source.is_dir():
        files = sorted(source.glob("*.json"))
        if not files:
            raise MissingFileError(f"{source}: no .json file in this folder; name a label file or a folder of them")
        return [frame for file in files for frame in _load_file(file)]
    return _load_file(source)


def _load_file(file: Path) -> list[Frame]:
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        raise MissingFileError(f"{file}: no such label file; check the path, or the data root and split") from None
    except OSError as error:
        raise LabelError(f"{file}: cannot be read ({error.strerror}); check its permissions") from None
    return decode_frames(data, str(file))


def decode_frames(data: bytes, where: str) -> list[Frame]:
    """Decode the text of a label file; ``where`` names it in errors.

    Raises:
        LabelError: See :func:`load_frames`.
    """
    head = data[:64].lstrip()
    if not head:
        raise LabelError(f"{where}: the file is empty; write it again")
    try:
        if head.startswith(b"["):
            return _LIST_DECODER.decode(data)
        return _DICT_DECODER.decode(data).frames
    except msgspec.ValidationError as error:
        raise LabelError(_explain(error, data, where)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise LabelError(f"{where}: not valid JSON ({error}); the file may be cut off, write it again") from None


def _explain(error: msgspec.ValidationError, data: bytes, where: str) -> str:
    """Turn msgspec's message into one that names the frame and recognises COCO JSON."""
    if looks_like_coco(data):
        return f"{where}: this is COCO JSON; Scalabel JSON (a list of frames) is needed here"
    message = str(error)
    frame = ""
    if match := re.search(r"`\$(?:\.frames)?\[(\d+)\]", message):
        frame = f" (frame {match.group(1)}: {_frame_name(data, int(match.group(1)))})"
    return f"{where}: {message}{frame}; this is not the Scalabel format"


def looks_like_coco(data: bytes) -> bool:
    """Tell whether the text of a JSON file has COCO's top-level keys, or is a COCO result list."""
    try:
        content = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    if isinstance(content, dict):
        return "images" in content and "frames" not in content
    first = content[0] if isinstance(content, list) and content else None
    return isinstance(first, dict) and "image_id" in first and "name" not in first


def _frame_name(data: bytes, index: int) -> str:
    try:
        content = msgspec.json.decode(data)
        frames = content["frames"] if isinstance(content, dict) else content
        return str(frames[index].get("name", "without a name"))
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError, IndexError, AttributeError, TypeError):
        return "unreadable"


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
