"""Boxes of a label or prediction file as arrays, for tasks that count millions of them.

The same format as :mod:`bdd100k_models.formats.scalabel`, decoded one frame at a time into columns: besides the text
of the file, which is mapped and not copied, a box takes about 70 bytes. Everything a box evaluation does not need is
skipped while parsing.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from bdd100k_models.errors import LabelError
from bdd100k_models.formats import scalabel
from bdd100k_models.formats.stream import stream_frames
from bdd100k_models.tasks import TAGS

#: Frames whose labels are gathered before they become arrays: few enough to stay small, enough to be quick.
_BATCH = 256

#: A box whose inclusive width is below zero by more than this is refused. Detectors give boxes of width zero, and their
#: corners come in single precision, whose steps at 1280 pixels are 1.2e-4.
_SLACK = 1e-3

#: What the official tool's parser (pydantic 1) reads as false where a flag is a string.
_FALSE_WORDS = frozenset({"0", "off", "f", "false", "n", "no"})


class Flags(msgspec.Struct, gc=False):
    """The attributes that an evaluation reads; of any type, see :func:`is_true`."""

    crowd: Any = False
    ignored: Any = False


#: Weather, scene and time of day of a frame, in the order of ``TAGS``; None for what its labels do not say.
Scene = tuple[str | None, str | None, str | None]


class SceneAttributes(msgspec.Struct, gc=False):
    """The attributes of a frame by which a data set is sliced; of any type, see :func:`scene_of`."""

    weather: Any = None
    scene: Any = None
    timeofday: Any = None


def scene_of(attributes: SceneAttributes | None) -> Scene:
    """Return weather, scene and time of day; what is no text counts as not given."""
    if attributes is None:
        return (None, None, None)
    values = (attributes.weather, attributes.scene, attributes.timeofday)
    # thousands of frames share a handful of values
    first, second, third = (sys.intern(value) if isinstance(value, str) else None for value in values)
    return (first, second, third)


class _Label(msgspec.Struct, gc=False):
    id: str | int
    score: float | None = None
    category: str | None = None
    attributes: Flags | None = None
    box2d: scalabel.Box2D | None = None


class _Frame(msgspec.Struct, gc=False):
    name: str | int
    videoName: str | None = None
    attributes: SceneAttributes | None = None
    labels: list[_Label] | None = None


@dataclass
class BoxTable:
    """The labels of many frames, a row each, in the order of the file.

    Attributes:
        source: Path that was read, for messages.
        names: Image name of each frame.
        videos: Video name of each frame, or None.
        files: File that each frame stands in.
        scenes: Weather, scene and time of day of each frame.
        category_names: The distinct names that labels use, in order of appearance; None for a label without category.
        frame: int32 (N,): index into ``names``.
        position: int32 (N,): place of the label among the labels of its frame, from 0.
        category: int32 (N,): index into ``category_names``.
        boxes: float64 (N, 4): x1, y1, x2, y2 in pixels, inclusive; NaN for a label without a box.
        scores: float64 (N,): NaN for a label without a score.
        crowd: bool (N,): the attribute ``crowd``.
        ignored: bool (N,): the attribute ``ignored``.
    """

    source: str
    names: list[str]
    videos: list[str | None]
    files: list[str]
    scenes: list[Scene]
    category_names: tuple[str | None, ...]
    frame: npt.NDArray[np.int32]
    position: npt.NDArray[np.int32]
    category: npt.NDArray[np.int32]
    boxes: npt.NDArray[np.float64]
    scores: npt.NDArray[np.float64]
    crowd: npt.NDArray[np.bool_]
    ignored: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        """Return the number of labels."""
        return len(self.frame)

    @property
    def has_box(self) -> npt.NDArray[np.bool_]:
        """Bool (N,): whether the label has a box."""
        return ~np.isnan(self.boxes[:, 0])

    def where(self, row: int) -> str:
        """Name file, frame and label of a row, for a message."""
        frame = int(self.frame[row])
        return f"{self.files[frame]}: frame {self.names[frame]}, label {int(self.position[row])}"


def load_boxes(path: str | os.PathLike[str]) -> BoxTable:
    """Read the boxes of a file, or of every ``*.json`` file of a folder in name order.

    Args:
        path: Scalabel JSON, a list of frames or a dict with ``frames``; or a folder of such files.

    Returns:
        The table; it has no rows where nothing is labelled.

    Raises:
        MissingFileError: There is nothing at ``path``, or the folder holds no JSON file.
        LabelError: The text is not JSON, is COCO JSON, a field has the wrong type, a number is not finite, or a box has
            a negative width or height. The message names file, frame and field.
    """
    builder = _Builder(str(path))
    for file, _, frame in stream_frames(path, _Frame):
        builder.add(frame, file)
    return builder.finish()


def table_from_frames(frames: Iterable[scalabel.Frame], source: str) -> BoxTable:
    """Make a table of frames in memory; ``source`` names them in messages.

    Raises:
        LabelError: A number is not finite, or a box has a negative width or height.
    """
    builder = _Builder(source)
    for frame in frames:
        labels = [
            _Label(label.id, label.score, label.category, _flags(label.attributes), label.box2d)
            for label in frame.labels or ()
        ]
        builder.add(_Frame(frame.name, frame.videoName, _scene_attributes(frame.attributes), labels), source)
    return builder.finish()


def _flags(attributes: dict[str, Any] | None) -> Flags | None:
    return Flags(attributes.get("crowd", False), attributes.get("ignored", False)) if attributes else None


def _scene_attributes(attributes: dict[str, Any] | None) -> SceneAttributes | None:
    return SceneAttributes(*(attributes.get(tag) for tag in TAGS)) if attributes else None


def is_true(value: object) -> bool:
    """Read a flag as the official tool does: strings that mean no are false."""
    return value.lower() not in _FALSE_WORDS and bool(value) if isinstance(value, str) else bool(value)


def check_box(box: scalabel.Box2D, where: str) -> None:
    """Require a box to be one; ``where`` names file, frame and label.

    Raises:
        LabelError: Its width or height is negative, or its area is no finite number.
    """
    width, height = box.x2 - box.x1 + 1, box.y2 - box.y1 + 1
    if not math.isfinite(width * height):
        corners = f"({box.x1}, {box.y1}, {box.x2}, {box.y2})"
        raise LabelError(f"{where}: box2d {corners} is too large for any image; give pixels")
    if width < -_SLACK or height < -_SLACK:
        low, high, start, end = ("x1", "x2", box.x1, box.x2) if width < -_SLACK else ("y1", "y2", box.y1, box.y2)
        raise LabelError(f"{where}: box2d has {high} = {end} below {low} = {start}; write corners in order")


@dataclass
class _Builder:
    """Gathers frames into columns."""

    source: str
    names: list[str] = field(default_factory=list)
    videos: list[str | None] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    scenes: list[Scene] = field(default_factory=list)
    category_index: dict[str | None, int] = field(default_factory=dict)
    columns: list[tuple[npt.NDArray[Any], ...]] = field(default_factory=list)
    waiting: list[_Label] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)

    def add(self, frame: _Frame, file: str) -> None:
        """Add one frame."""
        self.names.append(str(frame.name))
        self.videos.append(frame.videoName)
        self.files.append(file)
        self.scenes.append(scene_of(frame.attributes))
        labels = frame.labels or []
        self.counts.append(len(labels))
        self.waiting.extend(labels)
        if len(self.counts) == _BATCH:
            self.flush()

    def flush(self) -> None:
        """Turn the waiting labels into arrays."""
        labels, counts = self.waiting, np.array(self.counts, dtype=np.int64)
        if labels:
            index = self.category_index
            for name in dict.fromkeys(label.category for label in labels):
                index.setdefault(name, len(index))
            first = len(self.names) - len(counts)
            starts = np.cumsum(counts) - counts
            self.columns.append(
                (
                    np.repeat(np.arange(first, first + len(counts), dtype=np.int32), counts),
                    (np.arange(len(labels)) - np.repeat(starts, counts)).astype(np.int32),
                    np.array([index[label.category] for label in labels], dtype=np.int32),
                    _corners([label.box2d for label in labels]),
                    np.array([np.nan if label.score is None else label.score for label in labels], dtype=np.float64),
                    *_flag_columns([label.attributes for label in labels]),
                )
            )
            self._check(labels)
        self.waiting = []
        self.counts = []

    def _check(self, labels: list[_Label]) -> None:
        """Refuse what no box can be, in the rows just added."""
        frame, position, _, boxes, scores, _, _ = self.columns[-1]
        # infinities and values whose area overflows; NaN stands only for an absent box or score
        with np.errstate(over="ignore", invalid="ignore"):
            width, height = boxes[:, 2] - boxes[:, 0] + 1, boxes[:, 3] - boxes[:, 1] + 1
            absurd = ~np.isfinite(width * height) & np.array([label.box2d is not None for label in labels])
        bad = absurd | (width < -_SLACK) | (height < -_SLACK) | np.isinf(scores)
        if not bad.any():
            return
        row = int(np.argmax(bad))
        where = f"{self.files[frame[row]]}: frame {self.names[frame[row]]}, label {position[row]}"
        if np.isinf(scores[row]):
            raise LabelError(f"{where}: score is {scores[row]}; it must be a finite number")
        check_box(scalabel.Box2D(*boxes[row].tolist()), where)

    def finish(self) -> BoxTable:
        """Return the table of everything that was added."""
        self.flush()
        empty = (
            *(np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.int32)),
            *(np.empty((0, 4)), np.empty(0), np.empty(0, np.bool_), np.empty(0, np.bool_)),
        )
        columns = [np.concatenate(parts) for parts in zip(*self.columns, strict=True)] if self.columns else list(empty)
        self.columns = []
        place = (self.source, self.names, self.videos, self.files, self.scenes)
        return BoxTable(*place, tuple(self.category_index), *columns)


def _corners(boxes: list[scalabel.Box2D | None]) -> npt.NDArray[np.float64]:
    """Return (N, 4) corners, NaN where there is no box."""
    absent = scalabel.Box2D(np.nan, np.nan, np.nan, np.nan)
    full = [box or absent for box in boxes]
    columns = ([b.x1 for b in full], [b.y1 for b in full], [b.x2 for b in full], [b.y2 for b in full])
    return np.array(columns, dtype=np.float64).T


def _flag_columns(flags: list[Flags | None]) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    if not any(flags):
        return np.zeros(len(flags), np.bool_), np.zeros(len(flags), np.bool_)
    crowd = np.array([f is not None and f.crowd is not False and is_true(f.crowd) for f in flags], np.bool_)
    ignored = np.array([f is not None and f.ignored is not False and is_true(f.ignored) for f in flags], np.bool_)
    return crowd, ignored
