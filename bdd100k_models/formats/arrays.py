"""Boxes of a label or prediction file as arrays, for tasks that count millions of them.

The same format as :mod:`bdd100k_models.formats.scalabel`, decoded one frame at a time into columns: besides the text
of the file, which is mapped and not copied, a box takes about 70 bytes. Everything a box evaluation does not need is
skipped while parsing.
"""

from __future__ import annotations

import mmap
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from bdd100k_models.errors import LabelError, MissingFileError
from bdd100k_models.formats import scalabel

#: Frames whose labels are gathered before they become arrays: few enough to stay small, enough to be quick.
_BATCH = 256

#: A box whose inclusive width is below zero by more than this is refused. Detectors give boxes of width zero, and their
#: corners come in single precision, whose steps at 1280 pixels are 1.2e-4.
_SLACK = 1e-3

#: What the official tool's parser (pydantic 1) reads as false where a flag is a string.
_FALSE_WORDS = frozenset({"0", "off", "f", "false", "n", "no"})


class _Flags(msgspec.Struct, gc=False):
    crowd: Any = False
    ignored: Any = False


class _Label(msgspec.Struct, gc=False):
    id: str | int
    score: float | None = None
    category: str | None = None
    attributes: _Flags | None = None
    box2d: scalabel.Box2D | None = None


class _Frame(msgspec.Struct, gc=False):
    name: str | int
    videoName: str | None = None
    labels: list[_Label] | None = None


class _Dataset(msgspec.Struct):
    frames: list[msgspec.Raw]


_LIST_DECODER = msgspec.json.Decoder(list[msgspec.Raw])
_DICT_DECODER = msgspec.json.Decoder(_Dataset)
_FRAME_DECODER = msgspec.json.Decoder(_Frame)


