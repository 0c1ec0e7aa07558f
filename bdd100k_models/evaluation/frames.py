"""Frames of JSON files for an evaluation: found and paired first, decoded one at a time when their turn comes.

Files are mapped, not copied, so memory follows the number of frames and not the size of the text.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np

from bdd100k_models.errors import LabelError
from bdd100k_models.evaluation.lazy import LazySequence
from bdd100k_models.evaluation.pairing import foreign_frames, pair_keys
from bdd100k_models.evaluation.parts import Units
from bdd100k_models.formats.arrays import Scene, SceneAttributes, scene_of
from bdd100k_models.formats.coco import is_coco_file, load_any_frames
from bdd100k_models.formats.folders import label_files
from bdd100k_models.formats.scalabel import Frame
from bdd100k_models.formats.stream import stream_frames

_Struct = TypeVar("_Struct")

#: Files of a folder that stay mapped; of more, frames are read anew when their turn comes.
_MAPPED = 32

#: Files that are kept open then.
_OPEN = 4


class _Key(msgspec.Struct):
    name: str | int
    videoName: str | None = None
    attributes: SceneAttributes | None = None


@dataclass
class FrameTexts:
    """The frames of a file or folder, not decoded yet.

    Attributes:
        source: Path that was read, for messages.
        names: Image name of each frame.
        videos: Video name of each frame, or None.
        files: File that each frame stands in.
        texts: JSON of each frame.
        scenes: Weather, scene and time of day of each frame.
    """

    source: str
    names: list[str] = field(default_factory=list)
    videos: list[str | None] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    texts: Sequence[bytes | msgspec.Raw] = field(default_factory=list)
    scenes: list[Scene] = field(default_factory=list)

    def where(self, index: int) -> str:
        """Name file and frame, for a message."""
        return f"{self.files[index]}: frame {self.names[index]}"


def load_texts(path: str | os.PathLike[str]) -> FrameTexts:
    """Find the frames of a file, or of every ``*.json`` file of a folder in name order.

    Args:
        path: Scalabel JSON, a list of frames or a dict with ``frames``; or a folder of such files.

    Raises:
        MissingFileError: There is nothing at ``path``, or the folder holds no JSON file.
        LabelError: The text is not JSON, is COCO JSON, or a frame has no name.
    """
    frames = FrameTexts(str(path))
    # a mapped file keeps a descriptor, of which there are few
    apart = len(label_files(Path(path))) > _MAPPED
    texts: list[msgspec.Raw] = []
    for file, text, key in stream_frames(path, _Key):
        frames.names.append(str(key.name))
        frames.videos.append(key.videoName)
        frames.files.append(file)
        if not apart:
            texts.append(text)
        frames.scenes.append(scene_of(key.attributes))
    frames.texts = _TextsOfFiles(frames.files) if apart else texts
    return frames


class FrameReader:
    """Reads single frames of files, and keeps the files that it read last at hand."""

    def __init__(self) -> None:
        self._files: OrderedDict[str, list[msgspec.Raw]] = OrderedDict()

    def read(self, file: str, place: int) -> bytes:
        """Return the JSON of the frame at a place in a file, from 0.

        Raises:
            MissingFileError: The file is gone.
            LabelError: It is no longer what it was.
        """
        if file not in self._files:
            self._files[file] = [text for _, text, _ in stream_frames(file, _Key)]
            if len(self._files) > _OPEN:
                self._files.popitem(last=False)
        self._files.move_to_end(file)
        texts = self._files[file]
        if place >= len(texts):
            raise LabelError(f"{file}: frame number {place} is gone; the file was changed meanwhile")
        return bytes(texts[place])


class _TextsOfFiles(LazySequence[bytes]):
    """The frames of many files, read anew when their turn comes; ``files`` has the file of each, in their order."""

    def __init__(self, files: Sequence[str]) -> None:
        self._files = files
        starts = np.flatnonzero([index == 0 or name != files[index - 1] for index, name in enumerate(files)])
        self._places = np.arange(len(files)) - np.repeat(starts, np.diff(np.append(starts, len(files))))
        self._reader = FrameReader()

    def __len__(self) -> int:
        return len(self._files)

    def item(self, index: int) -> bytes:
        return self._reader.read(self._files[index], int(self._places[index]))


def decode_frame(text: bytes | msgspec.Raw, decoder: msgspec.json.Decoder[_Struct], where: str) -> _Struct:
    """Decode one frame; ``where`` names file and frame.

    Raises:
        LabelError: A field has the wrong type, or the text is malformed.
    """
    try:
        return decoder.decode(text)
    except msgspec.ValidationError as error:
        raise LabelError(f"{where}: {error}; this is not the Scalabel format") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise LabelError(f"{where}: not valid JSON ({error})") from None


@dataclass(frozen=True)
class FramePair:
    """One image: JSON of its labels and of its predictions.

    Attributes:
        name: Image name.
        truth: JSON of the true frame.
        truth_where: Names its file and frame.
        result: JSON of the predicted frame, or None where there is none.
        where: Names the predicted frame's file and frame.
    """

    name: str
    truth: bytes | msgspec.Raw
    truth_where: str
    result: bytes | msgspec.Raw | None
    where: str


class FramePairs(LazySequence[FramePair]):
    """The images of an evaluation in the order of the ground truth, each with its predictions.

    Args:
        truth: The ground truth.
        result: The predictions.

    Attributes:
        truth: The ground truth.
        result: The predictions.
        positions: For each true frame the place of its predictions in ``result``, or None.
        foreign: How many predicted frames are of other images.

    Raises:
        LabelError: A name stands twice on a side, or there are predictions but none is for an image of the truth (not
            even under a name that differs in its suffix only).
    """

    def __init__(self, truth: FrameTexts, result: FrameTexts) -> None:
        self.truth, self.result = truth, result
        true_keys, result_keys = pair_keys(truth, result)
        place = {key: index for index, key in enumerate(result_keys)}
        self.positions: list[int | None] = [place.get(key) for key in true_keys]
        self.foreign = len(place) - sum(position is not None for position in self.positions)
        self._other_suffix = False
        if self.positions and self.foreign and self.foreign == len(place):
            self._other_suffix = not _stems(true_keys).isdisjoint(_stems(result_keys))
            if not self._other_suffix:
                raise foreign_frames(result_keys, truth, result)

    def __len__(self) -> int:
        return len(self.positions)

    def item(self, index: int) -> FramePair:
        """Return a pair."""
        position = self.positions[index]
        return FramePair(
            name=self.truth.names[index],
            truth=self.truth.texts[index],
            truth_where=self.truth.where(index),
            result=self.result.texts[position] if position is not None else None,
            where=self.result.where(position) if position is not None else self.result.source,
        )

    def units(self) -> Units:
        """Return the images."""
        return Units(tuple(self.truth.names), tuple(self.truth.scenes))

    @property
    def missing(self) -> int:
        """How many images have no predictions."""
        return sum(position is None for position in self.positions)

    def notes(self, consequence: str) -> list[str]:
        """Return what to tell about images on one side only; ``consequence`` says how missing ones count."""
        notes = []
        if not self.positions:
            notes.append("the ground truth holds no frames")
        if self._other_suffix:
            notes.append(
                f"no name of the predictions ({self.result.names[0]}) is one of the ground truth "
                f"({self.truth.names[0]}), though some differ in their suffix only; the official tool compares whole "
                "names, so nothing counts as predicted: rename them"
            )
        if self.missing:
            notes.append(f"{self.missing} of {len(self)} images have no predictions; {consequence}")
        if self.foreign:
            notes.append(f"{self.foreign} frames of the predictions are not in the ground truth; they are left out")
        return notes


def pair_frames(truth: Path, result: Path, *, coco_truth: bool = False) -> FramePairs:
    """Find and pair the frames of two files or folders.

    Args:
        truth: The ground truth.
        result: The predictions.
        coco_truth: Whether the ground truth may be COCO JSON too.

    Raises:
        MissingFileError, LabelError: See :func:`load_texts` and :class:`FramePairs`.
    """
    if coco_truth and is_coco_file(truth):
        return FramePairs(_texts_of_frames(load_any_frames(truth), str(truth)), load_texts(result))
    return FramePairs(load_texts(truth), load_texts(result))


def _texts_of_frames(frames: Sequence[Frame], source: str) -> FrameTexts:
    """Return frames in memory as those of a file."""
    names = [frame.name for frame in frames]
    texts = [msgspec.json.encode(frame) for frame in frames]
    nothing: Scene = (None, None, None)
    return FrameTexts(source, names, [None] * len(names), [source] * len(names), texts, [nothing] * len(names))


def _stems(names: Sequence[str]) -> set[str]:
    return {name.rpartition(".")[0] or name for name in names}