@dataclass
class BoxTable:
    """The labels of many frames, a row each, in the order of the file.

    Attributes:
        source: Path that was read, for messages.
        names: Image name of each frame.
        videos: Video name of each frame, or None.
        files: File that each frame stands in.
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
    source = Path(path)
    builder = _Builder(str(source))
    if source.is_dir():
        files = sorted(source.glob("*.json"))
        if not files:
            raise MissingFileError(f"{source}: no .json file in this folder; name a label file or a folder of them")
    else:
        files = [source]
    for file in files:
        _read_file(file, builder)
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
        builder.add(_Frame(frame.name, frame.videoName, labels), source)
    return builder.finish()


def _flags(attributes: dict[str, Any] | None) -> _Flags | None:
    return _Flags(attributes.get("crowd", False), attributes.get("ignored", False)) if attributes else None


def _truth(value: object) -> bool:
    """Read a flag as the official tool does: strings that mean no are false."""
    return value.lower() not in _FALSE_WORDS and bool(value) if isinstance(value, str) else bool(value)


@dataclass
class _Builder:
    """Gathers frames into columns."""

    source: str
    names: list[str] = field(default_factory=list)
    videos: list[str | None] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    category_index: dict[str | None, int] = field(default_factory=dict)
    columns: list[tuple[npt.NDArray[Any], ...]] = field(default_factory=list)
    waiting: list[_Label] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)

    def add(self, frame: _Frame, file: str) -> None:
        """Add one frame."""
        self.names.append(str(frame.name))
        self.videos.append(frame.videoName)
        self.files.append(file)
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
        x1, y1, x2, y2 = boxes[row].tolist()
        if np.isinf(scores[row]):
            raise LabelError(f"{where}: score is {scores[row]}; it must be a finite number")
        if absurd[row]:
            raise LabelError(f"{where}: box2d ({x1}, {y1}, {x2}, {y2}) is too large for any image; give pixels")
        low, high, start, end = ("x1", "x2", x1, x2) if width[row] < -_SLACK else ("y1", "y2", y1, y2)
        raise LabelError(f"{where}: box2d has {high} = {end} below {low} = {start}; write corners in order")

    def finish(self) -> BoxTable:
        """Return the table of everything that was added."""
        self.flush()
        empty = (
            *(np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.int32)),
            *(np.empty((0, 4)), np.empty(0), np.empty(0, np.bool_), np.empty(0, np.bool_)),
        )
        columns = [np.concatenate(parts) for parts in zip(*self.columns, strict=True)] if self.columns else list(empty)
        self.columns = []
        return BoxTable(self.source, self.names, self.videos, self.files, tuple(self.category_index), *columns)


def _corners(boxes: list[scalabel.Box2D | None]) -> npt.NDArray[np.float64]:
    """Return (N, 4) corners, NaN where there is no box."""
    absent = scalabel.Box2D(np.nan, np.nan, np.nan, np.nan)
    full = [box or absent for box in boxes]
    columns = ([b.x1 for b in full], [b.y1 for b in full], [b.x2 for b in full], [b.y2 for b in full])
    return np.array(columns, dtype=np.float64).T


def _flag_columns(flags: list[_Flags | None]) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    if not any(flags):
        return np.zeros(len(flags), np.bool_), np.zeros(len(flags), np.bool_)
    crowd = np.array([f is not None and f.crowd is not False and _truth(f.crowd) for f in flags], np.bool_)
    ignored = np.array([f is not None and f.ignored is not False and _truth(f.ignored) for f in flags], np.bool_)
    return crowd, ignored


def _read_file(file: Path, builder: _Builder) -> None:
    """Add the frames of one file."""
    try:
        with file.open("rb") as stream:
            if os.fstat(stream.fileno()).st_size and file.is_file():
                # not closed by hand: it goes with the last view into it, which an error may still hold
                text = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
                _decode(memoryview(text), str(file), builder)
            else:
                _decode(stream.read(), str(file), builder)
    except FileNotFoundError:
        raise MissingFileError(f"{file}: no such label file; check the path, or the data root and split") from None
    except OSError as error:
        raise LabelError(f"{file}: cannot be read ({error.strerror}); check its permissions") from None


def _decode(text: memoryview | bytes, where: str, builder: _Builder) -> None:
    head = bytes(text[:64]).lstrip()
    if not head:
        raise LabelError(f"{where}: the file is empty; write it again")
    try:
        raw = _LIST_DECODER.decode(text) if head.startswith(b"[") else _DICT_DECODER.decode(text).frames
    except msgspec.ValidationError as error:
        kind = "COCO JSON" if scalabel.looks_like_coco(bytes(text)) else ""
        raise LabelError(_not_scalabel(where, str(error), kind)) from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise LabelError(f"{where}: {_malformed(bytes(text), str(error))}") from None
    for index, item in enumerate(raw):
        try:
            frame = _FRAME_DECODER.decode(item)
        except msgspec.ValidationError as error:
            kind = "COCO JSON" if index == 0 and scalabel.looks_like_coco(b"[" + bytes(item) + b"]") else ""
            raise LabelError(_not_scalabel(where, str(error), kind, _frame_name(item, index))) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise LabelError(f"{where}: frame {_frame_name(item, index)}: not valid JSON ({error})") from None
        builder.add(frame, where)


def _not_scalabel(where: str, problem: str, kind: str, frame: str = "") -> str:
    if kind:
        return f"{where}: this is {kind}; Scalabel JSON (a list of frames) is needed here"
    return f"{where}: {f'frame {frame}: ' if frame else ''}{problem}; this is not the Scalabel format"


def _frame_name(item: msgspec.Raw, index: int) -> str:
    """Name the frame of which ``item`` is the text, however damaged."""
    match = re.search(rb'"name"\s*:\s*"([^"]*)"', bytes(item))
    return match.group(1).decode(errors="replace") if match else f"number {index}"


def _malformed(text: bytes, problem: str) -> str:
    """Explain text that is not JSON; NaN and Infinity, which Python writes, are named with frame and field."""
    position = re.search(r"byte (\d+)\)", problem)
    start = int(position.group(1)) if position else len(text)
    # msgspec points at the first letter, past the sign of -Infinity
    token = re.compile(rb"NaN|Infinity").match(text, start)
    if token is None:
        return f"not valid JSON ({problem}); the file may be cut off, write it again"
    fields = re.findall(rb'"(\w+)"\s*:', text[max(0, start - 4096) : start])
    field_name = fields[-1].decode() if fields else "a value"
    frame = _frame_around(text, start)
    return f"{frame}{field_name} is {token.group().decode()}, which is not JSON; it must be a finite number"


def _frame_around(text: bytes, position: int) -> str:
    """Name the frame whose text holds ``position``, by making the rest of the text valid JSON of equal length."""
    bare = re.compile(rb"(?<=[\[:,\s])-?(?:NaN|Infinity)(?=[\s,\]}])")
    mended = bare.sub(lambda match: b"0." + b"0" * (len(match.group()) - 2), text)
    try:
        first = mended[:64].lstrip()[:1]
        raw = _LIST_DECODER.decode(mended) if first == b"[" else _DICT_DECODER.decode(mended).frames
    except msgspec.MsgspecError:
        return ""
    end = 0
    for index, item in enumerate(raw):
        content = bytes(item)
        end = mended.index(content, end) + len(content)
        if end > position:
            return f"frame {_frame_name(item, index)}: "
    return ""
